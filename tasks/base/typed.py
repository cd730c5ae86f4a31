"""Reads a dataclass from JSON that others may have written: each value is of its field's type, or is refused.

A field may be a JSON scalar, `Json`, an enum, a list, a dict by text, another dataclass, a class with its own
`from_json`, or one of several of these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import ShapeError
from .jsonvalue import Json

T = TypeVar("T")
_Reader = Callable[[Json], Any]
_SCALARS = {str: (str,), int: (int,), float: (float, int), bool: (bool,), NoneType: (NoneType,)}


def read(kind: type[T], value: Json) -> T:
    """A dataclass from the JSON object of its fields.

    Raises:
        ShapeError: A field is missing, unknown or of another type; the message names it.
    """
    hint: Any = kind
    found: T = _reader(hint)(value)
    return found


@cache
def _reader(hint: Any) -> _Reader:
    """What reads a value of a type.

    Raises:
        TypeError: No JSON is read as this type.
    """
    if hint is Any:
        return lambda value: value
    origin, inner = get_origin(hint), get_args(hint)
    if kinds := _scalars(hint):
        return _scalar(kinds)
    if origin in (Union, UnionType):
        return _one_of([_reader(kind) for kind in inner], or_null=NoneType in inner)
    if origin is list:
        return _list(_reader(inner[0]))
    if origin is dict:
        return _dict(_reader(inner[1]))
    if hasattr(hint, "from_json"):
        return _own(hint.from_json)
    if is_dataclass(hint):
        return _dataclass(hint)
    if issubclass(hint, Enum):
        return _own(hint)
    raise TypeError(f"{hint} is not read from JSON")


def _scalars(hint: Any) -> tuple[type, ...]:
    """The Python types of the JSON scalars that are values of a type as they are; empty if it has others, too."""
    inner = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if not all(isinstance(kind, type) and kind in _SCALARS for kind in inner):
        return ()
    return tuple(each for kind in inner for each in _SCALARS[kind])


def _scalar(kinds: tuple[type, ...]) -> _Reader:
    def reader(value: Json) -> Json:
        if type(value) not in kinds:
            raise _of_another_type(value)
        return value

    return reader


def _list(inner: _Reader) -> _Reader:
    def reader(value: Json) -> list[Any]:
        if not isinstance(value, list):
            raise _of_another_type(value)
        return [inner(item) for item in value]

    return reader


def _dict(inner: _Reader) -> _Reader:
    def reader(value: Json) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _of_another_type(value)
        return {name: inner(item) for name, item in value.items()}

    return reader


def _one_of(readers: list[_Reader], *, or_null: bool) -> _Reader:
    def reader(value: Json) -> Any:
        if value is None and or_null:  # mostly, and then no reader has to fail first
            return None
        for each in readers[:-1]:
            try:
                return each(value)
            except ShapeError:
                continue
        return readers[-1](value)

    return reader


def _own(make: Callable[[Any], Any]) -> _Reader:
    """The reader of a type that is made from one value, and refuses it with an error of its own."""

    def reader(value: Json) -> Any:
        try:
            return make(value)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ShapeError(str(error)) from error

    return reader


def _dataclass(kind: Any) -> _Reader:
    hints = get_type_hints(kind)
    readers = {item.name: _reader(hints[item.name]) for item in fields(kind)}
    plain = {name: _scalars(hints[name]) for name in readers}
    needed = {item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING}

    def reader(value: Json) -> Any:
        if not isinstance(value, dict):
            raise _of_another_type(value)
        if wrong := (needed - value.keys()) or (value.keys() - readers.keys()):
            what = "unknown" if wrong <= value.keys() else "missing"
            raise ShapeError(f"{', '.join(sorted(wrong))}: {what}")
        given = {}
        for name, item in value.items():
            if type(item) in plain[name]:  # most are, and this is called for every record of every stack
                given[name] = item
                continue
            try:
                given[name] = readers[name](item)
            except ShapeError as error:
                raise ShapeError(f"{name}: {error}") from error
        return kind(**given)

    return reader


def _of_another_type(value: Json) -> ShapeError:
    return ShapeError(f"is of type {type(value).__name__}")
