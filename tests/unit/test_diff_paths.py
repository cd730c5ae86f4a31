"""Every path that a difference shows addresses its element: a removed one in the value before, an added one after."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.reports import diff

STEP = re.compile(r'\[(\d+)\]|\["([^"]*)"\]|\.?([A-Za-z_]\w*)')
SCALARS = st.sampled_from(["a", "b", "c", 0, 1, True, "s3:Get", "*"])
STATEMENTS = st.fixed_dictionaries(
    {"Action": st.lists(SCALARS, max_size=3) | SCALARS, "Resource": SCALARS},
    optional={"Sid": st.sampled_from(["One", "Two", "Three", "Four"]), "Effect": SCALARS},
)
ITEMS = st.lists(STATEMENTS | SCALARS | st.lists(STATEMENTS, max_size=3), max_size=7)


def found(value: Any, path: str) -> Any:
    """The value at a path as it is shown."""
    rest = path
    while rest:
        if rest.startswith(" as JSON: "):
            value, rest = json.loads(value), rest.removeprefix(" as JSON: ")
            continue
        step = STEP.match(rest)
        assert step, f"no path: {path}"
        value, rest = value[int(step[1]) if step[1] else step[2] or step[3]], rest[step.end() :]
    return value


def check(before: Any, after: Any) -> list[str]:
    """The lines of a difference, once every path in them is right."""
    lines = diff.fields(before, after)
    for sign, text in lines:
        if sign in "+-":
            path, _, value = text.partition(" = ")
            assert found(before if sign == "-" else after, path) == json.loads(value), (sign, text)
        elif " is now " in text:
            old, new = text.split(" is now ")
            assert type(found(before, old)) is type(found(after, new))
    return [f"{line.sign} {line.text}" for line in lines]


@given(ITEMS, ITEMS, st.booleans())
def test_each_path_addresses_the_right_element_of_the_right_value(old: Any, new: Any, as_text: bool) -> None:
    statements = ({"Statement": old}, {"Statement": new})
    before, after = ({"p": json.dumps(each) if as_text else each} for each in statements)
    check(before, after)


@given(st.lists(STATEMENTS, min_size=2, max_size=7, unique_by=json.dumps), st.data())
def test_what_was_moved_changed_removed_and_added_at_once(old: list[Any], data: st.DataObject) -> None:
    new = data.draw(st.permutations(old))
    new = new[: data.draw(st.integers(1, len(new)))]
    if data.draw(st.booleans()):
        new.insert(data.draw(st.integers(0, len(new))), {"Action": "new", "Resource": "new"})
    place = data.draw(st.integers(0, len(new) - 1))
    new[place] = {**new[place], "Resource": "changed"}
    check({"s": old}, {"s": new})


def statement(action: str, resource: str = "*") -> dict[str, str]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        pytest.param(
            "abcdefg", "axbcdef",
            ['- s[6].Action = "g"', '- s[6].Effect = "Allow"', '- s[6].Resource = "*"', '+ s[1].Action = "x"',
             '+ s[1].Effect = "Allow"', '+ s[1].Resource = "*"', "  s: 6 more elements unchanged"],
            id="removed at the end, added at the beginning",
        ),
        pytest.param(
            "abc", "xabC",
            ["! s[2] is now s[3]", '- s[2].Action = "c"', '+ s[3].Action = "C"', '+ s[0].Action = "x"',
             '+ s[0].Effect = "Allow"', '+ s[0].Resource = "*"', "  s: 2 more elements unchanged"],
            id="changed where it stood, behind one that was added",
        ),
        pytest.param(
            "abcd", "dab",
            ["! s[3] is now s[0]", '- s[2].Action = "c"', '- s[2].Effect = "Allow"', '- s[2].Resource = "*"',
             "  s: 3 more elements unchanged"],
            id="moved to the front, and another one removed",
        ),
        pytest.param(
            "abcd", "bcda",
            ["! s: the same 4 elements in another order"], id="moved alone",
        ),
    ],
)  # fmt: skip
def test_what_is_said(old: str, new: str, lines: list[str]) -> None:
    before, after = ({"s": [statement(each) for each in each_of]} for each_of in (old, new))
    said = check(before, after)
    assert said[: len(lines)] == lines
    assert len(said) == len(lines) or lines[0].endswith("another order")


def test_a_rotated_secret_is_told_beside_another_change_of_its_list() -> None:
    before = {"s": [{"name": "a", "secret": "***"}, {"name": "b", "size": 1}]}
    after = {"s": [{"name": "a", "secret": "***"}, {"name": "b", "size": 2}]}
    lines = [f"{sign} {text}" for sign, text in diff.fields(before, after, masked=[("s", 0, "secret")])]
    assert '- s[0].secret = "***"' in lines
    assert "- s[1].size = 1" in lines
