"""Results: each is read back as the very value that was written, and what another version wrote is left out, once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tasks.base.files import write_json
from tasks.base.layout import Layout
from tasks.base.problem import Kind, Problem, Where, doit
from tasks.drifts.classes import Delta, DriftClass, Finding, Ignored, Severity
from tasks.drifts.delta import Resolved
from tasks.drifts.looks import Looks
from tasks.run import result as results
from tasks.run.details import (
    BuildDetails,
    CheckRecord,
    DeployDetails,
    Deployed,
    Details,
    DriftDetails,
    LockFile,
    PlanDetails,
    VerifyDetails,
)
from tasks.run.result import Result, Status

if TYPE_CHECKING:
    from pathlib import Path

CHECK = CheckRecord("http", "the page", False, "404", "the page: 404", 3, 1.5, ["curl http://x"])
DETAILS: list[tuple[str, Details | None]] = [
    ("build", BuildDetails("r/x:1", "r/x@sha256:0")),
    ("validate", None),
    (
        "plan",
        PlanDetails(
            "plan",
            {"resources": [{"address": "a.b"}]},
            [{"rule": "x"}],
            ["x"],
            {"x": "r"},
            ["x"],
            ["x"],
            LockFile("x", "new"),
            True,
        ),
    ),
    (
        "deploy",
        DeployDetails(True, "c", "p", {"o": [1]}, True, ["x"], {}, [CHECK], Deployed("p", None, "t", {"i": "r"})),
    ),
    ("verify", VerifyDetails([CHECK], None)),
    (
        "drift",
        DriftDetails(
            {"resources": []},
            [
                Finding(
                    DriftClass.CHANGED,
                    "a.b",
                    type="a",
                    action="change",
                    print="p",
                    shape="s",
                    item={"address": "a.b"},
                    paths=["n"],
                    looks=Looks.CASE,
                    causes=["a.c"],
                    code_too=True,
                    severity=Severity.INFO,
                    ignored=Ignored(1, "why", "2026-01-01"),
                    delta=Delta.KNOWN,
                    since="2026-01-01T00:00:00+00:00",
                ),
                Finding(DriftClass.STATE, "state"),
            ],
            [Resolved("a.d", "2026-01-01T00:00:00+00:00")],
            {"commit": "c"},
            [1],
            None,
            "moved",
        ),
    ),
]


PROBLEM = Problem(Kind.CHECK_FAILED, "no", next=("look",)).to_json()


def silent(text: str) -> None:
    raise AssertionError(text)


@pytest.mark.parametrize(("stage", "details"), DETAILS)
def test_a_result_is_read_back_as_it_was_written(tmp_path: Path, stage: str, details: Details | None) -> None:
    layout = Layout(tmp_path, "prod")
    problem = Problem(
        Kind.CHECK_FAILED, "no", Where("f", 3, "k"), "a", "all", ("look, then ", doit("plan:a", environment="prod")),
        ("one", "two"), "log\n",
    )  # fmt: skip
    result = Result(stage, "a", Status.FAILED, "no", ["why"], {"add": 1}, details, problem, 1.5, "now")
    results.write(layout, result)
    assert results.read(layout, stage, "a", silent) == result


def written(layout: Layout, **more: Any) -> None:
    """A plan's result with something else in it."""
    result = Result("plan", "a", details=PlanDetails("plan"))
    write_json(layout.result("plan", "a"), {"format": results.FORMAT, **result.to_json(), **more})


def test_a_result_of_another_version_says_in_one_line_that_reports_say_less(tmp_path: Path) -> None:
    layout, told = Layout(tmp_path, "prod"), list[str]()
    written(layout, format=1, details={"kind": "x"}, error="text")
    assert results.read(layout, "plan", "a", told.append) is None
    assert told == [".deploy/prod/results: partly written by another version, so reports are incomplete"]


@pytest.mark.parametrize(
    "more",
    [{"details": {"mocked": 3}}, {"problem": {"kind": "nothing"}}, {"problem": {}}, {"status": "odd"}, {"odd": 1},
     {"summary": True}, {"summary": None}, {"reasons": [1]}, {"reasons": "why"}, {"reasons": {"a": 1}}, {"stack": []},
     {"counts": {"add": "1"}}, {"counts": [1]}, {"seconds": "1"}, {"seconds": None}, {"started_at": 3},
     {"unrecorded": {}}, {"warnings": [{"summary": 1}]}, {"warnings": ["x"]},
     {"warnings": [{"summary": "x", "detail": None, "context": "", "file": "", "line": 1}]},
     {"warnings": [{"summary": "x", "detail": "", "context": "", "file": "", "line": "1"}]},
     *({"problem": {**PROBLEM, **more}} for more in (
         {"summary": 1}, {"log": None}, {"stack": True}, {"untouched": ["x"]}, {"details": 3},
         {"where": {"file": 3, "line": 1, "key": None}}, {"where": {"file": "f", "line": 1, "key": {"a": 1}}},
         {"where": "f"}, {"next": {"parts": [3]}}, {"next": ["x"]},
     ))],
)  # fmt: skip
def test_a_result_that_is_none_counts_as_none(tmp_path: Path, more: dict[str, Any]) -> None:
    layout = Layout(tmp_path, "prod")
    written(layout)
    assert results.read(layout, "plan", "a", silent) is not None
    written(layout, **more)
    assert results.read(layout, "plan", "a", silent) is None
    layout.result("plan", "a").write_text(json.dumps([1]))
    assert results.read(layout, "plan", "a", silent) is None


def test_only_a_deploy_that_applied_something_and_was_well_counts_as_applied() -> None:
    assert Result("deploy", "a", details=DeployDetails(applied=True)).applied
    assert not Result("deploy", "a", details=DeployDetails(plan_sha256="p")).applied
    assert not Result("deploy", "a", Status.FAILED, details=DeployDetails(applied=True)).applied
    assert not Result("verify", "a", details=VerifyDetails()).applied
