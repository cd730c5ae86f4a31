"""The deploys of all stacks that the head names: no commit before them is deployed afterwards."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.clock import now
from ..base.files import canonical_json, sha256_bytes
from .record import Change, Kind, Partly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base.jsonvalue import Json, JsonObject
    from .record import Head

_MOST = 16  # commits of complete deploys that the head names, and of others


@dataclass(frozen=True)
class Completed:
    """A deploy of all stacks that has ended, also one that had nothing to apply.

    Args:
        commit: Its commit.
        over: The commits of earlier deploys that this one replaces.
        but: If it has not ended well, the stacks that it did not leave as its commit wants them.
    """

    commit: str
    over: frozenset[str] = frozenset()
    but: frozenset[str] | None = None

    def under(self, head: Head) -> Head:
        """The head, once it names this deploy."""
        if self.but is None:
            left = (item for item in head.partly if item.commit != self.commit and item.commit not in self.over)
            return head.model_copy(update={"complete": self.among(head.complete), "partly": (*left,)})
        before = (item for item in head.partly if item.commit == self.commit)
        but = self.but.intersection(*(item.but for item in before))
        left = (item for item in head.partly if item.commit != self.commit and not self._replaces(item, but))
        own = Partly(commit=self.commit, but=tuple(sorted(but)))
        return head.model_copy(update={"partly": (own, *left)[:_MOST]})

    def _replaces(self, earlier: Partly, but: frozenset[str]) -> bool:
        """Whether this deploy says all that an earlier one does."""
        return earlier.commit in self.over and but.issubset(earlier.but)

    def among(self, known: Sequence[str]) -> tuple[str, ...]:
        """The commits that the head names from now on, the latest first.

        One that this run has not read of stays named, as one whose order it does not know: both then count.
        """
        others = (commit for commit in known if commit != self.commit and commit not in self.over)
        return (self.commit, *others)[:_MOST]


def changes(base: Head, head: Head) -> Sequence[Change]:
    """The entry of a deploy that had nothing to record: without it, an older head would go unnoticed."""
    kind: Kind
    said: JsonObject
    if head.complete != base.complete:
        kind, said = Kind.COMPLETE, {"commit": head.complete[0]}
    elif head.partly != base.partly:
        kind, said = Kind.PARTLY, head.partly[0].model_dump(mode="json")
    else:
        return ()
    return (Change(kind, secrets.token_hex(16), now(), facts=said),)


def facts(head: Head) -> JsonObject:
    """The facts of which deploys were complete, and which others there were: the chain shows what the head names."""
    found: list[Json] = [*head.complete]
    partly = digest(head)
    return {**({"complete": found} if found else {}), **({"partly": partly} if partly else {})}


def digest(head: Head) -> str:
    """The digest of the deploys that have not ended well; empty without one."""
    return sha256_bytes(canonical_json([item.model_dump(mode="json") for item in head.partly])) if head.partly else ""
