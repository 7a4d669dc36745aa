"""Kinds of batch: what collate functions of real training give, and what nobody should. Each is made of eight rows."""

from __future__ import annotations

import collections
import threading
import warnings
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy
import torch
from torch import nn
from torch.utils import _pytree

ROWS, WIDTH = 8, 16
Pair = collections.namedtuple("Pair", ["x", "y"])  # the older kind of them is a kind of batch, too


class Row(NamedTuple):
    x: torch.Tensor
    note: str


@dataclass
class Data:
    x: Any
    note: str = "data"


@dataclass(frozen=True)
class Frozen:
    x: Any
    note: str = "frozen"


@dataclass(slots=True)
class Slotted:
    note: str
    x: Any


class Graph:
    """As graph libraries have them: no length, no repr, one method."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def to(self, device: Any) -> Graph:
        return type(self)(self.x.to(device))


class SizedGraph(Graph):
    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: Any, non_blocking: bool = False) -> Graph:
        return type(self)(self.x.to(device, non_blocking=non_blocking))


class InPlace(Graph):
    def to(self, device: Any) -> Any:  # gives nothing, as some do by mistake
        self.x = self.x.to(device)


class SlottedGraph:
    __slots__ = ("_x", "unset")

    def __init__(self, x: Any) -> None:
        self._x = x

    @property
    def x(self) -> Any:
        return self._x

    def to(self, device: Any) -> SlottedGraph:
        return SlottedGraph(self._x.to(device))


class Hostile(Graph):
    """What must never be asked: it would raise, or never end."""

    def __len__(self) -> int:
        raise RuntimeError("how long?")

    def __repr__(self) -> str:
        raise RuntimeError("say nothing")

    def __iter__(self) -> Iterator[Any]:
        while True:
            yield self

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("equal to what?")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __bool__(self) -> bool:
        raise RuntimeError("neither true nor false")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


class Closed:
    """Holds no tensor, and what it holds is another in every process."""

    def __init__(self) -> None:
        self.lock, self.address = threading.Lock(), id(self)


class Wrapper:
    """An object without `to`."""

    def __init__(self, x: Any) -> None:
        self.x, self.when = x, id(self)


class OwnDict(dict[str, Any]):
    note = "a dictionary of another type"


class OwnList(list[Any]):
    pass


class Lookup(Mapping[str, Any]):
    def __init__(self, parts: Mapping[str, Any]) -> None:
        self.parts = dict(parts)

    def __getitem__(self, name: str) -> Any:
        return self.parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)


class Encoding(collections.UserDict[str, Any]):
    """As tokenizers give them: a UserDict that can move itself."""

    def to(self, device: Any) -> Encoding:
        self.data = {name: part.to(device) if torch.is_tensor(part) else part for name, part in self.data.items()}
        return self


class Node:
    """Registered with torch's pytree."""

    def __init__(self, x: Any) -> None:
        self.x = x


_pytree.register_pytree_node(Node, lambda node: ([node.x], None), lambda parts, _: Node(next(iter(parts))))


def first(batch: Any) -> Any:
    return batch[0]


def named(batch: Any) -> Any:
    return batch["x"]


def attribute(batch: Any) -> Any:
    return batch.x


def itself(batch: Any) -> Any:
    return batch


@dataclass(frozen=True)
class Kind:
    """A kind of batch.

    Attributes:
        what: in words, for the table.
        make: a batch of eight rows.
        read: the batch's rows again, as a loss takes them, in float32.
        size: samples in it.
        still: why its tensors are not moved to a device; "" where they are.
    """

    what: str
    make: Callable[[torch.Tensor], Any]
    read: Callable[[Any], Any] = named
    size: int = ROWS
    still: str = ""


def with_first(value: Any) -> Callable[[torch.Tensor], Any]:
    return lambda x: {"extra": value, "x": x}


def nested(layout: torch.layout) -> Callable[[torch.Tensor], Any]:
    def make(x: torch.Tensor) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls them a prototype
            return torch.nested.nested_tensor([x[i : i + 1].repeat(1 + i % 3, 1) for i in range(len(x))], layout=layout)

    return make


def sparse(layout: torch.layout) -> Callable[[torch.Tensor], Any]:
    def make(x: torch.Tensor) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls them a beta
            return x.relu().to_sparse(layout=layout)

    return make


def quantized(x: torch.Tensor) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls them deprecated
        return torch.quantize_per_tensor(x, 0.1, 128, torch.quint8)


def image(x: torch.Tensor) -> Any:
    from torchvision import tv_tensors

    return tv_tensors.Image(x.reshape(ROWS, 1, 4, 4))


def within_itself(x: torch.Tensor) -> Any:
    batch: list[Any] = [x]
    batch.append(batch)
    return batch


def masked(x: torch.Tensor) -> Any:
    from torch.masked import masked_tensor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls them a prototype
        return masked_tensor(x, x > 0)


def lengths(batch: Any) -> torch.Tensor:
    """What a model might make of texts."""
    return torch.tensor([[len(text) / 30] * WIDTH for text in batch])


def texts(x: torch.Tensor) -> list[str]:
    return ["x" * (1 + int(10 * abs(float(row[0])))) for row in x]


def mixture(x: torch.Tensor) -> Any:
    return [{"extra": (None, 3, "text"), "inner": [Pair(Data(x), {"y": x[:, 0]}), texts(x)]}, {"z": torch.tensor(1.0)}]


NOT_MOVED = "no method `to`"

KINDS: Mapping[str, Kind] = {
    "tensor": Kind("a tensor", itself, itself),
    "tuple": Kind("a tuple", lambda x: (x, x[:, 0]), first),
    "list": Kind("a list", lambda x: [x, x[:, 0]], first),
    "dict": Kind("a dictionary", lambda x: {"x": x, "y": x[:, 0]}),
    "ordered-dict": Kind("an OrderedDict", lambda x: collections.OrderedDict(y=x[:, 0], x=x)),
    "default-dict": Kind("a defaultdict", lambda x: collections.defaultdict(list, x=x)),
    "own-dict": Kind("a class derived from dict", lambda x: OwnDict(x=x)),
    "own-list": Kind("a class derived from list", lambda x: OwnList([x]), first),
    "mapping": Kind("a Mapping of one's own", lambda x: Lookup({"x": x})),
    "user-dict": Kind("a UserDict", lambda x: collections.UserDict(x=x)),
    "encoding": Kind("a UserDict with `to`, as transformers' BatchEncoding", lambda x: Encoding(x=x)),
    "deque": Kind("a deque", lambda x: collections.deque([x]), first),
    "namedtuple": Kind("a namedtuple", lambda x: Pair(x, x[:, 0]), attribute),
    "typed-namedtuple": Kind("a NamedTuple", lambda x: Row(x, "note"), attribute),
    "return-type": Kind("what torch.max gives", lambda x: x.unsqueeze(1).max(dim=1), first),
    "packed": Kind(
        "a PackedSequence",
        lambda x: nn.utils.rnn.pack_sequence([x[i : i + 1].repeat(1 + i % 3, 1) for i in range(len(x))], False),
        lambda batch: batch.data,
    ),
    "coo": Kind("a sparse tensor (COO)", sparse(torch.sparse_coo), lambda batch: batch.to_dense()),
    "csr": Kind("a sparse tensor (CSR)", sparse(torch.sparse_csr), lambda batch: batch.to_dense()),
    "csc": Kind("a sparse tensor (CSC)", sparse(torch.sparse_csc), lambda batch: batch.to_dense()),
    "nested": Kind("a nested tensor", nested(torch.strided), lambda batch: batch.to_padded_tensor(0.0)),
    "jagged": Kind("a jagged tensor", nested(torch.jagged), lambda batch: batch.to_padded_tensor(0.0)),
    "masked": Kind("a masked tensor", masked, lambda batch: batch.to_tensor(0.0)),
    "scalar-first": Kind("a tensor without dimensions first", lambda x: {"extra": x[0, 0], "x": x}),
    "number-first": Kind("a number first", with_first(3)),
    "none-first": Kind("None first", with_first(None)),
    "empty-first": Kind("an empty list first", with_first([])),
    "texts-first": Kind("texts first", with_first(["abcdef", "b"])),
    "texts": Kind("texts alone", texts, lengths),
    "bytes": Kind("encoded files alone", lambda x: [text.encode() for text in texts(x)], lengths),
    "numpy": Kind("an array of numpy", lambda x: x.numpy(), torch.as_tensor, still="stays with numpy"),
    "numpy-objects": Kind(
        "an array of objects first", lambda x: {"names": numpy.array([*texts(x), None], dtype=object)[:-1], "x": x}
    ),
    "array": Kind("an array of Python's", lambda x: array("f", x[:, 0].tolist()),
                  lambda batch: torch.tensor([[value] * WIDTH for value in batch]), still="no tensor in it"),
    "dataclass": Kind("a dataclass", Data, attribute),
    "frozen-dataclass": Kind("a frozen dataclass", Frozen, attribute),
    "slots-dataclass": Kind("a dataclass with slots", lambda x: Slotted("note", x), attribute),
    "graph": Kind("an object with `to`, as graph libraries have", Graph, attribute),
    "sized-graph": Kind("the same with a length, and `non_blocking`", SizedGraph, attribute),
    "in-place": Kind("an object whose `to` gives nothing", InPlace, attribute),
    "slots": Kind("an object with `to` and slots", SlottedGraph, attribute),
    "object": Kind("an object without `to`", Wrapper, attribute, still=NOT_MOVED),
    "hostile": Kind("an object whose len, repr, iter, eq and bool raise or never end", Hostile, attribute),
    "closed": Kind("beside a tensor, an object that cannot be read", lambda x: {"x": x, "extra": Closed()}),
    "pytree": Kind("a type registered with torch.utils._pytree", Node, attribute),
    "iterator": Kind("beside a tensor, an iterator of one pass", lambda x: {"once": iter([1, 2]), "x": x}),
    "set": Kind("beside a tensor, a set of texts", lambda x: {"names": set(texts(x)), "x": x}),
    "mixture": Kind("all within each other", mixture, lambda batch: batch[0]["inner"][0].x.x),
    "within-itself": Kind("a list that holds itself", within_itself, first),
    "tv-tensor": Kind("an Image of torchvision", image, lambda batch: batch.as_subclass(torch.Tensor).flatten(1)),
    "complex": Kind("complex numbers", lambda x: torch.complex(x, -x), lambda batch: batch.real),
    "conjugate": Kind("a conjugate view", lambda x: torch.complex(x, -x).conj(), lambda batch: batch.real),
    "negative": Kind("a negative view", lambda x: torch.complex(x, -x).conj().imag, itself),
    "bool": Kind("truth values", lambda x: x > 0, lambda batch: batch.float()),
    "int64": Kind("whole numbers", lambda x: (10 * x).long(), lambda batch: batch.float()),
    "bfloat16": Kind("bfloat16", lambda x: x.bfloat16(), lambda batch: batch.float()),
    "quantized": Kind("a quantized tensor", quantized, lambda batch: batch.dequantize()),
    "with-gradient": Kind("a tensor that requires a gradient", lambda x: x.clone().requires_grad_(), itself),
    "expanded": Kind("an expanded tensor", lambda x: x[:1].expand(ROWS, WIDTH), itself),
    "transposed": Kind("a tensor that is not contiguous", lambda x: x.T.contiguous().T, itself),
    "zero-size": Kind("beside a tensor, one without elements", lambda x: {"x": x, "none": torch.empty(0, 5)}),
}  # fmt: skip


def loader(kind: str, *, rows: int = 64, seed: int = 0) -> torch.utils.data.DataLoader[Any]:
    """A loader whose batches are of this kind."""
    data = torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(seed))
    return torch.utils.data.DataLoader(
        data,  # a tensor is a sequence of rows
        batch_size=ROWS,
        collate_fn=lambda parts: KINDS[kind].make(torch.stack(parts)),
    )
