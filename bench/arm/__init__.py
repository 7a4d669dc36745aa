"""The measured process. `Job` was defined here once, and users' loops import it from here."""

from bench.axes.loops.job import Job

__all__ = ["Job"]
