"""Forgeries of the observations: none is accepted, none crashes or hangs; and the mutator finds what is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.ledger import observer, statement
from tasks.ledger.identity import Identity
from tasks.ledger.keys import PublicKey
from tests import observationforgeries

if TYPE_CHECKING:
    from collections.abc import Callable

SHORT = 1000  # `python -m tests.observationforgeries 10000` makes more


def test_no_forgery_is_accepted() -> None:
    outcome = observationforgeries.attack(SHORT, seed=7)
    assert outcome.harmless < SHORT // 4  # earlier versions of its own
    assert (outcome.tried, dict(outcome.accepted), dict(outcome.crashed), dict(outcome.hung)) == (SHORT, {}, {}, {})


def _believe_any_signature(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PublicKey, "verifies", lambda *_: True)


def _believe_the_named_key(patch: pytest.MonkeyPatch) -> None:
    def named(envelope: statement.Envelope, keys: list[PublicKey]) -> bool:
        return any(item.keyid == key.id for item in envelope.signatures for key in keys)

    patch.setattr(observer.statement, "verified", named)


def _believe_without_a_signature(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(observer.statement, "verified", lambda envelope, _: not envelope.signatures)


def _believe_any_environment(patch: pytest.MonkeyPatch) -> None:
    right = Identity.problem_of
    patch.setattr(Identity, "problem_of", lambda self, project, _: right(self, project, self.environment))


def _believe_any_project(patch: pytest.MonkeyPatch) -> None:
    right = Identity.problem_of
    patch.setattr(Identity, "problem_of", lambda self, _, environment: right(self, self.project, environment))


def _fail_with_any_error(patch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes, kind: str) -> statement.Envelope:
        del kind
        raise KeyError(len(data))

    patch.setattr(observer.statement, "read", broken)


@pytest.mark.parametrize(
    "open_it",
    [
        _believe_any_signature,
        _believe_the_named_key,
        _believe_without_a_signature,
        _believe_any_environment,
        _believe_any_project,
    ],
)
def test_the_mutator_finds_a_hole_that_is_opened_on_purpose(
    open_it: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mutator that finds nothing proves nothing."""
    open_it(monkeypatch)
    monkeypatch.setattr(observationforgeries.World, "__post_init__", _with_what_was_written)
    assert observationforgeries.attack(SHORT, seed=7, at_first=True).accepted


def test_the_mutator_finds_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    world = observationforgeries.World()
    monkeypatch.setattr(observationforgeries, "World", lambda: world)
    _fail_with_any_error(monkeypatch)
    assert observationforgeries.attack(SHORT, seed=7, at_first=True).crashed


_OWN = observationforgeries.World().own


def _with_what_was_written(world: observationforgeries.World) -> None:
    world.own = _OWN
    world.files = dict(world.versions[-1])
