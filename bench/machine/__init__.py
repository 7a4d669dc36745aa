"""This machine: environment, cores, process environment, memory, calibration, git."""
