"""The doit action that turns a stage's outcome or error into a result."""

from __future__ import annotations

import getopt
import inspect
import os
import posixpath
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from doit.action import BaseAction
from doit.exceptions import TaskFailed

from ..base import whence
from ..base.clock import now
from ..base.errors import ConfigError, DeployError, UnexpectedError
from ..base.problem import NOTHING_CHANGED, Kind
from . import fanout
from . import result as results
from .commandline import COMMANDS
from .details import DetailedError, masked
from .result import Result, Status
from .selection import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from doit.exceptions import BaseFail

    from ..base.problem import Problem
    from ..engine.diagnostics import Diagnostic
    from ..project.stack import Stack
    from .run import Run

    Act = Callable[[Run, Stack, bool], Result]
    Check = Callable[[Run, Stack], bool]
    from doit.task import Task

    from .commandline import OptionDict
    from .taskdict import TaskDict


_LOOKING = frozenset({"validate", "plan", "drift"})  # the stages that change nothing
NOT_STARTED = "not started: the run was stopped"
"""What is said of a task that a stop kept from beginning."""
_TAKES_TASK = inspect.Signature([inspect.Parameter("task", inspect.Parameter.POSITIONAL_OR_KEYWORD)])
_TAKES_NOTHING = inspect.Signature()


class Action(BaseAction):  # type: ignore[misc]
    """The action of a task, because doit's PythonAction replaces the global standard output under other threads.

    Args:
        run: The run.
        title: The task's title in doit.
        do: Does it and returns how it ended; None if there is nothing to report.
    """

    def __init__(self, run: Run, title: str, do: Callable[[], Result | None]) -> None:
        self.task: Task | None = None
        self.out = self.err = ""
        self.result: Any = None
        self.values: dict[str, Any] = {}
        self._run, self._title, self._do = run, title, do

    def __str__(self) -> str:
        """The task's title in doit."""
        return self._title

    def execute(self, out: Any = None, err: Any = None) -> BaseFail | None:  # noqa: ARG002 - doit's signature
        """Run it once; returns a TaskFailed if it failed."""
        if not self._run.active:
            return TaskFailed("`-r` is not supported: doit-tofu needs its own reporter for its exit codes")
        outcome = self._do()
        return TaskFailed(outcome.summary, report=False) if outcome and outcome.failed else None


def stage_action(run: Run, name: str, stack: str, act: Act) -> Action:
    """The action of a stage on a stack, with the configured hooks around it.

    Args:
        run: The run.
        name: The stage.
        stack: The stack.
        act: The work; takes the run, the stack, and whether it was forced although up to date.
    """
    return kept_action(
        run, name, stack, lambda forced: _with_hooks(run, name, run.project.stacks[stack], act, forced=forced)
    )


def kept_action(run: Run, stage: str, name: str, work: Callable[[bool], Result]) -> Action:
    """An action whose result or error goes into this run's reports and is saved for later commands.

    Args:
        run: The run.
        stage: The stage's name.
        name: The subject: a stack, a build or an image.
        work: The work; takes whether it was forced although up to date.
    """
    return Action(run, f"{stage} {name}", lambda: _keep_outcome(run, stage, name, work))


def _keep_outcome(run: Run, stage: str, name: str, work: Callable[[bool], Result]) -> Result:
    if run.stop.requested:
        outcome = Result(stage, name, Status.NOT_RUN, NOT_STARTED)
        run.keep(f"{stage}:{name}", outcome)
        return outcome
    started, began = time.monotonic(), now()
    try:
        outcome = work(run.asked.forces(name))
    except DeployError as error:
        outcome = failed(run, stage, name, error)
    except Exception as error:  # noqa: BLE001 - the boundary: a bug must not take the other stacks down
        outcome = crashed(run, stage, name, error)
    outcome.warnings = outcome.warnings or _warned(run, stage, name)
    outcome = outcome.masked(run.mask)
    if not outcome.started_at:  # otherwise another job of the pipeline did it
        outcome.seconds = round(time.monotonic() - started, 3)
        outcome.started_at = began
    keep(run, outcome)
    return outcome


def _with_hooks(run: Run, name: str, stack: Stack, act: Act, *, forced: bool) -> Result:
    if run.request.part is Part.REPORT:
        return fanout.taken_over(run, name, stack)
    run.project.require_sound(stack.name)
    if not run.project.config.hooks:
        return act(run, stack, forced)
    from . import hooks

    return hooks.around(run, name, stack, lambda: act(run, stack, forced))


def _warned(run: Run, stage: str, name: str) -> list[Diagnostic]:
    """What the engine warned of in a task, with places in the repository."""
    if name not in run.project.stacks:
        return []
    folder = run.project.stacks[name].path
    return [
        replace(item, file=posixpath.normpath(posixpath.join(folder, item.file))) if item.file else item
        for item in run.heard(stage, name)
    ]


def failed(run: Run, stage: str, name: str, error: DeployError) -> Result:
    """The result of an expected error, with secrets masked; it says what to run next, also where the error does not."""
    problem = _told(run, stage, name, run.problem(error, name if name in run.project.stacks else None))
    known = masked(error.found, run.mask) if isinstance(error, DetailedError) else None
    return Result(stage, name, Status.FAILED, problem.summary, details=known, problem=problem)


def _told(run: Run, stage: str, name: str, problem: Problem) -> Problem:
    """The problem with what is untouched and what to run next, where it does not say so itself."""
    if not problem.untouched and stage in _LOOKING and name:
        one, several = NOTHING_CHANGED
        problem = replace(problem, untouched=one, untouched_of_several=several)
    if problem.next or stage not in COMMANDS or not name:
        return problem
    again = run.command("deploy") if run.asked.deploying else run.command(f"{stage}:{name}")
    return replace(problem, next=("correct what the error names, then run ", again, " again"))


def crashed(run: Run, stage: str, name: str, error: BaseException) -> Result:
    """The result of an unexpected error, whose traceback goes to the crash log."""
    next_step = run.keep_crash(f"{stage}:{name}", error)
    return failed(run, stage, name, UnexpectedError(f"{type(error).__name__}: {error}"[:500], next_step=next_step))


def keep(run: Run, outcome: Result) -> None:
    """Add a result to this run's reports, and save it for later commands."""
    run.keep(f"{outcome.stage}:{outcome.stack}" if outcome.stack else outcome.stage, outcome)
    if outcome.status is Status.SKIPPED and run.request.part is None:
        return  # the latest result still holds
    try:
        results.write(run.layout, outcome)
    except DeployError as error:
        outcome.unrecorded = error.message


def is_current(run: Run, stage: str, stack: Stack, check: Check) -> Callable[..., bool]:
    """An `uptodate` callable for doit; errors in it are left to the action to report."""

    def uptodate(task: Task) -> bool:
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
            # None is missing, as none is needed; called for every stack, so without a `Path`.
            task.targets = [target for target in task.targets if os.path.exists(target)]  # noqa: PTH110
        return current

    return described(uptodate, takes_task=True)


def described(uptodate: Callable[..., bool], *, takes_task: bool = False) -> Callable[..., bool]:
    """An `uptodate` callable whose arguments doit need not find out: that would take it longer than to call it."""
    uptodate.__signature__ = _TAKES_TASK if takes_task else _TAKES_NOTHING  # type: ignore[attr-defined]
    return uptodate


def late_options(
    params: Sequence[OptionDict], positional: str, words: Sequence[str]
) -> dict[str, str | int | bool | list[str]]:
    """What stands after a task's name in any order: doit itself takes an option behind a word for a word.

    Raises:
        ConfigError: An option is unknown, or lacks its value.
    """
    known = {f"-{item['short']}": item for item in params if item.get("short")}
    known |= {f"--{item['long']}": item for item in params}
    short = "".join(item["short"] + (":" if item["type"] is not bool else "") for item in params if item.get("short"))
    long = [item["long"] + ("=" if item["type"] is not bool else "") for item in params]
    try:
        given, rest = getopt.gnu_getopt(list(words), short, long)
        found = {known[name]["name"]: True if known[name]["type"] is bool else known[name]["type"](value)
                 for name, value in given}  # fmt: skip
    except (getopt.GetoptError, ValueError) as error:
        raise ConfigError(str(error), untouched="nothing was run", next_step=f"known: {', '.join(known)}") from None
    return {**found, positional: rest}


class FailedText(str):
    """A text that says of its task that it failed."""

    __slots__ = ()


class ProgramText(str):
    """A text for programs, of which no line is fitted to a terminal."""

    __slots__ = ()


def _unprinted(run: Run, error: DeployError) -> TaskFailed:
    """Show why there is no text."""
    problems = [each.before_anything() if each.kind is Kind.CONFIG else each for each in run.problems(error)]
    run.say(whence.listed(problems))
    if run.request.as_json:
        from . import documents

        run.output.document(documents.failed(run.project.environment, problems))
    return TaskFailed(error.message, report=False)


def printing(
    run: Run, name: str, text: Callable[..., str], params: Sequence[OptionDict] = (),
    *, positional: str | None = None,
) -> TaskDict:  # fmt: skip
    """A task that prints a text; an error is shown and fails it.

    Args:
        run: The run.
        name: The task's name.
        text: Makes the text from the run and the task's options.
        params: Its options, in doit's form.
        positional: The argument of `text` that gets the words after the task's name, as a list.
    """

    def show(**options: Any) -> TaskFailed | None:
        try:
            if positional is not None and params:
                options = {**options, **late_options(params, positional, options[positional])}
            said = text(run, **options)
            if run.request.as_json:
                run.output.document(said)
            else:
                run.say(said, quoted=isinstance(said, ProgramText))
        except DeployError as error:
            return _unprinted(run, error)
        except Exception as error:  # noqa: BLE001 - the boundary: a person gets a sentence, the traceback goes to a file
            step = run.keep_crash(name, error)
            return _unprinted(run, UnexpectedError(f"{type(error).__name__}: {error}"[:500], next_step=step))
        return TaskFailed(said, report=False) if isinstance(said, FailedText) else None

    task: TaskDict = {
        "basename": name,
        "actions": [show],
        "verbosity": 2,
        "doc": COMMANDS[name],
        "params": list(params),
    }
    return task if positional is None else {**task, "pos_arg": positional}
