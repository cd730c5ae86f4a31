"""Keeps copies of a stack's state from what an apply reads anyway, and offers them where the state is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..artifact import statecopy, store
from ..artifact.statecopy import Copy
from ..base.clock import now
from ..base.errors import RecordError
from ..base.problem import doit
from ..engine import encryption
from ..engine.planfile import encrypted
from ..engine.planfile.wire import UnreadableError
from ..project import backend as backends

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..artifact.manifest import Manifest
    from ..artifact.receipt import Receipt
    from ..artifact.statecheck import Seen
    from ..base.problem import Steps
    from ..base.sealed import Sealed
    from ..project.config.keyring import Key
    from ..project.stack import Stack
    from .run import Run

_BY_HAND = "restore the right state (docs/recover.md)"


def keep(run: Run, stack: Stack, state: bytes | None, lineage: str | None, serial: int | None) -> None:
    """Keep a copy of a state, if there is a key to encrypt it with; what goes wrong is said.

    Args:
        run: The run.
        stack: The stack.
        state: The state as its backend has it.
        lineage: Its lineage.
        serial: Its serial.
    """
    key, most = _key(run), run.project.config.deploy.state_copies
    if key is None or not most or state is None or lineage is None or serial is None:
        return
    copy = Copy(run.project.environment, stack.name, lineage, serial, now(), key.fingerprint)
    try:
        statecopy.keep(run.layout, copy, state, key, most)
    except RecordError as error:
        run.say(f"{stack.name}: no copy of its state was kept: {error.message}")


def keep_before(run: Run, stack: Stack, manifest: Manifest, plan: Sealed) -> None:
    """Keep a copy of the state that a plan was made for, before it is applied, unless there is one.

    It is in the plan, so neither the engine nor the backend is asked.
    """
    announce(run)
    lineage, serial = manifest.lineage, manifest.serial
    if _key(run) is None or lineage is None or serial is None:
        return
    path = run.layout.states(stack.name) / Copy("", "", lineage, serial, "", "").name
    if not path.exists():
        keep(run, stack, _stored(run, stack) or _within(plan, run.project.keyring.all), lineage, serial)


def offer(run: Run, stack: Stack, last: Receipt, seen: Seen) -> Steps:
    """How a state that was lost or is older can be put back: the beginning of a sentence."""
    if seen.lineage not in (None, last.lineage):
        return _BY_HAND
    copies = statecopy.found([run.layout.states(stack.name)], run.project.environment, stack.name)
    kept = [copy for copy, _ in copies if copy.lineage == last.lineage and copy.serial >= (seen.serial or 0)]
    if kept:
        copy = max(kept, key=lambda item: item.serial)
        return (f"put its copy of serial {copy.serial} back: ", doit("restore", stack.name), " (docs/recover.md)")
    if why := why_none(run):
        return f"{_BY_HAND[:-1]}; {why})"
    return elsewhere(stack)


def elsewhere(stack: Stack) -> Steps:
    """How a copy that another machine kept can be put back: the beginning of a sentence."""
    return (
        "unpack the artifact of its last deploy, then put its copy of the state back: ",
        doit("restore", stack.name, "artifact/.deploy"), " (docs/recover.md)",
    )  # fmt: skip


def why_none(run: Run) -> str:
    """Why deploys with this configuration keep no copies; empty if they do."""
    if not run.project.config.deploy.state_copies:
        return "`deploy.state_copies` is 0, so deploys keep no copies"
    if not run.project.keyring.is_set:
        return "without an encryption key, deploys keep no copies"
    if not statecopy.is_available():
        return "without the Python package `cryptography`, deploys keep no copies: pip install 'doit-tofu[ledger]'"
    return ""


def announce(run: Run) -> None:
    """Say once that an encryption key alone keeps no copies of states; without a key, nobody expects them."""
    if run.project.keyring.is_set and run.project.config.deploy.state_copies and (why := why_none(run)):
        run.say_once(why)


def _key(run: Run) -> Key | None:
    keyring = run.project.keyring
    return keyring.current if keyring.is_set and statecopy.is_available() else None


def _stored(run: Run, stack: Stack) -> bytes | None:
    """The state in its local file; None if it is elsewhere."""
    path = backends.state_file(run.project, stack)
    try:
        return path.read_bytes() or None if path is not None else None
    except OSError:
        return None


def decrypted(content: bytes, keys: Iterable[Key]) -> bytes | None:
    """What the engine encrypted, with one of the keys; None if none of them fits."""
    for key in keys:
        try:
            return encrypted.decrypted(content, encryption.provider(key), key.encryption)
        except UnreadableError:
            continue
    return None


def _within(plan: Sealed, keys: Iterable[Key]) -> bytes | None:
    """The state in a plan; None if the plan cannot be read here."""
    with plan.stream() as stream:
        found: bytes | None = stream.read()
    if found is not None and store.is_encrypted(plan):
        found = decrypted(found, keys)
    return store.prior_state(found) if found is not None else None
