"""What a killed build of an image left behind is removed, and nothing that is in use."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tasks.base.files import locked
from tasks.builds import images

NOBODY = 2**22 + 1  # above the highest process number


@pytest.mark.parametrize(("number", "held", "left"), [(NOBODY, False, False), (NOBODY, True, True), (1, False, True)])
def test_a_folder_is_left_while_its_run_is_alive_here_or_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, *, held: bool, left: bool
) -> None:
    """A run in another container has no process here, but holds its lock."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"doit-tofu-image-{number}-x"
    folder.mkdir()
    with locked(folder / "lock"):
        if held:
            images._sweep()
    if not held:
        images._sweep()
    assert folder.exists() is left
