"""Findings compared with the previous check: new, known, changed again, resolved, and what an unknown one means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import RecordError
from tasks.base.layout import Layout
from tasks.drifts import delta, words
from tasks.drifts.classes import Delta, Finding, Ignored, Severity
from tasks.drifts.delta import Marks
from tasks.ledger.observations import Checked, Observations, Update
from tasks.run.baseline import Here
from tests.unit.test_drift_classes import entry, found

HERE = Marks(str, bytes.decode)  # as this disk records
KEYLESS = Marks("digest of {}".format, lambda _: "")
DAYS = [f"2026-01-0{day}T00:00:00+00:00" for day in range(1, 9)]


def drift(address: str = "a.x", outside: int = 2) -> Finding:
    """A resource that was changed outside."""
    planned = entry(address, "update", before={"n": outside}, after={"n": 1})
    (item,) = found(planned, drift=[entry(address, "update", before={"n": 1}, after={"n": outside})])
    return item


def undeployed(address: str = "a.x") -> Finding:
    """Code that was not deployed."""
    (item,) = found(entry(address, "update", before={"n": 1}, after={"n": 3}), as_deployed=False)
    return item


def after(*checks: list[Finding], marks: Marks = HERE) -> Checked:
    """What is known after some checks, a day apart."""
    known = Observations(project="", environment="prod")
    for day, findings in zip(DAYS, checks, strict=False):
        known = Update(day, "run", checked={"web": marks.of(findings)}).over(known)
    return known.stacks["web"]


def told(findings: list[Finding], known: Checked | None, marks: Marks = HERE) -> list[tuple[str, str | None]]:
    """Of each finding what it is compared with the previous check, and since when."""
    return [(str(item.delta), item.since) for item in marks.compared(findings, known)]


def test_without_a_previous_check_everything_is_new() -> None:
    assert told([drift()], None) == [("new", None)]
    assert told([drift()], after([])) == [("new", None)]


def test_what_goes_on_is_known_since_it_was_first_seen() -> None:
    assert told([drift()], after([drift()], [drift()])) == [("known", DAYS[0])]


def test_what_changes_again_is_told_and_keeps_its_beginning() -> None:
    assert told([drift(outside=3)], after([drift()])) == [("changed again", DAYS[0])]
    assert told([drift(outside=3)], after([drift()], [drift(outside=3)])) == [("known", DAYS[0])]


def test_what_comes_back_is_new() -> None:
    assert told([drift()], after([drift()], [])) == [("new", None)]


def test_where_no_value_may_be_recorded_only_another_attribute_is_another_change() -> None:
    before = after([drift()], marks=KEYLESS)
    assert told([drift(outside=3)], before, KEYLESS) == [("known", DAYS[0])]
    gone = replace(drift(), shape="another")
    assert told([gone], before, KEYLESS) == [("changed again", DAYS[0])]
    assert set(before.drifts) == {"digest of a.x"}


def resolved(findings: list[Finding], known: Checked | None, marks: Marks = HERE) -> list[str]:
    """The addresses that are over."""
    return [item.address for item in marks.resolved(findings, known, ["a.x", "a.y", "state"])]


@pytest.mark.parametrize("marks", [HERE, KEYLESS])
def test_what_was_known_and_is_not_found_any_more_is_resolved(marks: Marks) -> None:
    known = after([drift(), drift("a.y")], marks=marks)
    assert resolved([drift()], known, marks) == ["a.y"]
    assert resolved([], known, marks) == ["a.x", "a.y"]
    assert resolved([], None, marks) == []


def test_what_left_the_code_meanwhile_is_resolved_too_though_its_name_is_not_known() -> None:
    over = KEYLESS.resolved([], after([drift("a.gone")], marks=KEYLESS), ["a.x"])
    assert [(item.address, item.since) for item in over] == [("", DAYS[0])]
    assert words.resolved(over) == "1 difference resolved"


def test_undeployed_code_is_no_drift_that_is_known_and_none_that_was_resolved() -> None:
    assert told([drift()], after([undeployed()])) == [("new", None)]
    assert resolved([], after([undeployed()])) == []
    assert told([undeployed()], after([undeployed()])) == [("known", DAYS[0])]


def test_what_is_ignored_is_not_resolved_and_new_once_its_rule_has_expired() -> None:
    ignored = replace(drift(), ignored=Ignored(0, "why", "2026-01-02"))
    known = after([drift()])
    assert resolved([ignored], known) == []
    assert told([drift()], after([drift()], [ignored])) == [("new", None)]


def test_what_was_only_noted_is_new_once_it_is_an_alert() -> None:
    """With `exit: new`, it would never ring otherwise: a rule for its severity has gone, or the check is an alert now."""
    noted, alert = replace(drift(), severity=Severity.INFO), drift()
    for marks in (HERE, KEYLESS):
        assert told([noted], after([noted], marks=marks), marks) == [("known", DAYS[0])]
        assert told([alert], after([noted], [noted], marks=marks), marks) == [("new", DAYS[0])]
        assert told([alert], after([noted], [alert], marks=marks), marks) == [("known", DAYS[0])]
        assert told([noted], after([alert], marks=marks), marks) == [("known", DAYS[0])]
        assert told([noted], after([alert], [noted], marks=marks), marks) == [("known", DAYS[0])]
    assert told([replace(drift(outside=3), severity=Severity.INFO)], after([noted])) == [("changed again", DAYS[0])]


def test_alerts_are_counted_and_what_is_over() -> None:
    findings = HERE.compared([drift(), drift("a.y", 3), drift("a.z")], after([drift(), drift("a.y")]))
    over = HERE.resolved(findings, after([drift("a.v")]), ["a.v"])
    assert delta.news(findings, over) == {"known": 1, "changed again": 1, "new": 1, "resolved": 1}
    quiet = [replace(item, ignored=Ignored(0, "why", "2026-01-02")) for item in findings]
    assert delta.news(quiet, []) == {}


def test_this_disk_remembers_where_there_is_no_ledger(tmp_path: Path) -> None:
    layout = Layout(tmp_path, "prod")
    home = Here(layout, frozenset({"web"}))
    assert home.known("web") is None
    home.write({"web": HERE.of([drift()])})
    again = Here(layout, frozenset({"web"}))
    assert [item.delta for item in HERE.compared([drift()], again.known("web"))] == [Delta.KNOWN]
    assert again.read().writes == 1


@pytest.mark.parametrize("content", ["{", "[]", '{"stacks": 3}'])
def test_a_file_that_cannot_be_read_is_said_and_replaced(tmp_path: Path, content: Any) -> None:
    layout = Layout(tmp_path, "prod")
    layout.checks.parent.mkdir(parents=True)
    layout.checks.write_text(content)
    with pytest.raises(RecordError):
        Here(layout, frozenset({"web"})).known("web")
    home = Here(layout, frozenset({"web"}))
    home.write({"web": {}})
    assert Here(layout, frozenset({"web"})).known("web") is not None


def test_what_undeployed_code_changes_too_is_not_called_resolved_before_that_is_deployed() -> None:
    known = after([drift(), drift("a.y")])
    assert resolved([undeployed()], known) == ["a.y"]
    assert resolved([undeployed(), undeployed("a.y")], known, HERE) == []


def test_what_moved_in_the_code_is_known_by_its_earlier_address() -> None:
    planned = entry("a.new", "update", before={"n": 2}, after={"n": 1}, previous_address="a.x")
    outside = [entry("a.new", "update", before={"n": 1}, after={"n": 2})]
    (item,) = found(planned, drift=outside, as_deployed=False)
    assert item.kind == "changed"
    assert told([item], after([drift()])) == [("changed again", DAYS[0])]
    assert resolved([item], after([drift()])) == []
