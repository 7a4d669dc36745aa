"""`python -m tests.mutants [TRAP ...]`: try the mutations of all traps, or of these; 1 where one lives."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

from .harness import PATIENCE, copy_tree, run, table
from .table import MUTANTS


def main(arguments: list[str]) -> int:
    """Run it; progress goes to standard error, the table to standard output."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what it has started is ended with it
    wanted = {int(argument) for argument in arguments}
    unknown = wanted - {mutant.trap for mutant in MUTANTS}
    if unknown:
        known = sorted({mutant.trap for mutant in MUTANTS})
        print(f"no mutation of trap {sorted(unknown)}; there are: {known}", file=sys.stderr)
        return 2
    chosen = [mutant for mutant in MUTANTS if not wanted or mutant.trap in wanted]
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-mutants-") as folder:
        for result in run(chosen, copy_tree(Path(folder) / "tree"), PATIENCE):
            results.append(result)
            word = "killed" if result.held else "ALIVE"
            said = f"trap {result.mutant.trap}: {word}: {result.mutant.what}: {result.test}"
            print(said, file=sys.stderr, flush=True)
    print(table(results))
    return 0 if all(result.held for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
