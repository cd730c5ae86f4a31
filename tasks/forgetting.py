"""`doit ledger forget`: removes the record of a stack that the code no longer has, once its resources are gone."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from .base.clock import now
from .base.errors import ConfigError, LedgerError, nearest
from .base.problem import doit
from .base.text import short
from .base.unseen import one_line
from .ledger import record
from .ledger.record import Change, Kind
from .run import entries, ledgerof, removed, succession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .ledger.record import Head
    from .run.recording import Recording
    from .run.run import Run

_UNCHANGED = "the ledger is unchanged"


def forget(run: Run, found: Recording, rest: Sequence[str]) -> str:
    """Remove the record of one stack."""
    if len(rest) != 1:
        raise ConfigError(
            "`ledger forget` needs the name of one stack", untouched=_UNCHANGED,
            next_step=(doit("status"), " names those that are deployed, but not in the code"),
        )  # fmt: skip
    name, reason = rest[0], ledgerof.reason(run, f"forget {one_line(rest[0])}")
    head, session = found.look(), found.session
    ledgerof.require_free(head)
    if name in run.project.stacks:
        raise LedgerError(
            f"{name} is a stack of this environment", untouched=_UNCHANGED,
            next_step="destroy its resources and remove it from the code first (docs/recover.md)",
        )  # fmt: skip
    known = session.all_records()
    if name not in known and name not in head.begun:
        raise LedgerError(
            f"the ledger has no record of '{one_line(name)}'{nearest(name, list(known))}", untouched=_UNCHANGED,
            next_step=(doit("status"), " names the stacks that are deployed, but not in the code"),
        )  # fmt: skip
    _require_contained(run, name, [*record.deployed(known[name].receipt if name in known else {}), *_begun(head, name)])
    begun = {stack: item for stack, item in head.begun.items() if stack != name}
    change = Change(Kind.FORGET, secrets.token_hex(16), now(), name, facts=entries.reason(found.settings, reason))
    session.amend(lambda last: last.model_copy(update={"begun": begun}), [change])
    return f"ledger    {name} is forgotten: it counts as never deployed"


def _begun(head: Head, name: str) -> Sequence[str]:
    return head.begun[name].commits if name in head.begun else ()


def _require_contained(run: Run, name: str, commits: Sequence[str]) -> None:
    """Refuse in a clone that is behind: there, a stack that is newer looks like one that was removed.

    Raises:
        LedgerError: The commit of this run does not contain a deployed one, and that is not allowed.
    """
    newer = removed.newer_than(run, [commit for commit in commits if commit])
    if newer is None or any(item.rule == succession.RULE for item in run.request.allowances):
        return
    raise LedgerError(
        f"{name} is deployed from {short(newer[0])}, which this commit does not contain: it may be newer",
        untouched=_UNCHANGED,
        next_step=(
            "check out the newest commit and run it again there; if that one no longer exists (a force push): ",
            doit(f"allow={succession.RULE}", "reason=WHY", "ledger", "forget", name),
        ),
    )  # fmt: skip
