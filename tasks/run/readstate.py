"""Reads lineage and serial of the state that a plan was made for or that an apply left."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ..artifact import store
from ..base.errors import EngineError, StoppedError
from ..engine.engine import failure
from ..project import backend as backends

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..artifact.manifest import Manifest
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
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, None


def required(run: Run, stack: Stack, where: Context) -> tuple[str | None, int | None]:
    """The lineage and serial of the state as it is now; None without a state.

    Raises:
        EngineError: The state cannot be read.
        OSError, ValueError, KeyError, TypeError, AttributeError: It is not a state.
    """
    path = backends.state_file(run.project, stack)
    if path is not None:
        return _identity(json.loads(path.read_bytes()) if path.exists() else {})
    done = run.engine().run(where, "state", "pull", apart=True)
    if not done.ok:
        raise failure("cannot read the state", done, where)
    return _identity(json.loads(done.raw) if done.raw.strip() else {})


def exists(run: Run, stack: Stack, where: Context) -> bool:
    """Whether a stack has a state, even an empty one.

    Raises:
        EngineError: It cannot be read.
    """
    path = backends.state_file(run.project, stack)
    if path is not None:
        return path.exists()
    done = run.engine().run(where, "state", "pull", apart=True)
    if not done.ok:
        raise failure("cannot read the state", done, where)
    return _LINEAGE.search(done.raw) is not None  # there may be only a warning


def left_by(run: Run, stack: Stack, where: Context, manifest: Manifest) -> dict[str, Any]:
    """The lineage and serial of the state after an apply, successful or not, as a receipt has them.

    At the least they are those that it was planned for: a state that was not saved, or cannot be read, is no older.
    A stopped run asks for them too, once and not for long.
    """
    lineage, serial = manifest.lineage, manifest.serial
    try:
        found = now(run, stack, where)
    except StoppedError:
        found = now(run, stack, where, late=_LATE_LOOK)
    if found[0] is not None and (lineage is None or found[0] == lineage) and (found[1] or 0) >= (serial or 0):
        lineage, serial = found
    return {"lineage": lineage, "serial": serial}


def now(run: Run, stack: Stack, where: Context, *, late: float | None = None) -> tuple[str | None, int | None]:
    """The lineage and serial of the state as it is now; None if there is none.

    Args:
        run: The run.
        stack: The stack.
        where: Its context.
        late: Seconds that this may take in a run that was asked to stop.

    Raises:
        StoppedError: The run was asked to stop.
    """
    path = backends.state_file(run.project, stack)
    try:
        state = (
            json.loads(path.read_bytes()) if path is not None else run.engine().json(where, "state", "pull", late=late)
        )
        return _identity(state)  # in plain text also in an encrypted state file
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EngineError):
        return None, None


def _identity(state: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """Lineage and serial; of a state that was never written some backends have an empty one, without a lineage."""
    return (state["lineage"], int(state["serial"])) if state.get("lineage") else (None, None)
