"""What others may have written is read as a dataclass, or refused with the name of its field."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import pytest

from tasks.base import typed
from tasks.base.errors import ShapeError
from tasks.base.jsonvalue import Json  # noqa: TC001 - `typed` reads a field by it

if TYPE_CHECKING:
    from collections.abc import Callable


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Part:
    name: str
    size: float = 0.0


@dataclass(frozen=True)
class Own:
    text: str

    @classmethod
    def from_json(cls, value: Json) -> Own:
        return cls(str(value["own"]))  # type: ignore[index, call-overload]


@dataclass(frozen=True)
class Whole:
    number: int
    colour: Colour = Colour.RED
    part: Part | None = None
    parts: list[Part] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    anything: Json = None
    flag: bool | None = None
    own: Own | None = None


def test_every_value_is_read_as_the_type_of_its_field() -> None:
    found = typed.read(Whole, {
        "number": 1, "colour": "red", "part": {"name": "a", "size": 2}, "parts": [{"name": "b"}], "counts": {"x": 3},
        "anything": [{"deep": None}], "flag": True, "own": {"own": "o"},
    })  # fmt: skip
    assert found == Whole(1, Colour.RED, Part("a", 2), [Part("b")], {"x": 3}, [{"deep": None}], flag=True, own=Own("o"))
    assert typed.read(Whole, {"number": 1, "part": None, "flag": None, "own": None}) == Whole(1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "is of type list"), (None, "is of type NoneType"), ({}, "number: missing"),
        ({"number": 1, "odd": 2}, "odd: unknown"), ({"number": "1"}, "number: is of type str"),
        ({"number": True}, "number: is of type bool"), ({"number": 1.0}, "number: is of type float"),
        ({"number": 1, "colour": "blue"}, "colour: 'blue' is not a valid Colour"),
        ({"number": 1, "colour": []}, "colour: [] is not a valid Colour"),
        ({"number": 1, "part": {"name": 3}}, "part: is of type dict"),
        ({"number": 1, "parts": [{"name": "a"}, {"name": None}]}, "parts: name: is of type NoneType"),
        ({"number": 1, "parts": {"name": "a"}}, "parts: is of type dict"),
        ({"number": 1, "counts": {"x": "3"}}, "counts: is of type str"), ({"number": 1, "counts": []}, "is of type list"),
        ({"number": 1, "flag": 0}, "flag: is of type int"), ({"number": 1, "own": {}}, "own: is of type dict"),
    ],
)  # fmt: skip
def test_what_is_of_another_type_is_refused_with_its_field(value: Json, said: str) -> None:
    with pytest.raises(ShapeError) as caught:
        typed.read(Whole, value)
    assert said in str(caught.value)


@pytest.mark.parametrize("read", [lambda: typed.read(complex, 1), lambda: typed.read(set, [])])
def test_a_type_that_no_json_has_is_a_mistake_of_the_caller(read: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match="is not read from JSON"):
        read()
