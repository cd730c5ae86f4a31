"""Values that are far too large for people: shown in part, masked as a whole, at a cost that grows with their size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tasks.artifact.changes import Counts
from tasks.base import jsontext
from tasks.base.masking import MASK, Masker
from tasks.reports import diff, elements, note, page, text
from tasks.reports.model import Report
from tasks.run.details import PlanDetails
from tasks.run.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.base.jsonvalue import Json

MILLION = 1_000_000
MOST = 10_002  # lines of a change, and what is said of the rest


def deep(levels: int, leaf: str) -> str:
    return '{"a":[' * levels + json.dumps(leaf) + "]}" * levels


def items(version: int, number: int = 10_000) -> list[Json]:
    """Elements without names, all of them changed: each could be any of the others."""
    return [{"cidr": f"10.0.{at // 256}.{at % 256}", "ports": [at, version], "on": True} for at in range(number)]


LARGE: dict[str, tuple[Json, Json, str]] = {
    "one line of 16 MB": ("a" * 8 * MILLION + "b" + "c" * 8 * MILLION, "a" * 8 * MILLION + "d" + "c" * 8 * MILLION, "bccc"),
    "one line of 5 MB that was created": (None, "x" * 5 * MILLION, "4,998,000 more characters"),
    "lines of 16 MB": ("line of it\n" * MILLION + "old\n", "line of it\n" * MILLION + "new\n", "-1000"),
    "lines of 16 MB that were created": (None, "line of it\n" * MILLION, "1,000,000 lines"),
    "a list of 10,000": (items(1), items(2), "input[0].ports[1]"),
    "a list of 10,000 texts": ([f"a{at}" for at in range(10_000)], [f"b{at}" for at in range(10_000)], 'input[0] = "a0"'),
    "a map of 20,000": ({f"k{at:06}": at for at in range(20_000)}, {f"k{at:06}": -at for at in range(20_000)}, "k000001"),
    "a map of 20,000 that was created": (None, {f"k{at:06}": at for at in range(20_000)}, "k000001"),
    "JSON of 400 levels": (deep(400, "old"), deep(400, "new"), "input as JSON: a[0].a[0]"),
    "JSON of 3 MB": (json.dumps({"x": "y" * 3 * MILLION, "n": 1}), json.dumps({"x": "y" * 3 * MILLION, "n": 2}), "input as JSON: n = 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_a_large_change_is_shown_in_part_and_says_so(name: str) -> None:
    before, after, said = LARGE[name]
    lines = diff.fields({"input": before}, {"input": after})
    shown = "\n".join(f"{line.sign}{line.text}" for line in lines)
    assert said in shown
    assert len(lines) <= MOST
    assert (lines[-1].text == diff._TOO_MANY) is (len(lines) > diff._MOST_LINES)
    assert max(len(line.text) for line in lines) <= 2_500
    assert all(len(part) <= 2_500 for part in shown.split("\n"))


def test_the_lines_of_a_large_text_keep_their_numbers() -> None:
    before, after, _ = LARGE["lines of 16 MB"]
    lines = diff.fields({"input": before}, {"input": after})
    assert next(line.text for line in lines if line.sign == "@").startswith("@@ -1000001,")
    assert ("-", "old") in [tuple(line) for line in lines]
    assert ("+", "new") in [tuple(line) for line in lines]


def test_elements_are_compared_with_a_few_others_each(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    def alike(*_: Json) -> bool:
        nonlocal compared
        compared += 1
        return False

    monkeypatch.setattr(elements, "_alike", alike)
    old, new = [*enumerate(items(1, 2_000))], [*enumerate(items(2, 2_000))]
    assert elements.changed(old, new) == {}
    assert compared <= 2_000 * elements._NEAR


def test_nested_values_are_not_written_once_for_each_level(monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0
    dumps = jsontext.dumps

    def counted(*arguments: Any, **options: Any) -> str:
        nonlocal written
        said = dumps(*arguments, **options)
        written += len(said)
        return said

    monkeypatch.setattr(jsontext, "dumps", counted)
    value: dict[str, Json] = {"n": 1, "same": "x" * 100_000}
    other: dict[str, Json] = {"n": 2, "same": "x" * 100_000}
    for level in range(30):
        value, other = {"in": value, "level": level}, {"in": other, "level": level}
    lines = diff.fields(value, other)
    assert [line.sign for line in lines] == ["-", "+"]
    assert written < 1_000_000, "thirty levels above a text of 100,000 characters"


def test_a_large_text_is_searched_for_secrets_once_and_again_when_there_are_new_ones() -> None:
    mask = Masker()
    mask.add(["hunter2-and-more"])
    large = "a" * 100_000 + "hunter2-and-more" + "b" * 100_000 + "later-known-secret"
    looks = mask.looks
    first = mask.text(large)
    once = mask.looks - looks
    assert "hunter2" not in first
    assert MASK in first
    for _ in range(9):
        assert mask.text(large) == first
        assert mask.value({"k": [large]}) == {"k": [first]}
    assert mask.looks - looks == once
    mask.add(["later-known-secret"])
    assert mask.text(large) == first.replace("later-known-secret", MASK)


def planned(name: str, resources: list[dict[str, Json]]) -> Result:
    changes: Any = {"counts": vars(Counts(change=len(resources))), "resources": resources, "outputs": []}
    return Result("plan", name, summary="~1", counts={"change": len(resources)}, details=PlanDetails(changes=changes))


@pytest.mark.parametrize("face", ["note", "page", "console"])
def test_every_face_of_large_changes_is_bounded_and_has_no_secret(face: str) -> None:
    mask = Masker()
    mask.add(["hunter2-and-more"])
    large = "word " * 400_000
    sides = [("before", "old"), ("after", "new")]
    one: list[dict[str, Json]] = [
        {"address": "terraform_data.large", "type": "terraform_data", "action": "change",
         **{side: {"input": f"{large}hunter2-and-more {word} hunter2-and-more"} for side, word in sides}},
    ]  # fmt: skip
    many: list[dict[str, Json]] = [
        {"address": f"terraform_data.it[{at}]", "type": "terraform_data", "action": "change",
         **{side: {"input": word} for side, word in sides}}
        for at in range(2_000)
    ]  # fmt: skip
    report = Report.collect(
        "plan", [planned("large", one), planned("many", many)], environment="local", commit="a", mask=mask
    )
    faces: dict[str, Callable[[], str]] = {
        "note": lambda: note.render(report, limit=60_000),
        "page": lambda: page.render(report),
        "console": lambda: "\n".join(line.text for line in text.render(report)),
    }
    said = faces[face]()
    assert "hunter2" not in said
    assert len(said) < 3 * MILLION
    assert "terraform_data.large" in said
    if face != "note":
        assert "new" in said
