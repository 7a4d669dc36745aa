"""What is gated: values of a suite's own axis, or the code at hand against a commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.commands import environments
from bench.commands.selection import Selection, plan_selection, planned_sides
from bench.engine.fleet import Fleet
from bench.engine.options import Progress
from bench.errors import RunError
from bench.plan.cell import Plan
from bench.plan.side import Side


@dataclass(frozen=True)
class Setup:
    """What is gated: the one place where sides are plugged in.

    Attributes:
        plan: its groups' baselines are "base", their other cells "head", whatever axis is compared.
        files: the suite file of each suite, and of `SUITE@SIDE` where a side has its own.
        sides: environments by name, where the plan compares some; all are built.
        known: sentences on what is known to differ before anything is measured.
    """

    plan: Plan
    files: Mapping[str, str]
    sides: Mapping[str, Side] | None = None
    known: tuple[str, ...] = ()

    def fleet(self, threads: int, logs: Path) -> Fleet:
        """The processes that all stages share."""
        return Fleet(threads, logs, self.sides)


@contextmanager
def prepared_gate(selection: Selection, progress: Progress, against: str | None, *, dirty: bool) -> Iterator[Setup]:
    """What is gated: values of a suite's own axis, or, `against` a commit, the code in this folder.

    Args:
        dirty: whether files in this folder may differ from its commit.

    Raises:
        SpecError: the selection is wrong.
        RunError: files differ from the commit, so that the verdict would be of none.
    """
    if against is None:
        plan, files = plan_selection(selection, tell=progress.note)
        yield Setup(plan, files)
        return
    wishes = environments.parse_sides([environments.COMMIT + against, "."])
    plan, files, length = planned_sides(selection, [wish.name for wish in wishes], progress.note)
    if length:
        progress.note(length)
    changed = environments.dirty()
    known = [f"the code in this folder differs from its commit in {', '.join(changed[:5])}"] if changed else []
    with environments.ready_sides(wishes, progress) as sides:
        if changed and not dirty:
            raise RunError(f"{known[0]}, so the verdict would be of no commit; commit it, or say --allow-dirty")
        yield Setup(plan, environments.side_files(files, sides), sides, tuple(known))
