"""What many stacks have in common is told once, by every face, with a next step that covers exactly them."""

from __future__ import annotations

import re
import shlex
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from doit import loader

from tasks.base.errors import (
    ArtifactRefusedError,
    ConfigError,
    DeployError,
    EngineError,
    ExitCode,
    StateLockedError,
    StateRefusedError,
)
from tasks.base.problem import Problem, Shell, Untouched, doit
from tasks.base.terminal import joined
from tasks.base.text import few
from tasks.policy.finding import Finding
from tasks.reports import forgefiles, note, page, text, together
from tasks.reports.console import Console
from tasks.reports.model import Report
from tasks.run.details import PlanDetails
from tasks.run.result import Result, Status
from tasks.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project

    Load = Callable[..., Project]

KNOWN = [*(f"app/s{number:02}" for number in range(30)), *(f"net/s{number:02}" for number in range(20)), "web"]


def test_what_is_untouched_is_said_of_all_of_them() -> None:
    kept = Untouched("the state of this stack is unchanged", "the states of these stacks are unchanged")
    one, other = (StateRefusedError("it is another one", untouched=kept).problem for _ in range(2))
    assert together.problem([("web", one)], KNOWN).untouched == kept.one
    several = together.problem([("web", Problem.from_json(one.to_json())), ("app/s01", other)], KNOWN)
    assert several.untouched == kept.several
    same = DeployError("broken", untouched="words of this stack").problem
    assert together.problem([("web", same), ("app/s01", same)], KNOWN).untouched == "words of this stack"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["web"], ["web"]),
        (["app/s01", "net/s02"], ["app/s01", "net/s02"]),
        (KNOWN[:30], ["app/*"]),
        ([*KNOWN[:30], "web"], ["app/*", "web"]),
        (KNOWN[:50], ["app/*", "net/*"]),
        (KNOWN, ["*"]),
        (KNOWN[:10], ["app/s0*"]),
        (KNOWN[:9], KNOWN[:9]),
        (KNOWN[1:30], [*KNOWN[1:10], "app/s1*", "app/s2*"]),
        ([*KNOWN[:10], *KNOWN[30:40]], ["app/s0*", "net/s0*"]),
    ],
)
def test_patterns_cover_exactly_the_stacks_of_a_group(names: list[str], words: list[str]) -> None:
    assert together.cover(names, KNOWN) == words
    covered = [name for name in KNOWN if any(fnmatchcase(name, word) for word in words)]
    assert sorted(covered) == sorted(names)


def refused(stack: str) -> Problem:
    return ArtifactRefusedError("stale", "the state has changed", stack=stack).problem


def test_the_next_step_of_a_group_is_one_command_for_all_of_it() -> None:
    few = together.problem([(name, refused(name)) for name in ("app/s01", "net/s02")], KNOWN)
    assert few.next_text == "`doit plan:app/s01 plan:net/s02` makes a new plan to review; then `doit deploy`"
    folder = together.problem([(name, refused(name)) for name in KNOWN[:30]], KNOWN)
    assert folder.next_text.startswith("`doit 'plan:app/*'` makes a new plan")
    every = together.problem([(name, refused(name)) for name in KNOWN], KNOWN)
    assert every.next_text.startswith("`doit plan` makes a new plan")


@pytest.mark.parametrize(
    ("commands", "together_"),
    [
        ([doit(f"allow=cost:{name}", "reason=WHY", "plan") for name in KNOWN[:30]],
         "doit allow='cost:app/*' reason=WHY plan"),
        ([doit(f"allow=cost:{name}", "reason=WHY", "plan") for name in KNOWN], "doit allow=cost reason=WHY plan"),
        ([doit(f"accept={name}:missing", "reason=WHY", f"plan:{name}") for name in ("app/s01", "web")],
         "doit accept=app/s01:missing,web:missing reason=WHY plan:app/s01 plan:web"),
        ([doit("deploy", "--repair", name) for name in KNOWN[:30]], "doit deploy --repair 'app/*'"),
        ([doit("drift", "--adopt", name) for name in ("app/s01", "web")], None),
        ([doit("restore", name) for name in ("app/s01", "web")], None),
        ([doit("plan:web"), doit("plan:web", "mocks=no")], None),
    ],
)  # fmt: skip
def test_commands_of_stacks_become_one_where_it_takes_several(commands: list[object], together_: str | None) -> None:
    found = together.command(commands, KNOWN)  # type: ignore[arg-type] # of the table
    assert (str(found) if found else None) == together_


def test_what_is_done_stack_by_stack_says_so() -> None:
    problems = [
        (name, DeployError("lost", next_step=("put it back: ", doit("restore", name))).problem) for name in ("a", "b")
    ]
    assert together.problem(problems, ["a", "b"]).next_text == (
        "put it back: `doit restore a`; likewise for each of the others"
    )


def failed(stack: str, problem: Problem, stage: str = "plan") -> Result:
    return Result(stage, stack, Status.FAILED, problem.summary, problem=problem)


def gone(stack: str, serial: int) -> Result:
    error = StateRefusedError(
        f"its state is gone: the last apply left serial {serial} of lineage 5f0c954e-1b1c-4b7e-9d53-0d2f8f1f6c{serial:02},"
        " but no state was found",
        stack=stack, untouched="nothing in this stack was planned",
        next_step=("put it back, or accept this: ", doit(f"accept={stack}:missing", "reason=WHY", f"plan:{stack}")),
    )  # fmt: skip
    return failed(stack, error.problem)


def locked(stack: str, who: str, lock: str) -> Result:
    error = StateLockedError(
        f"its state is locked by {who}, for apply; lock {lock}", stack=stack,
        next_step=("if no process uses it any more:",
                   Shell(f"TF_DATA_DIR=x tofu -chdir=stacks/{stack} force-unlock -force {lock}", alone=True)),
        log=f"Error: Error acquiring the state lock\n\nID: {lock}\nWho: {who}",
    )  # fmt: skip
    return failed(stack, error.problem)


def end_of_run(load: Load, capsys: pytest.CaptureFixture[str], results: list[Result], *stacks: str) -> str:
    """The last part of a run's output, from its failures on."""
    shown = Console(Run(load("", *(f"stacks/{name}/main.tf:" for name in stacks or ("a",)))))
    for each in results:
        shown.ended(each, selected=True)
        shown._run.results[f"{each.stage}:{each.stack}"] = each
    shown.summary({"plan"}, ExitCode.FAILED, [".deploy/local/reports/plan.md"])
    out = capsys.readouterr().out
    return out[re.search(r"\n\n(\x1b\S+m)?FAILED  ", out).start() :]  # type: ignore[union-attr] # there is one


def test_a_state_that_is_lost_in_many_stacks_is_one_failure_whatever_serial_each_had(
    load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"s{number:02}" for number in range(50)]
    out = end_of_run(load, capsys, [gone(name, number + 1) for number, name in enumerate(names)], *names, "other")
    assert out.count("FAILED") == 1
    assert "  stacks: all 50 are in .deploy/local/reports/plan.md\n" in out
    [command] = re.findall(r"`(doit accept=.*)`", out)
    assert shlex.split(command)[1] == "accept=" + ",".join(f"{name}:missing" for name in names)
    assert shlex.split(command)[3] == "plan:s*"
    assert " … 42 more lines above\n" in out
    assert out.index("more lines above") < out.index("  untouched: ") < out.index("  next: ")


def test_locks_are_one_failure_that_names_each_holder_and_releases_each(
    load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    locks = ("5f0c954e-1b1c-4b7e-9d53-0d2f8f1f6c11", "6a0c954e-1b1c-4b7e-9d53-0d2f8f1f6c12", "aa0c954e-1b1c-4b7e")
    people = ("ci@runner-1", "ci@runner-1", "ada@laptop")
    results = [locked(stack, *held) for stack, held in zip("abc", zip(people, locks, strict=True), strict=True)]
    out = end_of_run(load, capsys, results, "a", "b", "c")
    assert out.count("FAILED") == 1
    assert "state locked: their states are locked\n" in out
    for stack, who, lock in zip("abc", people, locks, strict=True):
        assert out.count(f"  {stack}: its state is locked by {who}, for apply; lock {lock}\n") == 1
        assert out.count(f"\n    TF_DATA_DIR=x tofu -chdir=stacks/{stack} force-unlock -force {lock}\n") == 1


def judged(stack: str, *findings: Finding, address: str = "module.db.a.b") -> Result:
    change = {"address": address, "action": "replace", "replace_paths": [["size"]]}
    changes = {"resources": [change], "counts": {"replace": 1}}
    return Result(
        "plan", stack, Status.FAILED, "refused by policy 'protect'",
        details=PlanDetails(changes=changes, findings=[each.to_json() for each in findings]),
    )  # fmt: skip


def of_fifty() -> Report:
    protect = Finding("protect", "high", "it is protected from replace", "module.db.a.b", blocking=True)
    names = [f"team/s{number:02}" for number in range(50)]
    tags = [Finding("required-tags", "low", "`tags` has no 'Owner'", f"a.b[{number}]") for number in range(9)]
    results = [*(judged(name, protect) for name in names), judged("web", *tags, address="a.c")]
    return Report.collect("plan", results, environment="prod", commit="abc123", known=[*names, "web"])


def test_a_finding_and_a_loss_of_fifty_plans_are_told_once_by_every_face() -> None:
    report, names = of_fifty(), [f"team/s{number:02}" for number in range(50)]
    lines = joined(text.render(report)).split("\n")
    told = lines[lines.index("DESTROYED OR REPLACED") :]
    assert told == [
        "DESTROYED OR REPLACED",
        "  ± module.db.a.b forced by size  in team/s00, team/s01, team/s02, team/s03, team/s04 and 45 more",
        "  ± a.c forced by size  in web",
        "",
        "POLICY",
        f"  high REFUSED  protect  {few(names, 5)}  module.db.a.b: it is protected from replace",
        "  low  required-tags  web  a.b[0], a.b[1], a.b[2], a.b[3], a.b[4] and 4 more: `tags` has no 'Owner'",
    ]
    markdown, html = note.render(report), page.render(report)
    for face in (markdown, html):
        assert face.count("it is protected from replace") == 1
        assert face.count("has no") == 1
    assert markdown.count("**±** `module.db.a.b`, forced by `size` in") == 1
    assert markdown.split("> [!CAUTION]")[1].count("`team/s49`") >= 1  # all of them are named, though folded
    loud = html[html.index('class="loud"') : html.index('id="policy"')]
    assert loud.count("<li>") == 2
    assert all(f"<code>team/s{number:02}</code>" in loud for number in range(50))
    warnings = [line for line in forgefiles.workflow_commands(report) if line.startswith("::warning")]
    assert sum("module.db.a.b" in line for line in warnings) == 1


def test_each_face_has_the_command_for_all_stacks_of_a_cause() -> None:
    names = [f"team/s{number:02}" for number in range(50)]
    results = [failed(name, refused(name)) for name in names]
    report = Report.collect("plan", results, environment="prod", commit="abc123", named="prod", known=[*names, "web"])
    for face in (note.render(report), page.render(report), "\n".join(forgefiles.workflow_commands(report))):
        assert re.search(r"doit (&#39;|')plan:team/\*(&#39;|')", face), face
        assert "plan:team/s00" not in face


def test_a_command_with_paths_leads_into_the_repository_first_where_the_shell_is_below_it(
    load: Load, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown() -> str:
        error = EngineError("not saved", stack="a", next_step=("then ", Shell("mv x stacks/a/x"), "; ", doit("deploy")))
        return end_of_run(load, capsys, [failed("a", error.problem)], "a")

    monkeypatch.setattr(loader, "initial_workdir", None)
    assert "next: then `mv x stacks/a/x`; `doit deploy`\n" in shown()
    monkeypatch.setattr(loader, "initial_workdir", str(Path.cwd() / "stacks/a"))
    assert "next: then `(cd ../.. && mv x stacks/a/x)`; `doit deploy`\n" in shown()


def test_a_command_on_a_line_of_its_own_is_never_broken(
    load: Load, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("tasks.base.terminal.columns", lambda _=None: 60)
    lock = "5f0c954e-1b1c-4b7e-9d53-0d2f8f1f6c11"
    out = end_of_run(load, capsys, [locked("a", "ada@laptop", lock)], "a")
    assert f"\n    TF_DATA_DIR=x tofu -chdir=stacks/a force-unlock -force {lock}\n" in re.sub(r"\x1b\[[\d;]*m", "", out)


def test_a_shell_line_survives_a_record() -> None:
    problem = ConfigError("x", next_step=("do ", Shell("rm a"), Shell("rm b", alone=True, anywhere=True))).problem
    assert Problem.from_json(problem.to_json()) == problem
    assert problem.next_text == "do `rm a`\n    rm b"
