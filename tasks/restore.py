"""`doit restore STACK`: puts a copy of a stack's state back where the state is lost or older."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .artifact import statecopy
from .artifact.statecopy import UnreadableCopyError
from .base import clock, jsontext, sealed
from .base.errors import ConfigError, StateRefusedError, nearest
from .base.files import write_atomic
from .base.problem import doit
from .base.unseen import one_line
from .engine import encryption
from .engine.engine import failure
from .project import backend as backends
from .run import errored, lastleft, readstate, statecopies, workdir
from .run.action import printing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .artifact.statecopy import Copy
    from .base.sealed import Sealed
    from .engine.command import Context
    from .project.stack import Stack
    from .run.lastleft import LastLeft
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "restore"
_UNCHANGED = "the state is unchanged"


def tasks(run: Run) -> Iterator[TaskDict]:
    """`restore`: the word after it is the stack, further ones are folders to look for copies in."""
    yield printing(run, STAGE, _text, positional="words")


def _text(run: Run, words: list[str]) -> str:
    stack = _stack(run, words)
    encryption.require(run.project, plans=False)
    run.lock.take(f"doit restore {stack.name}", filling=False)
    try:
        with lastleft.held(run, stack.name) as last:
            copy, state = _choose(run, stack, last, words[1:])
            with workdir.context(run, stack, STAGE) as (where, _):
                errored.refuse(run, stack)
                workdir.initialize(run, stack, where, backend=True)
                _put(run, stack, where, (copy, state))
    finally:
        run.lock.release()
    lines = [f"restore   {stack.name}: its state of serial {copy.serial}, copied {clock.shown(copy.at)}, is back"]
    if (last.serial or 0) > copy.serial:
        lines.append(f"  the last apply left serial {last.serial}: what it created is not in this copy")
    return "\n".join([*lines, f"  next: {run.typed('plan')}"])


def _stack(run: Run, words: Sequence[str]) -> Stack:
    known = run.project.stacks
    if not words or words[0] not in known:
        raise ConfigError(
            f"unknown stack '{one_line(words[0])}'{nearest(words[0], list(known))}" if words else
            "`restore` needs a stack after it",
            untouched="nothing was read or written", next_step=("name the stack: ", doit("restore", "STACK")),
        )  # fmt: skip
    return known[words[0]]


def _choose(run: Run, stack: Stack, last: LastLeft, folders: Sequence[str]) -> tuple[Copy, bytes]:
    """The copy to put back: of the lineage that the last apply left, if that is known, the highest serial."""
    environment = run.project.environment
    places = [run.layout.states(stack.name)]
    places += [Path(folder) / environment / statecopy.FOLDER / stack.name for folder in folders]
    found = statecopy.found(places, environment, stack.name)
    lineage = last.lineage or (found[0][0].lineage if found else "")
    found = sorted((item for item in found if item[0].lineage == lineage), key=lambda item: -item[0].serial)
    if not found:
        raise StateRefusedError(
            "there is no copy of its state here", stack=stack.name, where=run.layout.relative(places[0]),
            untouched=_UNCHANGED, details=[why] if (why := statecopies.why_none(run)) else [],
            next_step=statecopies.elsewhere(stack),
        )  # fmt: skip
    copy, path = found[0]
    try:
        return copy, _plain(run, statecopy.read(path, run.project.keyring), local=_file(run, stack) is not None)
    except UnreadableCopyError as error:
        raise StateRefusedError(
            f"the copy cannot be read: {error}", stack=stack.name, where=run.layout.relative(path),
            untouched=_UNCHANGED, next_step=error.next_step,
        ) from None  # fmt: skip


def _plain(run: Run, state: bytes, *, local: bool) -> bytes:
    """The state as it is to be written: into a file as it was there, to the engine without encryption.

    Raises:
        UnreadableCopyError: It was encrypted by the engine, with a key that is not there.
    """
    found = jsontext.loads(state)
    if local or not isinstance(found, dict) or "encrypted_data" not in found:
        return state
    opened = statecopies.decrypted(state, run.project.keyring.all)
    if opened is None:
        raise UnreadableCopyError("its state is encrypted with another key", statecopy.SET_KEY)
    return opened


def _file(run: Run, stack: Stack) -> Path | None:
    return backends.state_file(run.project, stack)


def _there(run: Run, stack: Stack, where: Context) -> tuple[str | None, int | None]:
    """The state that is there; none if its file cannot be read as one."""
    try:
        return readstate.required(run, stack, where)
    except (OSError, ValueError, RecursionError):
        return None, None


def _require_behind(stack: Stack, copy: Copy, there: tuple[str | None, int | None]) -> None:
    """Refuse to overwrite a state that is another one, or newer than the copy.

    Raises:
        StateRefusedError: It is.
    """
    lineage, serial = there
    if lineage is None or (lineage == copy.lineage and (serial or 0) <= copy.serial):
        return
    what = f"newer: serial {serial}" if lineage == copy.lineage else f"a different one: lineage {lineage}"
    raise StateRefusedError(
        f"the state that is there is {what}; the copy is of serial {copy.serial} of lineage {copy.lineage}",
        stack=stack.name, untouched=_UNCHANGED,
        next_step="find out where it comes from; if it is not needed, move it away, then run the same command again",
    )  # fmt: skip


def _put(run: Run, stack: Stack, where: Context, chosen: tuple[Copy, bytes]) -> None:
    """Write the state of a copy to its backend.

    Raises:
        StateRefusedError: There is another state, or a newer one.
        EngineError: The backend refuses it.
    """
    copy, state = chosen
    there = _there(run, stack, where)
    _require_behind(stack, copy, there)
    if (path := _file(run, stack)) is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, state)
        return
    with sealed.of(state) as content:
        _push(run, where, content, force=there == (copy.lineage, copy.serial))
        if _there(run, stack, where)[0] != copy.lineage:  # where there was no state, the engine makes up a lineage
            _push(run, where, content, force=True)


def _push(run: Run, where: Context, state: Sealed, *, force: bool) -> None:
    holding, forced = where.holding(state.descriptor), ["-force"] if force else []
    done = run.engine().run(holding, "state", "push", *forced, state.argument())
    if not done.ok:
        raise failure("the state could not be put back", done, where, untouched=_UNCHANGED)
