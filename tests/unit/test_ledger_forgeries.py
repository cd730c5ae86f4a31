"""Forgeries of the ledger: none is accepted, none crashes or hangs; and the mutator finds what is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.ledger import chain, identity, machine, storehome, verifying
from tasks.ledger.keys import PublicKey
from tests import ledgerforgeries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SHORT = 800  # `python -m tests.ledgerforgeries 10000` makes more


def test_no_forgery_is_accepted() -> None:
    outcome = ledgerforgeries.attack(SHORT, seed=7)
    assert (outcome.tried, dict(outcome.accepted), dict(outcome.crashed), dict(outcome.hung)) == (SHORT, {}, {}, {})


def _believe_any_signature(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PublicKey, "verifies", lambda *_: True)


def _believe_any_head(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(chain, "judge_head", lambda *_: None)


def _believe_any_shard(patch: pytest.MonkeyPatch) -> None:
    def believing(self: storehome.StoreHome, wanted: Sequence[tuple[str, str]]) -> list[bytes]:
        return [self.place.read(storehome._object(digest))[0] or b"" for _, digest in wanted]

    patch.setattr(storehome.StoreHome, "_objects", believing)
    patch.setattr(chain.Verification, "_judge_records", lambda *_: None)  # the entries would tell, too


def _believe_any_ledger(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(identity.Identity, "problem", lambda *_: None)
    patch.setattr(machine.Mark, "leads_to", lambda *_: True)


def _believe_any_place_in_the_chain(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(machine.Mark, "leads_to", lambda *_: True)


def _believe_any_recent_entry(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(verifying.Verifier, "newest", lambda *_: None)


@pytest.mark.parametrize(
    "open_it",
    [
        _believe_any_recent_entry,
        _believe_any_signature,
        _believe_any_head,
        _believe_any_shard,
        _believe_any_ledger,
        _believe_any_place_in_the_chain,
    ],
)
def test_the_mutator_finds_a_hole_that_is_opened_on_purpose(
    open_it: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mutator that finds nothing proves nothing."""
    open_it(monkeypatch)
    assert ledgerforgeries.attack(SHORT, seed=7, at_first=True).accepted
