"""A short run of the histories that `bench/ledger_histories.py` plays by the hundred."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from bench.ledger_histories import Round

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", [1, 2])
def test_no_history_is_wrong(tmp_path: Path, tofu: Path, seed: int) -> None:
    del tofu  # it is there
    counts = Counter[str]()
    Round(tmp_path / "round", seed, counts).play()
    assert counts["applies"]
    assert counts["passed fsync.after"]  # the points are watched, in the checkout and in the wheel
