"""Receipts: durable records of what was applied, written as soon as an apply ends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..base import typed
from ..base.clock import now
from ..base.errors import RecordError, ShapeError
from ..base.files import read_json
from ..base.jsonvalue import Json, JsonObject, fields
from ..base.problem import NOTHING_CHANGED, doit
from . import folder
from .inputs import Inputs

if TYPE_CHECKING:
    from ..base.layout import Layout


FORMAT = 3
_OLDEST = 2  # has neither `besides` nor `follows`: it names one commit, and the order of two deploys was never in doubt
_MOST_SPENT = 20


class Outcome(StrEnum):
    """How the last apply ended; `started` if its end was never recorded."""

    STARTED = "started"
    APPLIED = "applied"
    FAILED = "failed"


@dataclass(frozen=True)
class Receipt:
    """The last apply of a stack.

    `besides` are the commits of other deploys that this apply is not known to have replaced, empty for one without a
    commit: those of a run that did not know of this one, and while this apply has not succeeded, those that its commit
    does not contain. `follows` is the ledger's change that it replaces.
    `verified` is None before its checks ran; `checks` is the digest of the checks that it refers to. `inputs` are those
    of the plan. `produced` are files that the stack's applies wrote, `upstream` is the commit of an overlay's upstream.
    `images` are the references that its variables got. `deployed` is what the last successful apply deployed.
    `state_key` is the fingerprint of the key that its state is encrypted with, None if unencrypted. `allowed` are
    accepted policy findings, with reasons. `lineage` and `serial` are those of the state after the apply, or at least
    before it. `exists` are the digests of the addresses that it left in place; `accepted` is the state that was
    accepted although another one had been deployed, and why. `plan_id` is the manifest's `id`.
    `failed_checks` are the `check` blocks that did not hold at its end. `unneeded` says that the engine was not
    started, as the plan was empty and would have left the state exactly as it was. `repaired` is set if the apply undid
    a drift: `person` if somebody asked for that, `rule` if a rule of `drift.repair` did. `stopped` says that the apply
    failed because its run was asked to stop. `spent` are the ids of the plans that were applied before, from the same
    commit: one that is handed over once more, as to a job that is retried, is not applied again.
    """

    stack: str
    environment: str
    outcome: Outcome
    plan_sha256: str
    inputs_digest: str
    inputs: Inputs = field(default_factory=lambda: Inputs({}))
    commit: str | None = None
    started_at: str = ""
    finished_at: str | None = None
    serial: int | None = None
    lineage: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    verified: bool | None = None
    produced: list[str] = field(default_factory=list)
    deployed: dict[str, str | None] | None = None
    upstream: str | None = None
    state_key: str | None = None
    checks: str | None = None
    images: dict[str, str] = field(default_factory=dict)
    allowed: list[str] = field(default_factory=list)
    exists: list[str] = field(default_factory=list)
    accepted: JsonObject | None = None
    plan_id: str | None = None
    failed_checks: list[str] = field(default_factory=list)
    unneeded: bool = False
    repaired: str | None = None
    besides: list[str] = field(default_factory=list)
    follows: str | None = None
    stopped: bool = False
    spent: list[str] = field(default_factory=list)
    format: int = FORMAT

    @property
    def applied(self) -> bool:
        """Whether the last apply succeeded, and is known to be the last."""
        return self.outcome is Outcome.APPLIED and not self.besides

    @property
    def commits(self) -> list[str]:
        """The commits that may be deployed."""
        return [commit for commit in (self.commit, *self.besides) if commit]

    def spent_by(self, commit: str | None) -> list[str]:
        """The ids of the plans that the next apply, of a commit, remembers: those of this commit, the latest."""
        plans = [*self.spent, *([self.plan_id] if self.plan_id else [])]
        return plans[-_MOST_SPENT:] if commit == self.commit else []

    def ended(self, outcome: Outcome, **changes: Any) -> Receipt:
        """This apply with its outcome."""
        finished = replace(self, outcome=outcome, finished_at=now(), **changes)
        if outcome is Outcome.APPLIED:
            place = {"commit": finished.commit, "at": finished.finished_at, "plan_sha256": finished.plan_sha256}
            finished = replace(finished, deployed=place, besides=[])
        return finished


def read(layout: Layout, stack: str) -> Receipt | None:
    """The receipt of a stack; None if nothing was applied from here, or only by an older version (`is_outdated`).

    Raises:
        RecordError: It exists but cannot be read.
    """
    path = layout.receipt(stack)
    record = read_json(path)
    if record is None or _of_older_version(record):
        return None
    try:
        found = typed.read(Receipt, {"inputs": None, **fields(record)})  # missing inputs are not empty ones
        return found if found.format >= FORMAT else replace(found, format=FORMAT)
    except ShapeError as error:
        raise RecordError(
            f"{layout.relative(path)} is not a receipt: {error}",
            where=layout.relative(path),
            stack=stack,
            untouched=NOTHING_CHANGED,
            next_step=(
                "remove it; the stack then counts as never deployed, and ",
                doit(f"plan:{stack}"),
                " shows the changes",
            ),
        ) from error


def is_outdated(layout: Layout, stack: str) -> bool:
    """Whether the receipt of a stack was written by an older version, and is therefore ignored."""
    return _of_older_version(read_json(layout.receipt(stack)))


def _of_older_version(record: Json) -> bool:
    found = record.get("format", 1) if isinstance(record, dict) else FORMAT
    return isinstance(found, int) and found < _OLDEST


def write(layout: Layout, receipt: Receipt) -> None:
    """Write a receipt durably.

    Raises:
        RecordError: The disk is full or the folder cannot be written.
    """
    body = {**vars(receipt), "inputs": receipt.inputs.to_json()}  # all other fields are JSON values
    folder.keep(layout, layout.receipt(receipt.stack), body)


def restore(layout: Layout, stack: str, receipt: Receipt | None) -> None:
    """Restore the previous receipt after an apply that never started.

    Raises:
        RecordError: The file cannot be written; the apply then counts as cut off, so the stack is planned again.
    """
    if receipt is not None:
        write(layout, receipt)
        return
    try:
        folder.drop(layout, layout.receipt(stack))
    except OSError as error:
        raise RecordError(f"cannot remove {layout.relative(layout.receipt(stack))}: {error.strerror}") from error
