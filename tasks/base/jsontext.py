"""Reads and writes JSON without losing digits of numbers, as the engine does.

A number that a float would change becomes a `Decimal`; any other an `int` or a `float`, as usual.
"""

from __future__ import annotations

import json
import re
import secrets
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from .jsonvalue import Json

_SHORT = 15  # digits that a float always preserves
_MARK = secrets.token_hex(16)  # no value contains it by chance; a number follows it
_PLAIN = re.compile(r"[-+]?[0-9]*\.?[0-9]+")
_MARKED = re.compile(f'"{_MARK}([^"]*)"')


def loads(text: str | bytes, *, object_pairs_hook: Callable[[list[tuple[str, Json]]], Json] | None = None) -> Json:
    """The value of a JSON text.

    Raises:
        ValueError: It is not JSON; `NaN` and `Infinity` are not.
        RecursionError: It is nested too deep.
    """
    hooks: dict[str, Any] = {"parse_float": number, "parse_constant": _refuse, "object_pairs_hook": object_pairs_hook}
    try:
        found: Json = json.loads(text, **hooks)
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        if "int_max_str_digits" not in str(error):
            raise
        found = json.loads(text, parse_int=_integer, **hooks)
    return found


def dumps(
    value: Any,
    *,
    sort_keys: bool = False,
    indent: int | None = None,
    compact: bool = False,
    ensure_ascii: bool = True,
    default: Callable[[Any], Any] | None = None,
) -> str:
    """The JSON text of a value.

    Args:
        value: The value.
        sort_keys: Whether the keys are sorted.
        indent: How far each level is indented; None for a single line.
        compact: Whether to omit spaces between items.
        ensure_ascii: Whether characters outside ASCII are escaped.
        default: Converts a value that is not JSON.

    Raises:
        TypeError: A part of it is not a JSON value.
        RecursionError: It is nested too deep.
    """
    exact = False

    def of_another_type(part: Any) -> Any:
        nonlocal exact
        if isinstance(part, Decimal):
            exact = True
            return f"{_MARK}{part}"
        if default is None:
            raise TypeError(f"{type(part).__name__} is not a JSON value")
        return default(part)

    text = json.dumps(
        value, sort_keys=sort_keys, indent=indent, separators=(",", ":") if compact else None,
        ensure_ascii=ensure_ascii, default=of_another_type,
    )  # fmt: skip
    return _MARKED.sub(r"\1", text) if exact else text


def same(before: Json, after: Json) -> bool:
    """Whether two JSON values are the same: true is not 1, nor is 1.0."""
    if isinstance(before, str) or type(before) is not type(after):
        return type(before) is type(after) and bool(before == after)
    if before != after:  # only what Python takes for the same has to be looked at closer
        return False
    return dumps(before, sort_keys=True) == dumps(after, sort_keys=True)


def number(text: str) -> float | Decimal:
    """The number in a text: a float if it keeps all digits.

    Raises:
        ValueError: It is not a finite number.
    """
    if len(text) <= _SHORT and _PLAIN.fullmatch(text):
        return float(text)
    try:
        exact = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text:.40} is not a number") from None
    if not exact.is_finite():
        raise ValueError(f"{text:.40} is not a number")
    near = float(exact)
    return near if Decimal(repr(near)) == exact else exact


def _integer(text: str) -> int | Decimal:
    """A whole number, even one with more digits than Python converts to an `int`."""
    try:
        return int(text)
    except ValueError:
        return Decimal(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON value")
