"""Obtaining the engine: what a stopped run says and starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from tasks.base.errors import EngineError, StoppedError
from tasks.base.stop import Stop
from tasks.engine import gobuild, obtain, release
from tasks.engine.gobuild import build
from tasks.project.model import Engine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine on PATH, an empty cache, no way to build one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def build(*_: object) -> NoReturn:
        raise AssertionError("a build was started")

    monkeypatch.setattr(gobuild, "build", build)


def test_a_build_counts_its_packages_and_says_of_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\n[ $1 = list ] && seq 1234 && exit\nseq 3 >&2\nexit 1\n".replace("seq", "/usr/bin/seq"))
    go.chmod(0o755)
    monkeypatch.setattr(gobuild, "_TELL_EVERY", -1.0)
    said: list[str] = []
    with pytest.raises(EngineError, match="failed:\n      1\n      2\n      3"):
        build(Engine(), gobuild.pinned_version(), tmp_path / "engines/tofu", Stop(said.append), said.append)
    first, *rest = said
    assert first == f"setup: building tofu {gobuild.pinned_version()} with Go; this takes a few minutes, once"
    assert [line.rpartition(" after ")[0] for line in rest] == [
        f"setup: built {number} of at most 1,234 packages" for number in (1, 2, 3)
    ]


def test_a_stop_during_the_download_says_no_more_and_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    stop = Stop(said.append)

    def download(*_: object) -> NoReturn:
        stop.requested = True
        raise EngineError("cannot download it: gave up")

    monkeypatch.setattr(release, "download", download)
    with pytest.raises(StoppedError):
        obtain.obtain(Engine(), stop, said.append)
    assert [line.partition(":")[2].strip() for line in said] == [
        f"tofu {Engine().version} is not here yet: no tofu on PATH"
    ]


def test_a_task_that_waited_for_one_that_was_stopped_says_nothing() -> None:
    said: list[str] = []
    stop = Stop(said.append)
    stop.requested = True
    with pytest.raises(StoppedError):
        obtain.obtain(Engine(), stop, said.append)
    assert said == []
