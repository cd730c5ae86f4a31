"""Forgeries of a handed-over folder: none is accepted, none crashes or hangs; and the mutator finds what is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.artifact import folder, index
from tests import forgeries

if TYPE_CHECKING:
    from collections.abc import Callable

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
