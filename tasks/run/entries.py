"""What a run writes into the ledger: the stacks that it is about to apply, and an entry for each receipt."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ..artifact import store
from ..base import ci
from ..base.clock import now
from ..base.errors import RecordError
from ..base.files import read_json
from ..ledger import receipts
from ..ledger.record import Begun, Change, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..base.jsonvalue import JsonObject
    from ..ledger.batch import Me
    from ..ledger.record import Record
    from ..project.model.ledger import Ledger
    from .rebuilding import Found
    from .reviewing import Review
    from .run import Run

_FACTS = (
    "commit",
    "outcome",
    "verified",
    "lineage",
    "serial",
    "inputs_digest",
    "plan_id",
    "counts",
    "upstream",
    "repaired",
)


def begun(run: Run, me: Me, stack: str, since: str) -> Begun:
    """The announcement of a stack that is about to be applied, with its plan if that exists already."""
    found: JsonObject = {}
    commit = run.revision.commit
    if store.pending(run.layout, stack):
        with suppress(RecordError):
            found = read_json(run.layout.manifest(stack)) or {}
    return Begun.model_validate(
        {
            "holder": me.holder, "run": me.run, "since": since, "plan_sha256": found.get("plan_sha256"),
            "plan_id": found.get("id"), "lineage": found.get("lineage"), "serial": found.get("serial"),
            "commits": () if commit is None else (commit,),
        }
    )  # fmt: skip


def of_receipt(
    run: Run, settings: Ledger, stack: str, found: receipts.Record, *, held: Record | None, follows: str | None,
    holder: str = "",
) -> Change:  # fmt: skip
    """The change that records a receipt of this machine.

    Args:
        run: The run.
        settings: What of a receipt may be shown.
        stack: The stack.
        found: Its receipt and outputs.
        held: What the ledger has of the stack.
        follows: The change that it replaces.
        holder: The pipeline that applied it; empty if that is not known.
    """
    project, receipt = run.project, found.receipt
    checked = held is not None and held.receipt.get("plan_id") == receipt.get("plan_id")
    shown = receipts.shown(project, project.stacks[stack], found, public=settings.public)
    allowed = receipt.get("allowed")
    return Change(
        Kind.VERIFY if checked else Kind.DEPLOY, secrets.token_hex(16), now(), stack,
        str(receipt.get("plan_sha256") or "") or None, shown.receipt, shown.outputs, follows, holder,
        facts={**_facts(run, settings, shown.receipt), "overridden": len(allowed) if isinstance(allowed, list) else 0},
    )  # fmt: skip


def reviewed(change: Change, review: Review, *, public: bool) -> Change:
    """A change with who reviewed its commit."""
    return replace(change, facts={**change.facts, "review": review.facts(public=public)})


def reason(settings: Ledger, text: str) -> JsonObject:
    """A reason as an entry has it: readable only if the configuration allows it."""
    return {"reason": text if settings.public else "given, but not shown (`ledger.public`)"}


def of_found(run: Run, settings: Ledger, found: Mapping[str, Found]) -> list[Change]:
    """What was found of stacks without a ledger, as the first changes of a new one."""
    changes = []
    for stack, item in found.items():
        change = of_receipt(run, settings, stack, item.record, held=None, follows=None)
        changes.append(change if item.certain else replace(change, kind=Kind.ACCEPT))
    return changes


def _facts(run: Run, settings: Ledger, receipt: JsonObject) -> JsonObject:
    """An entry's facts: who applied which commit, and how it ended."""
    job, config = ci.read(), run.project.config
    facts: JsonObject = {name: receipt.get(name) for name in _FACTS if receipt.get(name) is not None}
    if receipt.get("hooked") is False:
        facts["hooked"] = False
    facts["engine"] = f"{config.engine.kind} {config.engine.version}"
    by = {"pipeline": job.pipeline, "project": job.project, "branch": job.branch, "request": job.request}
    if settings.public:
        by |= {"actor": job.actor, "job": job.job_url}
    return {**facts, "by": {name: value for name, value in by.items() if value}}
