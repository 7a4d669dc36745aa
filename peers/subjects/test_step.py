"""The step as a user of pytest-benchmark writes it down."""

from peers.step import make_step, make_workload


def test_step(benchmark):
    benchmark(make_step(make_workload()))
