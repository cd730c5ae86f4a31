"""Paths into a JSON document: keys with dots between them and positions in brackets, `checks[0].name`; no more."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PART = re.compile(r"\.?([^.\[\]]+)|\[(-?\d+)\]")


def parse(path: str) -> list[str | int]:
    """The keys and positions of a path.

    Raises:
        ValueError: It is none.
    """
    parts: list[str | int] = []
    position = 0
    while match := _PART.match(path, position):
        parts.append(match[1] if match[2] is None else int(match[2]))
        position = match.end()
    if position != len(path) or path.startswith("."):
        raise ValueError(f"'{path:.80}' is no path into a JSON document: keys with dots, positions in brackets")
    return parts


def differences(text: str, expected: Mapping[str, Any]) -> Iterator[str]:
    """How a JSON text differs from the values that it must have by path."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        yield "the body is not JSON"
        return
    for path, value in expected.items():
        try:
            found = _at(document, parse(path))
        except (KeyError, IndexError, TypeError):
            yield f"the JSON body has no {path}"
            continue
        # 1 is not true, whatever Python says.
        if found != value or isinstance(found, bool) is not isinstance(value, bool):
            yield f"{path} in the JSON body is {json.dumps(found):.80}, expected {json.dumps(value):.80}"


def _at(document: Any, parts: list[str | int]) -> Any:
    part: Any  # what a list or a mapping takes was just looked at
    for part in parts:
        if not isinstance(document, dict if isinstance(part, str) else list):
            raise KeyError(part)
        document = document[part]
    return document
