"""What is known, unknown and sensitive of a value, each shaped like the value, as `show -json` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .packed import UNKNOWN, Unknown
from .wire import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...base.jsonvalue import Json
    from .packed import Packed
    from .plan import Path
    from .schema import Marks


def known(value: Packed) -> Json:
    """The known parts of a value: an unknown one is null in a list, and left out elsewhere."""
    if isinstance(value, dict):
        return {key: known(item) for key, item in value.items() if item is not UNKNOWN}
    if isinstance(value, list):
        return [known(item) for item in value]
    if isinstance(value, Unknown):
        return None
    if isinstance(value, bytes):
        raise UnreadableError("a type without its value")
    return value


def unknown(value: Packed) -> Json:
    """True where a value is unknown."""
    if isinstance(value, dict):
        marked = {key: unknown(item) for key, item in value.items()}
        return {key: item for key, item in marked.items() if item is not False}
    if isinstance(value, list):
        return [unknown(item) for item in value]
    return value is UNKNOWN


class Marked:
    """The paths of a value that are sensitive, as a tree."""

    __slots__ = ("below", "whole")

    def __init__(self) -> None:
        self.whole = False
        self.below: dict[str | int, Marked] = {}

    @classmethod
    def at(cls, paths: Iterable[Path]) -> Marked:
        """The tree of some paths."""
        root = cls()
        for path in paths:
            place = root
            for step in path:
                place = place.below.setdefault(step, cls())
            place.whole = True
        return root


def sensitive(value: Packed, marks: Marks | None, paths: Iterable[Path]) -> Json:
    """True where a value is sensitive: by its schema, or because something sensitive went into it."""
    return _sensitive(value, marks, Marked.at(paths))


def _sensitive(value: Packed, marks: Marks | None, marked: Marked | None) -> Json:
    if (marks is not None and marks.whole) or (marked is not None and marked.whole):
        return True
    if marks is None and (marked is None or not marked.below):
        return {} if isinstance(value, dict) else False
    if isinstance(value, dict):
        found = {
            key: _sensitive(item, _field(marks, key), marked.below.get(key) if marked else None)
            for key, item in value.items()
        }
        return {key: item for key, item in found.items() if item is not False and item != {}}
    if isinstance(value, list):
        each = marks.each if marks else None
        if marked and any(isinstance(step, str) for step in marked.below):
            raise UnreadableError("an element of a set is named by itself")
        return [_sensitive(item, each, marked.below.get(place) if marked else None) for place, item in enumerate(value)]
    return False


def _field(marks: Marks | None, key: str) -> Marks | None:
    return None if marks is None else marks.each or marks.fields.get(key)
