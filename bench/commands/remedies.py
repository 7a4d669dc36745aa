"""What may make a training faster, and what bounds it: one declaration each, chosen by what was observed. Pure.

A remedy is tried in an arm of its own before anything is said of it. To add one, add a function that gives its trials
to `REMEDIES` or `BOUNDS`: none where it cannot apply, several where it has values to choose from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.results.observed import Observed, ObservedOptimizer, lines_of_site

# A kind of calls is thinned out where it is made in this share of the steps and takes this share of their time.
EACH_STEP = 0.5
WORTH_TRYING = 0.005
# A checkpoint is what more steps are between than these.
SAVED_OFTEN = 0.05
SELDOM = 50  # Trainer's own log_every_n_steps
SAVED_SELDOM = 1000  # steps between checkpoints, where nobody knows the length of an epoch
# Share of a step that waiting for a batch takes, from which on workers are tried: what they hand over costs some of it.
WAITING = 0.15
KEPT_BATCHES = 8  # that a perfect loader hands out again: in caches as those of a loader are that has just made them
FUSED = frozenset({"Adam", "AdamW", "SGD", "Adagrad"})  # of torch's optimizers those that have `fused`, on CPUs too
LOG_CALLS: Mapping[str, str] = {
    "log": "log",
    "logger": "write to the logger",
    "bar": "draw the bar",
    "print": "print",
}


@dataclass(frozen=True)
class Edit:
    """A change of a call in the user's files.

    Attributes:
        line: where the call begins, `train.py:42`; "" where it is in none of the user's files.
        call: the name that is called.
        arguments: that it gets, as Python writes them; `without`: that it loses.
    """

    line: str
    call: str
    arguments: Mapping[str, str]
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """Something that is raced against the training as it is.

    Attributes:
        name: of the remedy or bound; trials of one name are values to choose from, of which one can be taken.
        title: what is done, in words or code.
        why: what was observed that it answers.
        changes: for `bench.arm.changes`.
        bound: whether it only bounds what remedies can bring, and is none.
        between: whether it pays between epochs, so that whole epochs tell.
        otherwise: how the training is another one with it; "" where it does the same work.
        edits: the change of the user's files; (): it takes more than an argument.
    """

    name: str
    title: str
    why: str
    changes: Mapping[str, Any]
    bound: bool = False
    between: bool = False
    otherwise: str = ""
    edits: tuple[Edit, ...] = field(default=())


Trials = Callable[[Observed, int], Iterator[Trial]]


def trials_of(seen: Observed, cores: int) -> tuple[Trial, ...]:
    """Every remedy and bound that can apply to a training that was observed, remedies first.

    Args:
        cores: that the training may use.
    """
    return tuple(trial for made in (*REMEDIES, *BOUNDS) for trial in made(seen, cores))


def _of_loader(seen: Observed, **arguments: Any) -> dict[str, Any]:
    return {"at": seen.loader.at if seen.loader else "", "loader": arguments}


def _loader_edit(seen: Observed, arguments: Mapping[str, str], without: tuple[str, ...] = ()) -> tuple[Edit, ...]:
    return (Edit(innermost_line(seen.loader.at if seen.loader else ""), "DataLoader", arguments, without),)


def innermost_line(chain: str) -> str:
    """The innermost line of a chain, which is the call's own."""
    return lines_of_site(chain)[0]


def _workers(seen: Observed) -> int:
    return int(seen.loader.arguments.get("num_workers") or 0) if seen.loader else 0


def _persistent_workers(seen: Observed, cores: int) -> Iterator[Trial]:
    if seen.loader and _workers(seen) and not seen.loader.arguments.get("persistent_workers"):
        number = _workers(seen)
        workers = "the loader's worker is" if number == 1 else f"the loader's {number} workers are"
        yield Trial(
            "persistent-workers",
            "persistent_workers=True",
            f"{workers} started anew for each epoch: {seen.worker_starts} times in {seen.epochs} epochs",
            _of_loader(seen, persistent_workers=True),
            between=True,
            otherwise="batches come in another order, as the generator is drawn from less often",
            edits=_loader_edit(seen, {"persistent_workers": "True"}),
        )


def _number_of_workers(seen: Observed, cores: int) -> Iterator[Trial]:
    own = _workers(seen)
    if seen.loader is None or not seen.step_seconds:
        return
    waiting = seen.seconds.get("waiting", 0.0) / seen.step_seconds
    if own:
        wanted = {0, min(own // 2, cores)} - {own}
        why = f"the loader has {own} worker{'s' * (own > 1)} for {cores} cores"
    elif waiting >= WAITING and cores > 1:
        wanted = {1, min(4, cores - 1)}
        why = f"a step waits {100 * waiting:.0f} % of its time for its batch"
    else:
        return
    for number in sorted(wanted):
        kept = {"persistent_workers": True} if number else {}
        without = () if number else ("persistent_workers", "prefetch_factor", "timeout", "multiprocessing_context")
        yield Trial(
            "num-workers",
            f"num_workers={number}" + (", persistent_workers=True" if number else ""),
            why,
            _of_loader(seen, num_workers=number, **kept),
            between=own > 0,  # those that are there may be started anew; new ones are not
            otherwise="random transforms draw other numbers",
            edits=_loader_edit(seen, {"num_workers": str(number), **{name: "True" for name in kept}}, without),
        )


def _pinned_memory(seen: Observed, cores: int) -> Iterator[Trial]:
    if seen.loader and seen.accelerator and not seen.loader.arguments.get("pin_memory"):
        yield Trial(
            "pin-memory",
            "pin_memory=True",
            "an accelerator copies its batches from memory that is not pinned",
            _of_loader(seen, pin_memory=True),
            edits=_loader_edit(seen, {"pin_memory": "True"}),
        )


def _loaders_made_once(seen: Observed, cores: int) -> Iterator[Trial]:
    made = remade(seen)
    if not made:
        return
    why = f"{', '.join(made)}: made {max(made.values())} times in {seen.epochs} epochs"
    if seen.trainer and seen.trainer.arguments.get("reload_dataloaders_every_n_epochs"):
        yield Trial(
            "reload",
            "reload_dataloaders_every_n_epochs=0",
            why,
            {"trainer": {"reload_dataloaders_every_n_epochs": 0}},
            between=True,
            edits=_trainer_edit(seen, {"reload_dataloaders_every_n_epochs": "0"}),
        )
        return
    kept = _of_loader(seen, persistent_workers=True) if _workers(seen) else {}
    yield Trial(
        "made-once",
        "the loader, its sampler and its dataset are made once, before the epochs"
        + (", with persistent_workers=True" if kept else ""),
        why,
        {"reuse_loaders": True, **kept},
        between=True,
        otherwise="what one of them keeps from epoch to epoch is kept",
    )


def remade(seen: Observed) -> dict[str, int]:
    """What lines of the file that makes the training loader made in about each epoch, and how often."""
    if seen.loader is None or seen.epochs < 2:
        return {}
    outer, by = _outer_file(seen.loader.at), seen.loader.at.partition(" by ")[2]
    found = {}
    for what, count in seen.made.items():
        name, _, at = what.partition(" at ")
        if count >= max(2, seen.epochs - 1) and (_outer_file(at), at.partition(" by ")[2]) == (outer, by):
            found[f"{name} ({innermost_line(at)})"] = count
    return found if any(name.startswith(("DataLoader ", f"{seen.loader.sampler} ")) for name in found) else {}


def _outer_file(site: str) -> str:
    return lines_of_site(site)[-1].rpartition(":")[0]


def _seldom_calls(seen: Observed, cores: int) -> Iterator[Trial]:
    """All kinds of logging that each step has, as one: whoever mends one of them mends all, and together they tell."""
    kinds = [kind for kind in LOG_CALLS if seen.calls.get(kind, 0.0) >= EACH_STEP]
    took = sum(seen.seconds.get(kind, 0.0) for kind in kinds)
    if not kinds or took < WORTH_TRYING * seen.step_seconds:
        return
    changes: dict[str, Any] = {"every": {kind: SELDOM for kind in kinds if kind != "logger" or not seen.trainer}}
    edits: tuple[Edit, ...] = ()
    if "logger" in kinds and seen.trainer:
        changes["trainer"] = {"log_every_n_steps": SELDOM}
        edits = _trainer_edit(seen, {"log_every_n_steps": str(SELDOM)})
    yield Trial(
        "log-seldom",
        f"{' and '.join(LOG_CALLS[kind] for kind in kinds)} every {SELDOM}th step",
        "; ".join(f"{kind}: {_often(seen.calls[kind])} a step{_at(seen, kind)}" for kind in kinds),
        changes,
        otherwise="it tells less: what is between is not shown",
        edits=edits,
    )


def _at(seen: Observed, kind: str) -> str:
    lines = [line for line in seen.lines.get(kind, {}) if ".py:" in line]
    return f" ({', '.join(lines)})" if lines else ""


def _often(calls: float) -> str:
    return "once" if abs(calls - 1) < 0.05 else f"{calls:.3g} times"


def _trainer_edit(seen: Observed, arguments: Mapping[str, str]) -> tuple[Edit, ...]:
    return (Edit(innermost_line(seen.trainer.at if seen.trainer else ""), "Trainer", arguments),)


def _seldom_checkpoints(seen: Observed, cores: int) -> Iterator[Trial]:
    often = seen.calls.get("checkpoint", 0.0)
    if often < SAVED_OFTEN:
        return
    batches = seen.loader.batches if seen.loader else 0
    number = max(2, batches or SAVED_SELDOM)
    lines = ", ".join(seen.lines.get("checkpoint", {}))
    yield Trial(
        "checkpoint-seldom",
        f"a checkpoint every {number} steps" + (", an epoch" if batches else ""),
        f"{_often(often)} a step ({lines})",
        {"every": {"checkpoint": number}},
        otherwise=f"a crash loses up to {number} steps",
    )


def _fused_optimizers(seen: Observed, cores: int) -> Iterator[Trial]:
    own = [one for one in seen.optimizers if one.name in FUSED and not one.fused]
    if own and len(own) == len(seen.optimizers):
        names = ", ".join(dict.fromkeys(one.name for one in own))
        yield Trial(
            "fused",
            f"{names}(..., fused=True)",
            f"{names} updates its {sum(one.tensors for one in own)} tensors one after the other or in groups",
            {"optimizer": {"fused": True}},
            otherwise="it rounds otherwise: weights are not the same bit for bit",
            edits=tuple(_fused(one) for one in own),
        )


def _fused(one: ObservedOptimizer) -> Edit:
    return Edit(innermost_line(one.at), one.name, {"fused": "True"}, ("foreach",) if one.foreach is not None else ())


def _perfect_loader(seen: Observed, cores: int) -> Iterator[Trial]:
    if seen.loader:
        number = min(KEPT_BATCHES, seen.loader.batches or KEPT_BATCHES)
        yield Trial(
            "loader",
            "a perfect loader",
            f"{number} batches are handed out again and again",
            {"at": seen.loader.at, "cached_batches": number},
            bound=True,
            between=True,
        )


def _no_logging(seen: Observed, cores: int) -> Iterator[Trial]:
    kinds = [kind for kind in LOG_CALLS if seen.calls.get(kind, 0.0) >= EACH_STEP]
    if kinds:
        yield Trial("logging", "no logging", f"no {', '.join(kinds)}", {"skip": kinds}, bound=True)


def _no_checkpoints(seen: Observed, cores: int) -> Iterator[Trial]:
    if seen.calls.get("checkpoint"):
        yield Trial("checkpoints", "no checkpoints", "none is saved", {"skip": ["checkpoint"]}, bound=True)


def _no_syncs(seen: Observed, cores: int) -> Iterator[Trial]:
    if seen.calls.get("item", 0.0) >= EACH_STEP:
        why = f"what {', '.join(seen.lines.get('item', {}))} takes to the host is taken once"
        yield Trial("syncs", "no values taken to the host", why, {"skip": ["item"]}, bound=True)


def _no_optimizer(seen: Observed, cores: int) -> Iterator[Trial]:
    if seen.optimizers:
        yield Trial("optimizer", "no optimizer", "its steps add to one number", {"skip": ["optimizer"]}, bound=True)


def _larger_batch(seen: Observed, cores: int) -> Iterator[Trial]:
    size = seen.loader.arguments.get("batch_size") if seen.loader else None
    if seen.loader and isinstance(size, int) and seen.loader.batches >= 4:
        yield Trial(
            "batch",
            f"batch_size={2 * size}",
            "twice as large, compared by sample",
            {"at": seen.loader.at, "batch_factor": 2},
            bound=True,
            otherwise="it is another training: half as many updates",
        )


REMEDIES: tuple[Trials, ...] = (
    _persistent_workers,
    _number_of_workers,
    _pinned_memory,
    _loaders_made_once,
    _seldom_calls,
    _seldom_checkpoints,
    _fused_optimizers,
)
BOUNDS: tuple[Trials, ...] = (
    _perfect_loader,
    _no_logging,
    _no_checkpoints,
    _no_syncs,
    _no_optimizer,
    _larger_batch,
)


@dataclass(frozen=True)
class Trap:
    """A trap that a training falls into, as a fact.

    Attributes:
        name: of the trap.
        told: what was seen, in a sentence without its end.
        remedies: the names of the trials that price it; (): nothing is to be had by mending it.
        edits: where mending it needs no price.
    """

    name: str
    told: str
    remedies: tuple[str, ...] = ()
    edits: tuple[Edit, ...] = ()


def traps_of(seen: Observed, cores: int) -> tuple[Trap, ...]:
    """The traps that a training falls into, by what was observed."""
    found = []
    if seen.loader and seen.worker_starts > 1 and not seen.loader.arguments.get("persistent_workers"):
        told = f"workers are started anew each epoch: {seen.worker_starts} times in {seen.epochs} epochs"
        found.append(Trap("workers-restarted", told, ("persistent-workers", "num-workers", "made-once", "reload")))
    if (own := _workers(seen)) > cores:
        told = f"num_workers={own} on {cores} cores: workers and the loop take turns on them"
        found.append(Trap("too-many-workers", told, ("num-workers",)))
    if seen.loader and seen.loader.arguments.get("pin_memory") and not seen.accelerator:
        told = "pin_memory=True without an accelerator: torch warns, and pins nothing"
        found.append(Trap("pins-without-device", told, (), _loader_edit(seen, {}, ("pin_memory",))))
    if made := remade(seen):
        told = f"{', '.join(made)}: made anew each epoch, {max(made.values())} times in {seen.epochs} epochs"
        found.append(Trap("rebuilt-each-epoch", told, ("made-once", "reload")))
    kinds = [kind for kind in ("log", "logger", "bar", "print", "item") if seen.calls.get(kind, 0.0) >= EACH_STEP]
    if kinds and {"log", "logger", "item", "print"} & {*kinds}:
        told = ", ".join(f"{kind} {_often(seen.calls[kind])}" for kind in kinds)
        where = ", ".join(dict.fromkeys(line for kind in kinds for line in seen.lines.get(kind, {}) if ".py:" in line))
        text = f"each step shows figures, or takes them to the host: {told}" + (f" ({where})" if where else "")
        found.append(Trap("logs-each-step", text, ("log-seldom",)))
    if seen.calls.get("checkpoint", 0.0) >= EACH_STEP:
        told = f"a checkpoint is saved {_often(seen.calls['checkpoint'])} a step"
        found.append(Trap("saves-each-step", told, ("checkpoint-seldom",)))
    return tuple(found)
