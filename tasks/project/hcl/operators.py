"""The engine's operators for partly known values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .knownfunctions import equal, number_of, to_bool
from .values import ANY, ANYTHING, product

if TYPE_CHECKING:
    from collections.abc import Callable

    from .values import Values

_BOOLEANS: Values = (True, False)


def apply(operator: str, operands: list[Values]) -> Values:
    """The possible results of an operator."""
    if any(not values for values in operands):
        return ()
    if operator in ("&&", "||"):
        decides = operator == "||"
        if any(values == (decides,) for values in operands):
            return (decides,)
    function = _OPERATORS.get((operator, len(operands)))
    found = product(operands, function) if function else None
    if found is not None:
        return found
    if operator in ("==", "!="):
        return _compared(operator, operands)
    return ANY if operator in ("+", "-", "*", "/", "%") else _BOOLEANS


def _compared(operator: str, operands: list[Values]) -> Values:
    """Compare with null: a collection is not null, even if its content is unknown."""
    for one, other in (operands, reversed(operands)):
        if one == (None,) and not any(item is None or item == ANYTHING for item in other):
            return (operator == "!=",)
    return _BOOLEANS


_OPERATORS: dict[tuple[str, int], Callable[..., Any]] = {
    ("==", 2): equal,
    ("!=", 2): lambda one, other: not equal(one, other),
    ("&&", 2): lambda one, other: to_bool(one) and to_bool(other),
    ("||", 2): lambda one, other: to_bool(one) or to_bool(other),
    ("!", 1): lambda one: not to_bool(one),
    ("<", 2): lambda one, other: number_of(one) < number_of(other),
    (">", 2): lambda one, other: number_of(one) > number_of(other),
    ("<=", 2): lambda one, other: number_of(one) <= number_of(other),
    (">=", 2): lambda one, other: number_of(one) >= number_of(other),
    ("+", 2): lambda one, other: _number(one) + _number(other),
    ("-", 2): lambda one, other: _number(one) - _number(other),
    ("*", 2): lambda one, other: _number(one) * _number(other),
    ("-", 1): lambda one: -_number(one),
    ("%", 2): lambda one, other: _remainder(_number(one), _number(other)),
}


def _remainder(one: int, other: int) -> int:
    """What is left of a division, with the sign of the dividend."""
    rest = abs(one) % abs(other)
    return -rest if one < 0 else rest


def _number(value: Any) -> Any:
    number = number_of(value)
    if isinstance(number, bool) or number is None:
        raise ValueError(value)
    if not isinstance(number, int):
        raise NotImplementedError  # the engine computes with more digits
    return number
