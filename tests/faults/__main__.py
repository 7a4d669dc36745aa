"""`python -m tests.faults`: try the faults of the table, one after the other; print a table of marks.

With --json FILE each fault is written there as soon as it was tried, and what stands there is not tried again.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from . import report
from .harness import attempt
from .judge import Seen, marks
from .report import Tried
from .sandbox import Template
from .table import FAULTS, selected


def main() -> int:
    """Exit code 0 where all was tried, whatever came of it; the marks are told, not judged."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "-k", dest="select", default="", metavar="EXPR", help="faults whose id matches: words, and, or, not"
    )
    parser.add_argument("--list", action="store_true", help="the table, without trying anything")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="keep what came of each fault here, and go on from it"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table of marks here too")
    parser.add_argument("--keep", action="store_true", help="leave the sandboxes there")
    parser.add_argument("--quick", action="store_true", help="only those that start no arm, and so take seconds")
    arguments = parser.parse_args()
    chosen = [fault for fault in selected(FAULTS, arguments.select) if fault.quick or not arguments.quick]
    if arguments.list:
        for fault in chosen:
            print(f"{fault.id:32} {'listed' if fault.listed else 'own':6} {fault.what}")
            print(f"    $ {' ; '.join(fault.commands)}")
        print(f"{len(chosen)} faults, {sum(bool(fault.listed) for fault in chosen)} of them listed")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that sandboxes go, as after Ctrl-C
    tried = report.read(arguments.json) if arguments.json and arguments.json.exists() else {}
    deeds: dict[object, Seen] = {}
    with Template() as template:
        for number, fault in enumerate(chosen, start=1):
            if fault.id in tried:
                continue
            if fault.deed not in deeds:
                deeds[fault.deed] = attempt(fault, template, keep=arguments.keep)
            seen = deeds[fault.deed]
            code = seen.commands[0].code if seen.commands else None
            tried[fault.id] = Tried(
                fault.id, code, seen.untried, marks(fault, seen) if seen.commands else {}, seen.seconds
            )
            print(f"{number}/{len(chosen)} {report.line(fault, tried[fault.id])}", flush=True)
            if arguments.json:
                report.write(arguments.json, tried)
    table = report.markdown(chosen, tried)
    print(report.counts(chosen, tried))
    if arguments.markdown:
        arguments.markdown.write_text(table, encoding="utf-8")
    return 0


sys.exit(main())
