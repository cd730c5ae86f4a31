"""The beginning of a run: lock, custody, ledger, and the order of what was selected."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .base import whence
from .base.errors import DeployError, ExitCode, RunLockedError
from .base.process import dropped_variables
from .course import LOCKING, STAGES
from .engine import encryption
from .run import before, commandline, deployed, fanout, lastchecks, selection, turns
from .run.request import Asked
from .run.selection import Part

if TYPE_CHECKING:
    from doit.task import Task

    from .base.errors import LedgerError
    from .course import Course
    from .run.recorded import Recorded

_RECORDED = frozenset({"plan", "deploy", "verify", "drift"})
_WITH_BACKEND = frozenset({"plan", "deploy", "drift"})
_OF_STACKS = frozenset(STAGES) - {"build"} | {"status", "graph"}
_READING = frozenset({"status", "ci", "publish"})  # without the lock
_FILLING = frozenset({"status", "ci"})  # those of them that begin with the ledger


def begin(course: Course, tasks: dict[str, Task], selected: list[str]) -> None:
    """Start: take the environment lock, handle signals, set up the barrier before applies."""
    run = course.run
    course.select(selected)
    if run.request.part is not None:
        _leave_to_others(course, tasks, selected)
    selection.order(tasks, selected, "deploy", "verify")
    selection.order(tasks, selected, "deploy", "drift")
    again = selection.named(selected) if commandline.forces() else frozenset[str]()
    deploying = selection.raise_barrier(tasks, selected)
    needed = selection.reached(tasks, selected)
    planned, checked = (frozenset(selection.stacks(needed, stage)) for stage in ("plan", "validate"))
    run.asked = Asked(deploying, bool(course.selected & _WITH_BACKEND), planned, again, checked)
    try:
        _prepare(course, tasks, selected)
    except DeployError as error:
        _fail_at_once(course, error)
    if not selected:
        course.console.overview(tasks)
    run.active = True
    if course.history:
        course.history.begin()
    if course.selected & LOCKING:
        run.stop.install()
        if names := dropped_variables():
            run.say(f"not passed on to the engine: {', '.join(names)}")
        course.console.start(selection.reached(tasks, selected))


def _prepare(course: Course, tasks: dict[str, Task], selected: list[str]) -> None:
    """Check that the run may begin, lock and verify what it works on, and make what its tasks share.

    Raises:
        DeployError: It may not begin.
    """
    run = course.run
    commandline.check_patterns(tasks)
    _require_alone(course, selected)
    before.require_stacks(run, course.selected & _OF_STACKS)
    if "drift" in course.selected:
        from .run import baseline

        baseline.of(run).begin()
    if "status" in course.selected:
        lastchecks.begin(run)
    if run.asked.deploying:
        deployed.refuse_for_deploy(run)
    if course.selected & LOCKING:
        besides = turns.ELSEWHERE if course.selected == {turns.STAGE} else ""
        run.lock.take(f"doit {' '.join(sys.argv[1:])}", filling=run.recording is not None, besides=besides)
    if course.selected & set(STAGES):
        before.confirm_upstream(run)
    if run.asked.planning:
        encryption.require(run.project, plans=bool(course.selected & {"plan", "deploy"}))
        run.project.keyring.prepare()
    _take_custody(course, selected)
    turns.choose(run, tasks, selected)
    if run.project.catalog is not None and run.request.part is not Part.REPORT:
        from . import build

        build.join(run, tasks, selected)
    if run.asked.deploying and run.request.part is not Part.REPORT:
        from . import deploy

        deploy.refuse_unfit(run, selection.stacks(selection.reached(tasks, selected), "deploy"))
    if course.selected & set(STAGES) and run.project.config.history.keep and run.request.part is not Part.JOB:
        from .history.recorder import Recorder

        course.history = Recorder(run, sorted(course.selected), tasks)
        run.record = course.history.id


def _require_alone(course: Course, selected: list[str]) -> None:
    """Refuse a repair in a run that does anything else.

    Raises:
        ConfigError: It does.
    """
    if course.run.request.repair is not None:
        from . import repair

        repair.require_alone(course.run, selected)
        for text in repair.left_alone(course.run):
            course.run.say(text)


def _take_custody(course: Course, selected: list[str]) -> None:
    """Verify the environment's folder before anything in it is used, and bring it up to date from the ledger.

    Raises:
        DeployError: It is not as it was handed over, or cannot be unpacked; or the ledger cannot be used.
    """
    run, ledger = course.run, course.run.recording
    if course.selected & LOCKING:
        run.custody.verify(selected, run.signed_commit, writing=True)
    elif ledger is not None and course.selected & _FILLING:
        _fill_and_leave(course, ledger, selected)
    elif course.selected & _READING and run.lock.holder() is None:
        run.custody.verify(selected, run.signed_commit, writing=False)
    if run.request.part is not None:
        fanout.unpack(run.layout)
    if ledger is not None and course.selected & _RECORDED:
        ledger.fill(deploying=run.asked.deploying, alone=True)
        if ledger.unread is not None:
            _say_unread(course, ledger.unread)
    run.lock.filled()


def _fill_and_leave(course: Course, ledger: Recorded, selected: list[str]) -> None:
    """Bring the folder up to date for a command that only reads it; another run's is still being written."""
    run = course.run
    ledger.read()  # before the folder is locked: no other run waits for our network
    with run.lock.reading() as alone:
        if alone:
            run.custody.verify(selected, run.signed_commit, writing=True)
        ledger.fill(deploying=False, alone=alone)
        run.custody.end(())
    if ledger.unread is not None:
        _say_unread(course, ledger.unread)


def _leave_to_others(course: Course, tasks: dict[str, Task], selected: list[str]) -> None:
    """In a generated pipeline, leave out the work of other jobs."""
    try:
        fanout.part_from_others(course.run, tasks, selected)
    except DeployError as error:
        _fail_at_once(course, error)


def _say_unread(course: Course, problem: LedgerError) -> None:
    """The run goes on without the ledger: what that means; a search for drift cannot tell new drift from known."""
    found = course.run.problem(problem)
    if "drift" in course.selected:
        course.errors.append(found)
    course.run.say(f"{found.summary}; what other machines have deployed is not known here")


def _fail_at_once(course: Course, error: DeployError) -> None:
    problems = [problem.before_anything() for problem in course.run.problems(error)]
    course.run.say(whence.listed(problems))
    if course.run.request.as_json:
        from .run.documents import failed

        course.run.output.document(failed(course.run.project.environment, problems))
    stage = next((stage for stage in ("deploy", "plan") if stage in course.whole), None)
    if stage and course.run.request.part is not Part.JOB and not isinstance(error, RunLockedError):
        from .forges import publisher

        run = course.run
        publisher.broke(run.project.config.forge, run.project.environment, problems, run.mask, run.say, stage=stage)
    if not isinstance(error, RunLockedError):  # the run that holds the environment also sends its notifications
        course.notify(problems)
    course.run.output.close()
    raise SystemExit(int(ExitCode.FAILED))
