"""Fails a doit process at a named point: `TESTS_FAILPOINT=push.after:2` at the second time that a push has succeeded.

A `dodo.py` installs it before the package is used. At most points the process is killed by SIGKILL: nothing is flushed,
no lock is given back by hand, and an engine that runs goes on alone. At `fetch.lost` and `push.lost` the remote did what
was asked, and its answer does not arrive; at `push.repeated` the request arrives twice. `engine` is any engine call.
`TESTS_FAILPOINT_LOG` names a file that gets a line for each point that is passed.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "TESTS_FAILPOINT"
LOG = "TESTS_FAILPOINT_LOG"
POINTS = (
    "fsync.before", "fsync.after", "rename.before", "rename.after", "fetch.before", "fetch.after", "push.before",
    "push.after", "plan.before", "plan.after", "apply.before", "apply.during", "apply.after", "init.after",
    "engine.before", "engine.after", "fetch.lost", "push.lost", "push.repeated",
)  # fmt: skip
_LATEST_DURING = 0.4  # seconds after which an engine that is under way is left alone


class Failpoint:
    """The point that was asked for, and how often each was passed.

    Args:
        text: Its name, and the how manieth time counts.
        log: The file that gets a line for each point that is passed.
    """

    def __init__(self, text: str, log: str | None = None) -> None:
        self._name, _, number = text.partition(":")
        self._number = int(number or 1)
        self._log = log
        self._passed: Counter[str] = Counter()

    def passes(self, name: str) -> bool:
        """Whether this is the point and the time."""
        self._passed[name] += 1
        if self._log:
            with Path(self._log).open("a") as log:
                log.write(f"{name}\n")
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
    """Watch the points of this process, if a variable names one or a log."""
    text, log = os.environ.get(VARIABLE, ""), os.environ.get(LOG)
    if not (text or log):
        return
    from threading import Timer

    package = "doit_tofu" if find_spec("doit_tofu") else "tasks"  # the one that the `dodo.py` of a test uses
    Ended = import_module(f"{package}.base.process").Ended  # noqa: N806 - a class
    Engine = import_module(f"{package}.engine.engine").Engine  # noqa: N806
    Clone = import_module(f"{package}.ledger.gitclone").Clone  # noqa: N806

    point = Failpoint(text, log)
    os.fsync = point.around(os.fsync, "fsync")
    os.replace = point.around(os.replace, "rename")
    os.rename = point.around(os.rename, "rename")
    git, run = Clone.git, Engine.run

    def watched_git(self: Any, settings: Any, *arguments: str, **named: Any) -> Any:
        name = arguments[0]
        ended = point.around(git, name)(self, settings, *arguments, **named)
        if name == "push" and point.passes("push.repeated"):
            return git(self, settings, *arguments, **named)
        if name in ("fetch", "push") and point.passes(f"{name}.lost"):
            return Ended(128, "", "fatal: the remote end hung up unexpectedly")
        return ended

    def watched_run(self: Any, context: Any, command: str, *arguments: str, **named: Any) -> Any:
        if point.passes(f"{command}.during"):
            Timer(_LATEST_DURING * (os.getpid() % 7) / 7, die).start()
        named_run = point.around(run, command)
        return point.around(named_run, "engine")(self, context, command, *arguments, **named)

    Clone.git, Engine.run = watched_git, watched_run
