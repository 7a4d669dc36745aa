"""`bench versions`: two or more environments raced on this machine, now."""

from __future__ import annotations

import argparse
import sys

from bench.cli.arguments import Adder, measuring_options, planned_sides, selection
from bench.cli.running import start
from bench.commands import environments
from bench.commands.endings import Ended


def add(command: Adder) -> None:
    """The commands of this file."""
    racing = command("versions", race_versions, "race environments: requirements, folders, git:COMMIT; baseline first")
    racing.add_argument("sides", nargs="+", metavar="SIDE", help='e.g. "lightning==2.5.*" "lightning==2.6.*"')
    racing.add_argument(
        "--with", dest="more", action="append", default=[], metavar="REQ", help="requirements of all sides"
    )
    selection(racing, option=True, default="overhead at one step length")
    measuring_options(racing, "wall time for all of it, once the environments are built; default: 3m")
    racing.set_defaults(looks=0)  # what differs is asked of the clock


def race_versions(arguments: argparse.Namespace) -> Ended:
    """`bench versions`"""
    from bench.engine.progress import progress

    wishes = environments.parse_sides(arguments.sides, arguments.more)
    names = [wish.name for wish in wishes]
    made, files, length = planned_sides(arguments, names)
    with progress(sys.stderr) as told:
        told.note(f"baseline {names[0]}" + (f"; {length}" if length else ""))
        with environments.prepared(wishes, told) as sides:
            told.close()  # the run has a bar of its own
            files |= {
                f"{suite}@{name}": environments.side_file(file, side)
                for suite, file in files.items()
                for name, side in sides.items()
            }
            return start(arguments, made, files, sides)
