"""A run from a selection of cells to its records: begun, or gone on with. No torch, no pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.analysis.until import until_answers
from bench.commands.placing import Placing, placed_selection
from bench.commands.selection import Selection, allowed_budget, plan_selection
from bench.engine.conductor import Conductor
from bench.engine.fleet import Fleet
from bench.engine.instrumented_launches import INSTRUMENTED_LAUNCHES
from bench.engine.launchers import Launcher
from bench.engine.options import Options, Progress
from bench.errors import RunError, SpecError
from bench.machine import environment
from bench.plan import discovery
from bench.plan.cell import Plan
from bench.plan.plan import plan_document, plan_of_document
from bench.plan.side import Side
from bench.plan.suite import Suite
from bench.results import baselines, decoding, identity, run_info, store
from bench.results.record import FAILED_OUTCOMES, RECORD_SCHEMA, Record, counted_records
from bench.results.run_info import timestamp
from bench.results.store import StoredRun
from bench.results.version import __version__
from bench.stats.conditions import questions_of

# What is otherwise by default where suites train for a goal: seconds, and launches that carry callbacks.
HERE = Placing()
FOR_A_GOAL: Mapping[str, Any] = {"budget": 600.0, "instrument": 0}


@dataclass(frozen=True)
class Measurement:
    """What is to be measured, or the rest of it.

    Attributes:
        plan: the cells.
        files: the suite file of each suite, and of `SUITE@SIDE` where a side has its own.
        options: how.
        sides: the environments that are compared, if any are.
        done: the records of an earlier part of the run.
        launcher: what places nodes, or None.
    """

    plan: Plan
    files: Mapping[str, str]
    options: Options
    sides: Mapping[str, Side] | None = None
    done: tuple[Record, ...] = ()
    launcher: Launcher | None = None


def chosen_options(
    given: Mapping[str, Any],
    stored: Mapping[str, Any] | None = None,
    where: Path | str = "options",
    *,
    defaults: Mapping[str, Any] | None = None,
) -> Options:
    """Options that were given over those of a stored run over the defaults; the budget at most BENCH_BUDGET.

    Args:
        defaults: that are other than those of `Options`.

    Raises:
        SpecError: one that was given is not what options are.
        RunError: the stored ones are none.
    """
    named = {name: value for name, value in given.items() if value is not None}
    # Who asks a question waits for its answer: instrumented launches come after it, and only where they are asked for.
    instrument = 0 if "until" in named else INSTRUMENTED_LAUNCHES
    try:
        chosen = decoding.convert(
            Options, {"instrument": instrument, **(defaults or {}), **(stored or {}), **named}, where
        )
    except RunError as error:
        raise error if stored else SpecError(str(error)) from None
    return replace(chosen, budget=allowed_budget(named.get("budget"), chosen.budget))


def run(
    selection: Selection,
    given: Mapping[str, Any],
    out: Path,
    progress: Progress,
    *,
    command: Sequence[str],
    placing: Placing = HERE,
    name: str = "",
) -> StoredRun:
    """A new run of these cells, measured to its end.

    Args:
        given: options by the names of `Options`; those that are None or missing have their defaults.
        out: the folder that gets the run's folder.
        command: what the user wrote, for run.json.
        placing: where it is.
        name: of the run's folder; "" for a fresh one.

    Raises:
        SpecError: all that is wrong with the selection or the options.
        BenchError: interpreters or nodes do not start, or the folder cannot be written.
    """
    launcher = placing.find_launcher(out)
    nodes = 1 if launcher is None else placing.nodes or launcher.nodes
    selection = placed_selection(selection, placing, nodes)
    given = {**given, "launcher": placing.launcher, "nodes": nodes}
    plan, files = plan_selection(selection, tell=progress.note)
    questions_of(given.get("until"), plan_document(plan))  # refused before there is a folder
    trained = any(suite.goal is not None for suite in plan.suites.values())
    options = chosen_options(given, defaults=FOR_A_GOAL if trained else None)
    work = Measurement(plan, files, options, launcher=launcher)
    return measure_cells(work, out, progress, command=command, name=name)


def measure_cells(
    work: Measurement,
    out: Path,
    progress: Progress,
    *,
    command: Sequence[str],
    fleet: Fleet | None = None,
    name: str = "",
) -> StoredRun:
    """A new run of this work; see `run`.

    Args:
        fleet: with interpreters that are warm already; None: one of its own.
    """
    folder = store.create(out, name)
    try:
        info = {**run_document(work, folder.folder.name), "argv": list(command)}
        folder.write_info(info)
        return _conducted(work, folder, info, progress, fleet)
    finally:
        folder.close()


def run_document(work: Measurement, name: str) -> dict[str, Any]:
    """run.json as it is when a run of this name begins: the one place where it is put together."""
    options = vars(work.options)
    return {
        "run": name,
        "loopmark": __version__,
        "argv": [],
        "options": options,
        "plan": plan_document(work.plan),
        "files": dict(work.files),
        "environment": environment.environment(work.options.threads),
        "sides": list(work.sides or ()),
        "started": timestamp(),
        "finished": None,
        "stops": {},
        "timing": {},
        "warnings": [],
        "answers": [],
        "digests": {"options": run_info.options_digest(options), "files": identity.digests(work.files)},
    }


def _conducted(
    work: Measurement,
    folder: store.RunFolder,
    info: Mapping[str, Any],
    progress: Progress,
    fleet: Fleet | None = None,
) -> StoredRun:
    """Measure it, or what is left of it, and read back what came of it."""
    progress.note(f"run {folder.folder}")
    conductor = Conductor(
        work.plan, work.files, folder, work.options, progress, work.done, work.sides, launcher=work.launcher
    )
    stops = conductor.run(fleet)
    earlier = info["timing"]
    timing = {name: round(earlier.get(name, 0.0) + value, 6) for name, value in conductor.timing.items()}
    warnings = [*info["warnings"], *conductor.warnings]
    if edited := _edited(info["digests"], work.files):
        warnings.append(f"edited while the run went on: {edited}; its launches are of different workloads")
    warnings = list(dict.fromkeys(warnings))
    done = {**info, "finished": timestamp(), "stops": stops, "timing": timing, "warnings": warnings}
    folder.write_info(done)
    if work.options.until:
        answers = until_answers(done, store.read_run(folder.folder).records)
        folder.write_info({**done, "answers": [asdict(one) for one in answers]})
    folder.close()
    return store.read_run(folder.folder)


def was_interrupted(run: StoredRun) -> bool:
    """Whether the user ended it."""
    return any(stop["reason"] == "interrupted" for stop in run.info["stops"].values())


def has_failures(run: StoredRun) -> bool:
    """Whether there are cells of which a launch failed."""
    return any(record.outcome in FAILED_OUTCOMES for record in counted_records(run.records))


def resume(
    which: str,
    given: Mapping[str, Any],
    folders: Sequence[Path],
    out: Path,
    progress: Progress,
    *,
    placing: Placing = HERE,
) -> StoredRun:
    """Go on with a run that was stopped.

    Args:
        which: its id or folder.
        given: options that are other than the run's own.
        folders: folders with more suite files.
        placing: where it goes on, with the launcher and on as many nodes as before.

    Raises:
        RunError: it cannot go on: other settings were asked for, the machine is another, the suites' files or the
            records are not those of the run.
    """
    path = store.find_folder(which, out)
    if (path / baselines.FILE).exists():
        raise RunError(f"{path}: a baseline is not gone on with; resume the run that it was made from")
    folder = store.RunFolder(path)
    try:
        launcher = placing.find_launcher(out)
        asked = {"launcher": placing.launcher or None, "nodes": placing.nodes or (launcher and launcher.nodes)}
        work, info = _rest(folder, {**given, **asked}, folders, progress)
        if work.options.launcher != placing.launcher:
            raise RunError(f"{path}: it is of --launcher {work.options.launcher}; allowed: to go on with it")
        work = replace(work, launcher=launcher)
        return _conducted(work, folder, info, progress)
    finally:
        folder.close()


def _rest(
    folder: store.RunFolder, given: Mapping[str, Any], folders: Sequence[Path], progress: Progress
) -> tuple[Measurement, dict[str, Any]]:
    path = folder.folder
    folder.repair()
    run = store.intact(store.read_run(path))
    info = dict(run.info)
    if (schema := info.pop("schema")) < RECORD_SCHEMA:
        progress.note(f"{path}: an older version began it (schema {schema}); from here on only this one reads it")
    if info["sides"]:
        raise RunError(f"{path}: a run of several environments cannot be gone on with; start it again")
    stored = info["options"]
    asked = {name: value for name, value in given.items() if value is not None}
    other = [name for name in asked if name not in identity.MAY_CHANGE and asked[name] != stored.get(name)]
    if other:
        words = "; ".join(f"{name} is {stored.get(name)} in the run, and {asked[name]} was asked for" for name in other)
        allowed = ", ".join(identity.MAY_CHANGE)
        raise RunError(f"{path}: {words}: that is another experiment; allowed to change: {allowed}")
    options = chosen_options(asked, stored, f"{path / store.RUN}: $.options")
    differ = environment.mismatches(info["environment"], environment.environment(options.threads))
    if differ:
        raise RunError(f"{path}: this is another environment than the run's: {'; '.join(differ)}")
    suites, files = suites_of_run(info, folders)
    _check_files(run, files, progress)
    plan = plan_of_document(info["plan"], suites, options.threads, options.nodes)
    info["options"] = vars(options)
    made_from = (info["digests"] or {}).get("files") or identity.digests(files)
    info["digests"] = {"options": run_info.options_digest(info["options"]), "files": made_from}
    return Measurement(plan, files, options, done=(*run.records, *run.instrumented)), info


def suites_of_run(info: Mapping[str, Any], folders: Sequence[Path]) -> tuple[dict[str, Suite], dict[str, str]]:
    """The suites of a run, and the file of each: by its name in the folders that are named, else that which it was made
    from, or, where this is gone, by its name wherever suites are.

    Raises:
        SpecError: one is not there, or its file gives no suite.
    """
    found = discovery.look_for_suites(folders)
    suites: dict[str, tuple[Suite, str]] = {}
    named = {folder.resolve() for folder in folders}
    for name in info["plan"]["suites"]:
        file = info["files"].get(name, "")
        there = Path(found.suites[name][1]).parent in named if name in found.suites else False
        suites[name] = found.get(name) if there or not Path(file).is_file() else discovery.suite_of_file(file)
        if suites[name][0].name != name:
            raise SpecError(f"{file}: has suite {suites[name][0].name!r}, and the run is of {name!r}")
    return {name: suite for name, (suite, _) in suites.items()}, {name: file for name, (_, file) in suites.items()}


def _edited(digests: Mapping[str, Any], files: Mapping[str, str]) -> str:
    """The suites' files that are not as they were when the run began, as words; "" where all are."""
    try:
        return ", ".join(identity.edited_files(digests, identity.digests(files)))
    except RunError as error:  # one is gone; what was measured stands
        return str(error)


def _check_files(run: StoredRun, files: Mapping[str, str], progress: Progress) -> None:
    """Raises:
    RunError: a suite's files are not those that the run was made from.
    """
    edited = identity.edited_files(run.info["digests"], identity.digests(files))
    if edited:
        raise RunError(
            f"{run.folder}: not as when the run was made: {', '.join(edited)}; "
            "two workloads in one interval say nothing: start a run of its own"
        )
    if not (run.info["digests"] or {}).get("files"):
        progress.note(
            f"{run.folder}: it has no digests of its suite files, so nobody knows whether they were edited since"
        )
