"""Short texts: the first few of many, a count with its noun."""

from __future__ import annotations

import ast
import re

import pytest

from tasks.base.text import few, plural, short
from tasks.base.unseen import visible
from tasks.drifts import words
from tests.repository import ROOT

ALWAYS_MANY = ("errors.py", "github.py", "http.py", "signer.py", "diff.py", "problem.py")  # never one, or a fraction


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


@pytest.mark.parametrize(
    "unseen",
    [
        "\u034f", "\u115f", "\u1160", "\u3164", "\uffa0", "\u17b4", "\u17b5", "\u180b", "\u180e", "\u200b", "\u200c", "\u200d",
        "\u2060", "\u206a", "\u2800", "\ufe00", "\ufe0f", "\ufeff", "\U000e0001", "\U000e0100", "\U000e01ef", "\U0001d173",
    ],
    ids=lambda letter: f"U+{ord(letter):04X}",
)  # fmt: skip
def test_a_name_does_not_look_like_another_one_by_letters_that_nobody_sees(unseen: str) -> None:
    """Some of them are letters for the engine: `terraform_data.web` can be two resources."""
    for name in (f"web{unseen}", f"{unseen}web", f"w{unseen}eb", f"ü{unseen}"):
        assert unseen not in visible(name)
        assert visible(name).isprintable()


@pytest.mark.parametrize(
    "text", ["❤\ufe0f", "👩\u200d💻", "क\u094d\u200dष", "\u0645\u06cc\u200c\u062e", "葛\U000e0100", "ünï"]
)
def test_what_belongs_to_a_letter_or_an_emoji_stays(text: str) -> None:
    assert visible(text) == text


def test_a_commit_is_shown_by_its_first_digits_everywhere_and_none_is_said_whole() -> None:
    assert [short("0123456789abcdef"), short(None), short("")] == ["01234567", "no commit", "no commit"]
    assert words.deployed({"commit": None, "at": "2026-01-02"}) == "no commit 2026-01-02"
    cut = re.compile(r"(commit|\.head)\W{0,3}\[:(\d+|_SHORT)\]")
    found = [str(path) for path in (ROOT / "tasks").rglob("*.py") if cut.search(path.read_text())]
    assert found == [str(ROOT / "tasks/base/text.py")]
