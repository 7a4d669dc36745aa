"""A batch as a tree, whatever it is made of. One function opens a value; size, move, digest and dtypes are made of it.

Batches are other people's objects: nothing here calls their `repr`, goes through what can be gone through only once, or
goes deeper and further than the limits below. A type that says how it is opened, to `torch.utils._pytree`, is opened
so. Torch is imported in functions only.
"""

from __future__ import annotations

import copy
import sys
from array import array
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

DEEPEST = 40  # levels of a batch that are looked at
MOST_PARTS = 20_000  # values of a batch that are looked at

# Never opened, nor measured: what batches hold most of, besides tensors.
CLOSED: frozenset[type] = frozenset(
    {
        *(str, bytes, bytearray, int, float, complex, bool, type(None), type, range, slice),
        *(FunctionType, BuiltinFunctionType, MethodType, ModuleType),
    }
)
_VALUES = (str, bytes, bytearray, int, float, complex, Enum, memoryview, array)
# Values, too, as the modules of the standard library make them.
VALUE_MODULES = frozenset({"datetime", "decimal", "fractions", "uuid", "pathlib"})


@dataclass(frozen=True, slots=True)
class Opened:
    """A value that has parts.

    Attributes:
        kind: a `sequence`, a `mapping`, a `set`, or the `fields` of an object.
        parts: the values in it.
        names: keys or names of the parts; of a sequence none.
        rebuild: makes such a value of other parts; None where nobody knows how.
        foreign: whether it is an object of which nothing is known but its attributes.
    """

    kind: Literal["sequence", "mapping", "set", "fields"]
    parts: Sequence[Any]
    names: Sequence[Any] = ()
    rebuild: Callable[[Sequence[Any]], Any] | None = None
    foreign: bool = False


def opened(value: Any) -> Opened | None:
    """What a value is made of, one level deep; None of tensors, arrays, texts, numbers, and what cannot be read."""
    kind = type(value)
    if kind is tuple or kind is list:
        return Opened("sequence", value, (), kind)
    if kind is dict:
        names = tuple(value)
        return Opened("mapping", tuple(value.values()), names, lambda parts: dict(zip(names, parts, strict=True)))
    if kind in CLOSED or is_array(value) or issubclass(kind, _VALUES) or home(kind) in VALUE_MODULES:
        return None
    try:
        for way in (_registered, _sequence, _mapping, _fields):
            found = way(value, kind)
            if found is not None:
                return found
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception:  # of the batch's own code; what is left is to read its attributes
        return _attributes(value, kind)
    return _attributes(value, kind)


def _registered(value: Any, kind: type) -> Opened | None:
    """Of a type that torch's pytree knows: OrderedDict, deque, `torch.return_types`, and what users register."""
    if "torch" not in sys.modules:  # then nobody can have registered one
        return None
    from torch.utils import _pytree

    node = _pytree.SUPPORTED_NODES.get(kind)
    if node is None:
        return None
    parts, context = node.flatten_fn(value)
    parts = list(islice(parts, MOST_PARTS))
    if issubclass(kind, dict) and len(parts) == dict.__len__(value):
        return Opened("mapping", parts, tuple(dict.keys(value)), lambda new: node.unflatten_fn(new, context))
    return Opened("sequence", parts, (), lambda new: node.unflatten_fn(new, context))


def _sequence(value: Any, kind: type) -> Opened | None:
    """Of tuples and lists of other types, namedtuples among them, and of sets. Their own `__iter__` is not asked."""
    if issubclass(kind, tuple):
        parts = list(tuple.__iter__(value))
        make = getattr(kind, "_make", None)  # of a namedtuple
        return Opened("sequence", parts, (), kind if make is None else make)
    if issubclass(kind, list):
        return Opened("sequence", list(list.__iter__(value)), (), lambda new: _copied(value, new, list))
    if issubclass(kind, set | frozenset):
        base: Any = set if issubclass(kind, set) else frozenset
        return Opened("set", list(base.__iter__(value)))
    return None


def _mapping(value: Any, kind: type) -> Opened | None:
    """Of dictionaries of other types, and of what behaves as one, as `UserDict` does."""
    if issubclass(kind, dict):
        names = tuple(dict.keys(value))
        return Opened("mapping", list(dict.values(value)), names, lambda new: _copied(value, new, dict))
    if issubclass(kind, UserDict):
        names = tuple(value.data)
        return Opened("mapping", list(value.data.values()), names, lambda new: _user_dict(value, names, new))
    if issubclass(kind, Mapping):
        names = tuple(islice(iter(value), MOST_PARTS))
        parts = [value[name] for name in names]
        return Opened("mapping", parts, names, lambda new: _like(kind, dict(zip(names, new, strict=True))))
    return None


def _fields(value: Any, kind: type) -> Opened | None:
    """Of a dataclass: what it declares."""
    if not is_dataclass(kind):
        return None
    own = {}
    for one in fields(kind):
        with suppress(AttributeError):  # not set
            own[one.name] = object.__getattribute__(value, one.name)
    return Opened("fields", list(own.values()), tuple(own), lambda new: _with_fields(value, own, new))


def _attributes(value: Any, kind: type) -> Opened | None:
    """Of any other object: its `__dict__`, and the slots of its classes."""
    found: dict[str, Any] = {}
    try:
        own = object.__getattribute__(value, "__dict__")
        found |= {str(name): part for name, part in own.items()} if type(own) is dict else {}
    except Exception:
        found = {}
    for base in kind.__mro__:
        members = vars(base)
        if "__slots__" in members:
            for name, member in members.items():
                if isinstance(member, MemberDescriptorType):
                    with suppress(AttributeError):  # not set
                        found.setdefault(name, member.__get__(value, kind))
    return Opened("fields", list(found.values()), tuple(found), None, foreign=True) if found else None


def _copied(value: Any, parts: Sequence[Any], base: type) -> Any:
    """A copy of a list or a dictionary of another type, with its attributes and with other parts."""
    made = copy.copy(value)
    if base is list:
        list.__setitem__(made, slice(None), parts)
    else:
        for name, part in zip(dict.keys(value), parts, strict=True):
            dict.__setitem__(made, name, part)
    return made


def _user_dict(value: Any, names: Sequence[Any], parts: Sequence[Any]) -> Any:
    made = copy.copy(value)
    made.data = dict(zip(names, parts, strict=True))
    return made


def _like(kind: Callable[..., Any], parts: dict[Any, Any]) -> Any:
    """A mapping of that type, if it can be made of a dictionary; else the dictionary."""
    try:
        made = kind(parts)
        return made if list(made) == list(parts) else parts
    except Exception:  # its constructor takes something else
        return parts


def _with_fields(value: Any, names: Mapping[str, Any], parts: Sequence[Any]) -> Any:
    made = copy.copy(value)
    for name, part in zip(names, parts, strict=True):
        object.__setattr__(made, name, part)  # a frozen one, too
    return made


# --- what is in it


def home(kind: type) -> str:
    """The package in which a type was made."""
    return str(getattr(kind, "__module__", "")).partition(".")[0]


def is_tensor(value: Any) -> bool:
    """Whether it is a tensor of torch, of whatever layout or subclass."""
    torch = sys.modules.get("torch")
    return torch is not None and issubclass(type(value), torch.Tensor)


def is_ndarray(value: Any) -> bool:
    """Whether it is an array of numpy, or one of its scalars."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(type(value), (numpy.ndarray, numpy.generic))


def is_array(value: Any) -> bool:
    """Whether it is a tensor, or an array of numpy."""
    return is_tensor(value) or is_ndarray(value)


def is_packed(value: Any) -> bool:
    """Whether it is torch's PackedSequence: rows of sequences, with how many of them go on at each place."""
    module = sys.modules.get("torch.nn.utils.rnn")
    return module is not None and issubclass(type(value), module.PackedSequence)


def walk(batch: Any) -> Iterator[tuple[Any, Opened | None]]:
    """The values of a batch that are more than texts and numbers, from the outside in and in order, each with what it
    is made of. Bounded: nothing is looked for within itself."""
    left: list[tuple[Any, tuple[Any, ...]]] = [(batch, ())]
    for _ in range(MOST_PARTS):
        if not left:
            return
        value, above = left.pop()
        node = opened(value)
        yield value, node
        if node is not None and len(above) < DEEPEST and not any(value is one for one in above):
            inside = (*above, value)
            left += [(part, inside) for part in node.parts[MOST_PARTS::-1] if type(part) not in CLOSED]


def tensors(batch: Any) -> Iterator[torch.Tensor]:
    """The tensors of a batch, in order."""
    return (value for value, _ in walk(batch) if is_tensor(value))


# --- how many samples


def batch_size(batch: Any) -> int:
    """Samples in a batch: the length of its first tensor that has a dimension.

    Of a PackedSequence, its sequences; where no tensor has a dimension, the length of the first list of texts and the
    like; else 1. The stream calls it in every step: a tensor, or one that comes first in a tuple, list or dictionary,
    is measured at once.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        first, kind = batch, type(batch)
        if (kind is tuple or kind is list) and batch:
            first = batch[0]
        elif kind is dict:
            first = next(iter(batch.values()), None)
        if type(first) is torch.Tensor and first.dim():
            return int(first.size(0))
    return _size(batch)


def _size(batch: Any) -> int:
    if type(batch) in (bytes, bytearray):
        return len(batch)
    items = other = None
    for value, node in walk(batch):
        if is_packed(value):
            return int(value.batch_sizes[0])
        length = _length(value) if node is None else None
        if length is not None:
            return length
        if items is None and node is not None and _of_items(value, node):
            items = len(node.parts)
        unknown = type(value) not in CLOSED and not is_array(value) and (node is None or node.foreign)
        if other is None and unknown and getattr(type(value), "__len__", None) is not None:
            other = value
    if items is None and other is not None:
        items = _asked(other)
    if items is None:
        return 0 if type(batch) in (tuple, list, dict) and not batch else 1
    return items


def _length(value: Any) -> int | None:
    """The length of a tensor or array that has a dimension; of others, None."""
    try:
        if is_tensor(value):
            return int(value.size(0)) if value.dim() else None
        if is_ndarray(value):
            return int(value.shape[0]) if value.shape else None
        if type(value) in (memoryview, array):
            return len(value)
    except Exception:  # a subclass that does not say
        return None
    return None


def _of_items(value: Any, node: Opened) -> bool:
    """Whether a sequence is one of samples, as of texts, and not one of sequences, nor a record as a namedtuple is."""
    if not node.parts or node.kind not in ("sequence", "set") or hasattr(type(value), "_fields"):
        return False
    return not any(issubclass(type(part), (list, tuple, set, frozenset)) for part in node.parts)


def _asked(value: Any) -> int | None:
    try:
        return len(value)
    except Exception:  # it does not say
        return None


# --- onto the device


def moved(batch: Any, device: torch.device, dtype: torch.dtype | None = None) -> Any:
    """A batch with its tensors on the device, moved without waiting; floating ones in `dtype`, if there is one.

    An object with a method `to` is asked to move itself, as Lightning asks it; others that no one can make again from
    their parts stay as they are, and so does what has nothing to move.
    """
    import torch

    return _moved(batch, device, dtype, torch.Tensor, {})


def _moved(value: Any, device: Any, dtype: Any, tensor: type, known: dict[int, tuple[Any, Any]]) -> Any:
    """`known`: containers by id, each with what becomes of it: one may be met again, within itself as well."""
    kind = type(value)
    if kind is tensor or issubclass(kind, tensor):
        if dtype is not None and value.is_floating_point():
            return value.to(device, dtype, non_blocking=True)
        return value.to(device, non_blocking=True)
    if kind in CLOSED or len(known) > MOST_PARTS:
        return value
    if id(value) in known:
        return known[id(value)][1]
    known[id(value)] = value, value
    result: Any
    if kind is tuple:
        result = tuple([_moved(part, device, dtype, tensor, known) for part in value])
    elif kind is list:
        result = []
        known[id(value)] = value, result
        result += [_moved(part, device, dtype, tensor, known) for part in value]
    elif kind is dict:
        result = {}
        known[id(value)] = value, result
        result |= {name: _moved(part, device, dtype, tensor, known) for name, part in value.items()}
    else:
        result = value
        asked = callable(getattr(kind, "to", None))
        if asked:
            result = _asked_to_move(value, device, dtype)
        if not asked or (dtype is not None and issubclass(type(result), Mapping)):
            result = _made_again(result, lambda part: _moved(part, device, dtype, tensor, known))
    known[id(value)] = value, result
    return result


def _made_again(value: Any, move: Callable[[Any], Any]) -> Any:
    node = opened(value)
    if node is None or node.rebuild is None:
        return value
    parts = [move(part) for part in node.parts]
    if all(new is old for new, old in zip(parts, node.parts, strict=True)):
        return value
    try:
        return node.rebuild(parts)
    except Exception as error:
        name = type(value).__name__
        raise TypeError(
            f"batches: a {name} cannot be made again of its parts to be moved ({error}); give it a method `to`"
        ) from error


def _asked_to_move(value: Any, device: Any, dtype: Any) -> Any:
    if dtype is not None and is_packed(value) and value.data.is_floating_point():
        return value.to(device, dtype)
    try:
        result = value.to(device)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:  # the call itself did not fit
            raise TypeError(f"batches: {type(value).__name__}.to(device) cannot be called: {error}") from error
        raise
    return value if result is None else result  # one that moves itself in place and gives nothing
