"""The step as a user of torch.utils.benchmark writes it down; the Measurement goes into a file: OUT [MIN_RUN_TIME]."""

import json
import sys
from pathlib import Path

from torch.utils.benchmark import Timer

from peers.step import make_step, make_workload

timer = Timer("step()", globals={"step": make_step(make_workload())})
out, *seconds = sys.argv[1:]
measurement = timer.blocked_autorange(min_run_time=float(seconds[0])) if seconds else timer.blocked_autorange()
Path(out).write_text(json.dumps({"median": measurement.median, "times": measurement.times}))
