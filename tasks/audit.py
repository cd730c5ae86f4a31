"""`doit audit`: verifies the ledger entry by entry; exit code 1 and the first thing that is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .base.errors import LedgerError
from .base.problem import doit
from .base.text import plural
from .ledger.keys import PublicKey
from .log import AS_JSON
from .run import recording
from .run.action import FailedText, printing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .ledger.chain import Verification
    from .ledger.record import Head
    from .run.run import Run

STAGE = "audit"


def tasks(run: Run) -> Iterator[dict[str, Any]]:
    """`audit`: prints what it found."""
    yield printing(run, STAGE, _text, [AS_JSON])


def _text(run: Run, as_json: bool) -> str:
    found = recording.opened(run)
    head = found.look()
    verified = found.session.verify()
    if as_json:
        text = json.dumps(_document(head, verified), sort_keys=True)
        return FailedText(text) if verified.broken else text
    if verified.broken:
        raise LedgerError(
            verified.broken.what, where=found.session.home.name,
            details=[f"{plural(verified.count, 'event')} before it, unchanged"],
            untouched="nothing was written",
            next_step=("find out who wrote it; docs/ledger.md says how to go on; ", doit("log"), " shows the entries"),
        )  # fmt: skip
    return "\n".join(_lines(head, verified))


def _lines(head: Head, verified: Verification) -> Iterator[str]:
    yield f"audit     whole: {plural(verified.count, 'event')}, up to {head.sequence} ({head.chain[:16]})"
    if head.key is None:
        yield "  they are chained and not signed: who may write the ledger can write another one (`ledger.public_key`)"
    else:
        yield f"  signed; the key in force is {PublicKey(head.key).id}"
    for number in verified.replaced:
        yield f"  entry {number} replaced a lost key: for what is before it, the new key alone vouches"
    yield f"  nothing here proves that {head.sequence} is the last one; a disk that has seen a later one tells"


def _document(head: Head, verified: Verification) -> dict[str, object]:
    """The same for programs."""
    broken = verified.broken
    return {
        "whole": broken is None, "entries": verified.count, "sequence": head.sequence, "chain": head.chain,
        "environment": head.environment, "project": head.project, "key": PublicKey(head.key).id if head.key else None,
        "broken": {"entry": broken.number, "what": broken.what} if broken else None, "replaced": verified.replaced,
    }  # fmt: skip
