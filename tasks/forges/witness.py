"""Tells the forge of this run which entry of the ledger is the last, as a commit status, and reads what it was told."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ..base.errors import DeployError
from ..ledger import witness
from ..ledger.keys import PublicKey
from ..ledger.witness import Asked, Judgement, Verdict
from . import connect, place
from .http import ForgeError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ..ledger.chain import Verification
    from ..ledger.record import Head
    from ..ledger.session import Session
    from ..ledger.witness import Witness
    from ..run.run import Run
    from .client import Client, Noted

_COMMITS = 20  # how many commits are looked at
_HIDDEN = (403, 404)  # GitHub answers so to a token without `deployments: read`
_DEPLOYMENTS = 200  # how many deployments, of which many can be of one commit


def tell(run: Run, session: Session, head: Head) -> None:
    """Set the commit's status for the last entry; what goes wrong is said, and changes nothing.

    Args:
        run: The run, its ledger written.
        session: Its session with the ledger.
        head: The head that it wrote or found.
    """
    settings = run.project.config.forge
    here = place.find(settings)
    if here is None or not settings.status or not here.head:
        return
    if not here.token:
        run.say(f"ledger: entry {head.sequence} was not recorded at the forge: {here.token_name} is not set")
        return
    try:
        from .client import State

        client = connect.connect(here, seconds=settings.timeout, wait=run.stop.wait)
        text = witness.note(head, session.trust.signing)
        client.status(here.head, State.SUCCESS, _name(run), text, here.link)
    except DeployError as error:
        problem = run.problem(error)
        step = f"\n  next: {problem.next_text}" if problem.next else ""
        run.say(f"ledger: entry {head.sequence} was not recorded at the forge: {problem.summary}{step}")


def ask(run: Run, session: Session, verified: Verification) -> Asked:
    """Compare a ledger with what its forge was told.

    Args:
        run: The run.
        session: Its session with the ledger.
        verified: The ledger's chain, which is intact.
    """
    settings, nothing = run.project.config.forge, Judgement(Verdict.NONE)
    here = place.find(settings)
    if here is None:
        return Asked(nothing, "no forge is known here")
    if not here.token:
        return Asked(nothing, f"the forge was not asked: {here.token_name} is not set")
    head = verified.head
    keys = [*session.trust.public, *map(PublicKey, verified.keys)]
    try:
        client = connect.connect(here, seconds=settings.timeout, wait=run.stop.wait)
        found = _read(client, _commits(client, run.project.environment), _name(run), verified, keys)
    except DeployError as error:
        return Asked(nothing, f"the forge did not answer: {run.problem(error).summary}")
    return Asked(witness.judge(head, verified.digests, found, rebuilt=verified.rebuilt))


def _read(
    client: Client, commits: Iterable[str], name: str, verified: Verification, keys: Collection[PublicKey]
) -> list[Witness]:  # fmt: skip
    notes: list[Noted] = [note for commit in commits for note in client.statuses(commit, name)]
    read = (witness.read(note.id, note.text, verified.head, keys, verified.projects) for note in notes)
    return [found for found in read if found]


def _commits(client: Client, environment: str) -> list[str]:
    """The commits that may have a note, the latest deployed first; the ledger itself is not asked, it may be old.

    Where the forge knows of no deployment, or does not show it to this token, the latest of the default branch.
    """
    try:
        deployed = _first(client.deployed(environment))
    except ForgeError as error:
        if error.status not in _HIDDEN:
            raise
        deployed = []
    return deployed or _first(client.commits())


def _first(commits: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(islice(commits, _DEPLOYMENTS)))[:_COMMITS]


def _name(run: Run) -> str:
    return f"doit-tofu/ledger/{run.project.environment}"
