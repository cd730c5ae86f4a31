"""doit's reporter: begins and ends the run, prints a line per task, and makes the exit code."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from doit.exceptions import UnmetDependency

from . import build, deploy
from .base.errors import DeployError, ExitCode, RunLockedError
from .base.problem import Kind, Problem, listed
from .base.process import dropped_variables
from .engine import encryption
from .forges import gate
from .reports import console, write
from .run import commandline, deployed, doitdb, fanout, removed, selection
from .run import result as results
from .run.details import PlanDetails
from .run.request import Asked
from .run.result import Result, Status
from .run.selection import BARRIER, Part

if TYPE_CHECKING:
    from doit.exceptions import BaseFail

    from .history.recorder import Recorder
    from .run.run import Run

_STAGES = ("build", "validate", "plan", "deploy", "verify", "drift")
_LOCKING = frozenset({*_STAGES, "setup"})
_WITH_BACKEND = frozenset({"plan", "deploy", "drift"})
_READING = frozenset({"status", "ci", "publish"})  # without the lock


class Reporter:
    """Reports one run; doit makes it from the class that `bound` gives."""

    desc = "doit-tofu's own: one line per task, a summary, exit codes 0, 1 and 2"
    run: ClassVar[Run]

    def __init__(self, outstream: Any, options: Any) -> None:
        del outstream, options
        self._selected: set[str] = set()
        self._whole: set[str] = set()
        self._named: list[str] = []
        self._errors: list[Problem] = []
        self._shown: list[Problem] = []  # what has been printed already
        self._flush_failed = False
        self._console = console.Console(self.run)
        self._history: Recorder | None = None

    def initialize(self, tasks: dict[str, Any], selected: list[str]) -> None:
        """Begin: take the environment's lock, heed signals, raise the barrier before the applies."""
        run = self.run
        self._selected = {name.partition(":")[0] for name in selected}
        self._whole = {name for name in selected if ":" not in name}
        self._named = selected
        if run.request.part is not None:
            self._leave_to_others(tasks, selected)
        selection.order(tasks, selected, "deploy", "verify")
        selection.order(tasks, selected, "deploy", "drift")
        again = selection.named(selected) if commandline.forces() else frozenset[str]()
        deploying = deploy.raise_barrier(tasks, selected)
        planned = frozenset(selection.stacks(selection.reached(tasks, selected), "plan"))
        run.asked = Asked(deploying, bool(self._selected & _WITH_BACKEND), planned, again)
        try:
            commandline.check_patterns(tasks)
            self._check_stacks()
            if run.asked.deploying:
                deployed.refuse_for_deploy(run)
            if self._selected & _LOCKING:
                run.lock.take(f"doit {' '.join(sys.argv[1:])}")
            if self._selected & set(_STAGES):
                self._confirm_upstream()
            if run.asked.planning:
                encryption.require(run.project, plans=bool(self._selected & {"plan", "deploy"}))
                run.project.keyring.prepare()
            self._take_custody(selected)
            if run.request.part is not Part.REPORT:
                build.join(run, tasks, selected)
            if self._selected & set(_STAGES) and run.project.config.history.keep and run.request.part is not Part.JOB:
                from .history.recorder import Recorder

                self._history = Recorder(run, sorted(self._selected), tasks)
        except DeployError as error:
            self._fail_at_once(error)
        if not selected:
            self._console.overview(tasks)
        run.active = True
        if self._history:
            self._history.begin()
        if self._selected & _LOCKING:
            run.stop.install()
            if names := dropped_variables():
                run.say(f"not passed on to the engine: {', '.join(names)}")
            self._console.start()

    def _take_custody(self, selected: list[str]) -> None:
        """Verify the environment's folder before anything in it is used; another run's is still being written.

        Raises:
            DeployError: It is not as it was handed over, or cannot be unpacked.
        """
        run, writing = self.run, bool(self._selected & _LOCKING)
        if writing or (self._selected & _READING and run.lock.holder() is None):
            run.custody.verify(selected, run.signed_commit, writing=writing)
        if run.request.part is not None:
            fanout.unpack(run.layout)

    def _end_custody(self) -> None:
        """Sign what this run leaves; what cannot be signed fails the run, as the next one would refuse it."""
        try:
            self.run.custody.end(deploying=self.run.asked.deploying)
        except DeployError as error:
            problem = self.run.problem(error)
            self._errors.append(problem)
            self.run.say(problem.text())

    def _leave_to_others(self, tasks: dict[str, Any], selected: list[str]) -> None:
        """In a generated pipeline: what other jobs do is not done here."""
        try:
            fanout.part_from_others(self.run, tasks, selected)
        except DeployError as error:
            self._fail_at_once(error)

    def _check_stacks(self) -> None:
        """Refuse to call it a success when a stage is selected and there is no stack at all.

        Raises:
            ConfigError: `discover` finds nothing, nothing is configured, and `discover: []` does not say so.
        """
        project = self.run.project
        if not self._selected & set(_STAGES) - {"build"} or project.stacks or not project.config.discover:
            return
        if project.config.stacks:
            self.run.say(f"every stack is disabled in environment '{project.environment}'")
            return
        for text in removed.lines(self.run):
            self.run.say(text)
        raise project.loaded.error(
            f"no stack was found: {', '.join(project.config.discover)} matches no folder with configuration",
            "discover", untouched="nothing was run",
            next_step="correct `discover`; where there are to be no stacks, write `discover: []`",
        )  # fmt: skip

    def _confirm_upstream(self) -> None:
        """Refuse to go on over an upstream whose ref has moved."""
        settings, base = self.run.project.config.upstream, self.run.project.loaded.base
        if settings is not None and base is not None:
            from .project.overlay import pin

            if note := pin.confirm(self.run.layout.root, settings, base):
                self.run.say(note)

    def get_status(self, task: Any) -> None:
        """A task is looked at."""

    def execute_task(self, task: Any) -> None:
        """A task begins; under threads this comes from the worker."""
        if ":" in task.name:
            self._console.begins(task.name)
            if self._history:
                self._history.begins(task.name)

    def add_success(self, task: Any) -> None:
        """A task ended well."""
        self._flush()
        outcome = self.run.results.get(task.name)
        if outcome:
            self._console.ended(outcome, selected=outcome.stage in self._selected)
        if self._history:
            self._history.ended(task.name, outcome)

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        """A task failed, or could not run because another one did."""
        self._flush()
        stage, _, stack = task.name.partition(":")
        outcome = self.run.results.get(task.name)
        if outcome is None and stage in _STAGES and stack:
            if isinstance(fail, UnmetDependency):
                outcome = Result(stage, stack, Status.NOT_RUN, f"not run: {_short(fail)} failed")
            else:
                problem = self.run.problem(DeployError(str(fail.message), details=[fail.get_msg()]), stack)
                outcome = Result(stage, stack, Status.FAILED, problem.summary, problem=problem)
            self.run.keep(task.name, outcome)
        elif outcome is None and task.name != BARRIER and not isinstance(fail, UnmetDependency):
            if fail.report:
                self._failed_with(fail.get_msg())
            else:  # its output says why
                self._shown.append(Problem(Kind.ERROR, "a task failed; its output says why"))
        if outcome:
            self._console.ended(outcome, selected=True)
        if self._history:
            self._history.ended(task.name, outcome)

    def skip_uptodate(self, task: Any) -> None:
        """A task has nothing to do; an artifact that still fits is shown again in the report."""
        stage, _, stack = task.name.partition(":")
        if stage == "plan" and stack in self.run.reused:
            known = results.read(self.run.layout, stage, stack, self.run.say_once)
            if known is None or known.status is not Status.OK:
                known = Result(stage, stack, summary="planned before")
            details = known.details if isinstance(known.details, PlanDetails) else PlanDetails()
            known = replace(known, details=replace(details, reused=True))
            self.run.keep(task.name, known)
            self._console.ended(known, selected=stage in self._selected)
            if self._history:
                self._history.ended(task.name, known)
            return
        if stack:
            self.run.keep(task.name, Result(stage, stack, Status.UNAFFECTED, "not affected"))

    def skip_ignore(self, task: Any) -> None:
        """A task is skipped because of an earlier `doit ignore`."""
        ignored, undo = self.run.command("ignore").quoted, self.run.command("forget", task.name).quoted
        self.run.say(f"{task.name}: skipped, as {ignored} said earlier; {undo} undoes it")

    def cleanup_error(self, exception: Any) -> None:
        """A teardown failed."""
        self._failed_with(exception.get_msg())

    def runtime_error(self, msg: str) -> None:
        """doit itself failed."""
        self._failed_with(msg)

    def teardown_task(self, task: Any) -> None:
        """A teardown begins; nothing here has one."""

    def complete_run(self) -> None:
        """End: reports, summary, exit code; an exception that is under way goes on."""
        run = self.run
        self._console.stop()
        run.project.index.save()
        if sys.exc_info()[0] is not None:
            self._remember(None)
            self._end_custody()
            run.lock.release()
            run.output.close()
            return
        paths: list[str] = []
        self._compare_with_review()
        if run.active and run.results:
            order = {name: position for position, name in enumerate(run.project.graph.order)}
            for stage in ("plan", "drift"):
                found = [item for item in run.results.values() if item.stage == stage]
                if any(item.status is not Status.UNAFFECTED for item in found) or (found and stage in self._selected):
                    found.sort(key=lambda item: order.get(item.stack, -1))
                    paths += self._report(stage, found)
            write.write_junit(run)
        for problem in self._errors:
            run.say(problem.text())
        code = self._exit_code()
        if run.request.part is Part.JOB:  # the pipeline's last job tells of all stacks at once
            fanout.leave(run, self._named)
            self._console.summary(self._selected, code, paths)
        else:
            self._tell(code, paths)
        self._end_custody()
        run.lock.release()
        run.output.close()
        raise SystemExit(int(self._exit_code()))

    def _tell(self, code: ExitCode, paths: list[str]) -> None:
        """Say how the run ended: here, to whom it concerns, and for the runs after it."""
        run = self.run
        if "plan" in self._selected or run.asked.deploying:
            for text in removed.lines(run):
                run.say(text)
        if code is ExitCode.OK and run.asked.deploying:
            deployed.remember(run)
        self._notify([*self._errors, *self._shown])
        if self._selected & _LOCKING:
            self._console.summary(self._selected, code, paths)
            from .forges import publisher

            publisher.publish(run, self._whole, code)
        self._remember(code)

    def _compare_with_review(self) -> None:
        """After `doit plan` alone; a deploy has compared before it applied."""
        run = self.run
        if "plan" not in self._selected or run.asked.deploying or run.request.part is Part.JOB or run.stop.requested:
            return
        try:
            gate.judge(self.run, asked=False)
        except DeployError as error:
            self._errors.append(self.run.problem(error))

    def _remember(self, code: ExitCode | None) -> None:
        """End the run's record, and publish it where that is wanted; neither changes the outcome."""
        if self._history is None:
            return
        found = list(self.run.results.values())
        verdict = "ended by an unexpected error" if code is None else self._console.verdict(self._selected, code, found)
        self._history.end(code, verdict)
        if self._history.problem:
            self.run.say(f"this run is not in the history: {self._history.problem}")
        if self.run.project.config.publish.automatic:
            from .history import publish

            self.run.say(publish.attempt(self.run))

    def _report(self, stage: str, found: list[Result]) -> list[str]:
        """Show what a stage found and write its report; gives the paths of the files for people."""
        report = write.collect(self.run, stage, found)
        if stage in self._selected:
            self._console.report(report)
        return write.write(self.run, report, write.templates(self.run))

    def _failed_with(self, text: str) -> None:
        """Keep what doit itself says of a failure, to be printed at the end."""
        summary, *details = text.strip().splitlines() or ["doit failed"]
        self._errors.append(self.run.problem(DeployError(summary, details=details)))

    def _flush(self) -> None:
        problem = doitdb.flush()
        if problem and not self._flush_failed:
            self._flush_failed = True
            name = self.run.layout.relative(self.run.layout.records)
            self.run.say(f"{name} cannot be written: {problem}; the next run looks at more, receipts decide; make room")

    def _exit_code(self) -> ExitCode:
        statuses = {item.status for item in self.run.results.values()}
        if self._errors or self._shown or self.run.stop.requested or statuses & {Status.FAILED, Status.NOT_RUN}:
            return ExitCode.FAILED
        alerting = {Status.DRIFTED}
        if self.run.project.config.drift.undeployed == "alert":
            alerting.add(Status.UNDEPLOYED)
        return ExitCode.DRIFT if "drift" in self._selected and statuses & alerting else ExitCode.OK

    def _notify(self, errors: list[Problem]) -> None:
        """Tell those who want to know; nothing in it changes the outcome."""
        if self.run.project.config.notify and self._selected & set(_STAGES) and self.run.request.part is not Part.JOB:
            from .notifications import tell

            tell.tell(self.run, self._selected, errors)

    def _fail_at_once(self, error: DeployError) -> None:
        problems = self.run.problems(error)
        self.run.say(listed(problems))
        if "plan" in self._whole and not isinstance(error, RunLockedError):
            from .forges import publisher

            run = self.run
            publisher.broke(run.project.config.forge, run.project.environment, problems, run.mask, run.say)
        if not isinstance(error, RunLockedError):  # whoever holds the environment also tells what becomes of it
            self._notify(problems)
        self.run.output.close()
        raise SystemExit(int(ExitCode.FAILED))


def bound(run: Run) -> type[Reporter]:
    """The reporter class for a run: doit wants a class, not an instance."""
    return type("BoundReporter", (Reporter,), {"run": run})


def _short(fail: BaseFail) -> str:
    """The names of the tasks that failed, without the barrier between plans and applies."""
    names = [name for name in str(fail.message).split() if name != BARRIER]
    return ", ".join(names[:3]) or "a plan"
