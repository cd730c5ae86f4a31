"""Short texts: the first few of many, a count with its noun."""

from __future__ import annotations

import ast
import re

import pytest

from tasks.base.text import few, plural
from tests.repository import ROOT

ALWAYS_MANY = ("errors.py", "github.py", "http.py", "signer.py", "diff.py")  # never one, or a fraction


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


def test_a_count_and_its_noun_agree_in_every_message() -> None:
    """`1 stacks` cannot be written: what is counted goes through `plural`, but for `1 of 3 stacks`."""
    verbs = {"is", "was", "does", "has", "follows", "appears", "belongs", "replaces", "records", "names", "as", "this"}
    wrong = []
    for path in [*(ROOT / "tasks").rglob("*.py"), *(ROOT / "tools").glob("*.py"), ROOT / "bench/estate.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.JoinedStr):
                continue
            for before, number, after in zip([None, *node.values], node.values, node.values[1:], strict=False):
                if not (isinstance(number, ast.FormattedValue) and isinstance(after, ast.Constant)):
                    continue
                noun = re.match(r" (?:(?:more|other) )?([a-z]+s)\b", str(after.value))
                counts = re.search(r"\blen\(|count|number|left|total|sum\(|many", ast.unparse(number.value))
                of = isinstance(before, ast.Constant) and str(before.value).endswith(" of ")
                if noun and counts and not of and noun[1] not in verbs:
                    wrong.append(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
    assert [line for line in wrong if not line.startswith(ALWAYS_MANY)] == []
