"""`doit ledger rename`: records that the repository has another name now, so that its ledger goes on under that."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from .base.clock import now
from .base.errors import ConfigError, LedgerError
from .ledger.record import Change, Kind
from .run import entries, ledgerof, observing

if TYPE_CHECKING:
    from .base.jsonvalue import JsonObject
    from .run.recording import Recording
    from .run.run import Run

_UNCHANGED = "the ledger is unchanged"


def rename(run: Run, found: Recording) -> str:
    """Give the ledger and the observations the name that the repository has now."""
    reason, session = ledgerof.reason(run, "rename"), found.session
    here = session.identity
    if not here.project:
        raise ConfigError(
            "it is not known how this repository is called", untouched=_UNCHANGED,
            next_step="`git remote add origin ADDRESS`, or run it in a job of its forge",
        )  # fmt: skip
    session.identity = here.unnamed
    try:
        head = found.look()
    finally:
        session.identity = here
    lines = [f"ledger    it is that of {head.project} already"]
    if here.problem(head) is not None:
        ledgerof.require_free(head)
        facts: JsonObject = {"from": head.project, "to": here.project, **entries.reason(found.settings, reason)}
        new = {"project": here.project, "formerly": (*head.formerly, head.project)}
        change = Change(Kind.RENAME, secrets.token_hex(16), now(), facts=facts)
        session.amend(lambda known: known.model_copy(update=new), [change])
        lines = [f"ledger    of {here.project} from now on; until now it was of {head.project}"]
        lines.append("  clones with the former address are refused: `git remote set-url origin ADDRESS` there")
    return "\n".join([*lines, *_observations(run)])


def _observations(run: Run) -> list[str]:
    """Rename the observations, too, where this job may write them."""
    try:
        beside = run.once(observing.attach)
        return ["  and so are its observations"] if beside is not None and beside.rename() else []
    except LedgerError as error:
        return [
            f"  its observations keep the former name: {error.message}",
            "  run this again where they can be written; until then, drift cannot tell what is new",
        ]
