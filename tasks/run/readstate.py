"""Reads lineage and serial of the state that a plan was made for or that an apply left."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..artifact import store
from ..base import jsontext
from ..base.errors import EngineError, StoppedError
from ..engine import httpstate
from ..engine.engine import failure
from ..engine.httpstate import Kept
from ..project import backend as backends
from . import statecopies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..artifact.manifest import Manifest
    from ..artifact.receipt import Receipt
    from ..base.jsonvalue import Json, JsonObject
    from ..base.sealed import Sealed
    from ..engine.command import Context
    from ..project.stack import Stack
    from .run import Run

_LINEAGE = re.compile(r'"lineage":\s*"[^"]')
_LATE_LOOK = 20.0  # seconds


def of_plan(run: Run, stack: Stack, where: Context, plan: Sealed) -> tuple[str | None, int | None]:
    """The lineage and serial of the state that a plan was just made for; None without a state.

    An unencrypted plan contains them; for an encrypted one the state is read.

    Raises:
        EngineError: The state cannot be read.
    """
    if not store.is_encrypted(plan):
        return store.state_of_plan(plan)
    try:
        return required(run, stack, where)
    except (OSError, ValueError, RecursionError):
        return None, None


def required(run: Run, stack: Stack, where: Context) -> tuple[str | None, int | None]:
    """The lineage and serial of the state as it is now; None without a state.

    Raises:
        EngineError: The state cannot be read.
        OSError, ValueError, RecursionError: Its file cannot be read, or it is not a state.
    """
    path = backends.state_file(run.project, stack)
    if path is None:
        if known := _asked_for(run, where):
            return _identity(known.state)
        done = run.engine().run(where, "state", "pull", apart=True)
        if not done.ok:
            raise failure("cannot read the state", done, where)
        text = done.raw
    else:
        text = path.read_text() if path.exists() else ""
    state = jsontext.loads(text) if text.strip() else {}
    if not isinstance(state, dict):
        raise ValueError("not a state")  # noqa: TRY004 - what its caller reports
    return _identity(state)


def exists(run: Run, stack: Stack, where: Context) -> bool:
    """Whether a stack has a state, even an empty one.

    Raises:
        EngineError: It cannot be read.
    """
    path = backends.state_file(run.project, stack)
    if path is not None:
        return path.exists()
    if _asked_for(run, where):
        return True
    done = run.engine().run(where, "state", "pull", apart=True)
    if not done.ok:
        raise failure("cannot read the state", done, where)
    return _LINEAGE.search(done.raw) is not None  # there may be only a warning


def is_as_left(run: Run, stack: Stack, last: Receipt | None) -> bool:
    """Whether a state in a file is the one that the last apply left; False where only the engine can tell."""
    path = backends.state_file(run.project, stack)
    if path is None or last is None or last.lineage is None:
        return False
    try:
        state = jsontext.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(state, dict) and _identity(state) == (last.lineage, last.serial)


def is_lost(run: Run, stack: Stack, where: Context, left: Left, *, expected: bool) -> bool:
    """Whether an apply that succeeded left no state.

    The engine's local backend can lose the first one: another process that holds the lock of a state that does not
    exist yet removes the empty file at its end, while the apply writes into it.

    Args:
        run: The run.
        stack: The stack.
        where: Its context.
        left: What was read of the state.
        expected: Whether anything exists after the apply.
    """
    if left.lineage is not None or not expected:
        return False
    try:
        return not exists(run, stack, where)
    except EngineError:
        return False


def left_by(run: Run, stack: Stack, where: Context, manifest: Manifest) -> Left:
    """The state that an apply left, successful or not.

    A stopped run asks for it too, once and not for long.
    """
    try:
        found = _kept(run, stack, where)
    except StoppedError:
        found = _kept(run, stack, where, late=_LATE_LOOK)
    left = Left.of(found.state if found else None, manifest)
    if found and _identity(found.state) == (left.lineage, left.serial):
        statecopies.keep(run, stack, found.content, left.lineage, left.serial)
    return left


@dataclass(frozen=True)
class Left:
    """What an apply left: the lineage and serial of the state, and the outputs in it as `tofu output -json` has them.

    At the least they are those that it was planned for: a state that was not saved, or cannot be read, is no older.
    `outputs` is None where the state cannot be read, or only by the engine.
    """

    lineage: str | None
    serial: int | None
    outputs: Mapping[str, Json] | None = field(repr=False, default=None)

    @classmethod
    def of(cls, state: Mapping[str, Json] | None, manifest: Manifest) -> Left:
        """The same, from what was read of the state."""
        lineage, serial = manifest.lineage, manifest.serial
        found = _identity(state)
        if found[0] is None or lineage not in (None, found[0]) or (found[1] or 0) < (serial or 0):
            return cls(lineage, serial)
        outputs = state.get("outputs") if state else None
        return cls(*found, outputs if isinstance(outputs, dict) else None)

    @property
    def identity(self) -> JsonObject:
        """Lineage and serial, as a receipt has them."""
        return {"lineage": self.lineage, "serial": self.serial}


def now(run: Run, stack: Stack, where: Context) -> tuple[str | None, int | None]:
    """The lineage and serial of the current state; None without a state.

    Raises:
        StoppedError: The run was asked to stop.
    """
    return _identity(content(run, stack, where))


def content(run: Run, stack: Stack, where: Context, *, late: float | None = None) -> Mapping[str, Json] | None:
    """The state as it is now; None without one, or where it cannot be read. It may be encrypted.

    Args:
        run: The run.
        stack: The stack.
        where: Its context.
        late: Seconds that this may take in a run that was asked to stop.

    Raises:
        StoppedError: The run was asked to stop.
    """
    found = _kept(run, stack, where, late=late)
    return found.state if found else None


def _kept(run: Run, stack: Stack, where: Context, *, late: float | None = None) -> Kept | None:
    """The state as its backend or the engine has it; None without one, or where it cannot be read."""
    path = backends.state_file(run.project, stack)
    if path is None and (known := _asked_for(run, where, late)):
        return known
    try:
        if path is not None:
            content = path.read_bytes()
        else:
            done = run.engine().run(where, "state", "pull", apart=True, late=late)
            content = done.raw.encode(errors="surrogateescape") if done.ok else b""
        state = jsontext.loads(content) if content else None
    except (OSError, ValueError, RecursionError, EngineError):
        return None
    return Kept(content, state) if isinstance(state, dict) else None


def _asked_for(run: Run, where: Context, late: float | None = None) -> Kept | None:
    """A state that an HTTP server keeps, asked of it; None where only the engine can tell.

    In a run that was asked to stop it is read once, and only where that may take a while yet.
    """
    if run.stop.requested and late is None:
        return None
    limits = {} if late is None else {"seconds": late}
    return httpstate.read(where.data_dir, run.engine().child_environment(where), run.stop.wait, **limits)


def _identity(state: Mapping[str, Json] | None) -> tuple[str | None, int | None]:
    """Lineage and serial; of a state that was never written some backends have an empty one, without a lineage.

    An encrypted state has them in plain text, too.
    """
    try:
        return (str(state["lineage"]), int(str(state["serial"]))) if state and state.get("lineage") else (None, None)
    except (KeyError, TypeError, ValueError):
        return None, None
