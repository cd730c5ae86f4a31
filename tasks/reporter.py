"""doit's reporter: a line for each task, and its result for those that come after it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from doit.exceptions import UnmetDependency

from . import beginning, ending
from .base.errors import DeployError
from .base.problem import Kind, Problem
from .base.text import few
from .course import STAGES, Course
from .reports import console
from .run import doitdb
from .run import result as results
from .run.action import NOT_STARTED
from .run.details import PlanDetails
from .run.result import Result, Status
from .run.selection import BARRIER

if TYPE_CHECKING:
    from doit.exceptions import BaseFail
    from doit.task import Task

    from .run.run import Run

_CAUSES = 3


class Reporter:
    """Reports one run; doit creates it from the class that `bound` returns."""

    desc = "doit-tofu's own: one line per task, a summary, exit codes 0, 1 and 2"
    run: ClassVar[Run]

    def __init__(self, outstream: Any, options: Any) -> None:
        del outstream, options
        self._console = console.Console(self.run)
        self._course = Course(self.run, self._console)
        self._flush_failed = False
        self._not_run: dict[str, list[str]] = {}  # tasks, and those whose failure is why

    def initialize(self, tasks: dict[str, Task], selected: list[str]) -> None:
        """The run begins."""
        beginning.begin(self._course, tasks, selected)

    def get_status(self, task: Task) -> None:
        """A task is looked at."""

    def execute_task(self, task: Task) -> None:
        """A task starts; with threads, this is called by the worker."""
        if ":" in task.name:
            self._console.begins(task.name)
            if self._course.history:
                self._course.history.begins(task.name)

    def add_success(self, task: Task) -> None:
        """A task succeeded."""
        self._flush()
        outcome = self.run.results.get(task.name)
        if outcome:
            self._console.ended(outcome, selected=outcome.stage in self._course.selected)
        if self._course.history:
            self._course.history.ended(task.name, outcome)

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        """A task failed, or could not run because another one failed."""
        self._flush()
        stage, _, stack = task.name.partition(":")
        outcome = self.run.results.get(task.name)
        if outcome is None and stage in STAGES and stack:
            if isinstance(fail, UnmetDependency):
                why = f"not run: {self._causes(task.name, fail)} failed"
                outcome = Result(stage, stack, Status.NOT_RUN, NOT_STARTED if self.run.stop.requested else why)
            else:
                problem = self.run.problem(DeployError(str(fail.message), details=[fail.get_msg()]), stack)
                outcome = Result(stage, stack, Status.FAILED, problem.summary, problem=problem)
            self.run.keep(task.name, outcome)
        elif task.name == BARRIER and isinstance(fail, UnmetDependency):
            self._causes(task.name, fail)
        elif outcome is None and task.name != BARRIER and not isinstance(fail, UnmetDependency):
            if fail.report:
                self._course.fail(fail.get_msg())
            else:  # its output says why
                self._course.shown.append(Problem(Kind.ERROR, "a task failed; see its output"))
        if outcome:
            self._console.ended(outcome, selected=True)
        if self._course.history:
            self._course.history.ended(task.name, outcome)

    def _causes(self, name: str, fail: BaseFail) -> str:
        """The tasks that failed, so that this one was not run; what was not run itself is no cause."""
        causes = [cause for task in str(fail.message).split() for cause in self._not_run.get(task, [task])]
        barrier = self._not_run.get(BARRIER, [])
        if set(causes) <= set(barrier):  # in one order for all stacks, which is told once
            causes = barrier
        found = self._not_run[name] = list(dict.fromkeys(causes))
        from .forges import gate

        return few([gate.STAGE if cause == BARRIER else cause for cause in found], _CAUSES)

    def skip_uptodate(self, task: Task) -> None:
        """A task has nothing to do; an artifact that still matches is shown in the report again."""
        stage, _, stack = task.name.partition(":")
        if stage == "plan" and stack in self.run.reused:
            known = results.read(self.run.layout, stage, stack, self.run.say_once)
            if known is None or known.status is not Status.OK:
                known = Result(stage, stack, summary="planned before")
            details = known.details if isinstance(known.details, PlanDetails) else PlanDetails()
            known = replace(known, details=replace(details, reused=True))
            self.run.keep(task.name, known)
            self._console.ended(known, selected=stage in self._course.selected)
            if self._course.history:
                self._course.history.ended(task.name, known)
            return
        if stack:
            self._console.skipped(task.name)
            self.run.keep(task.name, Result(stage, stack, Status.UNAFFECTED, "not affected"))

    def skip_ignore(self, task: Task) -> None:
        """A task is skipped because of an earlier `ignore`."""
        ignored, undo = self.run.typed("ignore"), self.run.typed("forget", task.name)
        self.run.say(f"{task.name}: skipped because of an earlier {ignored}; undo it with {undo}")
        stage, _, stack = task.name.partition(":")
        if stack:
            self.run.keep(task.name, Result(stage, stack, Status.SKIPPED, "skipped because of an earlier `ignore`"))

    def cleanup_error(self, exception: Any) -> None:
        """A teardown failed."""
        self._course.fail(exception.get_msg())

    def runtime_error(self, msg: str) -> None:
        """doit itself failed."""
        self._course.fail(msg)

    def teardown_task(self, task: Task) -> None:
        """A teardown starts; no task here has one."""

    def complete_run(self) -> None:
        """The run ends; a pending exception continues."""
        ending.end(self._course)

    def _flush(self) -> None:
        problem = doitdb.flush()
        if problem and not self._flush_failed:
            self._flush_failed = True
            name = self.run.layout.relative(self.run.layout.records)
            self.run.say(f"{name} cannot be written: {problem}; the next run has more to check; free disk space")


def bound(run: Run) -> type[Reporter]:
    """The reporter class for a run, as doit needs a class, not an instance."""
    return type("BoundReporter", (Reporter,), {"run": run})
