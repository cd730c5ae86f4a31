"""Rules of `drift.repair`: which drift is undone without anybody, at which hours, and what never is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.drifts import repairs
from tasks.drifts.classes import DriftClass, Finding, Ignored
from tasks.project.model.drift import DriftRepairRule

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)  # a Thursday
BERLIN = "Europe/Berlin"


def rule(**settings: Any) -> DriftRepairRule:
    return DriftRepairRule(**{"stacks": ["web"], **settings})


def plan(*actions: list[str]) -> dict[str, Any]:
    changes: list[dict[str, Any]] = [{"address": "a.same", "mode": "managed", "change": {"actions": ["no-op"]}}]
    return {"resource_changes": [*changes, *({"mode": "managed", "change": {"actions": item}} for item in actions)]}


def why_not(*findings: Finding, rules: list[DriftRepairRule] | None = None, stack: str = "web") -> list[str]:
    found = [rule()] if rules is None else rules
    return repairs.why_not(found, stack, findings, plan(["update"]), NOON)


def changed(
    address: str = "a.b", kind: DriftClass = DriftClass.CHANGED, action: str = "change", **more: Any
) -> Finding:
    return Finding(kind, address, type="a", action=action, **more)


@pytest.mark.parametrize(
    ("hours", "days", "at", "is_open"),
    [
        (None, None, "2026-11-26T12:00+00:00", True),
        ("22:00-05:30", None, "2026-11-26T21:00+00:00", True),  # 22:00 in Berlin
        ("22:00-05:30", None, "2026-11-26T20:59+00:00", False),
        ("22:00-05:30", None, "2026-11-26T04:29+00:00", True),  # 05:29
        ("22:00-05:30", None, "2026-11-26T04:30+00:00", False),
        ("22:00-24:00", None, "2026-11-26T22:59+00:00", True),  # 23:59
        ("22:00-24:00", None, "2026-11-26T23:00+00:00", False),  # 00:00
        ("00:00-01:00", None, "2026-11-26T23:00+00:00", True),
        ("22:00-05:00", ["thu"], "2026-11-26T22:00+00:00", True),  # Thursday, 23:00
        ("22:00-05:00", ["thu"], "2026-11-27T03:00+00:00", True),  # Friday, 04:00: still Thursday's night
        ("22:00-05:00", ["thu"], "2026-11-26T03:00+00:00", False),  # Thursday, 04:00: Wednesday's night
        ("22:00-05:00", ["sun"], "2026-11-30T03:00+00:00", True),  # Monday, 04:00
        ("22:00-00:00", ["thu"], "2026-11-26T23:00+00:00", False),  # Friday, 00:00
        (None, ["sat", "sun"], "2026-11-26T12:00+00:00", False),
        ("02:00-03:00", None, "2026-03-29T01:00+00:00", False),  # 03:00 in Berlin: the hour before did not exist
        ("02:00-03:00", None, "2026-03-29T00:59+00:00", False),  # 01:59
        ("02:00-03:00", None, "2026-10-25T00:30+00:00", True),  # 02:30, in summer time
        ("02:00-03:00", None, "2026-10-25T01:30+00:00", True),  # 02:30 once more
        ("02:00-03:00", None, "2026-10-25T02:00+00:00", False),
    ],
)
def test_hours_are_those_of_the_clock_on_the_wall(hours: str | None, days: Any, at: str, is_open: bool) -> None:
    settings = {"timezone": BERLIN, "hours": hours, **({"days": days} if days else {})}
    assert repairs.is_open(rule(**settings), datetime.fromisoformat(at)) is is_open


@pytest.mark.parametrize(
    "settings",
    [
        {"hours": "5-6"}, {"hours": "22:00-22:00"}, {"hours": "24:00-01:00"}, {"hours": "12:60-13:00"},
        {"timezone": "Berlin"}, {"timezone": "../etc/passwd"}, {"timezone": ""}, {"days": []}, {"days": ["Monday"]},
        {"classes": ["appeared"]}, {"classes": ["state"]}, {"classes": ["undeployed"]}, {"classes": []}, {"stacks": []},
    ],
)  # fmt: skip
def test_a_rule_that_says_nothing_clear_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rule(**settings)


def test_what_all_rules_together_ask_for_is_undone() -> None:
    assert why_not(changed()) == []
    assert why_not(changed(), Finding(DriftClass.CHECK, "check.c")) == []
    both = [rule(address="a.*"), rule(address="b.*", classes=["deleted"])]
    assert why_not(changed(), changed("b.c", DriftClass.DELETED, "add"), rules=both) == []
    assert why_not(changed("output o", DriftClass.OUTPUTS, "update"), rules=[rule(classes=["outputs"])]) == []


@pytest.mark.parametrize(
    ("finding", "said"),
    [
        (changed(action="replace"), "replace"),
        (changed(action="destroy"), "destroy"),
        (changed(action="forget"), "forget"),
        (changed(action="add"), "add"),  # nothing was deleted: something else would be created
        (changed("a.b (deposed ab12)", action="destroy"), "destroy"),
        (changed(kind=DriftClass.APPEARED, action="destroy"), "destroy"),
        (changed(kind=DriftClass.DELETED, action="replace"), "replace"),
        (changed(kind=DriftClass.DELETED, action="add"), "no rule of drift.repair asks for it now (class deleted)"),
        (changed(kind=DriftClass.UNDEPLOYED), "undeployed code"),
        (changed("state", DriftClass.STATE), "something else wrote the state"),
        (changed(ignored=Ignored(0, "autoscaled", "2027-01-01")), "is ignored (autoscaled), but would be undone, too"),
        (changed("b.c"), "no rule"),
    ],
)
def test_one_change_that_no_rule_may_ask_for_leaves_the_whole_stack_alone(finding: Finding, said: str) -> None:
    rules = [rule(address="a.*"), rule(address="state")]
    [text] = why_not(changed("a.other"), finding, rules=rules)
    assert text.startswith(f"{finding.address}: ")
    assert said in text


def test_a_stack_that_no_rule_names_and_a_closed_hour_are_said() -> None:
    assert why_not(changed(), stack="db") == ["no rule of drift.repair names this stack"]
    assert why_not(changed(), rules=[rule(hours="22:00-05:00")]) == ["it is outside the hours of drift.repair"]


def test_hours_of_another_rule_do_not_keep_a_repair_open() -> None:
    """Accepted at 11:59 by the rule for the morning, it is not applied at 12:00 because of the one for the afternoon."""
    rules = [rule(address="a.*", hours="08:00-12:00"), rule(address="b.*", hours="12:00-18:00")]
    [text] = repairs.not_asked(rules, "web", [changed()], NOON)
    assert text == "a.b: no rule of drift.repair asks for it now (class changed)"
    assert repairs.not_asked(rules, "web", [changed()], NOON.replace(hour=11, minute=59)) == []


def test_nothing_creates_everything_anew() -> None:
    gone = changed(kind=DriftClass.DELETED, action="add")
    all_new = {"resource_changes": plan(["create"], ["create"])["resource_changes"][1:]}
    [text] = repairs.why_not([rule(classes=["deleted"])], "web", [gone], all_new, NOON)
    assert "everything in it would be created" in text
    assert repairs.why_not([rule(classes=["deleted"])], "web", [gone], plan(["create"]), NOON) == []
