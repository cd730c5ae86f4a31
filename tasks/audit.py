"""`doit audit`: verifies the ledger entry by entry; at the first fault, prints it and exits with 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base.errors import LedgerError
from .base.problem import doit
from .base.text import plural
from .ledger.keys import PublicKey
from .ledger.witness import Asked, Judgement, Verdict
from .run import documents, ledgerof
from .run.action import FailedText, printing
from .run.commandline import json_option
from .run.documentparts import FaultPart, WitnessPart
from .run.documents import AuditDocument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .ledger.chain import Verification
    from .ledger.record import Head
    from .ledger.session import Session
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "audit"


def tasks(run: Run) -> Iterator[TaskDict]:
    """`audit`: prints the result."""
    yield printing(run, STAGE, _text, json_option())


def _text(run: Run, as_json: bool = False) -> str:
    found = ledgerof.opened(run)
    head = found.look()
    verified = found.session.verify()
    asked = _asked(run, found.session, verified)
    if as_json:
        text = documents.text(_document(head, verified, asked))
        return FailedText(text) if verified.broken or asked.judgement.is_alarm else text
    if verified.broken:
        raise broken(found.session.home.name, verified)
    if asked.judgement.is_alarm:
        raise _not_the_last(found.session.home.name, head, asked.judgement)
    return "\n".join(_lines(head, verified, asked))


def _asked(run: Run, session: Session, verified: Verification) -> Asked:
    """What the forge says of the last entry; it is not asked about a chain with a fault."""
    if verified.broken:
        return Asked(Judgement(Verdict.NONE))
    from .forges import witness

    return witness.ask(run, session, verified)


def broken(name: str, verified: Verification) -> LedgerError:
    """The error for a chain with a fault."""
    return LedgerError(
        verified.broken.what if verified.broken else "", where=name,
        details=[f"{plural(verified.count, 'event')} before it, unchanged"],
        untouched="nothing was written",
        next_step=(
            "find out who wrote it; docs/ledger.md explains how to repair it; ", doit("log"), " shows the entries",
        ),
    )  # fmt: skip


def _not_the_last(name: str, head: Head, found: Judgement) -> LedgerError:
    """The error for a chain that is intact, but is not the one that the forge has recorded."""
    number = found.witness.number if found.witness else 0
    what = (
        f"the ledger ends at entry {head.sequence}, but the forge has recorded entry {number}: it was rolled back to"
        " an earlier version"
        if found.verdict is Verdict.ROLLED_BACK
        else f"entry {number} is not the one that the forge has recorded: the ledger was rewritten or replaced"
    )
    return LedgerError(
        what, where=name, details=["the entries that are there are intact"], untouched="nothing was written",
        next_step="find out who wrote it, and put back the version that has that entry; docs/ledger.md explains how",
    )  # fmt: skip


def _lines(head: Head, verified: Verification, asked: Asked) -> Iterator[str]:
    yield f"audit     intact: {plural(verified.count, 'event')}, up to {head.sequence} ({head.chain[:16]})"
    if head.key is None:
        yield "  not signed, only chained: anyone who can write to it can write another chain (`ledger.public_key`)"
    else:
        yield f"  signed; the current key is {PublicKey(head.key).id}"
    if head.checkpoint:
        yield f"  entries before {head.first} were dropped; entry {head.checkpoint.entry} vouches for them"
    for number, why in verified.replaced.items():
        what = f"entry {number} replaced a {why} key"
        yield f"  {what}: only the new key vouches for the entries before it"
    yield f"  {_last(head, asked)}"


def _last(head: Head, asked: Asked) -> str:
    """Whether something outside of the ledger says that its last entry is the last."""
    found = asked.judgement
    if found.verdict is Verdict.LAST:
        return f"the forge names {head.sequence} as the last entry"
    unproven = f"nothing proves that {head.sequence} is the last entry"
    if found.verdict is Verdict.REPLACED and found.witness is not None:
        other = f"the forge has recorded only another ledger, up to its entry {found.witness.number}"
        return f"{other}: entry 1 says that this one replaced it, as `log` shows; {unproven}"
    if found.witness is not None:
        return f"the forge has recorded entries up to {found.witness.number}; {unproven}"
    return f"{unproven} ({asked.unasked or 'the forge has not recorded any'})"


def _document(head: Head, verified: Verification, asked: Asked) -> AuditDocument:
    """The result for programs."""
    broken, noted = verified.broken, asked.judgement.witness
    return AuditDocument(
        environment=head.environment, problems=[], whole=broken is None, entries=verified.count,
        sequence=head.sequence, chain=head.chain, project=head.project,
        key=PublicKey(head.key).id if head.key else None, first=head.first, replaced=list(verified.replaced),
        broken=FaultPart(entry=broken.number, what=broken.what) if broken else None,
        forge=WitnessPart(
            verdict=str(asked.judgement.verdict), sequence=noted.number if noted else None, unasked=asked.unasked
        ),
    )  # fmt: skip
