"""`python -m loopmark`: does what `python -m bench` does."""

from loopmark import main

main()
