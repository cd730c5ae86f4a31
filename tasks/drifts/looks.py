"""Values that only look different: another order, another spelling of JSON, upper and lower case."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ..base import jsontext
from ..base.valuepath import at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.jsonvalue import Json
    from ..base.valuepath import Path

_DEEPEST = 100_000  # characters of a text that is read as JSON


class Looks(StrEnum):
    """How two values look different although they may mean the same.

    Two spellings of one JSON value are the same to any reader of JSON. Whether the order of a list or the case of a
    text matters is the provider's to say, which the engine's plan does not tell: those stay alerts unless a rule says
    otherwise.
    """

    JSON = "json"
    ORDER = "order"
    CASE = "case"


def only_looks(before: Json, after: Json, paths: Sequence[Path]) -> Looks | None:
    """How two values only look different; None if they really differ, or in more than one way.

    Args:
        before: The value before.
        after: The value after.
        paths: Where they differ.
    """
    if not paths or not all(paths):
        return None
    found = {_look(at(before, path), at(after, path)) for path in _lists(before, after, paths)}
    return found.pop() if len(found) == 1 else None


def _lists(before: Json, after: Json, paths: Sequence[Path]) -> list[Path]:
    """The paths, with those within a list that has the same elements in another order replaced by that list's."""
    found: dict[Path, None] = {}
    for path in paths:
        for length in range(1, len(path)):
            if _look(at(before, path[:length]), at(after, path[:length])) is Looks.ORDER:
                found[path[:length]] = None
                break
        else:
            found[path] = None
    return list(found)


def _look(before: Json, after: Json) -> Looks | None:
    if isinstance(before, list) and isinstance(after, list):
        return Looks.ORDER if before != after and _sorted(before) == _sorted(after) else None
    if not isinstance(before, str) or not isinstance(after, str) or before == after:
        return None
    if before.casefold() == after.casefold():
        return Looks.CASE
    return Looks.JSON if _same_json(before, after) else None


def settled(value: Json) -> Json:
    """A value in one of its spellings: JSON in a text is written in one way, and so are equal numbers."""
    if isinstance(value, dict):
        return {name: settled(part) for name, part in value.items()}
    if isinstance(value, list):
        return [settled(part) for part in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    read = _read(value) if isinstance(value, str) else None
    return value if read is None else f"\0JSON {jsontext.dumps(settled(read), sort_keys=True)}"


def _same_json(before: str, after: str) -> bool:
    one, other = _read(before), _read(after)
    return one is not None and other is not None and jsontext.same(one, other)


def _read(text: str) -> Json:
    """The object or list that a text is as JSON; None if it is none."""
    if len(text) > _DEEPEST or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return jsontext.loads(text)
    except (ValueError, RecursionError):
        return None


def _sorted(items: list[Json]) -> list[str]:
    return sorted(jsontext.dumps(item, sort_keys=True) for item in items)
