"""When failures have one cause: also where a stack is called like a word of it, and where files are not formatted."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import pytest

from tasks.base.errors import EngineError, ExitCode, UnformattedError
from tasks.base.masking import Masker
from tasks.base.problem import NOTHING_CHANGED, Kind, Problem, doit
from tasks.notifications import text
from tasks.notifications.events import Item
from tasks.reports import causes, forgefiles, note, page, together
from tasks.reports.console import Console
from tasks.reports.model import Report
from tasks.run.request import Asked
from tasks.run.result import Result, Status
from tasks.run.run import Run
from tasks.validate import format_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project

WORDS = ["plan", "deploy", "status", "log", "all", "help", "fmt", "key", "doit", "a", "error", "untouched", "next"]
NESTED = ["web", "apps/web", "apps/web/web", "infra/web", "web-api", "api-web", "we", "WEB"]


def failed(stack: str, stage: str = "plan") -> Result:
    """A failure that names its stack everywhere, and has words that a stack may be called by."""
    error = EngineError(
        f"{stack} has no key: the plan needs all of it, see the log",
        stack=stack,
        where=f"stacks/{stack}/main.tf",
        untouched="nothing of it was deployed",
        next_step=("set it; then ", doit(f"plan:{stack}"), ", look with ", doit("log", stack)),
        details=[f"{stack}: a key of status 403", "help: run fmt"],
        log=f"Error: no key\n\n  on stacks/{stack}/main.tf line 3:\n\nplan {stack} again, error 403",
    )
    return Result(stage, stack, Status.FAILED, error.message, problem=error.problem)


def unformatted(stack: str, file: str = "main.tf") -> Result:
    error = UnformattedError(
        f"not formatted: stacks/{stack}/{file}",
        stack=stack,
        untouched="nothing was applied",
        next_step="`tofu fmt -recursive stacks`",
        log=f"--- old/stacks/{stack}/{file}\n+++ new/stacks/{stack}/{file}\n-a={len(stack)}",
    )
    return Result("validate", stack, Status.FAILED, error.message, problem=error.problem)


def grouped(results: list[Result]) -> list[list[str]]:
    groups, found = causes.Groups[list[str]](), list[list[str]]()

    def first() -> list[str]:
        found.append([])
        return found[-1]

    for item in results:
        groups.of(item.stage, item.stack, item.problem, item.summary, first).append(item.stack)
    return found


@pytest.mark.parametrize("names", [["one", *WORDS], [*WORDS, "one"], NESTED, NESTED[::-1], [*WORDS, *NESTED]])
def test_a_stack_that_is_called_like_a_word_or_like_a_part_of_another_has_no_cause_of_its_own(names: list[str]) -> None:
    assert grouped([failed(name) for name in names]) == [names]


@pytest.mark.parametrize(
    "other",
    [("web", "no quota for web"), ("web", "plan has no key: the plan needs web"), ("plan", "plan has no quota")],
)
def test_another_failure_of_such_a_stack_is_another_cause(other: tuple[str, str]) -> None:
    stack, summary = other
    found = [failed("plan"), failed("db"), Result("plan", stack, Status.FAILED, summary)]
    assert grouped(found)[1:] == [[stack]]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (("plan", "doit plan:plan"), ("web", "doit plan:web"), True),
        (("web", "doit plan:web"), ("plan", "doit plan:plan"), True),
        (("web", "doit plan:web"), ("web", "doit plan:web"), True),
        (("web", "stacks/apps/web"), ("apps/web", "stacks/apps/apps/web"), True),
        (("web", "doit plan:web-api"), ("web-api", "doit plan:web-api"), True),
        (("web", "doit plan:web"), ("plan", "doit deploy:plan"), False),
        (("web", "doit plan:web"), ("db", "doit plan:dns"), False),
        (("web", "no quota"), ("db", "no quota left"), False),
        (("", "one text"), ("web", "one text"), True),
    ],
)
def test_texts_are_the_same_if_only_the_names_differ(one: tuple[str, str], other: tuple[str, str], alike: bool) -> None:
    assert causes.same(one, other) is alike


@pytest.mark.parametrize("form", ["{}-prod", "{}_prod", "env/{}", "{}.tfstate", "{}/prod/state"])
@pytest.mark.parametrize("change", [str, lambda name: name.replace("/", "-"), lambda name: name.rpartition("/")[2]])
def test_a_backend_that_is_down_is_one_failure_whatever_its_addresses_are(
    form: str, change: Callable[[str], str]
) -> None:
    """The address of each stack's state has its name in it, or what may stand in an address of that."""

    def down(stack: str) -> Result:
        address = f"https://state.example/{form.format(change(stack))}"
        said = f'GET {address} giving up after 1 attempt(s): Get "{address}": refused'
        log = f"Error: Error refreshing state\n\n{textwrap.fill(said, 50, break_on_hyphens=False, break_long_words=False)}"
        text = "tofu init could not reach state.example (connection refused)"
        error = EngineError(text, stack=stack, next_step="check the network", log=log)
        return Result("plan", stack, Status.FAILED, text, problem=error.problem)

    names = ["ci/builder-01", "ci/builder-02", "web", "apps/web", "prod", "infra/state", "env", "get"]
    assert grouped([down(name) for name in names]) == [names]


def test_many_causes_are_not_each_compared_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr(causes, "same", lambda one, other: compared.append(one) or one == other)
    found = grouped([Result("plan", f"s{number}", Status.FAILED, f"cause x{number}y") for number in range(1000)])
    assert len(found) == 1000
    assert len(compared) <= 1000 * causes._MOST_COMPARED


def faces(results: list[Result]) -> dict[str, str]:
    """What people read of a plan in which these failed."""
    report = Report.collect("plan", results, environment="local", commit="abc", mask=Masker())
    return {
        "note": note.render(report),
        "page": page.render(report),
        "annotations": "\n".join(forgefiles.workflow_commands(report)),
    }


@pytest.mark.parametrize("make", [failed, unformatted])
def test_every_face_tells_one_failure_of_fifty_stacks_once(make: Callable[[str], Result]) -> None:
    names = ["plan", "all", *(f"stack-{number:02}" for number in range(48))]
    results = [make(name) for name in names]
    problems = [(item.stack, item.problem) for item in results if item.problem]
    next_step = together.problem(problems, []).next_text
    for face, said in faces(results).items():
        told = said.replace("&#34;", '"').replace("&#39;", "'")
        assert told.count(f"next: {next_step}") == 1, face
        assert face == "annotations" or all(name in said for name in names), face
    items = [Item(item.stack, item.stage, "plan", item.summary, problem=item.problem) for item in results]
    [told_once] = text._causes(items)
    assert told_once["also"] == names[1:]


def test_a_message_lists_a_cause_once_with_its_stacks(load: Callable[..., Project]) -> None:
    from tasks.notifications.memory import Message
    from tasks.project.model import Channel

    run = Run(load("", "stacks/a/main.tf:"))
    items = tuple(Item(name, "plan", "plan", f"{name} has no key") for name in ["web", *WORDS])
    facts = {"deployed": [], "not_run": [], "repaired": [], "commit": "abc", "link": ""}
    _, body = text.render(run, Channel(url="${X}"), Message("failure", "prod", items, facts))  # type: ignore[call-arg]
    assert body.splitlines() == [f"web, plan, deploy and {len(WORDS) - 2} more (plan): web has no key", "commit abc"]


def test_fifty_unformatted_stacks_are_one_failure_on_the_console(
    load: Callable[..., Project], capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"stack-{number:02}" for number in range(50)]
    run = Run(load("", *(f"stacks/{name}/main.tf:" for name in names)))
    shown = Console(run)
    for name in names:
        result = unformatted(name, "variables.tf" if name == "stack-07" else "main.tf")
        shown.ended(result, selected=True)
        run.results[f"validate:{name}"] = result
    shown.summary({"validate"}, ExitCode.FAILED, [])
    out = capsys.readouterr().out
    assert out.count("---- validate:") == 2, "the difference of the first one, its begin and its end"
    assert out.count("as stack-00 above") == 49
    assert "FAILED  not formatted: stacks/stack-07/variables.tf; as stack-00 above" in out
    last = out[out.rindex("FAILED  validate stack-00") :].splitlines()
    assert last[0].endswith("stack-04 and 45 more: their files are not formatted")
    assert last[2] == "  next: `tofu fmt -recursive stacks`"


@pytest.mark.parametrize(
    ("paths", "command"),
    [
        (["stacks/a/main.tf"], "`tofu fmt stacks/a/main.tf`"),
        (["stacks/a b/main.tf", "x.tfvars"], "`tofu fmt 'stacks/a b/main.tf' x.tfvars`"),
        ([f"stacks/{name}/main.tf" for name in "abcdef"], "`tofu fmt -recursive stacks`"),
        ([*(f"stacks/{name}/main.tf" for name in "abcdef"), "modules/m/x.tf", "y.tfvars"],
         "`tofu fmt -recursive modules stacks y.tfvars`"),
    ],
)  # fmt: skip
def test_one_command_formats_all_of_them(paths: list[str], command: str) -> None:
    assert format_command("tofu", paths).quoted == command


@pytest.mark.parametrize(
    ("plan", "counted"),
    [
        (Status.OK, "validate  1 ok"),
        (Status.FAILED, "validate  1 formatted (the plan validates the rest)"),
        (Status.NOT_RUN, "validate  1 formatted (the plan validates the rest)"),
        (None, "validate  1 formatted (the plan validates the rest)"),
    ],
)
def test_a_stack_is_not_called_valid_beside_a_plan_that_found_it_invalid(
    load: Callable[..., Project], capsys: pytest.CaptureFixture[str], plan: Status | None, counted: str
) -> None:
    run = Run(load("", "stacks/a/main.tf:"))
    run.asked = Asked(planned=frozenset({"a"}))
    run.results["validate:a"] = Result("validate", "a", Status.OK, "formatted; the plan validates the rest")
    if plan is not None:
        run.results["plan:a"] = Result("plan", "a", plan, "plan failed: invalid reference")
    Console(run).summary({"plan", "validate"}, ExitCode.OK, [])
    assert counted in capsys.readouterr().out.splitlines()
    run.asked = Asked()
    Console(run).summary({"validate"}, ExitCode.OK, [])
    assert "validate  1 ok" in capsys.readouterr().out.splitlines()


def test_the_record_of_a_run_names_the_cause_of_each_failure(load: Callable[..., Project]) -> None:
    from tasks.history.recorder import Recorder

    run = Run(load("", *(f"stacks/{name}/main.tf:" for name in ("web", "plan", "db"))))
    recorder = Recorder(run, ["plan"], {})
    for name in ("web", "plan"):
        recorder.ended(f"plan:{name}", failed(name))
    recorder.ended("plan:db", Result("plan", "db", Status.OK, "+1 ~0 -0"))
    recorder.end(1, "failed")
    tasks = json.loads(run.layout.run_record(recorder.id).read_text())["tasks"]
    assert [item.get("cause") for item in tasks] == ["plan:web", "plan:web", None]


def test_the_record_of_a_run_has_one_next_step_for_all_that_failed_for_one_cause(load: Callable[..., Project]) -> None:
    from tasks.history.recorder import Recorder

    run = Run(load("", *(f"stacks/{name}/main.tf:" for name in ("web", "db", "dns"))))
    recorder = Recorder(run, ["plan"], {})
    for name in ("web", "db"):
        problem = Problem(
            Kind.REFUSED, "its plan is too old", untouched=NOTHING_CHANGED.one,
            untouched_of_several=NOTHING_CHANGED.several, next=(doit(f"plan:{name}"), " plans it again"),
        )  # fmt: skip
        recorder.ended(f"plan:{name}", Result("plan", name, Status.FAILED, problem.summary, problem=problem))
    recorder.end(1, "failed")
    [shared] = json.loads(run.layout.run_record(recorder.id).read_text())["causes"].values()
    assert shared["untouched"] == "nothing in these stacks was changed"
    assert shared["next"]["command"] == ["doit", "plan:db", "plan:web"]
