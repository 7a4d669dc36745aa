"""The messages between the conductor and its children: typed, JSON, never a pickle. What arrives is checked whole.

A child's bytes are not trusted: an arm runs code of others, which may write to any descriptor. Each decoder knows only
what may be said at its place, numbers are finite and within limits (JSON has no others), and everything else is a
`GarbledMessage`, the loss of that child alone.
"""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from bench.borders import encodable, one_line
from bench.results.decoding import Count
from bench.results.record import Metric
from bench.results.stacks import SampledStacks
from bench.results.step_counts import StepCounts

_T = TypeVar("_T")

# The largest frame that is taken in. Results are kilobytes; settings and ledgers of 64 ranks would be under 1 MiB.
LARGEST_FRAME: Final = 64 * 2**20
NOT_SEEN: Final = "not seen"  # of a setting that nothing in the watched steps tells: it differs from nothing
LONGEST_REASON: Final = 2000  # characters of why an arm failed; its whole words are in its log

# At this an arm writes the stacks of all its threads to its log. Not SIGUSR1: in a job of Slurm's Lightning takes that
# for the order to put the job into the queue again (trainer/connectors/signal_connector.py, 2.6.6).
STACKS: Final = signal.SIGUSR2

Pid = Annotated[int, msgspec.Meta(gt=1, le=2**31 - 1)]
Duration = Annotated[float, msgspec.Meta(ge=0, le=1e8)]  # seconds
StepSeconds = Annotated[
    float, msgspec.Meta(gt=0, le=1e8)
]  # seconds of a step: a clock in ns shows none that takes none
Loss = float | Literal["nan", "inf", "-inf"]
ShortText = Annotated[str, msgspec.Meta(max_length=4096)]


class GarbledMessage(Exception):
    """What was received is no message that may be sent there; says what it is instead."""


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op"):
    """One message; `op` says which."""


class ForkServerHello(Message, frozen=True, tag="hello-fork-server"):
    """A fork server has its imports.

    Attributes:
        seconds: that they took.
        threads: that it has; 1 is what can be forked.
        versions: of what it has preloaded.
    """

    id: ShortText
    pid: Pid
    seconds: Duration
    threads: Count
    versions: dict[str, str]


class ArmHello(Message, frozen=True, tag="hello-arm"):
    """A process of an arm has begun: which, and of which rank."""

    id: ShortText
    rank: Count
    pid: Pid


class NodeHello(Message, frozen=True, tag="hello-node"):
    """The program that starts fork servers on a node is there (`bench.engine.node_agent`).

    Attributes:
        name: of the node: Slurm's, or the host's.
        index: its place among the nodes of the launcher, from 0.
        address, interface: by which other nodes reach it: of its connection to the conductor.
        cores: that it may run on.
        home: its folder for temporary files.
        clock: its wall clock, in seconds since 1970.
        facts: of machine and software, see `bench.machine.environment`.
        package: a digest of the files of the package `bench`.
    """

    id: ShortText
    pid: Pid
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    index: Count
    address: ShortText
    interface: ShortText
    cores: tuple[Count, ...]
    home: ShortText
    clock: float
    facts: dict[str, str | int | float | bool]
    package: ShortText


class ForkReport(Message, frozen=True, tag="forked"):
    """A fork server has forked the process of this id."""

    arm: ShortText
    pid: Pid


class ForkFailure(Message, frozen=True, tag="unforked"):
    """A fork server could not: the system's reason."""

    arm: ShortText
    reason: ShortText


class ExitReport(Message, frozen=True, tag="exited"):
    """A process has ended: its exit status, or less than 0 for the signal that ended it."""

    arm: ShortText
    status: Annotated[int, msgspec.Meta(ge=-255, le=255)]


class Ready(Message, frozen=True, tag="ready"):
    """An arm is at its first pull.

    Attributes:
        helpers: threads and processes besides its main thread.
        setup: seconds since its loop began.
        epoch: batches in an epoch of its loader, 0 where that is not known.
        workers: of its loader, where only the arm knows, as of a script.
        accelerator: on which it trains, where only the arm knows; "" elsewhere.
        meter: what its device is metered by (`Accelerator.meter`), or "".
    """

    helpers: Count
    setup: Duration
    epoch: Count
    workers: Count = 0
    accelerator: ShortText = ""
    meter: ShortText = ""


class TurnReport(Message, frozen=True, tag="taken"):
    """A turn is over; see `bench.arm.stream.TurnTimes`. `helpers` is told after audited turns only, memory after timed.

    Attributes:
        resident: bytes of the process that are in main memory.
        allocated: bytes that tensors have on the device; None where it has no memory of its own.
    """

    seconds: tuple[StepSeconds, ...]
    fetching: tuple[Duration, ...]
    cpu: Duration
    involuntary: Count
    faults: Count
    helpers: Count = 0
    resident: Count = 0
    allocated: Count | None = None


class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The work that was done; see `work_ledger`. A loss that is no finite number is a word: JSON has none."""

    steps: Count
    samples: Count
    smallest_batch: Count
    largest_batch: Count
    declared_samples: Count | None
    samples_digest: ShortText
    initial_weights: ShortText
    final_weights: ShortText
    audited: Count
    forward: Count
    backward: Count
    optimizer_updates: int
    losses: tuple[Loss, ...]
    nonzero_gradients: float
    audited_updates: Count = 0
    audited_changes: Count = 0
    optimizers: tuple[ShortText, ...] = ()
    learning_rates: tuple[float, ...] = ()
    faults: tuple[ShortText, ...] = ()
    validation_declared: bool = False
    validation_batches: Count = 0
    validation_losses: tuple[Loss, ...] = ()


class CallbackMetrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What callbacks have measured, and what it is."""

    metrics: dict[str, float] = {}
    declared: tuple[Metric, ...] = ()


class Result(Message, frozen=True, tag="result"):
    """All that an arm has to say at its end; see `bench.results.record.Record`."""

    ledger: Ledger
    effective: dict[str, Any]
    memory: dict[str, Count]
    instrumented: CallbackMetrics
    counts: StepCounts | None = None
    stacks: SampledStacks | None = None


class ArmFailure(Message, frozen=True, tag="failed"):
    """Why there will be no result."""

    outcome: Literal["unsupported", "oom", "timeout", "crashed", "internal"]
    reason: str


class Go(Message, frozen=True, tag="go"):
    """Leave for a turn; see `bench.arm.stream.Grant`.

    Attributes:
        judge: whether the validation loss is wanted after it.
        cores: that the process is kept on from here on; none: as it is.
    """

    steps: int
    audit: bool = False
    timed: bool = False
    instrument: bool = False
    judge: bool = False
    cores: tuple[int, ...] = ()


class Stop(Message, frozen=True, tag="stop"):
    """The stream ends here; the result is wanted."""


class Fork(Message, frozen=True, tag="fork"):
    """What an arm's process is to be; `request` is the conductor's, see `bench.engine.arm_request`.

    Attributes:
        log, scratch, temporary: its log file, the folder that it works in, and that of its temporary files.
        environ: variables over those of its fork server.
        cores: that it is kept on from its first turn; empty: no matter.
    """

    arm: str
    rank: int
    log: str
    scratch: str
    temporary: str
    environ: dict[str, str]
    cores: list[int]
    request: dict[str, Any]


Hello = ForkServerHello | ArmHello | NodeHello
ARRIVALS = msgspec.json.Decoder(Hello)
REPORTS = msgspec.json.Decoder(ForkReport | ForkFailure | ExitReport)
FIRST = msgspec.json.Decoder(Ready | ArmFailure)
TURN = msgspec.json.Decoder(TurnReport | ArmFailure)
LAST = msgspec.json.Decoder(Result | ArmFailure)
ANY = msgspec.json.Decoder(Ready | TurnReport | Result | ArmFailure)
FORKS = msgspec.json.Decoder(Fork)
GRANTS = msgspec.json.Decoder(Go | Stop)


def decode_message(decoder: msgspec.json.Decoder[_T], data: bytes) -> _T:
    """A message of one of the decoder's types.

    Raises:
        Garbled: it is none.
    """
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise GarbledMessage(f"{len(data)} bytes, {one_line(repr(data[:40]))}: {one_line(str(error))[:200]}") from None


def encode(message: Message) -> bytes:
    """A message as it travels; lone surrogates, which UTF-8 has none of, are written out (`encodable`)."""
    try:
        return msgspec.json.encode(message)
    except UnicodeEncodeError:
        return msgspec.json.encode(_plain(msgspec.to_builtins(message)))


def encode_order(message: Fork) -> bytes:
    """A fork as it travels: paths that are no UTF-8 arrive as they are."""
    try:
        return msgspec.json.encode(message)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(message), allow_nan=False).encode()


def decode_order(data: bytes) -> Fork:
    """A fork, from the conductor, who is trusted."""
    try:
        return FORKS.decode(data)
    except msgspec.DecodeError:
        return msgspec.convert(json.loads(data), Fork)


def loss(value: float) -> Loss:
    """A loss as it travels; `float` reads it back."""
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def short_reason(reason: str) -> str:
    """A reason as records have it: valid Unicode, no NUL, not longer than LONGEST_REASON."""
    text = encodable(reason).replace("\x00", "\\x00").strip() or "it gave no reason"
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}... ({len(text)} characters)"
