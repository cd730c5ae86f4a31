"""Paths into a JSON document: keys separated by dots and positions in brackets, `checks[0].name`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..base import jsontext

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..base.jsonvalue import Json

_PART = re.compile(r"\.?([^.\[\]]+)|\[(-?\d+)\]")


def parse(path: str) -> list[str | int]:
    """The keys and positions of a path.

    Raises:
        ValueError: The path is invalid.
    """
    parts: list[str | int] = []
    position = 0
    while match := _PART.match(path, position):
        parts.append(match[1] if match[2] is None else int(match[2]))
        position = match.end()
    if position != len(path) or path.startswith("."):
        raise ValueError(
            f"'{path:.80}' is not a valid JSON path: write keys with dots and positions in brackets, `checks[0].name`"
        )
    return parts


def differences(text: str, expected: Mapping[str, Json]) -> Iterator[str]:
    """How a JSON text differs from the values expected at some paths."""
    try:
        document = jsontext.loads(text)
    except (ValueError, RecursionError):
        yield "the body is not JSON"
        return
    for path, value in expected.items():
        try:
            found = _at(document, parse(path))
        except (KeyError, IndexError, TypeError):
            yield f"the JSON body has no {path}"
            continue
        # 1 is not true, although Python says so.
        if found != value or isinstance(found, bool) is not isinstance(value, bool):
            yield f"{path} in the JSON body is {jsontext.dumps(found):.80}, expected {jsontext.dumps(value):.80}"


def _at(document: Json, parts: list[str | int]) -> Json:
    for part in parts:
        if isinstance(part, int):
            if not isinstance(document, list):
                raise KeyError(part)
            document = document[part]
        else:
            if not isinstance(document, dict):
                raise KeyError(part)
            document = document[part]
    return document
