"""How good a search is: the full grid raced once, and then searches of other seeds within a quarter of its time.

    python -m peers.tune_grid                       # quiet machine, ten minutes
    python -m peers.tune_grid --set batch_size=32,64 --set access=sample,batch --set samples=256 --searches 1

Every configuration of the grid is raced as a search's finalists are: beside the default, all epochs, as many launches.
What a search finds is then judged by the grid's figures, not by its own. It reports how far the find is from the best
configuration of the grid that keeps the loss, and ends with 0 where all of them are within 5 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.analysis.tuning import TWIN, RacedConfiguration, TuneLimits, broken_limit
from bench.commands.tune import begin_search
from bench.commands.tune_racer import SearchMachine, Subject
from bench.commands.tune_request import TuneRequest, subject_of
from bench.commands.tune_search import RACED_AT_ONCE, SEEDS
from bench.engine.fleet import Fleet
from bench.engine.progress import progress as shown_progress
from bench.errors import RunError
from bench.results import store

WITHIN = 0.05
SHARE = 0.25  # of the grid's time, that a search may take
GRID_LIMIT = 3600.0
USUAL = ("loop=plain", "batch_size=32,64", "precision=32-true,bf16-mixed", "threads=1,2", "num_workers=0,1")
USUAL_AXES = (*USUAL, "access=sample,batch", "learning_rate=0.001", "samples=2048")


@dataclass(frozen=True)
class Grid:
    """The grid as it was measured.

    Attributes:
        speeds: samples a second over the default's, by label, of those that keep the loss; the default's is 1.
        left_out: why the others are not among them.
        seconds: wall time of all of it, interpreters included.
    """

    speeds: dict[str, float]
    left_out: dict[str, str]
    seconds: float

    def share_of_best(self, label: str) -> float:
        """The speed of a configuration over the best one's; 0 of one that does not keep the loss."""
        return self.speeds.get(label, 0.0) / max(self.speeds.values())


def race_grid(subject: Subject, request: TuneRequest, epochs: int, out: Path) -> Grid:
    """Race every configuration once."""
    began = time.monotonic()
    folder = store.fresh_folder(out, "results")
    configurations = subject.space.candidates()
    speeds, left_out = {subject.space.label(subject.space.default): 1.0}, {}
    with shown_progress(sys.stderr) as told, Fleet(request.threads, folder / store.LOGS, None) as fleet:
        machine = SearchMachine(subject, fleet, folder, request.options, told, (), GRID_LIMIT, 0.0, began)
        for first in range(0, len(configurations), RACED_AT_ONCE):
            chosen = configurations[first : first + RACED_AT_ONCE]
            for one in machine.race(chosen, epochs, SEEDS, "grid").results[1:]:
                reason = _left_out(one, TuneLimits(request.memory_limit, request.loss_margin))
                if reason:
                    left_out[one.label] = reason
                elif one.label != TWIN and one.ratio is not None:
                    speeds[one.label] = one.ratio
    return Grid(speeds, left_out, time.monotonic() - began)


def _left_out(one: RacedConfiguration, limits: TuneLimits) -> str:
    return one.reason or "not timed" if one.outcome != "ok" else broken_limit(one, limits)[0]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="peers.tune_grid", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--set", dest="settings", action="append", metavar="AXIS=V1,V2")
    parser.add_argument("--searches", type=int, default=5, metavar="N", help="of seeds of their own; default: 5")
    parser.add_argument("--train-epochs", type=int, metavar="N", help="default: the suite's")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR")
    given = parser.parse_args(argv)
    request = TuneRequest(
        "tunable", settings=tuple(given.settings or USUAL_AXES), epochs=given.train_epochs, budget=GRID_LIMIT
    ).checked()
    subject = subject_of(request)
    epochs = getattr(subject, "epochs", 0)
    grid = race_grid(subject, request, epochs, given.out)
    best = max(grid.speeds, key=lambda label: grid.speeds[label])
    print(
        f"grid: {len(grid.speeds)} of {subject.space.size} keep the loss, {grid.seconds:.0f} s; best: {best}, ", end=""
    )
    print(f"{grid.speeds[best]:.3f} times the default's samples/s")
    rows: list[dict[str, object]] = []
    shares: list[float] = []
    for number in range(given.searches):
        asked = TuneRequest(
            "tunable",
            settings=request.settings,
            epochs=request.epochs,
            budget=SHARE * grid.seconds,
            seed=1000 * (number + 1),
        )
        try:
            with shown_progress(sys.stderr) as told:
                found = begin_search(asked, given.out, told, command=["peers.tune_grid"])
        except RunError as error:  # a quarter of a small grid's time may have no room for one race
            print(f"search {number}: {error}", flush=True)
            rows.append({"search": number, "found": "", "seconds": 0.0})
            shares.append(0.0)
            continue
        label = found.winner.label if found.winner else found.default
        share = grid.share_of_best(label)
        rows.append({"search": number, "found": label, "share_of_best": share, "seconds": found.spent})
        shares.append(share)
        time_share = found.spent / grid.seconds
        print(f"search {number}: {label}: {share:.3f} of the best, in {time_share:.3f} of the grid's time", flush=True)
    good = sum(share >= 1 - WITHIN for share in shares)
    print(f"{good} of {len(rows)} searches are within {100 * WITHIN:.0f} % of the grid's best")
    document = {"grid": grid.speeds, "left_out": grid.left_out, "grid_seconds": grid.seconds, "searches": rows}
    print(json.dumps(document))
    return 0 if good == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
