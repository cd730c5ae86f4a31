"""`doit audit`: verifies the ledger entry by entry; at the first fault, prints it and exits with 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base.errors import LedgerError
from .base.problem import doit
from .base.text import plural
from .ledger.keys import PublicKey
from .run import documents, ledgerof
from .run.action import FailedText, printing
from .run.commandline import json_option
from .run.documents import AuditDocument, FaultPart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .ledger.chain import Verification
    from .ledger.record import Head
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
    if as_json:
        text = documents.text(_document(head, verified))
        return FailedText(text) if verified.broken else text
    if verified.broken:
        raise broken(found.session.home.name, verified)
    return "\n".join(_lines(head, verified))


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


def _lines(head: Head, verified: Verification) -> Iterator[str]:
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
    yield f"  this does not prove that {head.sequence} is the newest entry; a machine that has seen a later one can"


def _document(head: Head, verified: Verification) -> AuditDocument:
    """The result for programs."""
    broken = verified.broken
    return AuditDocument(
        environment=head.environment, problems=[], whole=broken is None, entries=verified.count,
        sequence=head.sequence, chain=head.chain, project=head.project,
        key=PublicKey(head.key).id if head.key else None, first=head.first, replaced=list(verified.replaced),
        broken=FaultPart(entry=broken.number, what=broken.what) if broken else None,
    )  # fmt: skip
