"""The short form of `bench/chaos.py`: a few rounds on every backend, the same in every run of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.chaos import Chaos

if TYPE_CHECKING:
    from pathlib import Path

    from tests.backends import Backend

ROUNDS = 6
SEED = 20


def test_killed_at_random_moments_everything_converges(backend: Backend, tmp_path: Path, tofu: Path) -> None:
    tally = Chaos(backend, tmp_path / "chaos", tofu, SEED).run(ROUNDS)
    print(tally.line())
    assert tally.rounds == ROUNDS
    assert sum(tally.kills.values()) >= ROUNDS // 2, "most kills came when there was nothing left to kill"
