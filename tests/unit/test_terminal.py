"""What fits on a line: commands and paths stay whole, a kept answer fits whatever terminal it is shown on later."""

from __future__ import annotations

import re
import shutil
import sys
from os import terminal_size
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tasks import doitwords, graph, helptext, replay, status
from tasks.base import terminal
from tasks.base.errors import ConfigError
from tasks.base.problem import doit
from tasks.base.terminal import Style, Styled, wrapped
from tasks.run.action import ProgramText, printing
from tasks.run.commandline import COMMANDS
from tasks.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LONG = "identity-federation-for-the-european-partners"


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int | None) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: columns is not None)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_, **__: terminal_size((columns or 80, 40)))


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("short", ["short"]),
        ("web  3f2a  affected: the file main.tf has changed", ["web  3f2a  affected: the file", "     main.tf has changed"]),
        ("a-stack-with-a-name  3f2a  affected: changed", ["a-stack-with-a-name  3f2a", "  affected: changed"]),
        ("  next: set it; then `doit env=prod plan:web`", ["  next: set it; then", "    `doit env=prod plan:web`"]),
        ("  | ~ module.one.x (it cannot be changed)", ["  | ~ module.one.x (it cannot", "  |   be changed)"]),
        ("run `doit accept=web:missing reason=lost plan`", ["run", "  `doit accept=web:missing reason=lost plan`"]),
        ("stacks/" + "a" * 40 + "/main.tf is not there", ["stacks/" + "a" * 40 + "/main.tf", "  is not there"]),
        ("a-name" + " " * 14 + "-  affected", ["a-name  -  affected"]),
        ("network  3f2a9c1b  23:15Z  up to date", ["network  3f2a9c1b  23:15Z", "         up to date"]),
        ("two\nlines of which the second one is long", ["two", "lines of which the second one", "  is long"]),
    ],
)  # fmt: skip
def test_a_line_breaks_between_words_and_never_within_a_command_or_a_path(line: str, lines: list[str]) -> None:
    assert wrapped(line, 30) == lines
    assert wrapped(line, None) == [line]


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
@pytest.mark.parametrize("name", ["web", "networking-production-europe", LONG])
@pytest.mark.parametrize("state", ["up to date", "its checks have not passed", "affected: never deployed from here"])
def test_a_state_that_fits_on_a_line_stays_on_one(columns: int, name: str, state: str) -> None:
    lines = wrapped(f"{name:<{len(LONG)}}  db55b5cf 2026-11-26T22:35Z  {state}", columns)
    assert sum(line.endswith(state) for line in lines) == 1
    assert max(map(len, lines)) <= columns
    assert lines[0].split()[0] == name


def test_what_is_quoted_is_not_wrapped() -> None:
    line = Styled("said by a program, " * 9, quoted=True)
    assert terminal.fitted([line], 40) == [line]


@pytest.mark.parametrize("columns", [60, 100, 200])
@pytest.mark.parametrize("colours", [False, True])
def test_a_kept_answer_is_shown_as_it_would_be_said_now(columns: int, colours: bool) -> None:
    lines = [
        Styled("plan      3 not affected"),
        Styled(f"local: {'no stack is affected, ' * 9}all (0.1 s)", Style.GOOD),
    ]
    kept = "\n".join(terminal.painted(line.text, line.style) for line in lines)
    now = terminal.fitted(lines, columns)
    said = "\n".join(terminal.painted(*line[:2]) if colours else line.text for line in now)
    assert terminal.restyled(kept, columns, colours=colours) == said
    assert max(map(len, COLOUR.sub("", said).splitlines())) <= columns


@pytest.fixture
def run(load: Callable[..., Project]) -> Run:
    names = ["web", LONG, "apps/customer-accounts-replica"]
    needs = f"stacks:\n  web: {{depends_on: [{LONG}, apps/customer-accounts-replica]}}\n"
    config = f'discover: ["stacks/**"]\n{needs}'
    return Run(load(config, *(f"stacks/{name}/main.tf:" for name in names)))


@pytest.mark.parametrize("kept_on", [60, 200, None])
def test_status_fits_the_terminal_and_so_does_its_replay_on_another_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kept_on: int | None
) -> None:
    said = {}
    for columns in (60, 100, 200, None):
        on_terminal(monkeypatch, columns)
        run.output.written = []
        run.say(status.text(run))
        said[columns] = capsys.readouterr().out
    on_terminal(monkeypatch, kept_on)
    run.output.written = []
    run.say(status.text(run))
    kept = "".join(run.output.written)
    capsys.readouterr()
    for columns, fresh in said.items():
        on_terminal(monkeypatch, columns)
        replay._print(kept, reading=True)
        assert capsys.readouterr().out == fresh
        if columns:
            assert max(map(len, fresh.splitlines())) <= columns
    assert "local: 3 stacks, 3 affected; `doit deploy` deploys and\n  checks them\n" in said[60]
    assert f"{LONG}  -\n  affected: never deployed from here\n" in said[60]
    assert "web  -  affected: never deployed from here\n" in said[60]
    assert max(map(len, said[None].splitlines())) > 60


@pytest.mark.parametrize(
    ("deployed", "shown"),
    [
        ({"commit": "d39421bc" * 5, "at": "2026-11-26T18:44:53+00:00"}, "d39421bc 2026-11-26 18:44 UTC"),
        ({"commit": "d39421bc" * 5, "at": "2026-11-26T18:44:53.123Z"}, "d39421bc 2026-11-26 18:44 UTC"),
        ({"commit": None, "at": "2026-11-26T18:44:53+01:00"}, "no commit 2026-11-26 17:44 UTC"),
        ({"commit": None, "at": None}, "no commit "),
        ({}, "-"),
    ],
)
def test_status_shows_a_deploy_to_the_minute(deployed: dict[str, str | None], shown: str) -> None:
    receipt: Any = SimpleNamespace(deployed=deployed)
    assert status._deployed(receipt) == shown


def test_an_answer_that_was_kept_on_a_terminal_has_no_colours_in_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    on_terminal(monkeypatch, None)
    replay._print(f"{terminal.painted('local: no stack is affected', Style.GOOD)}\n", reading=False)
    assert capsys.readouterr().out == "local: no stack is affected\n"


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_every_help_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    on_terminal(monkeypatch, columns)
    for text in (
        helptext.usage("doit-tofu 1.0", "doit"),
        *(helptext.about(name, "doit") for name in (*COMMANDS, *doitwords.OWN, *doitwords.INSTEAD)),
    ):
        assert max(map(len, terminal.fit(text).splitlines())) <= columns


def test_the_graph_for_people_fits_the_terminal_and_the_one_for_programs_is_not_wrapped(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(monkeypatch, 60)
    show = printing(run, "graph", graph._text)["actions"][0]
    assert callable(show)
    show(form="text")
    lines = capsys.readouterr().out.splitlines()
    assert f"  web  needs {LONG}," not in lines
    assert max(map(len, lines)) <= 60
    show(form="dot")
    assert f'  "{LONG}" -> "web";' in capsys.readouterr().out.splitlines()
    assert isinstance(graph._text(run, "mermaid"), ProgramText)


@pytest.mark.parametrize("command", ["log", "audit", "ledger", "status", "graph"])
def test_whatever_a_command_prints_fits_the_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """What it says, and why it cannot say it: both go through one gate."""
    on_terminal(monkeypatch, 60)
    entry = "   12  2026-11-26T17:28:37Z  apply      web  applied  commit 3f2a9c1b  pipeline 4711  because of the audit"
    answers = [lambda _: entry, lambda _: "an answer of many words, " * 9]

    def refuses(_: Run) -> str:
        raise ConfigError("it was not found " * 9, next_step=("run ", doit("ledger", "accept", f"{LONG}:missing")))

    for answer in (*answers, refuses):
        show = printing(run, command, answer)["actions"][0]
        assert callable(show)
        show()
        out = capsys.readouterr().out
        assert [line for line in out.splitlines() if len(line) > 60 and "`doit" not in line] == []
        assert out.count("`doit") == out.count(f"`doit ledger accept {LONG}:missing`")
