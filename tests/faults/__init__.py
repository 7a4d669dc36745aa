"""Faults, really done to the program: `nox -s faults` or `python -m tests.faults`. A table of them, and one harness.

The table says in words and shell text what is done; the harness does it with real processes in a folder of its own, and
gives five marks: L nothing lost or wrong, T a typed outcome or one message and an exit code that is earned, B no
traceback, P no process left, A usable afterwards. A mark that does not hold is told with its reason.
"""
