"""The step as a user of asv writes it down."""

from peers.step import make_step, make_workload

# Not in a `setup`: since asv_runner 0.3 that is run again before every timed call, and each would be the first step of
# a new model, 2.4 ms instead of 1.4 ms on 2 slow cores.
step = make_step(make_workload())


def time_step():
    step()
