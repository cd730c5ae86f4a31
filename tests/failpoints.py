"""Kills a doit process at a named point: `TESTS_FAILPOINT=push.after:2` at the second time that a push has succeeded.

A `dodo.py` installs it before the package is used. A kill is a SIGKILL: nothing is flushed, no lock is given back by
hand, and an engine that runs goes on alone.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "TESTS_FAILPOINT"
POINTS = (
    "fsync.before", "fsync.after", "rename.before", "rename.after", "fetch.before", "fetch.after", "push.before",
    "push.after", "plan.before", "plan.after", "apply.before", "apply.during", "apply.after", "init.after",
)  # fmt: skip
_LATEST_DURING = 0.4  # seconds after which an engine that is under way is left alone


class Failpoint:
    """The point that was asked for, and how often each was passed."""

    def __init__(self, text: str) -> None:
        self._name, _, number = text.partition(":")
        self._number = int(number or 1)
        self._passed: Counter[str] = Counter()

    def passes(self, name: str) -> bool:
        """Whether this is the point and the time."""
        self._passed[name] += 1
        return name == self._name and self._passed[name] == self._number

    def reach(self, name: str) -> None:
        """Die, if this is the point and the time."""
        if self.passes(name):
            die()

    def around(self, act: Callable[..., Any], name: str) -> Callable[..., Any]:
        """A function with a point before and one after it."""

        def acted(*arguments: Any, **named: Any) -> Any:
            self.reach(f"{name}.before")
            result = act(*arguments, **named)
            self.reach(f"{name}.after")
            return result

        return acted


def die() -> None:
    """End this process as a runner that vanishes ends it."""
    os.kill(os.getpid(), signal.SIGKILL)


def install() -> None:
    """Watch the points of this process, if a variable names one."""
    if not (text := os.environ.get(VARIABLE)):
        return
    from threading import Timer

    from tasks.engine.engine import Engine
    from tasks.ledger.gitclone import Clone

    point = Failpoint(text)
    os.fsync = point.around(os.fsync, "fsync")
    os.replace = point.around(os.replace, "rename")
    os.rename = point.around(os.rename, "rename")
    git, run = Clone.git, Engine.run

    def watched_git(self: Any, settings: Any, *arguments: str, **named: Any) -> Any:
        return point.around(git, arguments[0])(self, settings, *arguments, **named)

    def watched_run(self: Any, context: Any, command: str, *arguments: str, **named: Any) -> Any:
        if point.passes(f"{command}.during"):
            Timer(_LATEST_DURING * (os.getpid() % 7) / 7, die).start()
        return point.around(run, command)(self, context, command, *arguments, **named)

    Clone.git, Engine.run = watched_git, watched_run  # type: ignore[method-assign]
