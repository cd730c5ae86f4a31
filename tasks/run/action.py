"""Between doit and the stages: an action that turns a stage's outcome, or its error, into a result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from doit.action import BaseAction
from doit.exceptions import TaskFailed

from ..artifact.receipt import now
from ..base.errors import DeployError, StoppedError
from . import fanout
from . import result as results
from .result import Result, Status
from .selection import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from doit.exceptions import BaseFail

    from ..project.stack import Stack
    from .run import Run

    Act = Callable[[Run, Stack, bool], Result]
    Check = Callable[[Run, Stack], bool]


class StageAction(BaseAction):  # type: ignore[misc]
    """Runs a stage on a stack; PythonAction would swap the global standard output under other threads.

    Args:
        run: The run.
        stage: The stage's name.
        name: The stack's name.
        act: What it does: takes the run, the stack, and whether it was forced although up to date.
    """

    def __init__(self, run: Run, stage: str, name: str, act: Act) -> None:
        self.task: Any = None
        self.out = self.err = ""
        self.result: Any = None
        self.values: dict[str, Any] = {}
        self._run, self._stage, self._name, self._act = run, stage, name, act

    def __str__(self) -> str:
        """The task, as doit shows it."""
        return f"{self._stage} {self._name}"

    def execute(self, out: Any = None, err: Any = None) -> BaseFail | None:  # noqa: ARG002 - doit's signature
        """Run the stage once; gives doit a TaskFailed for what failed, never an exception."""
        run, label = self._run, f"{self._stage}:{self._name}"
        if not run.active:
            return TaskFailed("doit-tofu reports its own exit codes: leave out `-r`")
        if run.stop.requested:
            run.keep(label, Result(self._stage, self._name, Status.NOT_RUN, "not begun: the run was stopped"))
            return TaskFailed("stopped", report=False)
        started, began = time.monotonic(), now()
        try:
            outcome = self._outcome(forced=run.asked.forces(self._name))
        except DeployError as error:
            outcome = failed(run, self._stage, self._name, error)
        except Exception as error:  # noqa: BLE001 - the boundary: a bug must not take the other stacks down
            outcome = crashed(run, self._stage, self._name, error)
        if not outcome.started_at:  # else another job of the pipeline did it
            outcome.seconds = round(time.monotonic() - started, 3)
            outcome.started_at = began
        keep(run, outcome)
        return TaskFailed(outcome.summary, report=False) if outcome.failed else None

    def _outcome(self, *, forced: bool) -> Result:
        """What the stage gives, with the configured hooks around it."""
        stack = self._run.project.stacks[self._name]
        if self._run.request.part is Part.REPORT:
            return fanout.taken_over(self._run, self._stage, stack)
        if not self._run.project.config.hooks:
            return self._act(self._run, stack, forced)
        from . import hooks

        return hooks.around(self._run, self._stage, stack, lambda: self._act(self._run, stack, forced))


def failed(run: Run, stage: str, name: str, error: DeployError) -> Result:
    """The result of an expected error, secrets masked."""
    error.stack = error.stack or name
    stopped = isinstance(error, StoppedError)
    return Result(
        stage,
        name,
        Status.FAILED,
        run.mask.text(error.message),
        error=run.mask.text(error.render()),
        log=run.mask.text(getattr(error, "log", "")),
        details={"kind": error.kind, "stopped": stopped, **getattr(error, "details", {})},
    )


def crashed(run: Run, stage: str, name: str, error: BaseException) -> Result:
    """The result of an error that nobody expected; its traceback goes to a file."""
    next_step = run.keep_crash(f"{stage}:{name}", error)
    problem = DeployError(f"{type(error).__name__}: {error}"[:500], stack=name, next_step=next_step)
    problem.kind = "unexpected error"
    return failed(run, stage, name, problem)


def keep(run: Run, outcome: Result) -> None:
    """Hold a result for this run's reports, and keep it for the next command's."""
    run.keep(f"{outcome.stage}:{outcome.stack}" if outcome.stack else outcome.stage, outcome)
    try:
        results.write(run.layout, outcome)
    except DeployError as error:
        outcome.details["record"] = error.message


def is_current(run: Run, stage: str, stack: Stack, check: Check) -> Callable[..., bool]:
    """An `uptodate` callable for doit; an error in it is left to the action, which reports it as its own."""

    def uptodate(task: Any) -> bool:
        if fanout.handed_over(run, stage, stack.name):
            return False
        try:
            current = check(run, stack)
        except (DeployError, OSError):
            return False
        if current and run.project.config.hooks:
            from . import hooks

            current = not hooks.owed(run, stage, stack)
        if current:
            task.targets = [target for target in task.targets if _exists(target)]  # none is missing: none is needed
        return current

    return uptodate


def _exists(path: str) -> bool:
    from pathlib import Path

    return Path(path).exists()


def printing(run: Run, name: str, text: Callable[[Run], str], doc: str) -> dict[str, Any]:
    """A task that prints a text; an expected error is shown, and is its failure."""

    def show() -> TaskFailed | None:
        try:
            run.say(text(run))
        except DeployError as error:
            run.say(error.render())
            return TaskFailed(error.message, report=False)
        return None

    return {"basename": name, "actions": [show], "verbosity": 2, "doc": doc}
