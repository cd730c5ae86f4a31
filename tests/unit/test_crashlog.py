"""The crash log: one format for all unexpected errors, whether at the start or in a task."""

from __future__ import annotations

import os
import platform
import re
from typing import TYPE_CHECKING

import pytest
from doit.exceptions import TaskFailed

from tasks import start
from tasks.base import crashlog
from tasks.base.masking import Masker
from tasks.run.action import printing, stage_action
from tasks.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.project.project import Project

SECRET = "s3cr3t-of-the-crash"
ENTRY = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00 (?P<task>\S+)\n"
    r"doit-tofu \S.*, doit \d\S+, Python (?P<python>\S+), (?P<engine>[^,]+), .*\n"
    r"Traceback \(most recent call last\):\n(  .*\n)+(?P<error>\S.*)\n\n"
)


def broken(*_: object, **__: object) -> object:
    raise ZeroDivisionError(f"no {SECRET} here")


def entry(text: str) -> re.Match[str]:
    found = ENTRY.fullmatch(text)
    assert found, text
    return found


def test_an_error_in_a_task(load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_PASSWORD", SECRET)
    run = Run(load("", "stacks/a/main.tf:"))
    run.active = True

    assert isinstance(stage_action(run, "plan", "a", broken).execute(), TaskFailed)  # type: ignore[arg-type]

    found = entry(run.layout.crash_log.read_text())
    assert (found["task"], found["python"], found["engine"]) == ("plan:a", platform.python_version(), "no engine yet")
    assert found["error"].startswith("ZeroDivisionError: no ")
    assert SECRET not in found[0]
    problem = run.results["plan:a"].problem
    assert problem is not None
    assert problem.text().endswith("  next: report this bug and attach .deploy/local/crash.log")


def test_an_error_at_the_start_is_written_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THE_PASSWORD", SECRET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(start.loading, "load", broken)

    with pytest.raises(SystemExit) as ended:
        start.start()

    assert ended.value.code == 1
    found = entry((tmp_path / ".deploy/crash.log").read_text())
    assert (found["task"], found["engine"]) == ("start", "no engine yet")
    assert SECRET not in found[0]
    said = capsys.readouterr().err
    assert said.startswith("unexpected error: ZeroDivisionError: no ")
    assert said.endswith("  next: report this bug and attach .deploy/crash.log\n")
    assert SECRET not in said


def test_each_error_is_added_with_the_engine_that_was_in_use(tmp_path: Path) -> None:
    for number in range(2):
        step = crashlog.keep(
            tmp_path / "x/crash.log",
            "crash.log",
            f"plan:{number}",
            ValueError("\udcff"),
            Masker(),
            engine="tofu 1.12.6",
        )
        assert step == "report this bug and attach crash.log"

    text = (tmp_path / "x/crash.log").read_text()
    assert text.count("tofu 1.12.6, ") == text.count("ValueError: \\udcff\n") == 2


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("precious")])
def test_a_log_that_cannot_be_written_is_said(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "precious").write_text("content")
    make(tmp_path / "crash.log")

    step = crashlog.keep(tmp_path / "crash.log", "crash.log", "plan:a", ValueError(), Masker())

    assert step == "report this bug; its traceback could not be written"
    assert (tmp_path / "precious").read_text() == "content"


def test_an_error_in_a_text_that_is_printed(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THE_PASSWORD", SECRET)
    run = Run(load("", "stacks/a/main.tf:"))
    [show] = printing(run, "status", broken)["actions"]  # type: ignore[arg-type]
    assert callable(show)

    assert isinstance(show(), TaskFailed)

    found = entry(run.layout.crash_log.read_text())
    assert found["task"] == "status"
    assert SECRET not in found[0]
    said = capsys.readouterr().out
    assert said.startswith("unexpected error: ZeroDivisionError: no ")
    assert said.endswith("  next: report this bug and attach .deploy/local/crash.log\n")
    assert SECRET not in said
