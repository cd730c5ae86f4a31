"""The end of a run: its reports, records, signatures and messages, and its exit code."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from . import snapshots
from .base import whence
from .base.errors import DeployError, ExitCode, LedgerError, UnexpectedError
from .course import LOCKING
from .run import fanout, pending, removed, selection, stateguard
from .run.result import Status
from .run.selection import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .course import Course


_LONGEST = 500  # characters of an unexpected error


def end(course: Course) -> None:
    """End: reports, summary, exit code; a pending exception continues. What fails in one step keeps no other back."""
    run = course.run
    course.console.stop()
    run.project.index.save()
    if sys.exc_info()[0] is not None:
        _attempt(course, lambda: _record(course), told=True)
        _attempt(course, lambda: _remember(course, None), told=True)
        _sign(course, run.custody.end)
        run.lock.release()
        run.output.close()
        return
    paths: list[str] = []
    for step in (
        lambda: _record(course, ended=True),  # before all that could fail: others wait for the lease
        lambda: _abandon_repairs(course),
        lambda: _compare_with_review(course),
        lambda: _say_unused(course),
        lambda: _end_drift(course),
        lambda: paths.extend(_reports(course)),
    ):
        _attempt(course, step)
    _sign(course, run.custody.sign, told=False)  # what is written from here on is signed at the end
    code = course.exit_code()
    if run.request.part is Part.JOB:  # the pipeline's last job reports all stacks at once
        _attempt(course, lambda: fanout.leave(run, course.named))
        course.console.summary(course.selected, code, paths, course.errors)
    else:
        _tell(course, code, paths)
    _sign(course, course.run.custody.end)
    _attempt(course, lambda: _keep_answer(course), told=True)
    run.lock.release()
    if run.request.as_json:
        _attempt(course, lambda: _print_document(course, paths), told=True)
    run.output.close(reading=not course.selected & LOCKING)
    raise SystemExit(int(course.exit_code()))


def _attempt(course: Course, step: Callable[[], None], *, told: bool = False) -> None:
    """Take a step of the end; an error in it, unexpected ones included, fails the run, and the other steps follow.

    Args:
        course: The run's course.
        step: The step.
        told: Whether the outcome was already told, so that an error has to be told here.
    """
    run = course.run
    try:
        step()
    except DeployError as error:
        problem = run.problem(error)
    except Exception as error:  # noqa: BLE001 - a defect in a report must not keep records from being written
        found = UnexpectedError(
            f"{type(error).__name__}: {error}"[:_LONGEST], untouched="the receipts of what was applied",
            next_step=run.keep_crash("end", error),
        )  # fmt: skip
        problem = run.problem(found)
    else:
        return
    course.errors.append(problem)
    if told:
        run.say(whence.text(problem))


def _say_unused(course: Course) -> None:
    """Say what was accepted for nothing; `doit ledger` does so itself."""
    if "ledger" not in course.selected:
        for text in stateguard.unused(course.run):
            course.run.say(text)


def _reports(course: Course) -> list[str]:
    """Print and write the reports of what was done; returns their paths for display."""
    paths: list[str] = []
    if course.run.active and course.run.results:
        for stage in ("plan", "deploy", "drift"):
            if _is_reported(course, stage):
                paths += _report(course, stage)
        from .reports import write

        write.write_junit(course.run)
    return paths


def _print_document(course: Course, paths: list[str]) -> None:
    """Print what a program asked for; `status` and `graph` have done so."""
    stage = next((stage for stage in ("plan", "drift") if stage in course.selected), None)
    if stage is not None:
        from .reports import surface
        from .run import documents

        found = surface.of_run(course.run, stage, course.exit_code(), [*course.errors, *course.shown], paths)
        course.run.output.document(documents.text(found))


def _keep_answer(course: Course) -> None:
    """Keep the answer of a run that has changed nothing, so that the next one need not find it again."""
    history = course.history
    if course.exit_code() is ExitCode.OK and (history is None or not history.problem):
        snapshots.keep(course.run, history.written if history else None)


def _end_drift(course: Course) -> None:
    """Complete what the checks for drift found with what only all of them together show."""
    if "drift" not in course.selected:
        return
    from . import drift
    from .run import previous, turns

    if nothing := turns.nothing_checked(course.run):
        course.errors.append(course.run.problem(nothing))
    error = previous.unknown(course.run)
    if error is not None:
        problem = course.run.problem(error)
        if previous.must_be_known(error) and (course.run.recording is None or course.run.recording.unread is None):
            course.errors.append(problem)
        course.run.say(f"{problem.summary}; which drift is new and which was known before cannot be determined")
    useless = drift.useless_rules(course.run, whole="drift" in course.whole)
    for text in useless:
        course.run.note(text)
        course.run.say(text)


def _abandon_repairs(course: Course) -> None:
    """Remove the plans of repairs that were not applied."""
    if course.run.repairs:
        from . import repair

        repair.abandon(course.run)


def _sign(course: Course, sign: Callable[[Collection[str]], None], *, told: bool = True) -> None:
    """Sign what this run leaves; what cannot be signed fails the run, as the next one would refuse it.

    Args:
        course: The run's course.
        sign: How.
        told: Whether the outcome was already told, so that an error has to be told here.
    """
    try:
        sign(selection.stacks(course.named, "deploy"))
    except DeployError as error:
        problem = course.run.problem(error)
        course.errors.append(problem)
        if told:
            course.run.say(whence.text(problem))


def _is_recorded(course: Course) -> bool:
    """Whether the run does what the ledger records: it applies, or checks what was applied."""
    return course.run.asked.deploying or "verify" in course.selected


def _record(course: Course, *, ended: bool = False) -> None:
    """Bring what was applied and checked into the ledger, and give its lease back.

    Args:
        course: The run's course.
        ended: Whether the run has come to its end, well or not.
    """
    run = course.run
    if run.recording is None or not _is_recorded(course):
        return
    if run.project.config.notify:  # which reads them in any case; the ledger then notes how often they were written
        from .run import observing

        with suppress(DeployError):
            if found := run.once(observing.attach):
                found.read()
    whole = ended and "deploy" in course.whole and run.asked.deploying and run.request.part is not Part.JOB
    unproven = _unproven(course) if whole else None
    if problem := run.recording.end(last=run.request.part is not Part.JOB, whole=whole, unproven=unproven):
        shown = run.problem(problem)
        if run.asked.deploying:
            told = {item.problem.summary for item in run.results.values() if item.problem is not None}
            course.errors += [] if shown.summary in told else [shown]
        else:  # a job for checks need not have the right to write: the next deploy checks again
            run.say(whence.text(shown))


def _unproven(course: Course) -> Collection[str] | None:
    """The stacks that a deploy of all has not left as its commit wants them; None if it has ended well."""
    skipped = any(item.status is Status.SKIPPED for item in course.run.results.values())
    if course.exit_code() is ExitCode.OK and not skipped:
        return None
    from .run import completion

    return completion.unproven(course.run)


def _tell(course: Course, code: ExitCode, paths: list[str]) -> None:
    """Report the outcome: on the console, to the forge and channels, and in the history."""
    run = course.run
    for step in (
        lambda: _say_left(course),
        lambda: _move_tag(course, code),
        lambda: course.notify([*course.errors, *course.shown]),
        lambda: _remember_drift(course, code),
        lambda: _publish(course, code),
        lambda: _tell_witness(course),
        lambda: _tell_of_drift(course),
        lambda: _remember(course, code),
    ):
        _attempt(course, step)
    code = course.exit_code()
    if course.selected & LOCKING:  # last, for what failed has to be on the screen at the end
        course.console.summary(course.selected, code, paths, course.errors)
    else:
        for problem in course.errors:
            run.say(whence.text(problem))


def _say_left(course: Course) -> None:
    """Say what this run has left as it is: what is pending at the target, and stacks that are gone from the code."""
    run = course.run
    if run.recording is not None and "plan" in course.selected and not run.asked.deploying:
        for text in pending.lines(run, run.recording):
            run.say(text)
    if "plan" in course.selected or run.asked.deploying:
        for text in removed.lines(run):
            run.say(text)


def _move_tag(course: Course, code: ExitCode) -> None:
    """Move the tag of deploys, or take back what it announced."""
    if not course.run.asked.deploying:
        return
    from .run import deployedtag

    if code is ExitCode.OK:
        deployedtag.remember(course.run)
    else:
        deployedtag.take_back(course.run)


def _publish(course: Course, code: ExitCode) -> None:
    """Tell the forge, by a comment and statuses."""
    if course.selected & LOCKING:
        from .forges import publisher

        publisher.publish(course.run, course.whole, code)


def _tell_of_drift(course: Course) -> None:
    """Keep issues and merge requests about drift."""
    run = course.run
    if "drift" in course.selected and run.project.config.drift.issues:
        from .forges import drifted

        drifted.publish(run)
    if "drift" in course.selected and run.project.config.drift.merge_requests and run.request.adopt is None:
        from . import proposals

        proposals.publish(run)


def _tell_witness(course: Course) -> None:
    """Tell the forge which entry of the ledger is the last; in a generated pipeline, the last job does."""
    run = course.run
    if run.recording is None or not _is_recorded(course):
        return
    from .run import ledgerof

    session = ledgerof.opened(run).session
    if session.head is not None and (session.written or run.request.part is Part.REPORT):
        from .forges import witness

        witness.tell(run, session, session.head)


def _remember_drift(course: Course, code: ExitCode) -> None:
    """Keep what the checks for drift found, and what was repaired, for the next check."""
    run = course.run
    if "drift" not in course.selected and not run.repairs:
        return
    from .run import previous

    if "drift" in course.selected and (error := previous.record(run, code)):
        shared = isinstance(error, LedgerError)
        elsewhere = "`status` on other machines does not show what this check found, and " if shared else ""
        run.say(f"{whence.text(run.problem(error))}\n  {elsewhere}the next check will count what this one found as new")
    if run.repairs and (error := previous.repaired(run)):
        run.say(f"{run.problem(error).summary}; the next check will report once more that the drift is resolved")


def _compare_with_review(course: Course) -> None:
    """Compare with the review after `doit plan`; a deploy has done so before it applied."""
    run = course.run
    if "plan" not in course.selected or run.asked.deploying or run.request.part is Part.JOB or run.stop.requested:
        return
    from .forges import gate

    try:
        gate.judge(course.run, asked=False)
    except DeployError as error:
        course.errors.append(course.run.problem(error))


def _remember(course: Course, code: ExitCode | None) -> None:
    """Complete the run's record, and publish it if configured; neither changes the outcome."""
    if course.history is None:
        return
    from .reports import verdicts

    found = list(course.run.results.values())
    verdict = "ended by an unexpected error" if code is None else verdicts.of(course.run, course.selected, code, found)
    course.history.end(code, verdict)
    if course.history.problem:
        course.run.say(f"this run is missing from the history: {course.history.problem}")
    if course.run.project.config.publish.automatic:
        from .history import publish

        course.run.say(publish.attempt(course.run))


def _is_reported(course: Course, stage: str) -> bool:
    """Whether there is something to report of a stage; what a deploy planned is in its own report."""
    found = [item for item in course.run.results.values() if item.stage == stage]
    if stage == "plan" and course.run.asked.deploying and stage not in course.selected:
        return False
    if any(item.status is not Status.UNAFFECTED for item in found):
        return True
    return bool(found) and stage in course.selected and stage != "deploy"


def _report(course: Course, stage: str) -> list[str]:
    """Print a stage's report and write its files; returns their paths for display."""
    from .reports import write

    report = write.of_run(course.run, stage)
    if stage in course.selected and stage != "deploy":  # what a deploy does was shown when it was planned
        course.console.report(report)
    return write.write(course.run, report, write.templates(course.run))
