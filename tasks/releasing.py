"""`doit ledger release`: ends the lease of a run that died; one that is known to be alive keeps it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from .base import alive
from .base.clock import now
from .base.errors import LedgerError
from .base.problem import doit
from .base.unseen import one_line
from .ledger import holder
from .ledger.record import Change, Kind
from .run import entries, ledgerof

if TYPE_CHECKING:
    from .base.jsonvalue import JsonObject
    from .ledger.record import Lease
    from .run.recording import Recording
    from .run.run import Run

RULE = "running"  # `allow=running`: it hangs, and cannot be stopped


def release(run: Run, found: Recording) -> str:
    """Release the lease of a run that died."""
    reason, head = ledgerof.reason(run, "release"), found.look()
    lease = head.lease
    if lease is None:
        return "ledger    its lease is free"
    sign = _sign_of_life(run, found, lease)
    if sign and not any(item.rule == RULE for item in run.request.allowances):
        raise _is_alive(lease, sign)
    begun = {name: item.model_copy(update={"doubtful": True}) for name, item in head.begun.items()}
    facts: JsonObject = {
        "of": lease.holder, "label": lease.label, "begun": [*sorted(begun)], **entries.reason(found.settings, reason),
    }  # fmt: skip
    found.session.amend(
        lambda known: known.model_copy(update={"lease": None, "begun": begun}),
        [Change(Kind.RELEASE, secrets.token_hex(16), now(), facts=facts)],
    )
    names = one_line(", ".join(sorted(begun)))
    left = f"; started but not finished: {names}, which the next deploy plans again" if begun else ""
    known = f"although {sign}" if sign else "nothing here shows that its run is alive"
    return f"ledger    the lease of {lease.label} was released{left}\n  {known}"


def _sign_of_life(run: Run, found: Recording, lease: Lease) -> str | None:
    """What shows that the run that holds the lease is alive; None if nothing does, which is no proof that it died."""
    if number := alive.pid(lease.process):
        return f"its process {number} is still there on this machine"
    pipeline = holder.pipeline(lease.holder)
    if pipeline is None or lease.holder == found.session.me.holder:  # of its own pipeline, the forge says nothing new
        return None
    from .forges import ended

    return f"the forge says that pipeline {pipeline.id} is running" if ended.is_running(run, pipeline) else None


def _is_alive(lease: Lease, sign: str) -> LedgerError:
    return LedgerError(
        f"{lease.label} still deploys: {sign}", untouched="its lease, and the ledger",
        next_step=(
            "wait for it to end, or stop it: Ctrl+C, or cancel it in the forge; if it hangs and cannot be stopped: ",
            doit(f"allow={RULE}", "reason=WHY", "ledger", "release"),
        ),
    )  # fmt: skip
