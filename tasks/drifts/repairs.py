"""Whether a rule of `drift.repair` asks to undo what has drifted in a stack, now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.jsonvalue import fields, records
from ..base.valuepath import matches
from .classes import DriftClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from ..base.jsonvalue import Json
    from ..project.model.drift import DriftRepairRule
    from .classes import Finding

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60  # minutes
_ACTIONS = {DriftClass.CHANGED: "change", DriftClass.DELETED: "add"}  # what a rule may do to a resource, by its class


@dataclass(frozen=True)
class Repairing:
    """A repair that was accepted.

    Args:
        drifted: The addresses that have drifted, as they were shown.
        findings: What its plan undoes.
    """

    drifted: list[str]
    findings: list[Finding]


def is_open(rule: DriftRepairRule, at: datetime) -> bool:
    """Whether a moment is in a rule's days and hours, by the clock on the wall in its time zone.

    An hour that a change to summer time skips is never open on that day; one that occurs twice is open twice.

    Args:
        rule: The rule.
        at: The moment, with a time zone.
    """
    from zoneinfo import ZoneInfo  # slow, and rarely needed

    local = at.astimezone(ZoneInfo(rule.timezone))
    minute, weekday = local.hour * 60 + local.minute, local.weekday()
    begin, end = map(_minute, rule.hours.split("-")) if rule.hours else (0, _DAY)
    if begin > end and minute < end:  # past midnight: the hours of the day before
        return _DAYS[weekday - 1] in rule.days
    inside = begin <= minute < end if begin < end else minute >= begin
    return inside and _DAYS[weekday] in rule.days


def concerns(rules: Iterable[DriftRepairRule], stack: str) -> list[DriftRepairRule]:
    """The rules that name a stack, whatever the hour."""
    return [rule for rule in rules if any(matches(stack, pattern) for pattern in rule.stacks)]


def why_not(
    rules: Iterable[DriftRepairRule], stack: str, findings: Sequence[Finding], plan: Mapping[str, Json], at: datetime
) -> list[str]:  # fmt: skip
    """Why rules do not ask to apply a plan, a few words each; empty if they do.

    Every change of the plan has to be asked for: a plan is applied whole.

    Args:
        rules: The rules of `drift.repair`.
        stack: The stack.
        findings: What differs, judged by the other rules.
        plan: The plan that undoes it, in `show -json` form.
        at: Now, with a time zone.
    """
    if _creates_everything(plan) and concerns(rules, stack):
        return ["everything in it would be created, so its state or its provider may be the wrong one"]
    return not_asked(rules, stack, findings, at)


def not_asked(
    rules: Iterable[DriftRepairRule], stack: str, findings: Sequence[Finding], at: datetime
) -> list[str]:  # fmt: skip
    """Why rules do not ask to undo all of these findings, a few words each; empty if they do.

    Args:
        rules: The rules of `drift.repair`.
        stack: The stack.
        findings: What differs, judged by the other rules.
        at: Now, with a time zone.
    """
    named = concerns(rules, stack)
    if not named:
        return ["no rule of drift.repair names this stack"]
    now = [rule for rule in named if is_open(rule, at)]
    if not now:
        return ["it is outside the hours of drift.repair"]
    found = {finding.address: text for finding in findings if (text := _objection(finding, now))}
    return [f"{place}: {text}" for place, text in sorted(found.items())]


def _objection(finding: Finding, rules: Iterable[DriftRepairRule]) -> str:
    """What is against undoing a finding; empty if nothing is."""
    if finding.kind is DriftClass.CHECK:
        return ""
    if finding.kind is DriftClass.UNDEPLOYED:
        return "is undeployed code"
    if finding.kind is DriftClass.STATE:
        return "something else wrote the state"
    if finding.kind is not DriftClass.OUTPUTS and finding.action != _ACTIONS.get(finding.kind):
        return f"could only be undone by an action that no rule may ask for: {finding.action}"
    if finding.ignored is not None:
        return f"is ignored ({finding.ignored.reason}), but would be undone, too"
    if not any(
        str(finding.kind) in rule.classes
        and matches(finding.address, rule.address)
        and matches(finding.type, rule.type)
        for rule in rules
    ):
        return f"no rule of drift.repair asks for it now (class {finding.kind})"
    return ""


def _creates_everything(plan: Mapping[str, Json]) -> bool:
    """Whether nothing that the plan manages is there."""
    actions = [
        fields(item.get("change")).get("actions")
        for item in records(plan.get("resource_changes"))
        if item.get("mode", "managed") == "managed"
    ]
    return bool(actions) and all(found == ["create"] for found in actions)


def _minute(text: str) -> int:
    hour, minute = map(int, text.split(":"))
    return hour * 60 + minute
