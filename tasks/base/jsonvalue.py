"""The type of a JSON value, and what narrows one that others have written.

A narrowing function returns what is expected in the place of a value; null and a missing value are empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import ShapeError

if TYPE_CHECKING:
    from decimal import Decimal

    Json: TypeAlias = bool | int | float | Decimal | str | list["Json"] | dict[str, "Json"] | None
    JsonObject: TypeAlias = dict[str, Json]
else:  # what pydantic makes of a field of these types: it looks no deeper, as the readers narrow what they use
    Json, JsonObject = Any, dict[str, Any]


def fields(value: Json) -> JsonObject:
    """The fields of a JSON object.

    Raises:
        ShapeError: It is something else.
    """
    if isinstance(value, dict):
        return value
    if value:
        raise ShapeError(f"a JSON object was expected, but it is of type {type(value).__name__}")
    return {}


def elements(value: Json) -> list[Json]:
    """The elements of a JSON array.

    Raises:
        ShapeError: It is something else.
    """
    if isinstance(value, list):
        return value
    if value:
        raise ShapeError(f"a JSON array was expected, but it is of type {type(value).__name__}")
    return []


def records(value: Json) -> list[JsonObject]:
    """The elements of an array of objects.

    Raises:
        ShapeError: It is something else.
    """
    return [fields(item) for item in elements(value)]


def named(value: Json) -> dict[str, JsonObject]:
    """An object whose values are objects.

    Raises:
        ShapeError: It is something else.
    """
    return {name: fields(item) for name, item in fields(value).items()}


def words(value: Json) -> list[str]:
    """The texts of an array; a number is one, too.

    Raises:
        ShapeError: It is something else.
    """
    return [str(item) for item in elements(value)]
