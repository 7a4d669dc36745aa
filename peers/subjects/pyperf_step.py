"""The step as a user of pyperf writes it down."""

import pyperf

from peers.step import make_step, make_workload

runner = pyperf.Runner()
runner.bench_func("step", make_step(make_workload()))
