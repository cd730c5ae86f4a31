"""Converts values to a variable's type (https://opentofu.org/docs/language/expressions/type-constraints/)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import expressions, syntax, values
from .knownfunctions import number_of
from .values import ANY, ANYTHING, Fields, Items, Start, some, union

if TYPE_CHECKING:
    from tree_sitter import Node

    from .expressions import Expression
    from .values import Alternative, Values

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")


def converted(found: Values, constraint: Expression | None) -> Values:
    """Convert values to a type: numbers to texts, and missing optional attributes to their defaults.

    Args:
        found: The values.
        constraint: The type; None if the variable has none.
    """
    if constraint is None:
        return found
    return union(_converted(item, constraint) for item in found)


def _converted(item: Alternative, constraint: Expression) -> Values:
    name, arguments = _named(constraint)
    if item is None or isinstance(item, Start):
        return (item,)
    if isinstance(item, str) and name not in ("string", "number", "bool"):
        return _from_text(item, constraint, name)
    if name == "string":
        text = values.text_of(item)
        return (
            (ANYTHING if text is None and not isinstance(item, Items | Fields) else text,) if text is not None else ANY
        )
    if name in ("bool", "number") and isinstance(item, str):
        return _scalar(item, name)
    if name == "object" and isinstance(item, Fields) and arguments and arguments[0][0] == expressions.OBJECT:
        return (_object(item, arguments[0]),)
    if name in ("map", "list", "set") and arguments:
        return (_elements(item, name, arguments[0]),)
    if name == "set" and isinstance(item, Items):
        return (values.set_of(item.elements, item.other),)
    if name == "object" and arguments and arguments[0][0] != expressions.LITERAL:
        return ANY
    return (item,)


def _scalar(text: str, name: str) -> Values:
    """A text as a number or boolean; anything if the engine may read it as another one."""
    if name == "bool":
        return {"true": (True,), "1": (True,), "false": (False,), "0": (False,)}.get(text, ())
    found = number_of(text) if _DECIMAL.fullmatch(text) else None
    return ANY if found is None else (found,)


def _named(constraint: Expression) -> tuple[str, list[Expression]]:
    """A type's name and its arguments."""
    if constraint[0] == expressions.REFERENCE:
        return constraint[1], []
    if constraint[0] == expressions.CALL:
        return constraint[1], constraint[2]
    return "any", []


def _from_text(text: str, constraint: Expression, name: str) -> Values:
    """The value of an environment variable for a type other than text: an expression, as the engine parses it."""
    found = next((syntax.literal(node) for _, node in syntax.attributes(syntax.body(_parsed(text)))), syntax.UNKNOWN)
    if name == "any":
        return some([text, *(values.of_json(found) if found is not syntax.UNKNOWN else ())])
    if found is syntax.UNKNOWN or isinstance(found, str):
        return ANY
    return converted(values.of_json(found), constraint)


def _parsed(text: str) -> Node:
    return syntax.parse(f"x = {text}\n".encode(errors="replace"))


def _object(item: Fields, attributes: Expression) -> Fields:
    """An object with its optional attributes, without attributes that its type does not have."""
    pairs = []
    for key, constraint in attributes[1]:
        name, arguments = _named(constraint)
        optional = name == "optional" and bool(arguments)
        inner = arguments[0] if optional else constraint
        default = _default(arguments[1]) if len(arguments) > 1 else (None,)
        found = item.get(str(key[1]))
        if not optional:
            pairs.append((str(key[1]), converted(found or ANY, inner)))
            continue
        given = union([default if value is None else (value,) for value in found]) if found else default
        if item.other:
            given = union([given, default])
        pairs.append((str(key[1]), converted(given, inner)))
    return Fields(tuple(pairs))


def _default(expression: Expression) -> Values:
    return values.of_json(expression[1]) if expression[0] == expressions.LITERAL else ANY


def _elements(item: Alternative, name: str, inner: Expression) -> Alternative:
    if isinstance(item, Fields):
        return Fields(tuple((key, converted(found, inner)) for key, found in item.pairs), converted(item.other, inner))
    if isinstance(item, Items):
        elements = tuple(converted(found, inner) for found in item.elements)
        other = converted(item.other, inner)
        return values.set_of(elements, other) if name == "set" else Items(elements, other)
    return item
