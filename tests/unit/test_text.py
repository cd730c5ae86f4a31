"""Short texts: the first few of many, a count with its noun."""

from __future__ import annotations

import pytest

from tasks.base.text import few, plural


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a, b"),
        (["a", "b", "c"], "a, b and 1 more"),
        (list("abcd"), "a, b and 2 more"),
    ],
)
def test_the_first_few(texts: list[str], expected: str) -> None:
    assert few(texts, 2) == expected


def test_the_first_few_with_something_else_between() -> None:
    assert few(["a", "b", "c"], 2, "; ") == "a; b and 1 more"


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 stacks"), (1, "1 stack"), (2, "2 stacks"), (1024, "1,024 stacks")]
)
def test_a_count_with_its_noun(count: int, expected: str) -> None:
    assert plural(count, "stack") == expected
