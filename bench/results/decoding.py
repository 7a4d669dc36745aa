"""Bytes from a disk or another process -> typed values, by msgspec: strict, and one message for whatever is wrong.

What is decoded is a dataclass of this project. Its JSON form is a mirror of it, made here: no other keys than its
fields, and, where the schema is the present one, every field there. Constraints stand at the fields, as `Annotated`.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from bench.errors import RunError

_T = TypeVar("_T")

# Bounds within which all arithmetic of the program stays finite: squares of values, ratios of times, sums of many.
LARGEST_NUMBER = 1e100
# A count: whole numbers that a float, numpy's int64 and JSON's readers hold exactly.
COUNT = 2**53
Number = Annotated[float, Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
# Seconds: from a picosecond, far below a clock's tick, to thirty years.
Took = Annotated[float, Meta(ge=1e-12, le=1e9)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Count = Annotated[int, Meta(ge=0, le=COUNT)]
Whole = Annotated[int, Meta(ge=-COUNT, le=COUNT)]
# A value of an axis, a setting, a fact of the machine.
Scalar = str | bool | Whole | Number

_PATH = re.compile(r" - at `(.+)`$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN = object()
_SHOWN = 60  # characters of a value that is not what was expected


def decode(
    kind: type[_T], data: bytes | str, where: str | Path, *, form: type | None = None, whole: bool = False
) -> _T:
    """A value of that type from JSON.

    Args:
        where: the file, with its line where it has several records, or the sender: the message begins with it.
        form: a dataclass that has more fields than the value keeps, of which the JSON is; None: `kind` itself.
        whole: whether every field has to be there, those with a default too.

    Raises:
        RunError: it is no JSON, or another type somewhere; names the field, what was expected and what is there.
    """
    try:
        shape = form or kind
        read = _decoder(mirror(shape, whole=whole) if is_dataclass(shape) else shape).decode(data)
        return msgspec.convert(read, kind, from_attributes=True)
    except RecursionError:
        raise RunError(f"{where}: not readable: it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise RunError(f"{where}: not readable: not UTF-8 at byte {error.start}") from None
    except msgspec.ValidationError as error:
        raise RunError(f"{where}: {_told(str(error), form or kind, _parsed(data))}") from None
    except msgspec.DecodeError as error:
        raise RunError(f"{where}: not readable: {str(error).removeprefix('JSON is malformed: ')}") from None
    except RunError as error:
        raise RunError(f"{where}: {error}") from None


def convert(
    kind: type[_T],
    data: object,
    where: str | Path,
    *,
    form: type | None = None,
    whole: bool = False,
    more: bool = False,
) -> _T:
    """A value of that type from plain data, as a JSON reader gives it.

    Args:
        where, form, whole: as for `decode`.
        more: whether there may be keys that the type does not know.

    Raises:
        RunError: as `decode`.
    """
    try:
        shape = form or kind
        read: object = msgspec.convert(data, mirror(shape, whole=whole, more=more) if is_dataclass(shape) else shape)
        return msgspec.convert(read, kind, from_attributes=True)
    except RecursionError:
        raise RunError(f"{where}: not readable: it is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise RunError(f"{where}: {_told(str(error), form or kind, data)}") from None
    except RunError as error:
        raise RunError(f"{where}: {error}") from None


def twice(data: bytes | str) -> str | None:
    """The first key that an object in this JSON has twice, or None; readers of JSON take one or the other."""
    found: list[str] = []

    def note(pairs: Sequence[tuple[str, Any]]) -> None:
        if len(pairs) != len({name for name, _ in pairs}):
            names = [name for name, _ in pairs]
            found.append(next(name for name in names if names.count(name) > 1))

    try:
        json.loads(data, object_pairs_hook=note)
    except (ValueError, RecursionError):
        return None  # said by whoever decodes it
    return found[0] if found else None


@cache
def mirror(kind: type, *, whole: bool = False, more: bool = False) -> type[msgspec.Struct]:
    """The JSON form of a dataclass.

    Args:
        whole: whether fields with a default must be there too.
        more: whether there may be keys that it does not know.
    """
    hints = get_type_hints(kind, include_extras=True)
    made: list[Any] = []
    optional: list[Any] = []
    for item in fields(kind):
        form = _form(hints[item.name], whole=whole, more=more)
        if whole or (item.default is MISSING and item.default_factory is MISSING):
            made.append((item.name, form))
        elif item.default_factory is not MISSING:
            optional.append((item.name, form, msgspec.field(default_factory=item.default_factory)))
        else:
            optional.append((item.name, form, item.default))
    # With fields that the class computes or that have an order of their own, keywords are the only sure way.
    return msgspec.defstruct(kind.__name__, [*made, *optional], forbid_unknown_fields=not more, kw_only=True)


def _form(hint: Any, *, whole: bool, more: bool) -> Any:
    """The type with every dataclass in it as its mirror."""
    if isinstance(hint, type) and is_dataclass(hint):
        return mirror(hint, whole=whole, more=more)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return Annotated[(_form(inner[0], whole=whole, more=more), *inner[1:])]
    if origin in (Union, types.UnionType):
        return Union[tuple(_form(part, whole=whole, more=more) for part in inner)]  # noqa: UP007 - of a tuple, which `|` cannot
    if origin is Literal or not inner:
        return hint
    return origin[tuple(part if part is ... else _form(part, whole=whole, more=more) for part in inner)]


def schema(kind: type, *, more: bool = False) -> dict[str, Any]:
    """The JSON Schema of the type's JSON form, in which every field has to be there."""
    return msgspec.json.schema(mirror(kind, whole=True, more=more))


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _parsed(data: bytes | str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return _UNKNOWN


def _told(message: str, kind: Any, data: Any) -> str:
    """msgspec's message with the field before it, and what is there after it."""
    found = _PATH.search(message)
    path = found[1] if found else "$"
    text = message[: found.start()] if found else message
    text = text[:1].lower() + text[1:]
    if "missing required" in text or "unknown field" in text:
        return f"{path}: {text}"
    there, value = _at(data, path) if data is not _UNKNOWN else (False, None)
    shown = ""
    if there:
        shown = repr(value) if not isinstance(value, int) or abs(value) < 10**_SHOWN else "an integer of more digits"
        shown = f"; there is {shown[:_SHOWN] + '…' if len(shown) > _SHOWN else shown}"
    if text.startswith("invalid enum value"):
        text = f"expected one of {', '.join(map(repr, _words(kind, path)))}"
    return f"{path}: {text}{shown}"


def _at(data: Any, path: str) -> tuple[bool, Any]:
    """Whether the path leads to a value, and which."""
    for name, index in _STEP.findall(path):
        if name and isinstance(data, Mapping) and name in data:
            data = data[name]
        elif index.isdigit() and isinstance(data, Sequence) and int(index) < len(data):
            data = data[int(index)]
        else:
            return False, None
    return True, data


def _words(kind: Any, path: str) -> Sequence[Any]:
    """The words that are allowed at a path, as far as dataclasses lead there."""
    hint = kind
    for name, _ in _STEP.findall(path):
        if name:
            hint = next((part for part in _parts(hint) if isinstance(part, type) and is_dataclass(part)), None)
            if hint is None:
                return ()
            hint = get_type_hints(hint, include_extras=True).get(name)
    return [word for part in _parts(hint) if get_origin(part) is Literal for word in get_args(part)]


def _parts(hint: Any) -> list[Any]:
    """The type and all that it is made of."""
    found = [hint]
    if get_origin(hint) is not Literal:
        for part in get_args(hint):
            found += _parts(part) if part is not ... else []
    return found
