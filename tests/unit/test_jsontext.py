"""JSON texts: every number keeps its digits, on the way in and on the way out."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base import jsontext

LONG = [
    "9007199254740993.5", "9007199254740993.75", "123456789.123456789123456789", "1E+400", "1E-400", "0.1", "-0.0",
    "9007199254740993", "12345678901234567890123456789012345678901234567890", "1" + "0" * 6000, "1.5",
]  # fmt: skip


@pytest.mark.parametrize("text", LONG)
def test_a_number_is_written_as_it_was_read(text: str) -> None:
    assert jsontext.dumps(jsontext.loads(text)) == text
    assert jsontext.dumps({"a": [jsontext.loads(text)]}, compact=True, default=str) == f'{{"a":[{text}]}}'


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_any_number_keeps_its_value(number: Decimal) -> None:
    text = str(number)
    assert Decimal(jsontext.dumps(jsontext.loads(text))) == number


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_what_python_writes_is_read_and_written_alike(value: object) -> None:
    text = json.dumps(value)
    assert jsontext.loads(text) == value
    assert jsontext.dumps(jsontext.loads(text)) == text


@pytest.mark.parametrize("text", ["NaN", "Infinity", "[-Infinity]", "{", "1.e", ""])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        jsontext.loads(text)


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "x", "1e1e1", "snan"])
def test_what_is_not_a_finite_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        jsontext.number(text)


def test_what_is_no_value_is_refused_or_made_one() -> None:
    with pytest.raises(TypeError, match="object is not a JSON value"):
        jsontext.dumps(object())
    assert jsontext.dumps([{1}, Decimal("1E+400")], default=str) == '["{1}", 1E+400]'
