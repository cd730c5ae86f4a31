"""Paths within a JSON value: how they are written, which ones differ between two values, and globs of them."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from .jsontext import same
from .jsonvalue import elements
from .text import literal, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .jsonvalue import Json

Path = tuple[str | int, ...]
_BRACKETS = re.compile(r'\[(?:"([^"]*)"|([^\]"]*))\]')
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class ReadAs(str):
    """A step into a text that was read as JSON or YAML."""

    __slots__ = ()


def dotted(path: Sequence[str | int]) -> str:
    """A path within a value as a person writes it: `tags["a b"].x[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif isinstance(part, ReadAs):
            text += f" as {part}: "
        elif _IDENTIFIER.fullmatch(part):
            text += part if not text or text.endswith(": ") else f".{part}"
        else:
            text += f"[{shorten(literal(part))}]"
    return text


def differing(before: Json, after: Json, path: Path = ()) -> Iterator[Path]:
    """The paths of the innermost values that differ; of two lists of different lengths that of the list.

    Args:
        before: A JSON value.
        after: Another one.
        path: Where both are.
    """
    if same(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from differing(before.get(key), after.get(key), (*path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differing(old, new, (*path, place))
    else:
        yield path


def at(value: Json, path: Sequence[str | int]) -> Json:
    """The value at a path; None without one."""
    for part in path:
        if isinstance(value, dict) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def path_of(value: Json) -> Path:
    """The path that a JSON array spells.

    Raises:
        ShapeError: It is not an array.
    """
    return tuple(part for part in elements(value) if isinstance(part, str | int))


def overlap(one: Sequence[str | int], other: Sequence[str | int]) -> bool:
    """Whether one of two paths leads to the other, or into it."""
    shorter = min(len(one), len(other))
    return tuple(one[:shorter]) == tuple(other[:shorter])


def matches(text: str, pattern: str) -> bool:
    """Whether `pattern` matches a whole text; `*` is any text and `?` any character, but brackets are literal."""
    return bool(_pattern(pattern).fullmatch(text))


def covers(pattern: str, path: Sequence[str | int]) -> bool:
    """Whether a glob fits a path, or one that leads to it: `tags` covers `tags.owner`."""
    return any(fits(pattern, path[:length]) for length in range(1, len(path) + 1))


def fits(pattern: str, path: Sequence[str | int]) -> bool:
    """Whether a glob matches a path as it is shown, or if both have dots for brackets: `tags.*` fits `tags["a b"]`."""
    plain = _BRACKETS.sub(lambda found: f".{found[1] if found[2] is None else found[2]}", pattern)
    return matches(dotted(path), pattern) or matches(".".join(map(str, path)), plain)


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
