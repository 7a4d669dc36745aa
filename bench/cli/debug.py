"""`bench run --debug`: one arm in this process, without a fork, so that `breakpoint()` in a loop or a model works."""

from __future__ import annotations

import argparse
import bdb
import importlib
import os
import tempfile
import traceback
from pathlib import Path

from bench.cli.arguments import given_options, selection_of_arguments
from bench.cli.output import complain, say
from bench.commands.endings import CELLS_FAILED, DONE, Ending
from bench.commands.run import chosen_options
from bench.commands.selection import plan_selection
from bench.engine.arm_request import request, threads_of
from bench.errors import SpecError
from bench.machine.cores import layout
from bench.machine.process_env import arm_environment
from bench.plan.cell import Cell, Plan
from bench.plan.select import selector

STEPS = 8  # after those that are watched


def debug(arguments: argparse.Namespace) -> Ending:
    """Train the first cell that was selected for a few steps, here; nothing is measured, and nothing is kept."""
    plan, files = plan_selection(selection_of_arguments(arguments), tell=complain)
    options = chosen_options(given_options(arguments))
    cell = first_cell(plan, arguments.select)
    environment, _ = arm_environment(threads_of(cell, options.threads), 0)
    os.environ.update(environment)  # before torch is imported, which reads it
    for name in cell.preload:
        importlib.import_module(name)
    from bench.arm.debug import AUDITED, train_here

    say(f"{cell.id}: {AUDITED + STEPS} steps in this process; nothing is measured, and nothing is kept")
    with tempfile.TemporaryDirectory(prefix="bench-debug-") as folder:
        wanted = request(
            cell,
            files[cell.suite],
            layout(options.threads),
            threads=options.threads,
            seed=options.seed,
            caches=Path(folder),
        )
        try:
            result = train_here(wanted, STEPS)
        except bdb.BdbQuit:
            say("the debugger was left")
            return DONE
        except Exception:
            say(traceback.format_exc(), end="")
            return CELLS_FAILED
    losses = ", ".join(f"{float(loss):.4g}" for loss in result.ledger.losses)
    say(f"{result.ledger.steps} steps, {result.ledger.samples} samples; losses of the watched ones: {losses}")
    return DONE


def first_cell(plan: Plan, select: str | None) -> Cell:
    """The first cell that can run here, in one process, of those that were asked for.

    Raises:
        SpecError: there is none; says why not.
    """
    wanted = selector(select) if select is not None else None
    cells = [cell for cell in plan.cells if not cell.twin and (wanted is None or wanted(cell))]
    for cell in cells:
        if not cell.unsupported and cell.point["devices"] == 1:
            return cell
    reasons = "; ".join(f"{cell.id}: {cell.unsupported or 'several devices are several processes'}" for cell in cells)
    raise SpecError(f"--debug: no cell that runs in one process here: {reasons}")
