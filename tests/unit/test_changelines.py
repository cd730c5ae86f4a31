"""The lines of changes in run records are those of the reports."""

from __future__ import annotations

from typing import Any

from tasks.history import changelines
from tasks.reports import diff


def record(*resources: dict[str, Any]) -> dict[str, Any]:
    """A task's record with these changes."""
    return {"stage": "plan", "details": {"mocked": [], "changes": {"resources": list(resources), "outputs": []}}}


def lines(found: dict[str, Any]) -> list[Any]:
    """The lines of the first change."""
    shown: list[Any] = found["details"]["changes"]["resources"][0]["lines"]
    return shown


def test_a_rotated_password_and_a_policy_are_shown_as_in_the_report() -> None:
    old = '{"Statement": [{"Sid": "a", "Effect": "Allow"}, {"Sid": "b", "Effect": "Deny"}]}'
    change = {
        "address": "x.y", "action": "change", "before": {"password": "(sensitive value)", "policy": old},
        "after": {"password": "(sensitive value)", "policy": old.replace("Deny", "Allow")}, "masked": [["password"]],
    }  # fmt: skip
    found = lines(changelines.added(record(change)))
    assert found == [[line.sign, line.text] for line in diff.of_change(change)]
    text = "\n".join(f"{sign} {line}" for sign, line in found)
    assert "password" in text, "a value that changed behind its mask has a line"
    assert "Deny" in text
    assert '"Sid": "a"' not in text, "what stays the same has none"


def test_what_forces_a_replacement_says_so() -> None:
    change = {"before": {"a": 1}, "after": {"a": 2}, "replace_paths": [["a"]]}
    assert any("forces replacement" in text for _, text in lines(changelines.added(record(change))))


def test_lines_and_changes_are_bounded_and_the_rest_is_counted() -> None:
    long = {"before": None, "after": {f"k{number:04}": number for number in range(1000)}}
    found = changelines.added(record(long, *[{"before": {"a": 1}, "after": {"a": 2}}] * 300))
    resources = found["details"]["changes"]["resources"]
    assert len(resources) == 301, "no change is lost"
    assert len(resources[0]["lines"]) + resources[0]["more_lines"] == 1000
    assert sum("lines" in item for item in resources) == 200


def test_a_result_without_changes_stays_as_it_is() -> None:
    for found in ({"details": None}, {"details": {"changes": None}}, {"stage": "x"}):
        assert changelines.added(dict(found)) == found
