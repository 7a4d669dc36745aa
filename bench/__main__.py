"""`python -m bench`: the command, straight from a checkout."""

from bench.cli import main

main()
