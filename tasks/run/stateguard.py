"""Refuses a state other than the deployed one, unless it was accepted by lineage and serial."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..artifact import statecheck
from ..artifact.inputs import InputKind
from ..artifact.statecheck import Seen
from ..base.errors import ConfigError, StateRefusedError, nearest
from ..base.problem import Untouched, doit, steps
from .allowance import Accepted
from .assessment import assess_once

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..artifact.manifest import Manifest
    from ..artifact.receipt import Receipt
    from ..project.stack import Stack
    from .run import Run

_UNCHANGED = Untouched(
    "nothing in this stack was planned or applied, and its state is unchanged",
    "nothing in these stacks was planned or applied, and their states are unchanged",
)
_ACCEPTED = re.compile(r"(?P<stack>[^:,]+):(?:missing|(?P<lineage>(?!(?i:missing):)[^:,]+):(?P<serial>[0-9]{1,18}))")
_MOVE = "put the backend settings back, or copy the state to its new place (docs/recover.md)"
_FORM = "`accept=STACK:LINEAGE:SERIAL` or `accept=STACK:missing`, several with commas, and `reason='...'`"


def parse(text: str, reason: str | None) -> tuple[Accepted, ...]:
    """What `accept=` on the command line accepts.

    Raises:
        ConfigError: It is not of the right form.
    """
    found = []
    for item in text.split(","):
        match = _ACCEPTED.fullmatch(item)
        if match is None:
            raise _wrong(f"`accept={item}` is malformed", f"write {_FORM}, as in the refusal")
        serial = match["serial"]
        found.append(Accepted(match["stack"], match["lineage"], int(serial) if serial else None, reason or ""))
    return tuple(found)


def check_names(accepted: Collection[Accepted], stacks: Collection[str]) -> None:
    """Refuse to accept the state of a stack that does not exist, or any without a reason.

    Raises:
        ConfigError: The stack does not exist, or there is no reason.
    """
    for item in accepted:
        if item.stack not in stacks:
            message = f"`accept={item.stack}:...`: unknown stack '{item.stack}'{nearest(item.stack, list(stacks))}"
            raise _wrong(message, f"write {_FORM}")
    if any(not item.reason for item in accepted):
        raise _wrong("`accept=` has no reason", "add `reason='why this state is right'`, which is recorded")


def _why_unused(_: Run) -> dict[str, str | None]:
    """Why the state of each stack that was looked at needs no `accept=`; None if it does."""
    return {}


def require(run: Run, stack: Stack, last: Receipt | None, seen: Seen, stage: str = "plan") -> dict[str, Any] | None:
    """Refuse a state that is not the one that the last apply left, before it is used.

    Args:
        run: The run.
        stack: The stack.
        last: Its last apply.
        seen: Its state.
        stage: The stage that looks at it, and looks again when the state is accepted.

    Returns:
        What was accepted, for the records; None if there was nothing to accept.

    Raises:
        StateRefusedError: It is a different state and was not accepted.
    """
    if last is None:
        run.once(_why_unused)[stack.name] = "the stack has no receipt to compare its state with"
        return None
    last = statecheck.resolved(last, seen, run.project.keyring)
    problem = statecheck.problem(last, seen)
    if problem is None:
        run.once(_why_unused).setdefault(stack.name, "the state is the one that was deployed")
        return None
    run.once(_why_unused)[stack.name] = None
    for item in run.request.accepted:
        if item.covers(stack.name, seen):
            left = {"lineage": last.lineage, "serial": last.serial}
            return {**_state(seen), "reason": item.reason, "problem": problem, "instead_of": left}
    others = [item for item in run.request.accepted if item.stack == stack.name]
    if others:
        problem += f" (accepted was {_shown(others[0])})"
    moved = _backend_changed(run, stack)
    if moved:
        problem = f"its backend settings have changed, but its state was not moved there: {problem}"
    from . import statecopies

    offered = statecopies.offer(run, stack, last, seen) if not moved else _MOVE
    place = f"{stack.name}:{seen.lineage}:{seen.serial}" if seen.lineage else f"{stack.name}:missing"
    raise StateRefusedError(
        problem,
        stack=stack.name,
        untouched=_UNCHANGED,
        next_step=(
            *steps(offered),
            ", then run the same command again; ",
            "or accept exactly this one, with a reason that is recorded: ",
            doit(f"accept={place}", "reason=WHY", f"{stage}:{stack.name}"),
        ),
    )


def _backend_changed(run: Run, stack: Stack) -> bool:
    """Whether the stack's state is kept elsewhere than at its last apply, as far as the settings tell."""
    reasons = assess_once(run, stack).reasons
    return any(reason.input is not None and reason.input.kind is InputKind.BACKEND for reason in reasons)


def require_planned(run: Run, stack: Stack, last: Receipt | None, manifest: Manifest) -> dict[str, Any] | None:
    """`require` for the state that a plan was made for; one that was accepted for that plan stays so.

    Returns:
        What was accepted of it, for the records.

    Raises:
        StateRefusedError: It is another state and was not accepted.
    """
    seen = Seen.of(manifest)
    accepted = manifest.accepted or {}
    if accepted.get("reason") and {key: accepted.get(key) for key in ("lineage", "serial")} == _state(seen):
        run.once(_why_unused)[stack.name] = None
        return accepted
    return require(run, stack, last, seen)


def unused(run: Run) -> list[str]:
    """What to say of each `accept=` that this run did not use, and why; a refusal says it by itself."""
    others_look = run.request.part is not None or run.request.shard is not None
    unseen = None if others_look else "this run did not look at the stack's state"
    found = []
    for item in run.request.accepted:
        why = run.once(_why_unused).get(item.stack, unseen)
        if why is not None:
            found.append(f"`accept={item.text}` was not used: {why}")
    return found


def said(last: Receipt | None, manifest: Manifest) -> str:
    """What a plan's line says of the state: that it went on without us, or that it was accepted; else nothing."""
    if manifest.accepted:
        return f"; state accepted: {manifest.accepted.get('problem')} ({manifest.accepted.get('reason')})"
    moved = statecheck.moved(last, Seen.of(manifest))
    return f"; {moved}" if moved else ""


def details(last: Receipt | None, manifest: Manifest) -> dict[str, Any]:
    """The same for a result; empty where there is nothing to say."""
    found = {"accepted": manifest.accepted, "state_moved": statecheck.moved(last, Seen.of(manifest))}
    return {key: value for key, value in found.items() if value}


def _state(seen: Seen) -> dict[str, Any]:
    return {"lineage": seen.lineage, "serial": seen.serial if seen.lineage else None}


def _shown(item: Accepted) -> str:
    return f"lineage {item.lineage}, serial {item.serial}" if item.lineage else "that it is missing"


def _wrong(message: str, next_step: str) -> ConfigError:
    return ConfigError(message, untouched="nothing was planned or applied", next_step=next_step)
