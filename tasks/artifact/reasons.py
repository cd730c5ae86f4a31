"""The reasons why a stack is affected, as values, and the one place that turns them into words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ..base import clock
from ..base.text import few
from .inputs import ABSENT, NOT_RECORDED, VALUES, Input, InputKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .inputs import Inputs

_SHOWN = 3
_UNORDERED = "which of its deploys came last is not known"
_NAMES = {
    InputKind.WATCHED: "watched file",
    InputKind.OBSERVED: "what its plan was seen to read,",
    InputKind.VAR_FILE: "var file",
    InputKind.LOCK_FILE: "lock file",
    InputKind.BACKEND: "backend settings",
    InputKind.ENGINE: "engine version",
    InputKind.ENVIRONMENT_VARIABLE: "environment variable",
}


class Why(StrEnum):
    """Why a stack is affected: how an input differs, or what else requires a plan."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MISSING = "is missing"
    OTHER_KEY = "cannot be compared: its digest was made with a key that is not set here"
    NEVER_DEPLOYED = "never deployed from here"
    OLD_RECEIPT = "old receipt"
    CUT_OFF = "cut off"
    FAILED = "failed"
    STOPPED = "stopped"
    UNORDERED = "unordered"
    STATE_KEY = "state key"
    UPSTREAM = "upstream"
    CHANGED_BACK = "changed back"
    BEGUN = "begun"
    NEW_STACK = "new stack"
    NEW_ENVIRONMENT = "new environment"
    NOT_COMPARABLE = "cannot be compared"
    BASE_UNREAD = "base unread"
    NOT_RECORDED = "cannot be compared: without an encryption key the ledger has no digest of it"
    LEDGER = "ledger"


@dataclass(frozen=True)
class Reason:
    """One reason: how `input` differs; else `note` says when, what or which."""

    why: Why
    input: Input | None = None
    note: str = ""
    since: str = ""


def between(
    before: Inputs, after: Inputs, since: str = "", why_read: Callable[[str], str | None] = lambda _: None
) -> list[Reason]:
    """How two sets of inputs differ, the likeliest cause first; what is not recorded of the earlier ones has changed.

    Args:
        before: The earlier inputs.
        after: The later inputs.
        since: The name of the earlier inputs, if they have one.
        why_read: Why a file is an input, if that is not obvious; see `RootModule.why_read`.
    """
    found = []
    unknown = {item for item, digest in before.digests.items() if digest == NOT_RECORDED}
    for item in sorted({*before.differing(after), *unknown}, key=lambda item: item.rank):
        why = Why.ADDED if item not in before.digests else Why.REMOVED if item not in after.digests else Why.CHANGED
        if after.digests.get(item) == ABSENT:
            why = Why.MISSING
        elif why is Why.CHANGED and item.kind in VALUES and before.key != after.key:
            why = Why.OTHER_KEY
        note = why_read(item.name) if item.kind is InputKind.FILE else None
        found.append(Reason(why, item, note or "", since))
    return found


def text(reason: Reason) -> str:
    """A reason in words."""
    since = f" since {reason.since}" if reason.since else ""
    if reason.why is Why.NOT_COMPARABLE:
        what = reason.note if reason.input is None else named(reason.input)
        note = f": {reason.note}" if reason.input else ""
        return f"{what} cannot be compared with {reason.since}{note}"
    if reason.input is not None:
        note = f" ({reason.note})" if reason.note else ""
        return f"{named(reason.input)} {reason.why}{since}{note}"
    moment = clock.shown(reason.note)
    return {
        Why.NEVER_DEPLOYED: "never deployed from here",
        Why.OLD_RECEIPT: "its receipt was written by an incompatible version, so it counts as never deployed;"
        " `plan` shows the changes, `deploy` writes a new receipt",
        Why.CUT_OFF: f"its last deploy was cut off (started {moment})",
        Why.FAILED: f"its last apply failed ({moment})",
        Why.STOPPED: f"its last apply was stopped ({moment})",
        Why.UNORDERED: (f"{reason.note} was deployed, too, and " if reason.note else "") + _UNORDERED,
        Why.CHANGED_BACK: f"it differed at {reason.note}, after {reason.since}, and may have been deployed then",
        Why.BEGUN: f"a deploy of {reason.note}, after {reason.since}, was about to apply it and has not ended",
        Why.NEW_STACK: f"a new stack{since}",
        Why.NEW_ENVIRONMENT: f"a new environment{since}",
        Why.BASE_UNREAD: f"its configuration at {reason.since} cannot be read: {reason.note}",
        Why.UPSTREAM: f"its upstream {reason.note} is affected",
    }.get(reason.why, reason.note)


def summary(reasons: Sequence[Reason]) -> str:
    """Reasons on one line: the first few, and how many more."""
    return few([text(reason) for reason in reasons], _SHOWN, "; ")


def named(item: Input) -> str:
    """An input in words."""
    match item.kind:
        case InputKind.OUTPUT:
            return f"output {item.stack}.{item.name} (variable {item.target})"
        case InputKind.REMOTE_OUTPUT:
            return f"output {item.name} of {item.stack} (terraform_remote_state.{item.target})"
        case InputKind.REMOTE_OUTPUTS:
            return f"any output of {item.stack} (terraform_remote_state.{item.target})"
        case InputKind.IMAGE:
            return f"image {item.name} (variable {item.target})"
        case InputKind.ANY_FILE:
            return f"any file (one whose name is not known is read in {item.name})"
    return f"{_NAMES.get(item.kind, item.kind)} {item.name}".rstrip()
