"""Which plans are read without the engine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tasks.base import sealed
from tasks.engine.command import Context
from tasks.plans import judging, reading

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.run.run import Run


class Engine:
    """An engine that shows every plan."""

    def __init__(self, kind: str, release: tuple[int, int]) -> None:
        self.kind, self.release, self.version = kind, release, ".".join(map(str, (*release, 0)))

    def json(self, *_: object) -> dict[str, str]:
        """What it says of a plan."""
        return {"shown": "by the engine"}


class FakeRun:
    """A run with this engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.project = SimpleNamespace(keyring=SimpleNamespace(is_set=False, current=None))

    def engine(self) -> Engine:
        """The engine."""
        return self._engine


@pytest.mark.parametrize(
    ("kind", "release"),
    [("tofu", (1, 11)), ("tofu", (1, 13)), ("tofu", (2, 12)), ("terraform", (1, 12)), ("tofu", (1, 12))],
)
def test_plans_of_engines_that_we_were_not_compared_with_and_what_is_no_plan_are_shown(
    kind: str, release: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "judged_by", lambda _: None)
    read = []
    monkeypatch.setattr(
        reading.plans, "read", lambda plan, _opened: read.append(plan) or (_ for _ in ()).throw(AssertionError)
    )
    known = (kind, release) == ("tofu", (1, 12))
    if known:
        monkeypatch.undo()
        monkeypatch.setattr(judging, "judged_by", lambda _: None)
    run = cast("Run", cast("Any", FakeRun(Engine(kind, release))))
    with sealed.of(b"no plan at all") as plan:
        assert reading.of(run, Context("plan a", tmp_path, tmp_path), plan) == {"shown": "by the engine"}
    assert read == []
