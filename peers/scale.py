"""What a conductor costs with 1,000 arms, with 1,000 nodes of 8 ranks, among strangers; what 100,000 records cost.

`python -m peers.scale` prints a table; `--only arms,strangers` does some of it. docs/scale.md has what it gave. The
fake nodes are processes of this machine and answer at once, so times hold the conductor's work and the fakes' own: on
two cores they are upper limits of the first.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench.protocol as protocol
from bench.engine.door import PENDING, Door
from bench.engine.door_strangers import Strangers
from bench.engine.fleet import Fleet
from bench.engine.launch import Race
from bench.engine.nodes import Node
from bench.machine.knock import knock
from bench.machine.process_env import PACKAGE_PARENT, RankPlace, rank_environment
from bench.protocol import ArmHello, Go
from peers import scale_records
from peers.fake_nodes import turn_report
from peers.flood import recorder

PRELOAD = ("fake",)
ROUNDS = 5
STEPS = 45  # of a turn of 45 ms at steps of 1 ms
LATE = 1.0  # seconds that a genuine process may be late among strangers


@dataclass(frozen=True)
class Row:
    """A figure, with what it may be at most where the issue says."""

    what: str
    value: float
    unit: str
    limit: float | None = None

    def __str__(self) -> str:
        limit = "" if self.limit is None else f"  (at most {self.limit:g} {self.unit}: {self._met})"
        return f"{self.what:<72} {self.value:>10.4g} {self.unit:<6}{limit}"

    @property
    def _met(self) -> str:
        assert self.limit is not None
        return "met" if self.value <= self.limit else "MISSED"


class FakeLauncher:
    """Starts so many processes of fake nodes, each a part of them."""

    name = "fake"
    address = "127.0.0.1"
    port = 0
    patience = 600.0

    def __init__(self, nodes: int, processes: int = 1) -> None:
        self.nodes = nodes
        self._count = processes
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, setup: Mapping[str, Any], logs: Path) -> None:
        logs.mkdir(exist_ok=True)
        edges = [self.nodes * number // self._count for number in range(self._count + 1)]
        for number, (first, last) in enumerate(itertools.pairwise(edges)):
            with open(logs / f"fakes-{number}.log", "wb") as log:
                started = python("peers.fake_nodes", stderr=log)
            self._started.append(started)
            tell(started, {**setup, "first": first, "last": last})

    def trouble(self) -> str:
        ended = [one.returncode for one in self._started if one.poll() is not None]
        return f"fake nodes ended with {ended}" if ended else ""

    def rank_environment(self, place: RankPlace, nodes: Sequence[Node]) -> dict[str, str]:
        return rank_environment(place)

    def close(self) -> None:
        for one in self._started:
            one.wait(60)


def python(module: str, **streams: Any) -> subprocess.Popen[bytes]:
    """A program of ours, which is told what to do on its standard input."""
    path = os.pathsep.join([str(PACKAGE_PARENT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environ = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen([sys.executable, "-m", module], stdin=subprocess.PIPE, env=environ, **streams)


def tell(started: subprocess.Popen[bytes], words: Mapping[str, Any]) -> None:
    """Give a program of `python` its line."""
    assert started.stdin is not None
    started.stdin.write(json.dumps(words).encode() + b"\n")
    started.stdin.flush()


class Clock:
    """Wall and processor seconds of this process since it was last asked."""

    def __init__(self) -> None:
        self.lap()

    def lap(self) -> tuple[float, float]:
        now = time.perf_counter(), time.process_time()
        before, self._before = getattr(self, "_before", now), now
        return now[0] - before[0], now[1] - before[1]


def memory() -> float:
    """The most main memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


@contextmanager
def fleet_of(nodes: int, folder: Path) -> Iterator[Fleet]:
    """A fleet whose fake nodes have come in, each with a fork server."""
    with Fleet(1, folder / "logs", launcher=FakeLauncher(nodes, 2 if nodes > 1 else 1)) as fleet:
        yield fleet


def request(ranks: int = 0, nodes: int = 1) -> dict[str, Any]:
    """What an arm is asked for, as far as the conductor reads it; 2 kB more, as there are in a real one."""
    return {"ranks": ranks, "nodes": nodes, "more": "x" * 2000}


def arms(count: int, folder: Path) -> Iterator[Row]:
    """A launch of so many arms of one rank."""
    with fleet_of(1, folder) as fleet:
        fleet.join()
        fleet.ensure_fork_servers([(0, PRELOAD)], 0)
        clock = Clock()
        made = {
            f"arm{number}": fleet.start_arm(PRELOAD, request(), folder / "logs" / f"arm{number}.log")
            for number in range(count)
        }
        fleet.await_ready(list(made.values()), 600.0)
        wall, cpu = clock.lap()
        yield Row(f"{count} arms: asked for, taken in, ready; wall, an arm", 1000 * wall / count, "ms")
        yield Row("  of it the conductor's processor", 1000 * cpu / count, "ms")
        race = Race(fleet, made, (0,), 60.0, 0.045)
        race.warm_up("arm0")
        wall, cpu = clock.lap()
        yield Row("  warm-up, wall, an arm", 1000 * wall / count, "ms")
        for _ in range(ROUNDS):
            race.take_round(list(made))
        wall, cpu = clock.lap()
        turns = ROUNDS * count
        yield Row("  a round, wall, an arm", 1000 * wall / turns, "ms", 5.0)
        yield Row("  of it the conductor's processor", 1000 * cpu / turns, "ms")
        race.finish()
        wall, cpu = clock.lap()
        yield Row("  results and the end, wall, an arm", 1000 * wall / count, "ms")
        assert len(race.results) == count, f"{len(race.results)} of {count} arms came to their end"
        yield Row("  the conductor's memory, at most", memory(), "MB", 300.0)
    go, report = protocol.encode(Go(STEPS, timed=True)), protocol.encode(turn_report(STEPS))
    yield Row(f"  bytes of a turn of {STEPS} steps, both ways", len(go) + len(report) + 8, "B")


def nodes(count: int, ranks: int, folder: Path) -> Iterator[Row]:
    """One arm over so many nodes."""
    world = count * ranks
    clock = Clock()
    with fleet_of(count, folder) as fleet:
        fleet.join()
        wall, cpu = clock.lap()
        yield Row(f"{count} nodes of {ranks} ranks: all nodes in; wall", wall, "s")
        yield Row("  of it the conductor's processor", cpu, "s")
        fleet.ensure_fork_servers([(0, PRELOAD)], 0)
        wall, cpu = clock.lap()
        yield Row(f"  {count} fork servers asked for and in; wall", wall, "s")
        arm = fleet.start_arm(PRELOAD, request(world, count), folder / "logs" / "wide.log")
        fleet.await_ready([arm], 600.0)
        if arm.lost is not None:
            raise arm.lost
        wall, cpu = clock.lap()
        yield Row(f"  {world} ranks asked for, taken in, ready; wall", wall, "s")
        yield Row("  of it the conductor's processor", cpu, "s")
        race = Race(fleet, {"wide": arm}, (0,), 60.0, 0.045)
        race.warm_up("wide")
        clock.lap()
        for _ in range(ROUNDS):
            race.take_round(["wide"])
        wall, cpu = clock.lap()
        yield Row("  a turn of all ranks, wall, a rank", 1000 * wall / ROUNDS / world, "ms")
        yield Row("  of it the conductor's processor", 1000 * cpu / ROUNDS / world, "ms")
        race.finish()
        assert len(race.results) == 1, arm.lost
        wall, cpu = clock.lap()
        yield Row("  results and the end, wall", wall, "s")
        yield Row("  the conductor's memory, at most", memory(), "MB", 300.0)
    wall, cpu = clock.lap()
    yield Row("  all nodes gone; wall", wall, "s")


def strangers(count: int, folder: Path) -> Iterator[Row]:
    """So many strangers at a door while others come in."""
    log = Strangers(folder / "strangers.log")
    door = Door(folder, log, tcp=("127.0.0.1", 0))

    def hello(number: int) -> bytes:
        return protocol.encode(ArmHello(f"a#{number}.0", 0, os.getpid()))

    with recorder(door.tcp_address) as (address, said):
        knock([address], door.key, hello(0)).close()
    before = memory()
    flood = python("peers.flood", stdout=subprocess.PIPE)
    seconds = count / 1000
    tell(
        flood,
        {
            "addresses": [door.address, door.tcp_address],
            "recorded": bytes(said).hex(),
            "count": count,
            "seconds": seconds,
        },
    )
    late, most, came = [], 0, 1
    assert flood.stdout is not None
    while not select.select([flood.stdout], [], [], 0)[0]:
        began = time.perf_counter()
        knock([door.tcp_address if came % 2 else door.address], door.key, hello(came)).close()
        late.append(time.perf_counter() - began)
        came += 1
        most = max(most, door.pending)
        time.sleep(0.002)
    sent = json.loads(flood.stdout.readline())
    yield Row(f"{sum(sent['sent'].values())} strangers in", sent["seconds"], "s")
    yield Row(f"  {len(late)} others came in meanwhile; the latest after", max(late), "s", LATE)
    yield Row("  the middle one after", sorted(late)[len(late) // 2], "s")
    yield Row("  at the door at once, at most", most, "", PENDING)
    yield Row("  memory that the door took for it", memory() - before, "MB")
    flood.communicate(timeout=60)
    assert door.waiting == came, f"{door.waiting} of {came} came in"
    door.close()
    log.close()
    lines = (folder / "strangers.log").read_text().splitlines()
    yield Row("  lines of strangers.log", len(lines), "")
    print("\n".join(f"    {line}" for line in lines), file=sys.stderr)


def records(cells: int, launches: int, folder: Path) -> Iterator[Row]:
    """A run of so many records: read, shown, reported."""
    made = folder / "made-up"
    made.mkdir()
    count = cells * launches
    size = scale_records.write(made, cells, launches)
    yield Row(f"{count} records, of {cells} cells in {launches} launches; a record", size / count, "B")
    for cost in scale_records.costs(made):
        limited = cost.what == "report"
        yield Row(f"  {cost.what}: wall", cost.seconds, "s", 60.0 if limited else None)
        yield Row(f"  {cost.what}: memory", cost.memory / 1e6, "MB", 2000.0 if limited else None)


def main(words: Sequence[str] | None = None) -> int:
    """Measure what was asked for; each part in a process of its own, so that its memory is its own."""
    parser = argparse.ArgumentParser(prog="peers.scale", description=__doc__)
    parser.add_argument("--only", default="arms,nodes,strangers,records", help="default: arms,nodes,strangers,records")
    parser.add_argument("--arms", type=int, default=1000, metavar="N")
    parser.add_argument("--nodes", type=int, default=1000, metavar="N")
    parser.add_argument("--ranks", type=int, default=8, metavar="N", help="of each node")
    parser.add_argument("--strangers", type=int, default=10_000, metavar="N")
    parser.add_argument("--cells", type=int, default=1000, metavar="N")
    parser.add_argument("--launches", type=int, default=100, metavar="N")
    asked = parser.parse_args(words)
    parts: dict[str, Callable[[Path], Iterator[Row]]] = {
        "arms": lambda folder: arms(asked.arms, folder),
        "nodes": lambda folder: nodes(asked.nodes, asked.ranks, folder),
        "strangers": lambda folder: strangers(asked.strangers, folder),
        "records": lambda folder: records(asked.cells, asked.launches, folder),
    }
    chosen = asked.only.split(",")
    if unknown := [name for name in chosen if name not in parts]:
        parser.error(f"unknown part {unknown[0]!r}; allowed: {', '.join(parts)}")
    if len(chosen) > 1:
        own = [word for word in (words or sys.argv[1:]) if not word.startswith("--only")]
        ends = [subprocess.run([sys.executable, "-m", "peers.scale", f"--only={name}", *own]) for name in chosen]
        return max(abs(end.returncode) for end in ends)
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        for row in parts[chosen[0]](Path(folder)):
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
