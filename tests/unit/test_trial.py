"""Source files changed on trial: kept once proven, otherwise put back, and never over somebody else's work."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tasks.base.errors import DriftAdoptionError, RecordError
from tasks.base.stop import Stop
from tasks.plans import trial

if TYPE_CHECKING:
    from pathlib import Path

A, B = "s/a.tf", "s/b.tf"
BEFORE = {A: b"a", B: b"b"}
AFTER = {A: b"A", B: b"B"}


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """What a trial needs of a run, with two files."""
    (tmp_path / "s").mkdir()
    for file, content in BEFORE.items():
        (tmp_path / file).write_bytes(content)
    return SimpleNamespace(project=SimpleNamespace(root=tmp_path), stop=Stop(lambda _: None))


def contents(run: Any) -> dict[str, bytes]:
    """All files, the hidden ones too."""
    root = run.project.root
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_proven_change_stays_and_nothing_else_does(run: Any) -> None:
    with trial.changed(run, "s", BEFORE, AFTER):
        assert (run.project.root / A).read_bytes() == b"A"
    assert contents(run) == AFTER


def test_a_write_that_fails_halfway_leaves_every_file_as_it_was(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write = trial.write_atomic

    def full(path: Path, data: bytes, **more: Any) -> None:
        if path.name == "b.tf":
            raise RecordError("no space left")
        write(path, data, **more)

    monkeypatch.setattr(trial, "write_atomic", full)
    with pytest.raises(RecordError, match="no space left"), trial.changed(run, "s", BEFORE, AFTER):
        pass
    assert contents(run) == BEFORE


def test_what_somebody_wrote_meanwhile_is_not_overwritten(run: Any) -> None:
    def meanwhile() -> None:
        with trial.changed(run, "s", BEFORE, AFTER):
            (run.project.root / A).write_bytes(b"mine")
            raise ValueError

    with pytest.raises(DriftAdoptionError, match=r"s/a\.tf changed"):
        meanwhile()
    assert contents(run) == {"s/.a.tf.before-adopt": b"a", A: b"mine", B: b"b"}


def test_a_file_that_changed_before_or_an_earlier_run_that_was_killed_is_refused(run: Any) -> None:
    with (
        pytest.raises(DriftAdoptionError, match="was changed while"),
        trial.changed(run, "s", {**BEFORE, A: b"x"}, AFTER),
    ):
        pass
    assert contents(run) == BEFORE
    (run.project.root / "s/.b.tf.before-adopt").write_bytes(b"old")
    with pytest.raises(DriftAdoptionError, match="another `--adopt`"), trial.changed(run, "s", BEFORE, AFTER):
        pass
    assert contents(run) == {"s/.b.tf.before-adopt": b"old", **BEFORE}
