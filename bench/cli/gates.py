"""`bench gate`, `compare`, `baseline`: what ends in a verdict, or prepares one."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from bench.borders import json_text
from bench.cli.arguments import (
    Adder,
    as_duration,
    as_fraction,
    as_size,
    formats,
    old_name,
    positive,
    results_folder,
    selection,
    selection_of_arguments,
)
from bench.cli.output import complain, say
from bench.cli.pages import choose_run
from bench.commands import false_alarms, gate
from bench.commands.counting import Counting
from bench.commands.endings import DONE, INTERRUPTED, Ending
from bench.commands.gate_judgement import Gate
from bench.commands.selection import allowed_budget
from bench.engine.options import Options
from bench.errors import RunError
from bench.results import baselines, files, store
from bench.results.step_counts import COUNT_METRICS
from bench.stats.gate_rule import Rule


def add(command: Adder) -> None:
    """The commands of this file."""
    gating = command("gate", gate_suites, "is it slower? pass 0, regression 1, invalid 3, inconclusive 4")
    selection(gating)
    rule = Rule()
    told = f"the equivalence margin, a harmless slowdown; default: {rule.margin:.0%}".replace("%", "%%")
    gating.add_argument("--margin", type=as_fraction, default=rule.margin, metavar="P", help=told)
    told = f"a slowdown that is promised to be caught; default: {rule.target:.0%}".replace("%", "%%")
    gating.add_argument("--target", type=as_fraction, default=rule.target, metavar="P", help=told)
    gating.add_argument("--against", metavar="REV", help="race the code here against this commit")
    gating.add_argument("--allow-dirty", action="store_true", help="--against with files not committed")
    told = (
        f"wall time for all of it; what does not fit is inconclusive; default: {gate.GATE_BUDGET:.0f}s, or BENCH_BUDGET"
    )
    gating.add_argument("--budget", type=as_duration, metavar="TIME", help=told)
    told = "of turns in one launch; default: as start-up and spread of its launches ask for"
    gating.add_argument("--launch", type=as_duration, metavar="TIME", help=told)
    gating.add_argument(
        "--timeout", type=as_duration, default=60.0, metavar="TIME", help="for one answer of an arm; default: 60s"
    )
    gating.add_argument("--seed", type=int, default=0, metavar="N", help="of orders, data and weights; default: 0")
    gating.add_argument("--threads", type=positive, default=1, metavar="N", help="of every arm; default: 1")
    gating.add_argument("--memory-limit", type=as_size, metavar="SIZE", help="an arm may allocate, e.g. 4GiB")
    told = "an instrumented launch of each group too, which counts operations"
    gating.add_argument("--instrument", action="store_true", help=told)
    old_name(gating, "--look", "--instrument")
    told = "count what a step does, too, and tell what is another"
    gating.add_argument("--counts", action="store_true", help=told)
    told = f"more of it a step is a regression, at any time; of {', '.join(COUNT_METRICS)}"
    gating.add_argument("--no-more", action="append", default=[], metavar="METRIC", help=told)
    results_folder(gating)
    formats(gating, ("table", "json", "md", "junit"))
    gating.add_argument("--summary", type=Path, metavar="FILE", help="append Markdown to it, e.g. $GITHUB_STEP_SUMMARY")
    gating.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML to it")
    comparing = command("compare", run_compare, "two runs or baselines, cell by cell; B over A")
    comparing.add_argument("a", metavar="A", help="a baseline's name, a run's id or folder")
    comparing.add_argument("b", metavar="B", help="the other one, which is over A")
    comparing.add_argument("--allow-environment-mismatch", action="store_true", help="compare other machines, versions")
    results_folder(comparing)
    formats(comparing, ("table", "json", "md"))
    naming = command("baseline", run_baseline, "named runs: save NAME [RUN], list, delete NAME")
    naming.add_argument("what", choices=("save", "list", "delete"), metavar="WHAT", help="save, list or delete")
    naming.add_argument("name", nargs="?", metavar="NAME", help="of the baseline; of save and delete")
    naming.add_argument("which", nargs="?", metavar="RUN", help="a run's id or folder; default: the newest")
    results_folder(naming)
    formats(naming, ("table", "json"))


def gate_suites(arguments: argparse.Namespace) -> Ending:
    """`bench gate`"""
    from bench.engine.progress import progress

    rule = Rule(margin=arguments.margin, target=arguments.target)
    options = Options(
        budget=allowed_budget(arguments.budget, gate.GATE_BUDGET),
        launch=arguments.launch,
        timeout=arguments.timeout,
        seed=arguments.seed,
        threads=arguments.threads,
        memory_limit=arguments.memory_limit,
        instrument=int(arguments.instrument),
    )
    counting = Counting(tuple(arguments.no_more)) if arguments.counts or arguments.no_more else None
    for path in (arguments.summary, arguments.junit):
        if path is not None and not path.resolve().parent.is_dir():
            raise RunError(f"{path}: cannot be written: its folder is not there")
    with progress(sys.stderr) as told:
        done = gate.gate(
            selection_of_arguments(arguments),
            rule,
            options,
            arguments.out,
            told,
            against=arguments.against,
            dirty=arguments.allow_dirty,
            counting=counting,
        )
    return print_gate(done, arguments, arguments.out / done.gate)


def print_gate(found: Gate, arguments: argparse.Namespace, folder: Path) -> Ending:
    """The verdict in the formats that were asked for; gives how it ended."""
    from bench.report import gate

    sentence = false_alarms.read_tally(arguments.threads).sentence
    if arguments.format == "json":
        say(json_text({**found.to_json(), "tally": sentence, "folder": str(folder)}, indent=1))
    else:
        write = {"table": gate.console, "md": gate.markdown, "junit": gate.junit}[arguments.format]
        say(write(found, sentence), end="", coloured=arguments.format == "table")
    if arguments.summary is not None:
        files.append(arguments.summary, gate.markdown(found, sentence) + "\n")
    if arguments.junit is not None:
        files.write_aside(arguments.junit, gate.junit(found, sentence))
    return INTERRUPTED if found.interrupted else Ending(found.verdict, folder / store.GATE)


def run_compare(arguments: argparse.Namespace) -> Ending:
    """`bench compare`"""
    from bench.commands import compare
    from bench.report import comparison

    a, b = (baselines.find_run(text, arguments.out) for text in (arguments.a, arguments.b))
    others = compare.other_runs(arguments.out)
    found = compare.compare(a, b, allow_mismatch=arguments.allow_environment_mismatch, runs=others)
    if arguments.format == "json":
        say(json_text(found.to_json(), indent=1))
    else:
        write = {"table": comparison.console, "md": comparison.markdown}[arguments.format]
        say(write(found), end="", coloured=arguments.format == "table")
    return Ending("invalid") if found.invalid else DONE


def run_baseline(arguments: argparse.Namespace) -> Ending:
    """`bench baseline`"""
    if arguments.what == "list":
        if arguments.name is not None:
            raise RunError("`bench baseline list` takes no NAME")
        found, unread = baselines.list_baselines(arguments.out)
        for reason in unread:
            complain(reason)
        if unread and not found:
            raise RunError("none of the baselines can be read")
        if arguments.format == "json":
            say(json_text([{**asdict(one), "folder": str(one.folder)} for one in found], indent=1))
        else:
            lines = [f"{one.name}  run {one.run}  saved {one.saved}" for one in found]
            say("\n".join(lines) or "no baselines; `bench baseline save NAME [RUN]` names a run")
        return DONE
    if arguments.name is None:
        raise RunError(f"`bench baseline {arguments.what}` needs a NAME")
    if arguments.what == "delete":
        if arguments.which is not None:
            raise RunError("`bench baseline delete` takes one NAME")
        baselines.delete(arguments.name, arguments.out)
        say(f"baseline {arguments.name} is deleted")
        return DONE
    run = choose_run(arguments.which, arguments.out)
    one = baselines.save_baseline(arguments.name, run, arguments.out)
    say(f"baseline {one.name}: run {one.run}, copied to {one.folder}")
    return DONE
