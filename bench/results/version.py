"""Which version of the program writes: the one place where a release changes it."""

__version__ = "0.1.0"
