"""The columns of a run's tables: name, dtype, unit, and what they are. docs/api.md has the same tables.

Behind these, but for pairs, ladders and curves, stands a column for each axis of the run's suites. Texts are `object`
in every version of pandas. An axis has the dtype of its values: `int64`, `float64`, `bool`, or `object` for texts, and
where the suite of some cell lacks the axis: there it is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd


class Column(NamedTuple):
    """A column of a table; units are SI without prefixes, "1" for a plain number and "" for what is none."""

    name: str
    dtype: str
    unit: str
    meaning: str


_SUITE = Column("suite", "object", "", "the suite's name")
_GROUP = Column("group", "object", "", "the cells that race each other: the id without the compared axis")
_CELL = Column("cell", "object", "", "the cell's id")
_TWIN = Column("twin", "bool", "", "whether it is the baseline's second copy, the A/A control")
_BASELINE = Column("baseline", "object", "", "the id of the cell that it is compared with")
_LAUNCH = Column("launch", "int64", "", "the launch's number within the group, from 0")
_OUTCOME = Column("outcome", "object", "", "what became of the cell in this launch")
_RECORD = (_SUITE, _GROUP, _CELL, _TWIN, _LAUNCH, _OUTCOME)

# Of `Run.cells`: the axes stand between the two.
KEY_COLUMNS = (_SUITE, _GROUP, _CELL, _TWIN)
CELL_COLUMNS = (
    Column("outcome", "object", "", "what became of the cell: `ok`, `noisy`, `drifting`, `unequal-work`, ..."),
    Column("reason", "object", "", "why it is not `ok`, or empty"),
    Column("launches", "int64", "1", "launches that were started"),
    Column("step_time", "float64", "s", "seconds of the mean step; NaN where it was not measured"),
    Column("step_time_low", "float64", "s", "lower end of its 95 % interval over launches"),
    Column("step_time_high", "float64", "s", "upper end"),
    Column("throughput", "float64", "samples/s", "samples a second, all ranks together"),
    Column("throughput_low", "float64", "samples/s", "lower end of its interval"),
    Column("throughput_high", "float64", "samples/s", "upper end"),
    Column("ratio", "float64", "1", "mean step over the baseline's; NaN for the baseline, and where none may be taken"),
    Column("ratio_low", "float64", "1", "lower end of its 95 % interval"),
    Column("ratio_high", "float64", "1", "upper end"),
    Column("difference", "float64", "s", "seconds a step more than the baseline"),
    Column("difference_low", "float64", "s", "lower end of its 95 % interval"),
    Column("difference_high", "float64", "s", "upper end"),
    Column("typical_ratio", "float64", "1", "median step over the baseline's"),
    Column("typical_ratio_low", "float64", "1", "lower end of its 95 % interval"),
    Column("typical_ratio_high", "float64", "1", "upper end"),
    Column("sample_ratio", "float64", "1", "time a sample over the baseline's; NaN where steps have as many samples"),
    Column("sample_ratio_low", "float64", "1", "lower end of its 95 % interval"),
    Column("sample_ratio_high", "float64", "1", "upper end"),
    Column("equal", "object", "", "what was equal to the baseline's work; empty in older records"),
)

TURN_COLUMNS = (
    *_RECORD,
    Column("round", "int64", "", "the round, from 0"),
    Column("position", "int64", "", "the turn's place within the round, from 0"),
    Column(
        "step_time", "float64", "s", "a counted step of the turn, the mean: those after the ones that find cold caches"
    ),
    Column("first_step_time", "float64", "s", "the turn's first step, which finds cold caches"),
    Column("cpu_time", "float64", "s", "step_time times the share of the turn that the arm was on a processor"),
    Column("involuntary", "int64", "1", "involuntary context switches during the turn"),
    Column("page_faults", "float64", "faults", "page faults a step that needed no disk"),
    Column("stolen", "float64", "s", "what the hypervisor took from the arm's cores during the turn"),
    Column("rank_spread", "float64", "s", "by how much the slowest rank's step took longer; NaN of one rank"),
    Column("data_time", "float64", "s", "the part of step_time in which the loop waited; NaN in older records"),
    Column("epoch_gap", "float64", "s", "by how much an epoch's first step took longer; NaN unless turns are epochs"),
    Column("began", "float64", "1", "steps that the loop had taken before the turn; NaN in older records"),
    Column("resident", "float64", "bytes", "the arm's resident set after the turn; NaN in older records"),
    Column("allocated", "float64", "bytes", "what its tensors had on the device; NaN where it has no own memory"),
    Column("sm_clock", "float64", "Hz", "the device's clock after the turn; NaN, as the next five, where no meter is"),
    Column("reasons", "float64", "", "bits of what held the clocks down then, as NVML has them"),
    Column("power", "float64", "W", "power of the arm's devices then"),
    Column("energy", "float64", "J", "what they took during the turn, by their counters"),
    Column("integrated", "float64", "J", "the same by the powers at its ends"),
    Column("metering", "float64", "s", "what reading them took, after the turn"),
    Column("epoch_time", "float64", "s", "the whole turn; NaN unless turns are the loop's own epochs"),
    Column("epoch_end", "float64", "s", "by how much such an epoch's last step took longer, its end included"),
)

LAUNCH_COLUMNS = (
    *_RECORD,
    Column(
        "instrumented", "bool", "", "whether the launch carried callbacks; such are numbered apart, and never compared"
    ),
    Column("metric", "object", "", "the metric's name"),
    Column("unit", "object", "", "its unit, SI without prefix"),
    Column("better", "object", "", "`lower` or `higher`"),
    Column(
        "value", "float64", "of its row", "the launch's value: of most columns of `turns`, the median over its turns"
    ),
    Column("samples", "int64", "1", "raw values that it rests on"),
)

PAIR_COLUMNS = (
    *KEY_COLUMNS,
    _BASELINE,
    _LAUNCH,
    Column("set", "int64", "", "the set of interpreters that the launch's arms came from"),
    Column("crossed", "bool", "", "whether the two change places between interpreters of a set; true of older records"),
    Column("rounds", "int64", "1", "rounds in which both took their turn"),
    Column("log_ratio", "float64", "1", "ln(mean step / the baseline's mean step)"),
    Column("typical_log_ratio", "float64", "1", "ln(median step / the baseline's median step)"),
    Column("difference", "float64", "s", "mean step less the baseline's"),
    Column("baseline_step_time", "float64", "s", "the baseline's mean step"),
    Column("unsettled", "float64", "1", "log ratio in the first half of turns less that in the second half"),
    Column("contended", "float64", "1", "share of the rounds that others disturbed"),
)

# Of `Run.ladder`: prices of a rung over another, each with its interval and with what may be said of it.
LADDER_COLUMNS = (
    *KEY_COLUMNS,
    Column("rung", "object", "", "the cell's value of the compared axis"),
    Column("over", "object", "", "the rung that it is priced over; empty where there is none with figures"),
    Column("step", "float64", "s", "what it costs a step within an epoch; NaN where there is no price"),
    Column("step_low", "float64", "s", "lower end of its 95 % interval over launches"),
    Column("step_high", "float64", "s", "upper end"),
    Column(
        "step_word",
        "object",
        "",
        "`told`, or why not: `zero`, `as-twin`, `within-noise`, `one-launch`, ...",
    ),
    Column("epoch", "float64", "s", "what it costs an epoch besides its steps"),
    Column("epoch_low", "float64", "s", "lower end of its 95 % interval"),
    Column("epoch_high", "float64", "s", "upper end"),
    Column("epoch_word", "object", "", "what may be said of it; also `as-pause`"),
    Column("whole", "float64", "s", "what it costs a whole epoch: its steps and `epoch`"),
    Column("whole_low", "float64", "s", "lower end of its 95 % interval"),
    Column("whole_high", "float64", "s", "upper end"),
    Column("step_time", "float64", "s", "its own mean step within an epoch"),
    Column("epoch_time", "float64", "s", "what its own epoch costs besides its steps"),
    Column("steps", "int64", "1", "steps of an epoch; 0 where it was not measured"),
    Column("launches", "int64", "1", "launches that have both"),
)

# Of `Run.curves`: how each training for a goal went.
CURVE_COLUMNS = (
    *KEY_COLUMNS,
    Column("launch", "int64", "", "the launch's number within the group, from 0; those of one number have one seed"),
    Column("epoch", "int64", "1", "epochs that were trained, from 1"),
    Column("seconds", "float64", "s", "from the beginning of the loop to the end of the epoch, its set-up included"),
    Column("samples", "float64", "1", "samples that it was trained on until then"),
    Column("loss", "float64", "1", "the validation loss after the epoch; NaN where it is not finite"),
)

# Of `frames.cells`, which knows outcomes and no figures.
PLANNED_COLUMNS = (*KEY_COLUMNS, _BASELINE, *CELL_COLUMNS[:3])


def names_of(columns: Sequence[Column]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)


def typed_table(columns: Mapping[str, object], kinds: Sequence[Column]) -> pd.DataFrame:
    """A table of these columns, each with its dtype; those that `kinds` lacks are axes.

    A table without rows has them too: columns of objects cannot mask, and have no median and no logarithm.
    """
    table = pd.DataFrame(columns)
    named = {column.name: column.dtype for column in kinds}
    there = dict(table.dtypes.items())
    other = {name: named[name] for name, dtype in there.items() if name in named and named[name] != dtype}
    return table.astype(other) if other else table


def axis_values(values: Sequence[object]) -> pd.Series:
    """An axis as a column: values of one type have its dtype, all else are objects, among them None as it is."""
    kinds = {type(value) for value in values}
    plain = len(kinds) == 1 and kinds <= {bool, int, float}
    return pd.Series(values, dtype=next(iter(kinds)) if plain else object)
