"""A state that could not be saved: it stays in the stack's folder, and blocks the stack until it is restored."""

from __future__ import annotations

import json
import os
import posixpath
import re
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..artifact import receipt
from ..artifact.receipt import Outcome
from ..base import plain
from ..base.errors import EngineError, RecordError, StateNotSavedError
from ..base.files import LARGEST_RECORD, parse_json
from ..base.layout import Layout
from ..base.problem import Shell, Untouched, doit
from ..project import backend
from ..project.config import loading

if TYPE_CHECKING:
    from ..base.problem import Step, Steps
    from ..engine.command import Completed
    from ..project.project import Project
    from ..project.stack import Stack
    from .run import Run

FILE = "errored.tfstate"
_REFUSED = Untouched(
    "nothing was deleted; the next plan of this stack is refused, as it would create everything again",
    "nothing was deleted; the next plans of these stacks are refused, as they would create everything again",
)
_LACKS = Untouched(
    "nothing in this stack was planned or applied: the stored state lacks what that apply created",
    "nothing in these stacks was planned or applied: the stored states lack what those applies created",
)
_SHARED = (Path(tempfile.gettempdir()), Path("/dev/shm"))  # noqa: S108 - the last resort; a folder of our own is made
_UNLOCKED_BY_THE_END = ("local", "pg")  # there, a lock ends with its process
_NO_FILE = "Failed to create local state file"


def lost(stack: Stack) -> EngineError:
    """The error for an apply that succeeded, after which there is no state."""
    return EngineError(
        "the apply succeeded, but there is no state: what it created is recorded nowhere",
        stack=stack.name,
        untouched=_REFUSED,
        next_step="restore the state, or import what exists (docs/recover.md, `A state was lost or replaced`); a local"
        " state that several machines write at the same time can be lost by the engine: use a backend with locks",
    )


def path(project: Project, stack: Stack) -> Path:
    """The file of a state that the engine could not save: in the stack's folder, where the engine writes it.

    From a build tree, which is a cache, it is moved to the same path in the repository.
    """
    made, place = project.root / stack.path / FILE, project.layout.root / stack.path / FILE
    if project.tree is not None and made.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        made.rename(place)
    return place


def refuse(run: Run, stack: Stack) -> None:
    """Stop before anything is planned or applied while an unsaved state exists, as it is newer than the stored one.

    All environments share the stack's folder, so it stops all of them: one environment's file must neither be
    overwritten by another's nor pushed there.

    Raises:
        StateNotSavedError: The file exists.
    """
    project = run.project
    left = path(project, stack)
    if not os.path.lexists(left):
        return
    name = project.layout.relative(left)
    others = [] if _unfinished(project.layout, stack.name) else _others(project, stack)
    if others:
        names = ", ".join(others)
        shows = doit(f"plan:{stack.name}", environment=others[0])
        next_step: Steps = (
            f"it belongs to environment {names}, whose last apply failed: ",
            shows,
            " shows how to save it",
        )
    else:
        next_step = recovery(run, stack)
    raise StateNotSavedError(
        f"{name} contains the state of an earlier apply that could not be saved ({_content(left)})",
        where=name,
        stack=stack.name,
        untouched=_LACKS,
        next_step=next_step,
    )


def recovery(run: Run, stack: Stack) -> tuple[Step, ...]:
    """How to save the state to its backend: the command on its own line for copying."""
    from . import workdir

    engine, file = workdir.by_hand(run, stack), shlex.quote(f"{stack.path}/{FILE}")
    seen = posixpath.relpath(run.layout.root / stack.path / FILE, run.project.root / stack.path)
    steps: tuple[Step, ...] = (
        "keep that file, it is the only record of what was created; once the backend works again:",
        Shell(f"{engine} state push {shlex.quote(seen)} && rm {file}", alone=True),
    )
    settings = backend.settings(run.project, stack)
    kind = settings["kind"] if settings else run.project.module(stack.name).backend or "local"
    if kind not in _UNLOCKED_BY_THE_END:
        steps += (
            "\n  if the state is still locked by that apply, this shows the lock's ID; release it first:",
            Shell(f"{engine} force-unlock -force ID", alone=True),
        )
    return steps


def found(run: Run, stack: Stack, done: Completed) -> StateNotSavedError | None:
    """The error to raise after an apply whose state could not be saved; None if it was saved.

    If the engine could not even write the file, it has printed the state; it is then moved from the output to a private
    file, here or where there is space, as it contains every value in plain text.
    """
    project, log = run.project, done.output
    place = left = path(project, stack)
    again = recovery(run, stack)
    if any(_NO_FILE in summary for summary in done.summaries()):
        text, shown = _printed(done.raw), _printed(done.output)
        log = log.replace(shown or text, "(the state)") if shown or text else log
        left = _keep(text, [place.parent, run.layout.data_dir(stack.name), *_SHARED]) or place
    elif not left.exists():
        return None
    if not left.exists():
        next_step: Steps = "no file could be written: import manually what the output lists as created"
    elif left == place:
        next_step = again
    else:
        moves = Shell(f"mv {shlex.quote(str(left))} {shlex.quote(project.layout.relative(place))}")
        next_step = ("free disk space, ", moves, "; ", *again)
    return StateNotSavedError(
        f"applied in part or completely, but the state could not be saved; it is in {project.layout.relative(left)}",
        log=log,
        stack=stack.name,
        untouched="the applied resources exist, and only that file records them",
        next_step=next_step,
    )


def _unfinished(layout: Layout, stack: str) -> bool:
    """Whether the last apply of a stack in an environment failed or was cut off."""
    try:
        last = receipt.read(layout, stack)
    except RecordError:
        return True
    return last is not None and last.outcome is not Outcome.APPLIED


def _others(project: Project, stack: Stack) -> list[str]:
    """The other environments whose apply may have left the file."""
    names = {*loading.environments(project.root), project.config.default_environment} - {project.environment}
    return [name for name in sorted(names) if _unfinished(Layout(project.layout.root, name), stack.name)]


def _content(left: Path) -> str:
    """Lineage and serial of a state file, in words."""
    try:
        state = parse_json(plain.read(left, LARGEST_RECORD))
        return f"lineage {state['lineage']}, serial {state['serial']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "encrypted or unreadable"


def _printed(text: str) -> str:
    """The state that the engine printed as a last resort: a JSON object at the start of a line, else nothing."""
    for match in re.finditer(r"^\{", text, re.MULTILINE):
        try:
            value, end = json.JSONDecoder().raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if "version" in value or "encrypted_data" in value:
            return text[match.start() : end]
    return ""


def _keep(text: str, folders: list[Path]) -> Path | None:
    for folder in folders if text else []:
        try:
            own = Path(tempfile.mkdtemp(prefix="doit-tofu-", dir=folder)) if folder in _SHARED else folder
            target = own / FILE
            target.unlink(missing_ok=True)  # what somebody put there, or an older one that others may read
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(text + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError:
            continue
        return target
    return None
