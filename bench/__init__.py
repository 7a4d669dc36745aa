"""loopmark: honest benchmarks of PyTorch training loops.

The batch stream is the clock, the pause button and the ledger: whatever pulls batches can be measured.
"""

from bench.results.version import __version__ as __version__
