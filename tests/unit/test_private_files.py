"""Files that hold values are their owner's alone from the first byte, whatever the umask and whatever was there before.

A stranger who opened a file while others could read it reads on after its mode has changed.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from tasks.artifact import store
from tasks.base import sealed
from tasks.base.files import write_atomic
from tasks.run import errored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """Autouse: the system takes no permission away."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def modes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The permissions of each file as `os.open` made it."""
    seen: list[int] = []
    real = os.open

    def opened(path: str, flags: int, mode: int = 0o777, **options: int) -> int:
        descriptor = real(path, flags, mode, **options)
        if flags & os.O_CREAT:
            seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    return seen


def planted(path: Path, kind: str) -> Path:
    """What was there before; returns a file that must stay as it is."""
    other = path.with_name("other")
    other.write_text("untouched")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "hard link":
        os.link(other, path)
    elif kind == "readable":
        path.write_text("older")
    elif kind == "pipe":
        os.mkfifo(path)
    return other


KINDS = pytest.mark.parametrize("kind", ["nothing", "readable", "link", "hard link", "pipe"])


@KINDS
def test_the_draft_of_a_plan(tmp_path: Path, modes: list[int], kind: str) -> None:
    draft = tmp_path / "draft.tfplan"
    other = planted(draft, kind)
    with sealed.of(b"a value") as plan:
        store._write(draft, plan)
    assert draft.read_bytes() == b"a value"
    assert modes == [0o600]
    assert other.read_text() == "untouched"


@KINDS
def test_a_state_that_the_engine_printed_as_a_last_resort(tmp_path: Path, modes: list[int], kind: str) -> None:
    path = tmp_path / errored.FILE
    other = planted(path, kind)
    assert errored._keep('{"version": 4}', [tmp_path]) == path
    assert path.read_text() == '{"version": 4}\n'
    assert modes == [0o600]
    assert other.read_text() == "untouched"


@KINDS
def test_a_record(tmp_path: Path, modes: list[int], kind: str) -> None:
    path = tmp_path / "record.json"
    other = planted(path, kind)
    write_atomic(path, b"{}")
    assert path.read_bytes() == b"{}"
    assert modes == [0o600]
    assert other.read_text() == "untouched"
