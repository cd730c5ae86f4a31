"""The rules of the key `drift`: what is ignored and until when, how bad a finding is, which rules do nothing."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from tasks.drifts import rules
from tasks.project.model import Drift
from tests.unit.test_drift_classes import BACK, CHANGED, entry, found

if TYPE_CHECKING:
    from tasks.drifts.classes import Finding

DAY = date(2026, 6, 1)
TAGS = entry("module.pool.a.x", "update", before={"n": 1, "tags": {"a": "1"}}, after={"n": 1, "tags": {"a": "2"}})
KEYS = entry(
    "a.x", "update", before={"metadata": [{"annotations": {"example.com/at": "1"}}]},
    after={"metadata": [{"annotations": {"example.com/at": "2"}}]},
)  # fmt: skip
BOTH = entry("module.pool.a.x", "update", before={"n": 1, "tags": {"a": "1"}}, after={"n": 2, "tags": {"a": "2"}})
GONE = entry("aws_db_instance.main", "create", after={"n": 1})


def settings(*ignore: dict[str, Any], **more: Any) -> Drift:
    """The key `drift` with rules to ignore by; what all need is filled in."""
    return Drift(ignore=[{"reason": "why", "until": DAY, **rule} for rule in ignore], **more)


def judged(finding: Finding, drift: Drift, today: date = DAY, stack: str = "web") -> Finding:
    """One finding, judged."""
    (item,) = rules.judged([finding], drift, stack, today)
    return item


@pytest.mark.parametrize(
    ("rule", "planned", "ignored"),
    [
        ({"address": "module.pool.*"}, TAGS, True),
        ({"address": "module.other.*"}, TAGS, False),
        ({"address": "*", "stacks": ["web"]}, TAGS, True),
        ({"stacks": ["other"]}, TAGS, False),
        ({"attribute": "tags"}, TAGS, True),
        ({"attribute": "tags.*"}, TAGS, True),
        ({"attribute": "tags.a"}, TAGS, True),
        ({"attribute": "tags.b"}, TAGS, False),
        ({"attribute": "tags"}, BOTH, False),  # something else differs as well
        ({"attribute": "tags", "address": "a.*"}, TAGS, False),
        ({"address": "module.pool.*", "classes": ["deleted"]}, TAGS, False),
        ({"looks": ["case"]}, TAGS, False),
        ({"attribute": "metadata[0].annotations.*"}, KEYS, True),  # a key that is no identifier is written in brackets
        ({"attribute": "metadata.*.annotations.*"}, KEYS, True),
        ({"attribute": "metadata.0.annotations.example.com/at"}, KEYS, True),
        ({"attribute": 'metadata[0].annotations["example.com/*"]'}, KEYS, True),
        ({"attribute": 'metadata.0.annotations["example.com/*"]'}, KEYS, True),
        ({"attribute": "metadata.1.annotations.*"}, KEYS, False),
        ({"attribute": "metadata.0.annotations.example.com"}, KEYS, False),
    ],
)
def test_a_rule_ignores_what_it_names_and_nothing_else(
    rule: dict[str, Any], planned: dict[str, Any], ignored: bool
) -> None:
    (finding,) = found(planned)
    item = judged(finding, settings(rule))
    assert (item.ignored is not None) is ignored
    assert item.alerting is not ignored
    if item.ignored:
        assert (item.ignored.rule, item.ignored.reason, item.ignored.until) == (0, "why", "2026-06-01")


def test_brackets_of_addresses_are_meant_as_they_are() -> None:
    (finding,) = found(entry('a.x["k"]', "update", before={"n": 1}, after={"n": 2}))
    assert judged(finding, settings({"address": 'a.x["k"]'})).ignored
    (finding,) = found(entry("a.x0", "update", before={"n": 1}, after={"n": 2}))
    assert not judged(finding, settings({"address": "a.x[0]"})).ignored


def test_several_rules_can_cover_one_change_together() -> None:
    (finding,) = found(BOTH)
    assert judged(finding, settings({"attribute": "tags"}, {"attribute": "n"})).ignored
    assert not judged(finding, settings({"attribute": "tags"}, {"attribute": "m"})).ignored


def test_what_was_deleted_is_not_ignored_by_a_rule_for_an_attribute() -> None:
    (finding,) = found(GONE, drift=[entry("aws_db_instance.main", "delete", before={"n": 1})])
    assert not judged(finding, settings({"attribute": "n", "classes": ["deleted"]})).ignored
    assert judged(finding, settings({"address": "aws_db_*", "classes": ["deleted"]})).ignored


def test_a_rule_applies_on_its_last_day_and_not_after_it() -> None:
    (finding,) = found(TAGS)
    drift = settings({"address": "module.pool.*"})
    assert judged(finding, drift, DAY).ignored
    assert not judged(finding, drift, date(2026, 6, 2)).ignored
    assert rules.expired(drift, DAY) == []
    assert rules.expired(drift, date(2026, 6, 2)) == [0]


def test_a_value_that_only_looks_different_can_be_ignored_by_how_it_looks() -> None:
    (finding,) = found(entry("a.x", "update", before={"sku": "Standard"}, after={"sku": "standard"}))
    assert judged(finding, settings()).alerting
    assert not judged(finding, settings({"looks": ["case"]})).alerting


@pytest.mark.parametrize(
    ("planned", "drift", "severity"),
    [
        (BACK, [CHANGED], "warning"),
        (GONE, [entry("aws_db_instance.main", "delete", before={"n": 1})], "critical"),
        (entry("a.x", "delete", "create", before={"n": 1}, after={"n": 2}), [], "critical"),
        (entry("a.x", "update", before={"p": "[1,2]"}, after={"p": "[1, 2]"}), [], "info"),
        (entry("a.x", "delete", "create", before={"p": "[1,2]"}, after={"p": "[1, 2]"}), [], "critical"),
        (entry("a.x", "update", before={"p": [1, 2]}, after={"p": [2, 1]}), [], "warning"),
    ],
)
def test_what_is_destroyed_is_worse_than_a_changed_tag(
    planned: dict[str, Any], drift: list[dict[str, Any]], severity: str
) -> None:
    (finding,) = found(planned, drift=drift)
    assert judged(finding, settings()).severity == severity


def test_the_first_rule_for_the_severity_that_matches_decides() -> None:
    drift = settings(
        severity=[
            {"type": "aws_db_*", "classes": ["deleted"], "severity": "warning"},
            {"address": "*", "stacks": ["web"], "severity": "info"},
        ]
    )
    (gone,) = found(GONE, drift=[entry("aws_db_instance.main", "delete", before={"n": 1})])
    (changed,) = found(BACK, drift=[CHANGED])
    assert judged(gone, drift).severity == "warning"
    assert judged(changed, drift).severity == "info"
    assert judged(changed, drift, stack="other").severity == "warning"
    assert not judged(changed, drift).alerting


@pytest.mark.parametrize("how", ["alert", "report"])
def test_undeployed_code_alerts_as_the_configuration_says(how: str) -> None:
    (finding,) = found(BACK, as_deployed=False)
    assert judged(finding, settings(undeployed=how)).alerting is (how == "alert")


@pytest.mark.parametrize(("how", "alerts"), [("warn", False), ("alert", True)])
def test_a_failing_check_alerts_as_the_configuration_says(how: str, alerts: bool) -> None:
    (finding,) = found(checks=[{"address": {"to_display": "check.it"}, "status": "fail"}])
    assert judged(finding, settings(on_failed_check=how)).alerting is alerts


def test_rules_that_could_match_are_told_from_those_that_never_match() -> None:
    same = {"n": 1, "tags": {}}
    plan = {"resource_changes": [entry("module.pool.a.x", "no-op", before=same, after=same)]}
    drift = settings(
        {"address": "module.pool.*"}, {"address": "module.pol.*"}, {"attribute": "tags.a"},
        {"attribute": "tgas"}, {"address": "module.pool.*", "stacks": ["other"]},
    )  # fmt: skip
    assert rules.possible(drift, "web", plan) == [0, 2]  # nothing of it has to have drifted
    assert rules.possible(drift, "other", plan) == [0, 2, 4]


def test_a_rule_for_what_is_no_resource_could_match_it_and_only_in_the_classes_that_it_can_have() -> None:
    plan = {
        "resource_changes": [entry("a.x", "delete", before={"n": 1}, deposed="00aa")],
        "output_changes": {"o": {"actions": ["no-op"], "before": {"url": "a"}, "after": {"url": "a"}}},
        "checks": [{"address": {"to_display": "check.size"}, "status": "pass"}],
    }
    drift = settings(
        {"address": "check.size", "classes": ["check"]}, {"address": "state", "classes": ["state"]},
        {"address": "output o", "attribute": "url", "classes": ["outputs"]}, {"address": "a.x (deposed *)"},
        {"address": "check.size"}, {"address": "output o"}, {"address": "a.x*", "classes": ["check", "state"]},
        {"address": "check.sise", "classes": ["check"]}, {"attribute": "uri", "classes": ["outputs"]},
    )  # fmt: skip
    assert rules.possible(drift, "web", plan) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "rule",
    [
        {"reason": "why"},
        {"until": "2026-06-01", "address": "a.*"},
        {"reason": " ", "until": "2026-06-01", "address": "a.*"},
        {"reason": "why", "until": "2026-06-01"},
        {"reason": "why", "until": "2026-06-01", "address": "a.*", "classes": ["chnaged"]},
    ],
)
def test_a_rule_has_a_reason_a_last_day_and_something_in_particular(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Drift(ignore=[rule])
