"""The rules of the key `drift`: what is ignored and until when, and how bad a finding is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..base.jsonvalue import fields, named, records
from ..base.valuepath import covers, matches
from .classes import STATE, DriftClass, Finding, Ignored, Severity, checks, key_of, paths_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from ..base.jsonvalue import Json, JsonObject
    from ..project.model import Drift, DriftIgnore

_DESTRUCTIVE = frozenset({"destroy", "replace"})
_WHOLE = frozenset({DriftClass.DELETED, DriftClass.APPEARED})  # not a matter of attributes
_OF_RESOURCES = frozenset({DriftClass.CHANGED, DriftClass.DELETED, DriftClass.APPEARED, DriftClass.UNDEPLOYED})
_OF_OUTPUTS = frozenset({DriftClass.OUTPUTS, DriftClass.UNDEPLOYED})


def judged(findings: Iterable[Finding], settings: Drift, stack: str, today: date) -> list[Finding]:
    """Findings with their severity, and with the rule that they are ignored by, if any.

    Args:
        findings: What was found.
        settings: The key `drift`.
        stack: The stack.
        today: The day, in UTC.
    """
    rules = [
        (number, rule)
        for number, rule in enumerate(settings.ignore)
        if today <= rule.until and any(matches(stack, pattern) for pattern in rule.stacks)
    ]
    return [
        replace(found, severity=_severity(found, settings, stack), ignored=_ignored(found, rules)) for found in findings
    ]


def _severity(found: Finding, settings: Drift, stack: str) -> Severity:
    for rule in settings.severity:
        if (
            (rule.classes is None or found.kind in rule.classes)
            and matches(found.address, rule.address)
            and matches(found.type, rule.type)
            and any(matches(stack, pattern) for pattern in rule.stacks)
        ):
            return Severity(rule.severity)
    if found.kind is DriftClass.UNDEPLOYED:
        return Severity.WARNING if settings.undeployed == "alert" else Severity.INFO
    if found.kind is DriftClass.CHECK:
        return Severity.INFO if settings.on_failed_check == "warn" else Severity.WARNING
    if found.kind is DriftClass.STATE:
        return Severity.INFO
    if found.kind is DriftClass.DELETED or found.action in _DESTRUCTIVE:
        return Severity.CRITICAL
    if found.looks == "json":
        return Severity.INFO
    return Severity.WARNING


def _ignored(found: Finding, rules: Sequence[tuple[int, DriftIgnore]]) -> Ignored | None:
    """The first of the rules that cover a finding together; None if something of it is left."""
    fitting = [(number, rule) for number, rule in rules if _fits(found, rule)]
    for number, rule in fitting:
        if rule.attribute is None:
            return Ignored(number, rule.reason, rule.until.isoformat())
    patterns = [rule.attribute for _, rule in fitting if rule.attribute is not None]
    if not patterns or found.kind in _WHOLE:
        return None
    paths = paths_of(found.item or {})
    if not paths or not all(any(covers(pattern, path) for pattern in patterns) for path in paths):
        return None
    number, rule = fitting[0]
    return Ignored(number, rule.reason, rule.until.isoformat())


def _fits(found: Finding, rule: DriftIgnore) -> bool:
    return (
        found.kind in rule.classes
        and matches(found.address, rule.address)
        and (rule.looks is None or found.looks in rule.looks)
    )


def expired(settings: Drift, today: date) -> list[int]:
    """The rules of `drift.ignore` whose last day is over."""
    return [number for number, rule in enumerate(settings.ignore) if rule.until < today]


def possible(settings: Drift, stack: str, plan: Mapping[str, Json]) -> list[int]:
    """The rules of `drift.ignore` that could match something in a stack, whether it drifted or not.

    Args:
        settings: The key `drift`.
        stack: The stack.
        plan: The engine's own plan (`show -json`).
    """
    rules = [
        (number, rule)
        for number, rule in enumerate(settings.ignore)
        if any(matches(stack, pattern) for pattern in rule.stacks)
    ]
    if not rules:
        return []
    there = [
        (_OF_RESOURCES, key_of(item), _names(fields(item.get("change"))))
        for item in records(plan.get("resource_changes"))
    ]
    there += [
        (_OF_OUTPUTS, f"output {name}", _names(change)) for name, change in named(plan.get("output_changes")).items()
    ]
    there += [(frozenset({DriftClass.CHECK}), address, set()) for address in checks(plan)]
    there.append((frozenset({DriftClass.STATE}), STATE, set()))
    return [number for number, rule in rules if any(_could(rule, *entry) for entry in there)]


def _names(change: JsonObject) -> set[str]:
    """The names of the attributes of a resource, or of an output that is an object."""
    sides = (change.get("before"), change.get("after"))
    return {name for side in sides if isinstance(side, dict) for name in side}


def _could(rule: DriftIgnore, kinds: frozenset[DriftClass], address: str, names: Iterable[str]) -> bool:
    if kinds.isdisjoint(rule.classes) or not matches(address, rule.address):
        return False
    if rule.attribute is None:
        return True
    first = rule.attribute.partition(".")[0].partition("[")[0]
    return any(matches(name, first) for name in names)
