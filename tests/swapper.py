"""Swaps plan files under the hands of a run: each stack's at a moment of its own, any call or return in the package.

`dodo.py` of a test's repository imports this after the package. `SWAPS` names a JSON file: for `stage:stack` the moment,
the way, the folder of the plan (or a file, to rewrite it), and the foreign file that takes its place. `MOMENTS` names a file that gets every moment
of a run, those of a task before an apply has been started.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

PACKAGE = Path(sys.modules["doit_tofu" if "doit_tofu" in sys.modules else "tasks"].__path__[0])
STARTED = "start of apply"
_LOCK = threading.Lock()


def rewrite(target: Path, foreign: Path) -> None:
    """Write another content into a file; its time, and a size that is the same, tell nothing of it."""
    before = target.stat()
    target.write_bytes(foreign.read_bytes())
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))


def swap(way: str, folder: Path, foreign: Path) -> None:
    """Put a foreign plan in the place of the one in a folder, or of its draft: by a rename, or by writing into it."""
    target = folder / "plan.tfplan"
    if not target.exists():
        target = folder / "draft.tfplan"
    if not folder.exists() or (way != "rename" and not target.exists()):
        return
    if way == "rename":
        new = target.with_name("new")
        shutil.copyfile(foreign, new)
        new.replace(target)
    elif way == "in place":
        with target.open("r+b") as stream:
            stream.write(foreign.read_bytes())
            stream.truncate()
    else:
        raise ValueError(way)


@cache  # asked at each call of any function
def _module(file: str) -> str | None:
    """The module of the package that a file is; None for any other file."""
    path = Path(file)
    return path.stem if path.is_relative_to(PACKAGE) else None


def moment_of(frame: FrameType, event: str) -> str | None:
    """What this moment is called: `call` or `return` and a function, or the start of an engine command."""
    module = _module(frame.f_code.co_filename) if event in ("call", "return") else None
    if module is None:
        return None
    name = f"{event} {module}.{frame.f_code.co_name}"
    command = frame.f_locals.get("arguments", ())[1:2] if name == "call stop.start" else ()
    return f"start of {command[0]}" if command else name


class Watch:
    """A profile function for the thread of one task, until the engine's apply is started.

    A function that is called again is a new moment after each engine command.

    Args:
        task: The task.
        order: The moment to act at, what to do then; None to do nothing.
        log: The file that gets every moment once.
    """

    def __init__(self, task: str, order: list[str] | None, log: str | None) -> None:
        self._task, self._order, self._log = task, order, log
        self._seen: dict[str, None] = {}
        self._after = ""
        self._over = False

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        """Act when this is the moment, the first time."""
        moment = None if self._over else moment_of(frame, event)
        if moment is None:
            return
        if moment.startswith("start of"):
            self._after = f" after {moment}"
        else:
            moment += self._after
        if moment in self._seen:
            return
        self._seen[moment] = None
        self._over = moment == STARTED
        if self._order is not None and moment == self._order[0]:
            way, target, foreign = self._order[1], Path(self._order[2]), Path(self._order[3])
            rewrite(target, foreign) if way == "rewrite" else swap(way, target, foreign)

    def end(self) -> None:
        """Say which moments there were, and that the swap was made."""
        with _LOCK:
            if self._log:
                with Path(self._log).open("a") as stream:
                    stream.writelines(json.dumps([self._task, moment]) + "\n" for moment in self._seen)


def install() -> None:
    """Watch every task of a stage."""
    action = sys.modules[f"{PACKAGE.name}.run.action"]
    execute: Callable[..., Any] = action.Action.execute
    orders = json.loads(Path(os.environ["SWAPS"]).read_text()) if os.environ.get("SWAPS") else {}
    log = os.environ.get("MOMENTS")

    def watched(self: Any, *arguments: Any, **named: Any) -> Any:
        task = str(self.task.name)
        if not log and task not in orders:
            return execute(self, *arguments, **named)
        watch = Watch(task, orders.get(task), log)
        sys.setprofile(watch)
        try:
            return execute(self, *arguments, **named)
        finally:
            sys.setprofile(None)
            watch.end()

    action.Action.execute = watched


install()
