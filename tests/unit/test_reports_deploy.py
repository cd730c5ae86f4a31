"""The report of a deploy: what was deployed, what failed and why, its checks, and the way to more; and how pages fold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tasks.base import ci
from tasks.base.errors import EngineError, StoppedError
from tasks.base.problem import Where
from tasks.reports import forgefiles, note, page
from tasks.reports.model import Links, Outcome, Report
from tasks.run.action import NOT_STARTED
from tasks.run.details import CheckRecord, DeployDetails
from tasks.run.result import Result, Status
from tests.unit.test_reports import PARSER, Tags, hostile, item, planned

if TYPE_CHECKING:
    from pathlib import Path

CAUSE = EngineError(
    "apply failed: no such zone",
    stack="b",
    where=Where("stacks/b/main.tf", 3),
    untouched="the rest",
    log="Error: no such zone",
)


def check(text: str, passed: bool = True) -> CheckRecord:
    return CheckRecord("http", "health", passed, text, f"health: {text}", 1, 0.1)


def deployed(stack: str, *checks: CheckRecord, **counts: int) -> Result:
    return Result(
        "deploy", stack, summary="+1 ~0 -0", counts=counts, details=DeployDetails(applied=True, checks=[*checks])
    )


def deploy(*results: Result, **more: Any) -> Report:
    return Report.collect("deploy", results, environment="prod", commit="abc123", **more)


@pytest.fixture
def failing() -> Report:
    """A deploy of three stacks: one was deployed, one failed, one was not run."""
    return deploy(
        planned("a", item("create", address="x.made", after={"size": 1})), deployed("a", check("answers 200"), add=1),
        planned("b", item("update", address="x.zone", before={"n": 1}, after={"n": 2})),
        Result("deploy", "b", Status.FAILED, "apply failed: no such zone", problem=CAUSE.problem),
        planned("c", item("delete", address="x.gone", before={})),
        Result("deploy", "c", Status.NOT_RUN, "not run: deploy:b failed"),
        Result("validate", "a"), Result("deploy", "d", Status.UNAFFECTED),
        moment="2026-11-26 03:12 UTC",
        links=Links("https://forge.test/c/abc123", "https://forge.test/p/1", "https://board.test/env/prod/runs/1"),
    )  # fmt: skip


def test_a_deploy_that_failed_says_so_first_and_then_why(failing: Report) -> None:
    assert failing.outcome is Outcome.FAILED
    lines = note.render(failing).splitlines()
    assert lines[0] == "### Deploy failed: 1 failed, 1 not run; 1 stack (1 created) deployed."
    assert lines[2] == (
        "Deploy of `prod` at [`abc123`](https://forge.test/c/abc123), 2026-11-26 03:12 UTC"
        " · [pipeline](https://forge.test/p/1) · [dashboard](https://board.test/env/prod/runs/1)"
    )
    failure = lines.index("#### `b` failed")
    table = next(number for number, line in enumerate(lines) if line.startswith("| stack |"))
    assert failure < table
    assert "  where: stacks/b/main.tf:3" in lines[failure:table]
    assert "Error: no such zone" in lines[failure:table]
    assert "| `b` | **failed** |  | 1 |  |  |  | `apply failed: no such zone` |" in lines
    assert "| `a` | deployed | 1 |  |  |  | 1 of 1 passed |  |" in lines
    assert "| `c` | not run |  |  |  | 1 |  | `not run: deploy:b failed` |" in lines
    assert "- passed: `a` `health: answers 200`" in lines
    assert lines[-1] == "Not touched: `d`."


def test_the_page_of_a_deploy_has_the_same(failing: Report) -> None:
    text = page.render(failing)
    for part in ("Deploy failed: 1 failed", "b</code> failed in deploy", "health: answers 200", "2026-11-26 03:12 UTC",
                 'href="https://forge.test/c/abc123"', 'href="https://board.test/env/prod/runs/1"', "not run"):  # fmt: skip
        assert part in text


def test_a_deploy_that_went_well_has_its_numbers() -> None:
    found = deploy(
        planned("a", item("create", after={})), deployed("a", check("ok"), check("fine"), add=1),
        planned("b", item("delete", before={})), deployed("b", destroy=1),
    )  # fmt: skip
    assert found.verdict == "Deployed 2 stacks (1 destroyed, 1 created); 2 checks passed."
    assert found.outcome is Outcome.CHANGES


def test_a_deploy_that_had_nothing_to_do_says_so() -> None:
    found = deploy(Result("plan", "a", Status.UNAFFECTED), Result("deploy", "a", Status.UNAFFECTED))
    assert (found.verdict, found.outcome) == ("Nothing to deploy: all up to date.", Outcome.NOTHING)


def test_an_apply_that_failed_may_have_changed_something() -> None:
    found = deploy(
        planned("a", item("delete", before={})), Result("deploy", "a", Status.FAILED, "no such zone", problem=CAUSE.problem)
    )  # fmt: skip
    assert found.verdict == "Deploy failed: 1 failed."


@pytest.mark.parametrize("stage", ["validate", "plan"])
def test_what_failed_before_any_apply_is_the_cause(stage: str) -> None:
    found = deploy(
        Result(stage, "b", Status.FAILED, "no such zone", problem=CAUSE.problem),
        Result("deploy", "b", Status.NOT_RUN, f"not run: {stage}:b failed"),
        Result("build", "app", Status.FAILED, "npm failed"), Result("review", "", Status.FAILED, "differs"),
    )  # fmt: skip
    assert found.verdict == "Deploy failed: 3 failed; nothing was deployed."
    assert {stack.name for stack in found.having("failed")} == {"b", "build app", "review"}
    assert "apply failed: no such zone" in note.render(found)


def test_what_a_deploy_planned_for_itself_is_shown() -> None:
    own = planned("a", item("create", address="x.late", after={})).changes
    details = DeployDetails(applied=True, replanned=True, changes=own)
    found = deploy(Result("plan", "a", Status.DEFERRED), Result("deploy", "a", counts={"add": 1}, details=details))
    assert [change.address for change in found.stacks[0].changes] == ["x.late"]
    assert found.verdict == "Deployed 1 stack (1 created)."


def test_github_gets_an_error_at_its_place_for_what_failed_in_a_deploy(failing: Report) -> None:
    [line] = [line for line in forgefiles.workflow_commands(failing) if line.startswith("::error")]
    assert line.startswith("::error file=stacks/b/main.tf,line=3,title=deploy b::engine error: apply failed")


def test_the_step_summary_is_that_of_the_deploy(failing: Report, tmp_path: Path) -> None:
    forgefiles.add_step_summary(failing, str(tmp_path / "summary"), note._OWN)
    assert (tmp_path / "summary").read_text().startswith("### Deploy failed")


def test_a_link_that_is_none_is_not_shown() -> None:
    found = deploy(deployed("a"), links=Links("javascript:alert(1)", "", "ftp://x"))
    for text in (note.render(found), page.render(found)):
        assert "javascript:" not in text
        assert "ftp:" not in text


def test_a_commit_has_its_page_on_its_forge() -> None:
    gitlab = ci.read({"CI_PROJECT_URL": "https://gitlab.test/acme/infra"}, "gitlab")
    github = ci.read({"GITHUB_SERVER_URL": "https://github.test", "GITHUB_REPOSITORY": "acme/infra"}, "github")
    assert gitlab.commit_page("abc") == "https://gitlab.test/acme/infra/-/commit/abc"
    assert github.commit_page("abc") == "https://github.test/acme/infra/commit/abc"
    assert ci.read({}, "other").commit_page("abc") == ""


def test_every_link_within_the_page_leads_to_one_element() -> None:
    names = ["a.b", "a-b", "A_b", "é", "x" * 200]
    found = Report.collect(
        "plan", [planned(name, item("delete", address=name, before={})) for name in names], environment="e", commit="c"
    )
    text = page.render(found)
    ids = re.findall(r'id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    targets = set(Tags(text).targets)
    assert targets <= {f"#{name}" for name in ids}
    assert len(targets) == 2 * len(names)  # of the stack in the table, and of what is destroyed


def test_a_resource_with_a_long_difference_is_folded_and_others_are_not() -> None:
    long = "\n".join(map(str, range(100)))
    found = Report.collect(
        "plan", [planned("s", item("create", address="x.long", after={"t": long}), item("create", address="x.short", after={"n": 1}))],
        environment="e", commit="c",
    )  # fmt: skip
    text = page.render(found)
    assert re.search(r'<details class="change add" id="[^"]+">\s*<summary>[^\n]*x\.long', text)
    assert re.search(r'<details class="change add" id="[^"]+" open>\s*<summary>[^\n]*x\.short', text)
    markdown = note.render(found)
    assert "<details><summary>+ <code>x.long</code>: 101 lines</summary>" in markdown
    assert "**+** `x.short`" in markdown
    assert Tags(PARSER.render(markdown)).open == []


def test_on_a_phone_long_values_wrap_and_signs_are_explained() -> None:
    text = page.render(
        Report.collect("plan", [planned("s", item("create", after={"n": 1}))], environment="e", commit="c")
    )
    phone = text[text.index("@media (max-width: 40rem)") :]
    assert "pre { white-space: pre-wrap; overflow-wrap: anywhere; }" in phone
    assert "<dd>replaced</dd>" in text
    assert "`±` replaced" in note.render(
        Report.collect("plan", [planned("s", item("create", after={"n": 1}))], environment="e", commit="c")
    )


@pytest.mark.parametrize("content", ["</summary></details>", "`|<b>@all", "](http://evil.test)"])
def test_no_value_becomes_markup_in_the_report_of_a_deploy(content: str) -> None:
    results = [
        deployed("s", check(content)),
        Result("deploy", content, Status.FAILED, content, problem=EngineError(content, log=content).problem),
    ]
    found = deploy(*results)
    html = Tags(PARSER.render(note.render(found)))
    assert html.open == []
    assert not html.tags & {"a", "b", "script", "img"}
    assert Tags(page.render(found)).open == []
    assert Tags(page.render(hostile(content))).open == []


def test_columns_without_content_are_left_out_and_many_other_stacks_are_folded() -> None:
    plans = [planned("a", item("create", after={}))]
    others = [Result("deploy", f"s{number:02}", Status.UNAFFECTED) for number in range(13)]
    lines = note.render(deploy(*plans, deployed("a", add=1), *others)).splitlines()
    assert "| stack | outcome | + | ~ | ± | - |" in lines
    assert "| `a` | deployed | 1 |  |  |  |" in lines
    assert "<details><summary>Not touched: 13 stacks</summary>" in lines
    lines = note.render(Report.collect("plan", plans, environment="prod", commit="abc123")).splitlines()
    assert "| stack | + | ~ | ± | - | why |" in lines


def alike(number: int, stage: str = "deploy") -> Result:
    """A failure that the engine explains with the same words in another line of each stack."""
    name = f"stack-{number:02}"
    log = f"made c6ec9b0a-2434-80cc-86a0-3dad413899{number:02}\nError: no such zone\n\n  on main.tf line {number}:"
    error = EngineError(f"{stage} failed: no such zone", stack=name, where=Where(f"stacks/{name}/main.tf", 1), log=log)
    return Result(stage, name, Status.FAILED, error.message, problem=error.problem)


@pytest.mark.parametrize("stage", ["plan", "deploy", "drift"])
def test_the_same_failure_of_50_stacks_is_told_once_in_each_face_and_every_stack_is_named(stage: str) -> None:
    results = [alike(number, stage) for number in range(50)]
    other = EngineError(f"{stage} failed: no quota", stack="other", log="Error: no quota")
    results.append(Result(stage, "other", Status.FAILED, other.message, problem=other.problem))
    found = Report.collect(stage, results, environment="prod", commit="c")
    for face in (note.render(found), page.render(found)):
        assert face.count("Error: no such zone") == 1
        assert face.count(f"{stage} failed: no such zone") == 2  # in the table, and above its cause
        assert face.count("Error: no quota") == 1
        assert all(f"stack-{number:02}" in face for number in range(50))
        assert "and 49 more" in face
    annotations = list(forgefiles.workflow_commands(found))
    assert [line.partition("::")[2].partition("::")[0].rpartition("title=")[2] for line in annotations] == [
        f"{stage} stack-00 and 49 more",
        f"{stage} other",
    ]


def test_a_link_to_a_stack_that_failed_like_another_one_leads_to_its_name() -> None:
    text = page.render(Report.collect("deploy", map(alike, range(3)), environment="prod", commit="c"))
    targets = set(re.findall(r'href="#([^"]+)"', text))
    assert len(targets) == 3
    assert targets <= set(re.findall(r'id="([^"]+)"', text))


def test_few_failures_are_annotated_each_at_its_place() -> None:
    found = Report.collect("plan", [alike(number, "plan") for number in range(3)], environment="prod", commit="c")
    places = [re.findall(r"file=([^,]+),", line) for line in forgefiles.workflow_commands(found)]
    assert places == [[f"stacks/stack-{number:02}/main.tf"] for number in range(3)]


def stopping() -> Report:
    """A deploy that somebody stopped: one stack was deployed, one was stopped, many were not started."""
    error = StoppedError("apply was stopped", untouched="its changes are saved", next_step="run it again")
    return deploy(
        planned("a", item("create", address="x.made", after={"size": 1})), deployed("a", add=1),
        planned("b", item("update", address="x.zone", before={"n": 1}, after={"n": 2})),
        Result("deploy", "b", Status.FAILED, error.message, problem=error.problem),
        *(Result("deploy", f"c{number:02}", Status.NOT_RUN, NOT_STARTED) for number in range(40)),
        interrupted=True,
    )  # fmt: skip


def test_a_deploy_that_was_stopped_did_not_fail() -> None:
    found = stopping()
    assert found.outcome is Outcome.STOPPED
    assert found.verdict == "Deploy stopped: 1 stopped, 40 not run; 1 stack (1 created) deployed."
    markdown, html = note.render(found), page.render(found)
    assert "#### `b` was stopped" in markdown
    assert "| `b` | **stopped** |" in markdown
    assert "failed" not in markdown
    assert '<h1 class="stopped">' in html
    assert '<span class="badge stopped">stopped</span>' in html
    assert ">failed<" not in html


def test_a_deploy_in_which_something_failed_before_it_was_stopped_failed() -> None:
    found = deploy(
        Result("deploy", "a", Status.FAILED, "apply failed", problem=CAUSE.problem),
        Result("deploy", "b", Status.FAILED, "stopped", problem=StoppedError("apply was stopped").problem),
        Result("deploy", "c", Status.NOT_RUN, NOT_STARTED), interrupted=True,
    )  # fmt: skip
    assert found.verdict == "Deploy failed: 1 failed, 1 stopped, 1 not run."


@pytest.mark.parametrize("stage", ["plan", "deploy"])
def test_a_run_that_was_stopped_before_anything_failed_says_how_far_it_came(stage: str) -> None:
    results = [Result(stage, f"s{number}", Status.NOT_RUN, NOT_STARTED) for number in range(3)]
    found = Report.collect(stage, results, environment="prod", commit="c", interrupted=True)
    assert found.verdict == {
        "plan": "Plan stopped: 0 of 3 stacks planned, 3 not run; nothing was deployed.",
        "deploy": "Deploy stopped: 3 not run; nothing was deployed.",
    }[stage]  # fmt: skip


@pytest.mark.parametrize("stage", ["plan", "deploy", "drift"])
def test_the_cause_stands_before_the_table_whose_rows_fold(stage: str) -> None:
    found = Report.collect(
        stage,
        [*(alike(number, stage) for number in range(50)), Result("verify", "z", Status.NOT_RUN, "not run: x failed")],
        environment="prod",
        commit="c",
    )
    html, markdown = page.render(found), note.render(found)
    assert html.index("Error: no such zone") < html.index('id="stacks"')
    table = html[html.index('id="stacks"') :]
    assert table.count('<td class="name">') == 2
    assert "and 49 more stacks, failed as stack-00" in table
    assert all(f"stack-{number:02}" in table for number in range(50))
    assert markdown.index("Error: no such zone") < markdown.index("| stack |")
