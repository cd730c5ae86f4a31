"""The console: what failed is last and told once, columns fit, colours are where they are seen, progress is counted."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import replace
from os import terminal_size
from typing import TYPE_CHECKING

import pytest

from tasks.base.errors import BuildError, DeployError, EngineError, ExitCode, StateLockedError, StoppedError
from tasks.base.problem import Where, doit
from tasks.engine.diagnostics import Diagnostic
from tasks.reports.console import Console
from tasks.run.result import Result, Status
from tasks.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project

    Load = Callable[..., Project]

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def console(load: Load, *stacks: str) -> Console:
    """A console for a project of these stacks."""
    return Console(Run(load("", *(f"stacks/{name}/main.tf:" for name in stacks or ("a",)))))


def failed(stack: str, text: str = "no key", log: str = "", stage: str = "plan") -> Result:
    error = EngineError(
        text, stack=stack, untouched="nothing was changed", next_step=("set it; then ", doit("plan")), log=log
    )
    return Result(stage, stack, Status.FAILED, text, problem=error.problem)


def planned(stack: str, stage: str = "plan", **counts: int) -> Result:
    return Result(stage, stack, summary="+1 ~0 -0", counts=counts, reasons=["file stacks/x/main.tf changed"])


def ended(shown: Console, *results: Result) -> None:
    """Show results as the reporter does, and keep them for the summary."""
    for result in results:
        shown.ended(result, selected=True)
        shown._run.results[f"{result.stage}:{result.stack}"] = result


def test_the_same_refusal_of_many_stacks_is_told_once(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"stack-{number:02}" for number in range(50)]
    shown = console(load, *names)
    ended(shown, *(failed(name, f"{name} has no key", log=f"on stacks/{name}/main.tf") for name in names))
    shown.summary({"plan"}, ExitCode.FAILED, [])
    out = capsys.readouterr().out
    assert out.count("next: set it; then `doit plan`") == 2  # where it happened first, and at the end
    assert out.count("FAILED  as stack-00 above") == 49
    assert "FAILED  plan stack-00, stack-01, stack-02, stack-03, stack-04 and 45 more: " in out


def test_a_build_that_failed_is_called_a_build_once(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    shown = console(load)
    error = BuildError("`npm run build` in app ended with 1", next_step="fix the cause")
    ended(shown, Result("build", "app", Status.FAILED, error.message, problem=error.problem))
    shown.summary({"build"}, ExitCode.FAILED, [])
    assert "FAILED  build app: `npm run build` in app ended with 1" in capsys.readouterr().out.splitlines()


def test_what_was_stopped_is_one_line_and_no_failure(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    shown = console(load)
    error = StoppedError(
        "build app was stopped", untouched="it does not count as built", log="npm ci\nadded 3 packages"
    )
    ended(shown, Result("build", "app", Status.FAILED, error.message, problem=error.problem))
    [line] = capsys.readouterr().out.splitlines()
    assert line.split() == ["build", "app", "stopped:", "it", "does", "not", "count", "as", "built"]
    shown.summary({"build"}, ExitCode.FAILED, [])
    out = capsys.readouterr().out
    assert "build     1 stopped" in out
    assert "FAILED" not in out
    assert "npm" not in out


def test_what_a_stop_kept_from_beginning_is_counted_not_listed(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    shown = console(load)
    shown._run.stop.requested = True
    ended(shown, *(Result("plan", f"s{number}", Status.NOT_RUN, "not started") for number in range(45)))
    assert capsys.readouterr().out == ""
    shown.summary({"plan"}, ExitCode.FAILED, [])
    assert "plan      45 not run" in capsys.readouterr().out


@pytest.mark.parametrize(("stacks", "told"), [(50, 1), (5, 5)])
def test_why_many_stacks_were_not_run_is_told_once_and_of_few_each_time(
    load: Load, capsys: pytest.CaptureFixture[str], stacks: int, told: int
) -> None:
    names = [f"s{number:02}" for number in range(stacks)]
    shown = console(load, *names)
    shown.start(f"{stage}:{name}" for stage in ("deploy", "verify") for name in names)
    ended(shown, *(Result("deploy", name, Status.NOT_RUN, "not run: plan:x failed") for name in names))
    ended(shown, *(Result("verify", name, Status.NOT_RUN, f"not run: deploy:{name} failed") for name in names))
    ended(shown, Result("deploy", "other", Status.NOT_RUN, "not run: deploy:y failed"))
    out = capsys.readouterr().out
    assert out.count("not run: plan:x failed") == told
    assert out.count("not run: deploy:y failed") == 1
    assert out.count("not run: deploy:s") == told
    shown.summary({"deploy"}, ExitCode.FAILED, [])
    assert f"deploy    {stacks + 1} not run" in capsys.readouterr().out


def test_names_and_counts_stand_in_columns_on_60_columns(
    load: Load, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda **_: terminal_size((60, 40)))
    shown = console(load, "web", "customer-accounts-replica")
    ended(shown, planned("web"), planned("customer-accounts-replica"))
    first, second = (line for line in COLOUR.sub("", capsys.readouterr().out).splitlines() if line.startswith("plan"))
    assert first.index("+1 ~0") == second.index("+1 ~0")


def test_a_reason_that_does_not_fit_is_told_once(
    load: Load, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    names = [f"stack-{number:02}" for number in range(9)]
    for columns, told in ((60, 1), (200, 9)):
        monkeypatch.setattr(shutil, "get_terminal_size", lambda columns=columns, **_: terminal_size((columns, 40)))
        ended(console(load, *names), *map(planned, names))
        out = " ".join(COLOUR.sub("", capsys.readouterr().out).split())
        assert out.count("[file stacks/x/main.tf changed]") == told


def test_a_stack_that_is_called_like_a_word_of_the_failure_has_the_same_one(
    load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = console(load, "a", "key", "other")
    ended(shown, *(failed(name, "there is not a key") for name in ("other", "a", "key")))
    assert capsys.readouterr().out.count("as other above") == 2


def applying(stack: str, line: int, log: str = "", text: str = "apply failed: no access") -> Result:
    """An apply that the engine refused at a line of the stack, after it had changed something else."""
    told = f"""terraform_data.a: Creation complete after {line % 3}s [id=c6ec9b0a-2434-80cc-86a0-3dad4138{line:04}]
    Error: no access

      with terraform_data.b{line},
      on main.tf line {line}, in resource "terraform_data" "b{line}":
      {line}: resource "terraform_data" "b{line}" {{

    the account has no role, RequestID: 0a4e9b0a-2434-80cc-86a0-3dad4138{line:04}""".replace("    ", "", 1)
    error = EngineError(
        text, stack=stack, where=Where(f"stacks/{stack}/main.tf", line), untouched="the rest is unchanged",
        next_step=("fix the cause, then ", doit("deploy")), log=log or told,
    )  # fmt: skip
    return Result("deploy", stack, Status.FAILED, text, problem=error.problem)


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_the_same_error_of_applies_that_say_other_things_before_it_is_told_once(
    load: Load, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda **_: terminal_size((columns, 40)))
    names = [f"team-service-{number:02}" for number in range(50)]
    shown = console(load, *names)
    ended(shown, *(applying(name, 10 + number) for number, name in enumerate(names)))
    shown.summary({"deploy"}, ExitCode.FAILED, [])
    lines = COLOUR.sub("", capsys.readouterr().out).splitlines()
    out = " ".join(" ".join(lines).split())
    assert out.count("the account has no role") == 2  # in the output of the first one, and at the end
    assert out.count("next: fix the cause, then `doit deploy`") == 2
    assert out.count("FAILED as team-service-00 above, at stacks/team-service-") == 49
    assert "FAILED deploy team-service-00, " in out
    assert out.split("local: ")[1].startswith("failed: 50 stacks (")
    assert all(len(line) <= columns for line in lines if "as team-service-00" in line)


def test_what_differs_in_a_failure_of_the_same_cause_is_told(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    shown = console(load, "a", "b", "c")
    texts = [f"plan failed: no group sg-0a1b2c3d4e5f{number:02}" for number in range(3)]
    ended(shown, *(applying(name, 7, text=text) for name, text in zip("abc", texts, strict=True)))
    told = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert f"deploy c FAILED {texts[2]}; as a above" in told


@pytest.mark.parametrize(
    "other",
    [
        applying("b", 7, text="apply failed: no quota"),
        applying("b", 7, log="Error: no access\n\nthe account is closed"),
        replace(applying("b", 7), stage="plan"),
    ],
)
def test_another_error_is_another_cause_although_much_is_the_same(
    load: Load, capsys: pytest.CaptureFixture[str], other: Result
) -> None:
    ended(console(load, "a", "b"), applying("a", 7), other)
    assert "above" not in capsys.readouterr().out


def test_each_held_lock_keeps_the_command_that_releases_it(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    def locked(stack: str, lock: str) -> Result:
        error = StateLockedError(
            "the state is locked by ci@runner", stack=stack, next_step=f"tofu force-unlock {lock}", log=f"ID: {lock}"
        )
        return Result("plan", stack, Status.FAILED, error.message, problem=error.problem)

    locks = ("5f0c954e-1b1c-4b7e-9d53-0d2f8f1f6c11", "6a0c954e-1b1c-4b7e-9d53-0d2f8f1f6c12")
    shown = console(load, "a", "b")
    ended(shown, locked("a", locks[0]), locked("b", locks[1]))
    shown.summary({"plan"}, ExitCode.FAILED, [])
    out = capsys.readouterr().out
    end = out[out.index("\nFAILED  ") :]
    assert [end.count(f"tofu force-unlock {lock}") for lock in locks] == [1, 1]


def test_failures_of_other_causes_are_each_told(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    shown = console(load, "a", "b", "c")
    ended(shown, failed("a", log="line 1"), failed("b", log="line 2"), failed("c", "another"))
    assert "above" not in capsys.readouterr().out
    shown.summary({"plan"}, ExitCode.FAILED, [])
    assert capsys.readouterr().out.count("FAILED  plan ") == 3


def test_what_failed_and_why_and_what_to_do_stand_last(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    shown = console(load, "a", "b")
    ended(shown, failed("a", log="a long log"), planned("b", add=1))
    capsys.readouterr()
    shown.summary({"plan"}, ExitCode.FAILED, ["reports/plan.md"], [DeployError("the ledger is locked").problem])
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("FAILED  plan a: engine error: no key")
    assert lines[at + 1 :] == [
        "  untouched: nothing was changed", "  next: set it; then `doit plan`", "error: the ledger is locked",
        "local: failed: a (0.0 s)",
    ]  # fmt: skip
    assert lines.index("report    reports/plan.md") < at


def test_the_total_is_one_that_a_person_reads(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    shown = console(load, "a", "b")
    ended(
        shown,
        planned("a", add=2, change=13, destroy=5),
        planned("b", add=1, replace=1, destroy=1, imports=1, outputs=4),
    )
    shown.summary({"plan"}, ExitCode.OK, [])
    assert "\nchanges   6 to destroy, 1 to replace, 13 to change, 3 to create, 1 to import\n" in capsys.readouterr().out


def test_the_total_of_a_deploy_is_what_was_applied(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    shown = console(load, "a", "b")
    ended(shown, planned("a", add=2), planned("b", add=1), planned("a", "deploy", add=2), failed("b", stage="deploy"))
    shown.summary({"deploy"}, ExitCode.FAILED, [])
    assert "\nchanges   2 created\n" in capsys.readouterr().out


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_, **__: terminal_size((columns, 40)))


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_no_line_is_wider_than_the_terminal(
    load: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    on_terminal(monkeypatch, columns)
    names = ["a", "identity-federation-for-the-european-partners", "customers-export"]
    shown = console(load, *names)
    ended(shown, *(planned(name, add=1) for name in names), failed("a", "a reason of many words " * 5))
    shown.summary({"plan"}, ExitCode.FAILED, ["a/report.md"])
    lines = COLOUR.sub("", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= columns
    begins = [line for line in lines if line.startswith("plan ")]
    assert [line.split()[1] for line in begins][:3] == names
    if columns == 200:
        assert {line.index("+1 ~0 -0") for line in begins[:3]} == {10 + max(map(len, names)) + 2}


def test_what_the_engine_said_wraps_behind_its_bar(
    load: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(monkeypatch, 60)
    shown = console(load, "a")
    ended(shown, failed("a", log="Error: no bucket\n\n" + "the requested name is not available " * 3))
    capsys.readouterr()
    shown.summary({"plan"}, ExitCode.FAILED, [])
    lines = COLOUR.sub("", capsys.readouterr().out).splitlines()
    quoted = [line for line in lines if "name" in line or "available" in line]
    assert len(quoted) > 1
    assert all(line.startswith("  | ") and len(line) <= 60 for line in quoted)


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, False), ({"GITLAB_CI": "true"}, True), ({"GITHUB_ACTIONS": "true"}, True), ({"CI": "true"}, False),
     ({"FORCE_COLOR": "1"}, True), ({"GITLAB_CI": "true", "NO_COLOR": "1"}, False), ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False)],
)  # fmt: skip
def test_a_log_has_colours_where_its_forge_shows_them(
    load: Load,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    coloured: bool,
) -> None:
    for name in ("GITLAB_CI", "GITHUB_ACTIONS", "CI", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    shown = console(load)
    ended(shown, failed("a", "evil \x1b[32mgreen\x1b[0m"))
    shown.summary({"plan"}, ExitCode.FAILED, [])
    out = capsys.readouterr().out
    assert ("\x1b[1;31mFAILED" in out) is coloured
    assert "\x1b[32m" not in out


def test_a_coloured_line_is_no_command_of_github(
    load: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    ended(console(load), failed("a", "x\n::error::forged"))
    lines = capsys.readouterr().out.splitlines()
    at = next(number for number, line in enumerate(lines) if "::error::forged" in line)
    assert lines[0].startswith("::stop-commands::")
    assert at > 0


def test_in_a_log_each_line_says_how_many_of_how_many(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"s{number:02}" for number in range(12)]
    shown = console(load, *names)
    shown.start([f"plan:{name}" for name in names])
    shown.skipped("plan:s00")
    ended(shown, *(planned(name) for name in names[1:]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("plan       2/12  s01  +1 ~0 -0")
    assert lines[-1].startswith("plan      12/12  s11  +1 ~0 -0")


def test_a_few_stacks_are_not_counted(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    shown = console(load, "a", "b")
    shown.start(["plan:a", "plan:b"])
    ended(shown, planned("a"))
    assert capsys.readouterr().out.startswith("plan      a  +1 ~0 -0")


def test_the_live_display_has_the_progress_the_total_and_each_resource(load: Load) -> None:
    shown = console(load, "a", "b", "c")
    shown._tally.expect(["plan:a", "plan:b", "plan:c"])
    shown.begins("plan:a")
    shown.begins("plan:b")
    shown.ended(planned("a", add=2, destroy=1), selected=True)
    shown._run.waiting["plan:b"] = lambda: "x.one (create, 70 s)\nx.two (delete, 3 s)"
    assert shown._running() == [
        "plan 1/3 · 1 to destroy, 2 to create", "  plan:b 0 s", "    x.one (create, 70 s)", "    x.two (delete, 3 s)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ([], "no stack has checks, so nothing was verified"),
        ([Status.UNAFFECTED, Status.UNAFFECTED], "no stack that has checks is deployed from here"),
        ([Status.UNAFFECTED, Status.OK], "all passed"),
        ([Status.OK], "all passed"),
    ],
)
def test_a_verify_that_verified_nothing_does_not_say_that_all_passed(
    load: Load, capsys: pytest.CaptureFixture[str], statuses: list[Status], said: str
) -> None:
    shown = console(load, "a", "b")
    ended(shown, *(Result("verify", name, status) for name, status in zip("ab", statuses, strict=False)))
    shown.summary({"verify"}, ExitCode.OK, [])
    out = capsys.readouterr().out
    assert f"local: {said}" in out
    assert ("all passed" in out) is (said == "all passed")


def test_a_build_without_builds_does_not_say_that_all_passed(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    console(load, "a").summary({"build"}, ExitCode.OK, [])
    out = capsys.readouterr().out
    assert "local: there are no builds and no images, so nothing was built" in out
    assert "all passed" not in out


def test_what_the_engine_warns_of_in_many_stacks_is_told_once_and_counted(
    load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"s{number:02}" for number in range(50)]
    shown = console(load, *names)

    def warned(name: str, stage: str = "plan") -> Result:
        said = Diagnostic("Argument is deprecated", "Use b.", file=f"stacks/{name}/main.tf", line=7)
        return replace(planned(name, stage), warnings=[said])

    ended(shown, *map(warned, names), warned("s00", "deploy"))
    shown.summary({"deploy"}, ExitCode.OK, [])
    out = capsys.readouterr().out
    assert out.count("  Warning: Argument is deprecated: Use b. (stacks/s00/main.tf:7)") == 1
    assert out.count("Warning: ") == 1
    assert "\nwarning   Argument is deprecated: s00, s01, s02, s03, s04 and 45 more\n" in out
