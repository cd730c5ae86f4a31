"""Forgeries of a handed-over folder: none is accepted, none crashes or hangs; and the mutator finds what is open."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tasks.artifact import folder, index
from tasks.base import files, plain
from tasks.base.errors import FolderRefusedError
from tests import forgeries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHORT = 400  # `python -m tests.forgeries 10000` makes more


def test_no_forgery_is_accepted() -> None:
    outcome = forgeries.attack(SHORT, seed=7)
    assert outcome.harmless < SHORT // 50
    assert (outcome.tried, dict(outcome.accepted), dict(outcome.crashed), dict(outcome.hung)) == (SHORT, {}, {}, {})


def _believe_any_index(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(index.hmac, "compare_digest", lambda *_: True)


def _believe_any_pipeline(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(folder, "_check_origin", lambda *_: None)
    patch.setattr(folder, "_check_one_pipeline", lambda *_: None)


def _overlook_what_is_missing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(folder, "_may_be_missing", lambda _: True)


def _overlook(patch: pytest.MonkeyPatch, said: str) -> None:
    wrong = folder._wrong
    patch.setattr(folder, "_wrong", lambda *given: [text for text in wrong(*given) if said not in text])


def _overlook_receipts(patch: pytest.MonkeyPatch) -> None:
    _overlook(patch, "receipts/")


def _overlook_additions(patch: pytest.MonkeyPatch) -> None:
    _overlook(patch, "is not listed")


@pytest.mark.parametrize(
    "open_it",
    [_believe_any_index, _believe_any_pipeline, _overlook_what_is_missing, _overlook_receipts, _overlook_additions],
)
def test_the_mutator_finds_a_hole_that_is_opened_on_purpose(
    open_it: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mutator that finds nothing proves nothing."""
    open_it(monkeypatch)
    assert forgeries.attack(SHORT, seed=7, at_first=True).accepted


def test_a_file_with_a_hole_in_it_does_not_hold_the_run(tmp_path: Path) -> None:
    """It takes no room on the disk, and hashing it would take hours."""
    world = forgeries.World(tmp_path)
    world.make()
    with world.layout.plan("web").open("r+b") as file:
        file.truncate(1 << 43)
    began = time.monotonic()
    with pytest.raises(FolderRefusedError, match=r"plans/web/plan\.tfplan was changed"):
        world.verify()
    assert time.monotonic() - began < forgeries.LONGEST


def test_a_second_name_of_a_file_is_not_written_through(tmp_path: Path) -> None:
    """An unpacked archive may contain one: what is written into the lock would replace the other file's content."""
    other = tmp_path / "main.tf"
    other.write_text("kept")
    lock = tmp_path / ".deploy/local/run.lock"
    lock.parent.mkdir(parents=True)
    os.link(other, lock)
    with pytest.raises(plain.NotPlainError, match="has another hard link"), files.locked(lock, note="doit deploy"):
        pass
    with pytest.raises(plain.NotPlainError, match="has another hard link"):
        files.append(lock, "more")
    assert other.read_text() == "kept"
    assert plain.read(lock, 10) == b"kept"
