"""Finds stacks that were deployed and then removed from the configuration, so that their resources still exist."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import DeployError
from ..base.git import Relation
from ..base.text import short

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .run import Run

_STAYS = 'its resources still exist (docs/recover.md, "A stack was removed or renamed")'
_CONTAINED = frozenset({Relation.SAME, Relation.AFTER})


@dataclass(frozen=True)
class Removed:
    """A stack that is deployed, but that the code does not have.

    Args:
        name: Its name.
        commit: The commit that is deployed; None if that is not known.
        text: What there is to say of it, a sentence.
    """

    name: str
    commit: str | None
    text: str


def found(run: Run) -> list[Removed]:
    """The former stacks that the ledger or a receipt here has as deployed, by name."""
    here = _recorded(run)
    known = run.recording.beyond(here) if run.recording is not None else None
    if known is None:
        text = f"deployed from here, but no longer a stack of this environment; {_STAYS}"
        return [Removed(name, None, f"{name}: {text}") for name in here if name not in run.project.stacks]
    return [_of_ledger(run, name, known[name]) for name in sorted(known)]


def lines(run: Run) -> list[str]:
    """A sentence for each former stack that is deployed, or that existed at the base."""
    former = run.once(found)
    texts = [item.text for item in former]
    if (baseline := run.baseline) is not None:
        gone = [name for name in baseline.gone if name not in {item.name for item in former}]
        texts += [f"{name}: a stack at {baseline.ref}, but no longer one; {_STAYS}" for name in gone]
    return texts


def _of_ledger(run: Run, name: str, commits: Sequence[str]) -> Removed:
    """What to say of a stack; of a branch that is behind, it may not know yet."""
    named = [commit for commit in commits if commit]
    newer = newer_than(run, named)
    if newer is not None:
        where = "which this clone does not have" if newer[1] is Relation.UNKNOWN else "which is not part of this commit"
        text = f"deployed from {short(newer[0])}, {where}, and not a stack here: it may be newer"
        return Removed(name, newer[0], f"{name}: {text}")
    source = f"deployed from {short(named[0])}" if named else "deployed"
    text = f"{source}, but no longer a stack of this environment; {_STAYS}"
    return Removed(name, named[0] if named else None, f"{name}: {text}")


def newer_than(run: Run, commits: Iterable[str]) -> tuple[str, Relation] | None:
    """The first of these commits that the commit of this run does not contain, and where it stands; None if it has all.

    Where there are no commits to compare, it has all.
    """
    if run.shown_revision.commit is None:
        return None
    for commit in commits:
        relation = Relation.UNKNOWN
        with suppress(DeployError):
            relation = run.relation_to(commit)
        if relation not in _CONTAINED:
            return commit, relation
    return None


def _recorded(run: Run) -> list[str]:
    """The stacks that have a receipt here, sorted."""
    folder = os.fspath(run.layout.base / "receipts")
    paths = (f"{base}/{name}" for base, _, names in os.walk(folder) for name in names if name.endswith(".json"))
    return sorted(path.removeprefix(f"{folder}/").removesuffix(".json") for path in paths)
