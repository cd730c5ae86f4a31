"""A ledger that is asked while the project is loaded: its answer is the first one of the run's session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.base.stop import Stop
from tasks.ledger.batch import Me
from tasks.ledger.home import HomeError, UnreachableError
from tasks.ledger.identity import Identity
from tasks.ledger.machine import Failed, Look, Trouble
from tasks.ledger.session import Session
from tasks.project import load as loading
from tasks.project.hcl.fileindex import FileIndex
from tasks.run import early

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tasks.project.model.ledger import Ledger
    from tasks.project.project import Project

LEDGER = "ledger: {kind: git}\n"
ME = Me("a-pipeline", "a-run", "pipeline 1")


class _Home:
    """A place without a ledger that counts how often it is asked."""

    name = "a place"

    def __init__(self, error: HomeError | None = None) -> None:
        self.asked, self._error = 0, error

    def read(self) -> None:
        self.asked += 1
        if self.asked == 1 and self._error is not None:
            raise self._error


def _settings(project: Project) -> Ledger:
    assert project.config.ledger != "none"
    return project.config.ledger


def _handed_over(project: Project, home: _Home, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(early, "open_home", lambda *_: home)
    begun = early.begin(_settings(project), project.loaded, project.layout)
    assert begun is not None
    session = Session(_Home(), ME, Identity("group/project", "local"))  # type: ignore[arg-type]
    begun.hand_over(session, Stop(print))
    return session


def test_the_first_look_takes_the_answer_and_the_next_one_asks_again(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _Home()
    session = _handed_over(load(LEDGER), home, monkeypatch)
    session.handle(Look())
    assert home.asked == 1
    session.handle(Look())
    assert home.asked == 2


def test_a_place_that_was_not_reached_is_asked_again(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _Home(UnreachableError("no answer"))
    [effect] = _handed_over(load(LEDGER), home, monkeypatch).handle(Look())
    assert home.asked == 2
    assert effect == Failed(Trouble.MISSING)


def test_a_place_that_cannot_be_opened_is_left_to_the_run(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = load(LEDGER)

    def refuse(*_: object) -> None:
        raise HomeError("no place")

    monkeypatch.setattr(early, "open_home", refuse)
    assert early.begin(_settings(project), project.loaded, project.layout) is None


def test_the_configuration_is_told_before_any_code_is_read(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    root: Path = load("", "stacks/web/main.tf:").root
    told: list[str] = []

    def list_names(_self: FileIndex, folder: str) -> list[str]:
        told.append(folder)
        return []

    monkeypatch.setattr(FileIndex, "_names", list_names)
    loading.load(root, configured=lambda loaded, _layout: told.append(loaded.environment))
    assert told[0] == "local"
    assert len(told) > 1
