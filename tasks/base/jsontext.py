"""JSON texts and values: a number keeps every digit that it is written with, as it does in the engine.

A number that a float would change is a `Decimal`; any other is an `int` or a `float`, as usual.
"""

from __future__ import annotations

import json
import re
import secrets
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

_SHORT = 15  # digits that a float holds whatever they are
_MARK = secrets.token_hex(16)  # no value holds it by chance: behind it stands a number
_PLAIN = re.compile(r"[-+]?[0-9]*\.?[0-9]+")
_MARKED = re.compile(f'"{_MARK}([^"]*)"')


def loads(text: str | bytes, *, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is not JSON; `NaN` and `Infinity` are not.
        RecursionError: It is nested too deep.
    """
    hooks: dict[str, Any] = {"parse_float": number, "parse_constant": _refuse, "object_pairs_hook": object_pairs_hook}
    try:
        return json.loads(text, **hooks)
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        if "int_max_str_digits" not in str(error):
            raise
        return json.loads(text, parse_int=_integer, **hooks)


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
        compact: Whether no spaces separate what stands in a line.
        ensure_ascii: Whether every other character is escaped.
        default: Makes a JSON value of what is none.

    Raises:
        TypeError: A part of it is no JSON value.
        RecursionError: It is nested too deep.
    """
    exact = False

    def of_another_type(part: Any) -> Any:
        nonlocal exact
        if isinstance(part, Decimal):
            exact = True
            return f"{_MARK}{part}"
        if default is None:
            raise TypeError(f"{type(part).__name__} is no JSON value")
        return default(part)

    text = json.dumps(
        value, sort_keys=sort_keys, indent=indent, separators=(",", ":") if compact else None,
        ensure_ascii=ensure_ascii, default=of_another_type,
    )  # fmt: skip
    return _MARKED.sub(r"\1", text) if exact else text


def number(text: str) -> float | Decimal:
    """The number that a text is: a float where that has the very same digits.

    Raises:
        ValueError: It is none, or not a finite one.
    """
    if len(text) <= _SHORT and _PLAIN.fullmatch(text):
        return float(text)
    try:
        exact = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text:.40} is no number") from None
    if not exact.is_finite():
        raise ValueError(f"{text:.40} is no number")
    near = float(exact)
    return near if Decimal(repr(near)) == exact else exact


def _integer(text: str) -> int | Decimal:
    """A whole number, also one that is longer than Python reads as an `int`."""
    try:
        return int(text)
    except ValueError:
        return Decimal(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON value")
