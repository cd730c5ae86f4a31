"""Stacks that change alike are one row and one section of a report; no stack, no loss and no anchor is missing."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from tasks.base.problem import Kind, Problem
from tasks.drifts.classes import DriftClass, Finding
from tasks.engine.diagnostics import Diagnostic
from tasks.reports import note, page, text
from tasks.reports.environment import anchor
from tasks.reports.forgefiles import workflow_commands
from tasks.reports.model import Report
from tasks.run.details import DriftDetails, PlanDetails
from tasks.run.result import Result, Status

LIMIT = 65_536


def planned(stack: str, *items: dict[str, Any], summary: str = "+0 ~1 -0") -> Result:
    kinds = {"delete": "destroy", "create": "add", "update": "change"}
    resources = [{**item, "action": kinds[item["action"]]} for item in items]
    counts = {name: sum(item["action"] == name for item in resources) for name in kinds.values()}
    changes = {"resources": resources, "outputs": [], "drift": [], "counts": counts}
    return Result(
        "plan", stack, Status.OK, summary, counts=counts, reasons=["modules/tags.tf changed"],
        details=PlanDetails(changes=changes),
    )  # fmt: skip


def tagged(stack: str, value: str = "new") -> Result:
    return planned(stack, {
        "action": "update", "address": "aws_vpc.main",
        "before": {"name": f"vpc-{stack}", "tag": "old"}, "after": {"name": f"vpc-{stack}", "tag": value},
    })  # fmt: skip


def gone(stack: str) -> Result:
    return planned(stack, {"action": "delete", "address": "aws_db.main", "before": {"name": stack}}, summary="+0 ~0 -1")


def report(*results: Result, stage: str = "plan") -> Report:
    names = [result.stack for result in results]
    return Report.collect(stage, list(results), environment="prod", commit="c", known=names)


def rows(markdown: str) -> list[str]:
    lines = [line.replace("`", "") for line in markdown.splitlines()]
    return [line for line in lines if re.match(r"\| (?!stack|---)", line)]


def test_a_thousand_stacks_that_get_the_same_tag_are_one_row_and_one_difference() -> None:
    names = [f"app/s{number:04}" for number in range(1000)]
    found = report(*map(tagged, names))
    whole = note.render(found)
    [row] = rows(whole)
    assert "app/s0000, app/s0001, app/s0002, app/s0003, app/s0004 and 995 more, each |" in row
    assert whole.count('tag = "new"') == 1
    assert [name for name in names if f"`{name}`" not in whole and name != names[0]] == []
    assert "1,000 to change" in found.verdict
    assert len(whole) < 40_000
    small = note.render(found, limit=LIMIT)
    assert 'tag = "new"' in small
    shown = "\n".join(line.text for line in text.render(found))
    assert shown.count('tag = "new"') == 1
    assert "app/s0000 and 999 more, each  +0 ~1 -0" in shown


def test_each_stack_of_a_row_has_its_place_in_the_page() -> None:
    names = [f"s{number:03}" for number in range(50)]
    shown = page.render(report(*map(tagged, names), gone("old")))
    ids = re.findall(r'id="([^"]+)"', shown)
    assert len(ids) == len(set(ids))
    assert {anchor((name,)) for name in (*names, "old")} <= set(ids)
    assert set(re.findall(r'href="#([^"]+)"', shown)) <= set(ids)


def test_stacks_that_differ_in_a_value_are_not_alike() -> None:
    found = report(*(tagged(f"s{number}", f"v{number % 2}") for number in range(12)), tagged("odd", "other"))
    shown = note.render(found)
    assert len(rows(shown)) == 3
    assert [shown.count(f'tag = "{value}"') for value in ("v0", "v1", "other")] == [1, 1, 1]


def test_a_value_that_is_a_stacks_name_by_chance_is_a_difference() -> None:
    found = report(*(planned(str(number), {
        "action": "update", "address": "aws_vpc.main", "before": {"size": number}, "after": {"size": 9},
    }) for number in range(8)))  # fmt: skip
    assert [number for number in range(8) if f"- size = {number}" not in note.render(found)] == []


def test_stacks_whose_resources_are_called_as_they_are_keep_their_places() -> None:
    shown = page.render(report(*(planned(f"name{number}", {
        "action": "delete", "address": f"a.name{number}", "before": {},
    }) for number in range(8))))  # fmt: skip
    assert set(re.findall(r'href="#([^"]+)"', shown)) <= set(re.findall(r'id="([^"]+)"', shown))


def test_few_stacks_keep_a_row_each() -> None:
    assert len(rows(note.render(report(*(tagged(f"s{number}") for number in range(3)))))) == 3


@pytest.mark.parametrize("limit", [None, LIMIT, 8_000])
def test_what_is_destroyed_in_many_stacks_is_counted_and_none_is_missing(limit: int | None) -> None:
    lost = [f"db{number:03}" for number in range(400)]
    found = report(*(tagged(f"s{number:03}") for number in range(100)), *map(gone, lost))
    shown = note.render(found, limit=limit)
    assert "Destroys 400 resources" in shown
    assert re.search(r"aws_db\.main.* in db000, .* and 395 more", shown.replace("`", ""))
    first, second = rows(shown)
    assert first.startswith("| db000, ")
    assert first.split("|")[5].strip() == "1"
    assert "and 395 more, each" in first
    assert "and 95 more, each" in second
    if limit is None:
        assert [name for name in lost[1:] if f"`{name}`" not in shown] == []


def test_stacks_that_failed_alike_keep_their_own_changes() -> None:
    problem = Problem(Kind.ENGINE, "no credentials")
    results = []
    for number in range(6):
        name = f"s{number}"
        change = tagged(name, f"v{number}")
        results += [change, Result("deploy", name, Status.FAILED, problem.summary, problem=problem)]
    shown = note.render(report(*results, stage="deploy"))
    assert len(rows(shown)) == 1
    assert [number for number in range(6) if f'tag = "v{number}"' not in shown] == []


def test_drift_that_is_the_same_in_many_stacks_is_one_row_with_one_command() -> None:
    item = {"address": "aws_vpc.main", "action": "change", "before": {"tag": "a"}, "after": {"tag": "b"}}
    details = DriftDetails({}, [Finding(DriftClass.CHANGED, "aws_vpc.main", item=item)])
    names = [f"s{number:03}" for number in range(200)]
    results = [Result("drift", name, Status.DRIFTED, "drifted: aws_vpc.main", details=details) for name in names]
    found = report(*results, Result("drift", "calm", Status.OK, "as deployed"), stage="drift")
    shown = note.render(found)
    [row] = rows(shown)
    assert "s000, s001, s002, s003, s004 and 195 more, each | drifted: aws_vpc.main |" in row
    assert shown.count('- tag = "b"') + shown.count('- tag = "a"') == 1
    assert "doit deploy --repair 's*'" in shown
    assert "--repair s000`" not in shown
    assert unescape(page.render(found)).count("--repair 's*'") == 2


def test_what_the_engine_warns_of_and_mocks_of_many_stacks_are_told_once_in_every_face() -> None:
    names = [f"app/s{number:02}" for number in range(50)]
    found = []
    for name in names:
        result = tagged(name)
        assert isinstance(result.details, PlanDetails)
        result.details = replace(result.details, mocked=["subnet_id"])
        result.warnings = [Diagnostic("Argument is deprecated", "Use b.", file=f"stacks/{name}/main.tf", line=7)]
        found.append(result)
    found[-1].warnings.append(Diagnostic("Value for undeclared variable"))
    shown = report(*found)
    for text_ in (note.render(shown), page.render(shown)):
        assert text_.count("Argument is deprecated") == 1
        assert text_.count("Value for undeclared variable") == 1
        assert text_.lower().count("planned with mocks") == 1
        assert all(name in text_ for name in names)
    warned = [line for line in workflow_commands(shown) if line.startswith("::warning")]
    assert len(warned) == 2
    assert "app/s00, app/s01".replace(",", "%2C") in warned[0]
    assert " and 45 more::Argument is deprecated" in warned[0]
    assert "<summary>Planned with mocks, for review only, never applied: 50 stacks</summary>" in note.render(shown)
    assert shown.verdict == "50 plans (50 to change), 50 with mocks."
    part = next(each for each in shown.warned if len(each.stacks) == 1)
    assert (part.stacks, part.text) == ([names[-1]], "Value for undeclared variable")
