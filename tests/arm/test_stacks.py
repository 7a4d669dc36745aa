"""The signal at which an arm writes its stacks is nobody else's."""

from __future__ import annotations

import signal

from lightning.fabric.plugins.environments import SLURMEnvironment

from bench.protocol import STACKS


def test_lightning_in_a_job_of_slurms_does_not_take_the_signal_of_stacks_for_an_order() -> None:
    """At its own it puts the job into the queue again: a late arm would end the run that it is late in."""
    taken = SLURMEnvironment(auto_requeue=True).requeue_signal
    assert taken is not None
    assert STACKS not in (taken, signal.SIGTERM, signal.SIGINT, signal.SIGCONT)
