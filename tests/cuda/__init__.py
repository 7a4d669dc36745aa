"""Checks of NVIDIA devices: by replay of recorded answers everywhere, and on a real one by `python -m tests.cuda`."""
