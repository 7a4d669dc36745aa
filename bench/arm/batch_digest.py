"""Digests of batches: the same for the same contents, wherever these lie in memory. Runs in the arm, outside of timing.

What cannot be read, an open file or somebody's object in C, counts by the name of its type: no `repr`, which may hold
an address, may raise or may never end. A tensor is read where it lies, in pieces where it has to be copied.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from itertools import islice
from typing import Any

import torch

from bench.axes.accelerators.base import Accelerator
from bench.axes.loops.batch_tree import (
    DEEPEST,
    MOST_PARTS,
    VALUE_MODULES,
    Opened,
    home,
    is_ndarray,
    is_tensor,
    opened,
    tensors,
)

PIECE = 16 * 2**20  # bytes that are copied at once
LARGEST = 2**30  # bytes of a batch that are read: of more, its shapes tell
# By these a value of a type derived from them is told, whose own `repr` is somebody else's.
_TOLD_BY = (str, bytes, bytearray, bool, int, float, complex)
# Of the machine and not of the batch: never taken for a batch that cannot be read.
_FAILURES = (MemoryError, torch.OutOfMemoryError, torch.AcceleratorError)


class BatchDigest:
    """CRC-32 over the contents of batches, one after the other.

    Attributes:
        value: the digest so far.
    """

    def __init__(self, start: int = 0) -> None:
        self.value = start
        self._arrays = self._texts = self._closed = False  # what was met: arrays, texts and numbers, what has no digest
        self._values = self._bytes = 0

    @property
    def read(self) -> bool:
        """Whether the contents of the batches were read; else those of others would have the same digest."""
        return self._arrays or (self._texts and not self._closed)

    def add(self, batch: Any) -> None:
        """Go on with one more batch."""
        self._values, self._bytes = MOST_PARTS, LARGEST
        self._add(batch, (), inside=False)

    def _add(self, value: Any, above: tuple[int, ...], *, inside: bool) -> None:
        """`inside`: of an object of which nothing is known, so that its numbers may be anything, addresses as well."""
        self._values -= 1
        if self._values < 0:
            return
        if is_tensor(value):
            return self._tensor(value, above)
        if is_ndarray(value):
            return self._ndarray(value, above)
        node = opened(value)
        if node is None:
            return self._leaf(value, inside=inside)
        if id(value) in above or len(above) > DEEPEST:
            return self._text("...")
        self._node(value, node, (*above, id(value)), inside=inside or node.foreign)

    def _node(self, value: Any, node: Opened, above: tuple[int, ...], *, inside: bool) -> None:
        if node.kind == "set":  # whose order is another in every process
            start, own = self.value, []
            for part in node.parts:
                self.value = 0
                self._add(part, above, inside=inside)
                own.append(self.value)
            self.value = zlib.crc32(",".join(map(str, sorted(own))).encode(), start)
            return
        if node.kind == "fields":
            self._text(type(value).__qualname__)
        for place, part in enumerate(node.parts):
            if self._values < 0:
                return
            if node.kind == "fields":
                self._text(node.names[place])
            self._add(part, above, inside=inside)

    def _leaf(self, value: Any, *, inside: bool) -> None:
        kind = type(value)
        if kind in (memoryview, array):
            return self._buffer(memoryview(value))
        if inside or (text := _told(value, kind)) is None:
            self._closed = True
            text = kind.__qualname__
        elif value is not None:
            self._texts = True
        self._text(text)

    def _text(self, text: str) -> None:
        self.value = zlib.crc32(text.encode("utf-8", "surrogatepass"), self.value)

    def _buffer(self, view: memoryview) -> None:
        self._text(f"{view.format}{view.shape}")
        self._arrays = True
        self.value = zlib.crc32(view if view.c_contiguous else view.tobytes(), self.value)

    def _ndarray(self, value: Any, above: tuple[int, ...]) -> None:
        self._text(f"{value.dtype}{value.shape}")
        if value.dtype.hasobject:  # its bytes are addresses
            for part in islice(value.flat if value.shape else [value.item()], MOST_PARTS):
                self._add(part, above, inside=False)
            return
        rows = [value]
        if value.ndim and value.nbytes > PIECE:
            step = max(1, PIECE * len(value) // value.nbytes)
            rows = [value[start : start + step] for start in range(0, len(value), step)]
        for part in rows:
            if self._bytes > 0 and part.size:
                self._arrays = True
                self._bytes -= part.nbytes
                self.value = zlib.crc32(part.tobytes(), self.value)

    def _tensor(self, tensor: torch.Tensor, above: tuple[int, ...]) -> None:
        try:
            self._text(f"{tensor.dtype}{_shape(tensor)}")
            for part in _inner(tensor):
                if part is tensor:
                    self._contents(tensor)
                elif is_tensor(part) and id(part) not in above and len(above) < DEEPEST:
                    self._tensor(part, (*above, id(part)))
                else:
                    self._text(repr(part) if type(part) in (int, float) else type(part).__qualname__)
        except _FAILURES:
            raise
        except Exception:  # a subclass, or a kind of numbers, that does not give its bytes
            self._closed = True
            self._text(type(tensor).__qualname__)

    def _contents(self, tensor: torch.Tensor) -> None:
        for piece in _pieces(tensor.detach()):
            self._arrays = True
            self.value = zlib.crc32(piece, self.value)
            self._bytes -= piece.nbytes
            if self._bytes < 0:
                return


def batch_digest(batch: Any, start: int) -> int:
    """CRC-32 over all that a batch holds, going on from `start`. 0.2 ms a MiB here; run it outside of timed steps."""
    digest = BatchDigest(start)
    digest.add(batch)
    return digest.value


def has_other_dtype(batch: Any, accelerator: Accelerator) -> bool:
    """Whether a tensor of a batch has another dtype on its device than it says: its bytes tell of the device, then.

    Fabric moves batches before the stream hands them out, so under XLA_USE_BF16 they come back in fewer bits.
    """
    return any(accelerator.real_dtype(tensor) != tensor.dtype for tensor in tensors(batch))


def _told(value: Any, kind: type) -> str | None:
    """A text or a number as text, the same in every process; None of what is neither."""
    if value is None or kind in (range, slice):
        return repr(value)
    if issubclass(kind, Enum):
        return f"{kind.__qualname__}.{value._name_}"
    if issubclass(kind, int) and int.bit_length(value) > 10_000:
        return int.__format__(value, "x")  # Python writes no decimals of such numbers
    for base in _TOLD_BY:
        if issubclass(kind, base):
            return str(base.__repr__(value))
    if home(kind) in VALUE_MODULES:
        with suppress(Exception):  # one that holds somebody's own object, as a datetime its time zone
            return repr(value)
    return None


def _shape(tensor: torch.Tensor) -> tuple[int, ...] | str:
    # Nested tensors have no shape, or one with a symbol in it whose number is another in every process.
    return f"{tensor.dim()} nested" if tensor.is_nested else tuple(tensor.shape)


def _inner(tensor: torch.Tensor) -> Iterator[Any]:
    """What a tensor's contents lie in: others that it is made of, or it itself."""
    if tensor.device.type == "meta":
        return
    if tensor.is_nested:
        yield from tensor.unbind()
    elif tensor.layout is torch.sparse_coo:
        yield from (tensor._indices(), tensor._values())
    elif tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        yield from (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        yield from (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
    elif tensor.layout is not torch.strided:  # of a library of kernels
        yield tensor.to_dense()
    elif tensor.is_quantized:
        yield tensor.int_repr()
        if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
            yield from (tensor.q_scale(), tensor.q_zero_point())
        else:
            yield from (tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points())
    elif hasattr(type(tensor), "__tensor_flatten__"):  # a wrapper around others
        names, _ = tensor.__tensor_flatten__()  # type: ignore[attr-defined]  # torch's protocol of such wrappers
        yield from (getattr(tensor, name) for name in names)
    elif type(tensor) is not torch.Tensor and type(tensor).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
        # It stands for others, which it keeps as attributes.
        yield from (part for part in object.__getattribute__(tensor, "__dict__").values() if is_tensor(part))
    else:
        yield tensor


def _pieces(tensor: torch.Tensor) -> Iterator[memoryview]:
    """The bytes of a tensor, as it lies or copied in pieces."""
    if not tensor.numel():
        return
    if type(tensor) is not torch.Tensor:
        tensor = tensor.as_subclass(torch.Tensor)
    lies = tensor.device.type == "cpu" and tensor.is_contiguous() and not (tensor.is_conj() or tensor.is_neg())
    if lies or tensor.numel() * tensor.element_size() <= PIECE or not tensor.dim():
        here = tensor.resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
        yield here.view(torch.uint8).numpy().data
    elif len(tensor) == 1:
        yield from _pieces(tensor[0])
    else:
        rows = max(1, PIECE * len(tensor) // (tensor.numel() * tensor.element_size()))
        for start in range(0, len(tensor), rows):
            yield from _pieces(tensor[start : start + rows])
