"""Samples of call stacks with a known truth: what loops spend where, and what a sampler of known cost sees of it."""

from __future__ import annotations

import random
from collections.abc import Mapping

from bench.results.stacks import SampledCell, SampledPair, SampledStacks

Stack = tuple[str, ...]

PLAIN_TOP: Stack = ("bench.arm.main:train", "bench.axes.loops.plain:plain")
TRAINER_TOP: Stack = (
    "bench.arm.main:train",
    "bench.axes.loops.trainer:trainer",
    "lightning.pytorch.trainer.trainer:Trainer.fit",
    "lightning.pytorch.loops.training_epoch_loop:_TrainingEpochLoop.advance",
)
# Trainer runs forward and backward within the optimizer's step, behind two strategies.
WITHIN: Stack = (
    *TRAINER_TOP,
    "torch.optim.adam:Adam.step",
    "lightning.pytorch.loops.optimization.automatic:Closure.closure",
    "lightning.pytorch.trainer.call:_call_strategy_hook",
)
FORWARD: Stack = ("mine.model:Net.loss", "torch.nn.modules.module:Module._call_impl", "torch.nn.functional:linear")
BACKWARD: Stack = ("torch._tensor:Tensor.backward", "torch.autograd:backward")
ADAM: Stack = ("torch.optim.adam:Adam.step", "torch.optim.adam:_single_tensor_adam")
LOADING: Stack = (
    "bench.arm.stream:BatchStream.turns",
    "torch.utils.data.dataloader:_fetch",
    "mine.data:Rows.__getitem__",
)
HOOKS: Stack = (*TRAINER_TOP, "lightning.pytorch.trainer.call:_call_callback_hooks")
BAR: Stack = (
    *HOOKS,
    "lightning.pytorch.callbacks.progress.tqdm_progress:TQDMProgressBar.on_train_batch_end",
    "tqdm.std:tqdm.update",
)
PLANTED: Stack = (*HOOKS, "mine.planted:Slow.on_train_batch_end", "mine.planted:burn", "math:sqrt")

# Seconds a step.
PLAIN: Mapping[Stack, float] = {
    (*PLAIN_TOP, *FORWARD): 0.4e-3,
    (*PLAIN_TOP, *BACKWARD): 0.5e-3,
    (*PLAIN_TOP, *ADAM): 0.3e-3,
    (*PLAIN_TOP, *LOADING): 0.15e-3,
    PLAIN_TOP: 0.05e-3,
}
TRAINER: Mapping[Stack, float] = {
    (*WITHIN, *FORWARD): 0.4e-3,
    (*WITHIN, *BACKWARD): 0.5e-3,
    (*TRAINER_TOP, *ADAM): 0.3e-3,
    (*TRAINER_TOP, *LOADING): 0.15e-3,
    HOOKS: 0.2e-3,
    BAR: 0.3e-3,
    PLANTED: 1.0e-3,
}
STEP = sum(PLAIN.values())
MORE = sum(TRAINER.values()) - STEP
NAMES = ("plain", "trainer")


def sampled(
    truth: Mapping[Stack, float], *, steps: int = 1000, cost: float = 0.0, held: float = 0.0, seed: int | None = None
) -> SampledStacks:
    """What a sampler sees of it, each millisecond.

    Args:
        cost: by which share sampling makes every function longer.
        held: seconds a step on the pull of the stream, as of an arm that is held while it is sampled.
        seed: of the noise of samples; None: as many as there must be.
    """
    seen = {**truth, (*PLAIN_TOP, "bench.arm.stream:BatchStream.turns", "bench.arm.turn_gate:Gatekeeper.wait"): held}
    seen = {stack: steps * seconds * (1 + cost) for stack, seconds in seen.items() if seconds}
    draw = random.Random(seed)
    counts = {}
    for stack, seconds in seen.items():
        expected = seconds / 1e-3
        counts[stack] = max(1, round(expected if seed is None else draw.gauss(expected, expected**0.5)))
    names = {frame: place for place, frame in enumerate(dict.fromkeys(frame for stack in seen for frame in stack))}
    return SampledStacks(
        1e-3,
        steps,
        tuple(names),
        tuple(tuple(names[frame] for frame in stack) for stack in seen),
        tuple(seen[stack] if seed is None else counts[stack] * 1e-3 for stack in seen),
        tuple(counts[stack] for stack in seen),
    )


def pair(
    base: Mapping[Stack, float] = PLAIN,
    own: Mapping[Stack, float] = TRAINER,
    names: tuple[str, str] = NAMES,
    *,
    costs: tuple[float, float] = (0.0, 0.0),
    held: tuple[float, float] = (0.0, 0.0),
    seed: int | None = None,
    steps: int = 1000,
) -> SampledPair:
    """Both cells, as `sampled` sees them."""
    cells = [
        SampledCell(
            name,
            sampled(truth, steps=steps, cost=cost, held=own_held, seed=None if seed is None else seed + place),
            sum(truth.values()),
        )
        for place, (name, truth, cost, own_held) in enumerate(zip(names, (base, own), costs, held, strict=True))
    ]
    return SampledPair("2026-11-26T00:00:00+00:00", (cells[0], cells[1]))
