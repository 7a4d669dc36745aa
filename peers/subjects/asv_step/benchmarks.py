"""The step as a user of asv writes it down."""

from peers.step import make_step, make_workload


class Step:
    def setup(self):
        self.step = make_step(make_workload())

    def time_step(self):
        self.step()
