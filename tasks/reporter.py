"""doit's reporter: starts and ends the run, prints a line per task, and determines the exit code."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from doit.exceptions import UnmetDependency

from . import build, deploy, drift, snapshots
from .base.errors import DeployError, ExitCode, LedgerError, RunLockedError
from .base.problem import Kind, Problem, listed
from .base.process import dropped_variables
from .base.text import few
from .engine import encryption
from .forges import gate
from .reports import console, write
from .run import (
    baseline,
    before,
    commandline,
    deployed,
    deployedtag,
    doitdb,
    fanout,
    pending,
    previous,
    removed,
    selection,
    turns,
)
from .run import result as results
from .run.details import PlanDetails
from .run.request import Asked
from .run.result import Result, Status
from .run.selection import BARRIER, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from doit.exceptions import BaseFail
    from doit.task import Task

    from .history.recorder import Recorder
    from .run.recorded import Recorded
    from .run.run import Run

_STAGES = ("build", "validate", "plan", "deploy", "verify", "drift")
_LOCKING = frozenset({*_STAGES, "setup"})
_RECORDED = frozenset({"plan", "deploy", "verify", "drift"})
_WITH_BACKEND = frozenset({"plan", "deploy", "drift"})
_READING = frozenset({"status", "ci", "publish"})  # without the lock
_FILLING = frozenset({"status", "ci"})  # those of them that begin with the ledger
_CAUSES = 3


class Reporter:
    """Reports one run; doit creates it from the class that `bound` returns."""

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
        self._not_run: dict[str, list[str]] = {}  # tasks, and those whose failure is why
        self._console = console.Console(self.run)
        self._history: Recorder | None = None

    def initialize(self, tasks: dict[str, Task], selected: list[str]) -> None:
        """Start: take the environment lock, handle signals, set up the barrier before applies."""
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
            before.require_stacks(run, self._selected & set(_STAGES) - {"build"})
            if "drift" in self._selected:
                baseline.of(run).begin()
            if run.asked.deploying:
                deployed.refuse_for_deploy(run)
            if self._selected & _LOCKING:
                run.lock.take(f"doit {' '.join(sys.argv[1:])}", filling=run.recording is not None)
            if self._selected & set(_STAGES):
                before.confirm_upstream(run)
            if run.asked.planning:
                encryption.require(run.project, plans=bool(self._selected & {"plan", "deploy"}))
                run.project.keyring.prepare()
            self._take_custody(selected)
            turns.choose(run, tasks, selected)
            if run.request.part is not Part.REPORT:
                build.join(run, tasks, selected)
            if self._selected & set(_STAGES) and run.project.config.history.keep and run.request.part is not Part.JOB:
                from .history.recorder import Recorder

                self._history = Recorder(run, sorted(self._selected), tasks)
                run.record = self._history.id
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
            self._console.start(selection.reached(tasks, selected))

    def _take_custody(self, selected: list[str]) -> None:
        """Verify the environment's folder before anything in it is used, and bring it up to date from the ledger.

        Raises:
            DeployError: It is not as it was handed over, or cannot be unpacked; or the ledger cannot be used.
        """
        run, ledger = self.run, self.run.recording
        if self._selected & _LOCKING:
            run.custody.verify(selected, run.signed_commit, writing=True)
        elif ledger is not None and self._selected & _FILLING:
            self._fill_and_leave(ledger, selected)
        elif self._selected & _READING and run.lock.holder() is None:
            run.custody.verify(selected, run.signed_commit, writing=False)
        if run.request.part is not None:
            fanout.unpack(run.layout)
        if ledger is not None and self._selected & _RECORDED:
            ledger.fill(deploying=run.asked.deploying, alone=True)
            if ledger.unread is not None:
                self._say_unread(ledger.unread)
        run.lock.filled()

    def _fill_and_leave(self, ledger: Recorded, selected: list[str]) -> None:
        """Bring the folder up to date for a command that only reads it; another run's is still being written."""
        run = self.run
        ledger.read()  # nobody waits for the network while the folder is locked
        with run.lock.reading() as alone:
            if alone:
                run.custody.verify(selected, run.signed_commit, writing=True)
            ledger.fill(deploying=False, alone=alone)
            run.custody.end(())

    def _sign(self, sign: Callable[[Collection[str]], None], *, told: bool = True) -> None:
        """Sign what this run leaves; what cannot be signed fails the run, as the next one would refuse it.

        Args:
            sign: How.
            told: Whether the outcome was already told, so that an error has to be told here.
        """
        try:
            sign(selection.stacks(self._named, "deploy"))
        except DeployError as error:
            problem = self.run.problem(error)
            self._errors.append(problem)
            if told:
                self.run.say(problem.text())

    def _leave_to_others(self, tasks: dict[str, Task], selected: list[str]) -> None:
        """In a generated pipeline, leave out the work of other jobs."""
        try:
            fanout.part_from_others(self.run, tasks, selected)
        except DeployError as error:
            self._fail_at_once(error)

    def get_status(self, task: Task) -> None:
        """A task is looked at."""

    def execute_task(self, task: Task) -> None:
        """A task starts; with threads, this is called by the worker."""
        if ":" in task.name:
            self._console.begins(task.name)
            if self._history:
                self._history.begins(task.name)

    def add_success(self, task: Task) -> None:
        """A task succeeded."""
        self._flush()
        outcome = self.run.results.get(task.name)
        if outcome:
            self._console.ended(outcome, selected=outcome.stage in self._selected)
        if self._history:
            self._history.ended(task.name, outcome)

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        """A task failed, or could not run because another one failed."""
        self._flush()
        stage, _, stack = task.name.partition(":")
        outcome = self.run.results.get(task.name)
        if outcome is None and stage in _STAGES and stack:
            if isinstance(fail, UnmetDependency):
                outcome = Result(stage, stack, Status.NOT_RUN, f"not run: {self._causes(task.name, fail)} failed")
            else:
                problem = self.run.problem(DeployError(str(fail.message), details=[fail.get_msg()]), stack)
                outcome = Result(stage, stack, Status.FAILED, problem.summary, problem=problem)
            self.run.keep(task.name, outcome)
        elif task.name == BARRIER and isinstance(fail, UnmetDependency):
            self._causes(task.name, fail)
        elif outcome is None and task.name != BARRIER and not isinstance(fail, UnmetDependency):
            if fail.report:
                self._failed_with(fail.get_msg())
            else:  # its output says why
                self._shown.append(Problem(Kind.ERROR, "a task failed; see its output"))
        if outcome:
            self._console.ended(outcome, selected=True)
        if self._history:
            self._history.ended(task.name, outcome)

    def _causes(self, name: str, fail: BaseFail) -> str:
        """The tasks that failed, so that this one was not run; what was not run itself is no cause."""
        causes = [cause for task in str(fail.message).split() for cause in self._not_run.get(task, [task])]
        found = self._not_run[name] = list(dict.fromkeys(causes))
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
            self._console.ended(known, selected=stage in self._selected)
            if self._history:
                self._history.ended(task.name, known)
            return
        if stack:
            self._console.skipped(task.name)
            self.run.keep(task.name, Result(stage, stack, Status.UNAFFECTED, "not affected"))

    def skip_ignore(self, task: Task) -> None:
        """A task is skipped because of an earlier `doit ignore`."""
        ignored, undo = self.run.command("ignore").quoted, self.run.command("forget", task.name).quoted
        self.run.say(f"{task.name}: skipped because of an earlier {ignored}; undo it with {undo}")

    def cleanup_error(self, exception: Any) -> None:
        """A teardown failed."""
        self._failed_with(exception.get_msg())

    def runtime_error(self, msg: str) -> None:
        """doit itself failed."""
        self._failed_with(msg)

    def teardown_task(self, task: Task) -> None:
        """A teardown starts; no task here has one."""

    def complete_run(self) -> None:
        """End: reports, summary, exit code; a pending exception continues."""
        run = self.run
        self._console.stop()
        run.project.index.save()
        if sys.exc_info()[0] is not None:
            self._record()
            self._remember(None)
            self._sign(self.run.custody.end)
            run.lock.release()
            run.output.close()
            return
        paths: list[str] = []
        self._compare_with_review()
        if "drift" in self._selected:
            self._end_drift()
        if run.active and run.results:
            for stage in ("plan", "deploy", "drift"):
                if self._is_reported(stage):
                    paths += self._report(stage)
            write.write_junit(run)
        self._record()
        self._sign(run.custody.sign, told=False)  # what is written from here on is signed at the end
        code = self._exit_code()
        if run.request.part is Part.JOB:  # the pipeline's last job reports all stacks at once
            fanout.leave(run, self._named)
            self._console.summary(self._selected, code, paths, self._errors)
        else:
            self._tell(code, paths)
        self._sign(self.run.custody.end)
        self._keep_answer()
        run.lock.release()
        if run.request.as_json:
            self._print_document(paths)
        run.output.close(reading=not self._selected & _LOCKING)
        raise SystemExit(int(self._exit_code()))

    def _print_document(self, paths: list[str]) -> None:
        """Print what a program asked for; `status` and `graph` have done so."""
        stage = next((stage for stage in ("plan", "drift") if stage in self._selected), None)
        if stage is not None:
            from .reports import surface
            from .run import documents

            found = surface.of_run(self.run, stage, self._exit_code(), [*self._errors, *self._shown], paths)
            self.run.output.document(documents.text(found))

    def _keep_answer(self) -> None:
        """Keep the answer of a run that has changed nothing, so that the next one need not find it again."""
        history = self._history
        if self._exit_code() is ExitCode.OK and (history is None or not history.problem):
            snapshots.keep(self.run, history.written if history else None)

    def _say_unread(self, problem: LedgerError) -> None:
        """The run goes on without the ledger: what that means; a search for drift cannot tell new drift from known."""
        found = self.run.problem(problem)
        if "drift" in self._selected:
            self._errors.append(found)
        self.run.say(f"{found.summary}; what other machines have deployed is not known here")

    def _end_drift(self) -> None:
        """Complete what the checks for drift found with what only all of them together show."""
        if nothing := turns.nothing_checked(self.run):
            self._errors.append(self.run.problem(nothing))
        error = previous.unknown(self.run)
        if error is not None:
            problem = self.run.problem(error)
            if previous.must_be_known(error) and (self.run.recording is None or self.run.recording.unread is None):
                self._errors.append(problem)
            self.run.say(f"{problem.summary}; what of the drift is new and what is known is unknown")
        useless = drift.useless_rules(self.run, whole="drift" in self._whole)
        self.run.notes += useless
        for text in useless:
            self.run.say(text)

    def _record(self) -> None:
        """Bring what was applied and checked into the ledger, and give its lease back."""
        run = self.run
        if run.recording is None or not (run.asked.deploying or "verify" in self._selected):
            return
        if problem := run.recording.end(last=run.request.part is not Part.JOB):
            shown = run.problem(problem)
            if run.asked.deploying:
                self._errors.append(shown)
            else:  # a job for checks need not have the right to write: the next deploy checks again
                run.say(shown.text())

    def _tell(self, code: ExitCode, paths: list[str]) -> None:
        """Report the outcome: on the console, to the forge and channels, and in the history."""
        run = self.run
        if run.recording is not None and "plan" in self._selected and not run.asked.deploying:
            for text in pending.lines(run, run.recording):
                run.say(text)
        if "plan" in self._selected or run.asked.deploying:
            for text in removed.lines(run):
                run.say(text)
        if code is ExitCode.OK and run.asked.deploying:
            deployedtag.remember(run)
        elif run.asked.deploying:
            deployedtag.take_back(run)
        self._notify([*self._errors, *self._shown])
        if "drift" in self._selected and (error := previous.record(run, code)):
            run.say(f"{run.problem(error).summary}; the next check will count what this one found as new")
        if self._selected & _LOCKING:
            from .forges import publisher

            publisher.publish(run, self._whole, code)
        if "drift" in self._selected and run.project.config.drift.issues:
            from .forges import drifted

            drifted.publish(run)
        self._remember(code)
        if self._selected & _LOCKING:  # last, for what failed has to be on the screen at the end
            self._console.summary(self._selected, code, paths, self._errors)
        else:
            for problem in self._errors:
                run.say(problem.text())

    def _compare_with_review(self) -> None:
        """Compare with the review after `doit plan`; a deploy has done so before it applied."""
        run = self.run
        if "plan" not in self._selected or run.asked.deploying or run.request.part is Part.JOB or run.stop.requested:
            return
        try:
            gate.judge(self.run, asked=False)
        except DeployError as error:
            self._errors.append(self.run.problem(error))

    def _remember(self, code: ExitCode | None) -> None:
        """Complete the run's record, and publish it if configured; neither changes the outcome."""
        if self._history is None:
            return
        found = list(self.run.results.values())
        verdict = "ended by an unexpected error" if code is None else self._console.verdict(self._selected, code, found)
        self._history.end(code, verdict)
        if self._history.problem:
            self.run.say(f"this run is missing from the history: {self._history.problem}")
        if self.run.project.config.publish.automatic:
            from .history import publish

            self.run.say(publish.attempt(self.run))

    def _is_reported(self, stage: str) -> bool:
        """Whether there is something to report of a stage; what a deploy planned is in its own report."""
        found = [item for item in self.run.results.values() if item.stage == stage]
        if stage == "plan" and self.run.asked.deploying and stage not in self._selected:
            return False
        if any(item.status is not Status.UNAFFECTED for item in found):
            return True
        return bool(found) and stage in self._selected and stage != "deploy"

    def _report(self, stage: str) -> list[str]:
        """Print a stage's report and write its files; returns their paths for display."""
        report = write.of_run(self.run, stage)
        if stage in self._selected and stage != "deploy":  # what a deploy does was shown when it was planned
            self._console.report(report)
        return write.write(self.run, report, write.templates(self.run))

    def _failed_with(self, text: str) -> None:
        """Store doit's own message about a failure, to be printed at the end."""
        summary, *details = text.strip().splitlines() or ["doit failed"]
        self._errors.append(self.run.problem(DeployError(summary, details=details)))

    def _flush(self) -> None:
        problem = doitdb.flush()
        if problem and not self._flush_failed:
            self._flush_failed = True
            name = self.run.layout.relative(self.run.layout.records)
            self.run.say(f"{name} cannot be written: {problem}; the next run has more to check; free disk space")

    def _exit_code(self) -> ExitCode:
        statuses = {item.status for item in self.run.results.values()}
        if self._errors or self._shown or self.run.stop.requested or statuses & {Status.FAILED, Status.NOT_RUN}:
            return ExitCode.FAILED
        drifted = any(drift.alerts(self.run, item) for item in self.run.results.values())
        return ExitCode.DRIFT if "drift" in self._selected and drifted else ExitCode.OK

    def _notify(self, errors: list[Problem]) -> None:
        """Send notifications; nothing in here changes the outcome."""
        if self.run.project.config.notify and self._selected & set(_STAGES) and self.run.request.part is not Part.JOB:
            from .notifications import tell

            tell.tell(self.run, self._selected, errors)

    def _fail_at_once(self, error: DeployError) -> None:
        problems = self.run.problems(error)
        self.run.say(listed(problems))
        if self.run.request.as_json:
            from .reports import surface
            from .run.documents import FailedDocument, text

            found = [surface.problem(each) for each in problems]
            self.run.output.document(text(FailedDocument(environment=self.run.project.environment, problems=found)))
        stage = next((stage for stage in ("deploy", "plan") if stage in self._whole), None)
        if stage and self.run.request.part is not Part.JOB and not isinstance(error, RunLockedError):
            from .forges import publisher

            run = self.run
            publisher.broke(run.project.config.forge, run.project.environment, problems, run.mask, run.say, stage=stage)
        if not isinstance(error, RunLockedError):  # the run that holds the environment also sends its notifications
            self._notify(problems)
        self.run.output.close()
        raise SystemExit(int(ExitCode.FAILED))


def bound(run: Run) -> type[Reporter]:
    """The reporter class for a run, as doit needs a class, not an instance."""
    return type("BoundReporter", (Reporter,), {"run": run})
