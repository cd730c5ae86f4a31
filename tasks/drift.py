"""`doit drift`: plans every stack from scratch to find what differs from what was deployed; changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from . import build
from .artifact import statecheck
from .artifact.statecheck import Seen
from .base.errors import EngineError
from .base.jsonvalue import fields
from .base.text import plural
from .builds import used
from .drifts import author, classes, repairs, rules, words
from .plans import adoption, fresh, shown, trial
from .project import volatile
from .run import awaited, checkblocks, commandline, errored, previous, readstate, stateguard, turns, upstream, workdir
from .run.action import stage_action
from .run.assessment import assess
from .run.commandline import COMMANDS, json_option
from .run.details import DriftDetails
from .run.result import Result, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .artifact.affected import Assessment
    from .artifact.changes import PlanChanges
    from .artifact.receipt import Receipt
    from .drifts.classes import Finding
    from .plans.adoption import Adopted
    from .project.stack import Stack
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "drift"
WHOLE = "the whole stack"
_PAUSE = 2.0  # seconds before a stack is tried again
_UNRECORDED = "differs from the code (without a receipt here, drift cannot be told from undeployed code)"


def tasks(run: Run) -> Iterator[TaskDict]:
    """`drift:<stack>`: always runs when selected; drift does not fail the task."""
    yield {"name": None, "doc": COMMANDS[STAGE], "params": [*json_option(), *commandline.adopt_option()]}
    for name, stack in run.project.stacks.items():
        if run.request.adopt not in (None, name):
            continue
        yield {
            "name": name,
            "actions": [stage_action(run, STAGE, name, act)],
            "task_dep": build.needed_by(run, stack),
            "params": [*json_option(), *(commandline.adopt_option() if run.request.adopt == name else [])],
            "doc": f"compare {stack.path} with what exists",
        }


def act(run: Run, stack: Stack, forced: bool) -> Result:  # noqa: ARG001 - a stage's signature
    """Plan a stack against what exists, and tell drift from undeployed code; several times if that fails."""
    with turns.taken(run, stack.name) as skipped:
        return skipped or _act(run, stack)


def _act(run: Run, stack: Stack) -> Result:
    if run.request.adopt is not None:
        trial.require_none_left(run, stack.name, run.project.module(stack.name).files)
    settings = run.project.config.drift
    with run.within(settings.timeout) as limit:
        for left in range(settings.retries, -1, -1):
            try:
                found = turns.overtaken(run, _checked(run, stack))
                return found if run.request.adopt is None else _adopted(run, stack, found)
            except EngineError as error:
                if limit.is_over:
                    raise _too_slow(run, stack, error) from error
                if not left or run.stop.requested:
                    raise
                run.say(f"drift {stack.name}: {run.problem(error).summary}; trying again")
                run.stop.wait(_PAUSE)
    raise AssertionError


def _adopted(run: Run, stack: Stack, found: Result) -> Result:
    """Take over into the code what a check found; the check's own result if it found nothing."""
    if found.status is Status.OK or not isinstance(found.details, DriftDetails):
        return found
    adopted = draft(run, stack, found.details, keep=True)
    return Result(STAGE, stack.name, Status.ADOPTED, adoption.summary(adopted), counts=found.counts)


def draft(run: Run, stack: Stack, details: DriftDetails, *, keep: bool) -> Adopted:
    """The change of the code that takes over what a check found, proven by a plan.

    Args:
        run: The run.
        stack: The stack.
        details: What the check found.
        keep: Whether the change stays in the working tree.

    Raises:
        DriftAdoptionError: Nothing can be taken over, or the plan is not what it should be; the files are unchanged.
        EngineError: The engine could not plan.
        RecordError: A file cannot be written.
    """
    values = {**upstream.values(run, stack).values, **used.references(run.project, stack, deployed=True)[0]}
    return adoption.adopt(
        run, stack, details.findings,
        lambda: fresh_plan(run, stack, values, STAGE, lock=run.project.config.drift.lock).changes, keep=keep,
    )  # fmt: skip


def _too_slow(run: Run, stack: Stack, error: EngineError) -> EngineError:
    """The error of a stack whose time is over."""
    seconds = run.project.config.drift.timeout
    return EngineError(
        f"it could not be checked within {seconds:g} s (drift.timeout): {error.message}", stack=stack.name,
        log=error.problem.log, untouched="nothing was changed",
        next_step=("find out what the engine waits for, or raise `drift.timeout`; then ",
                   run.command(f"drift:{stack.name}")),
    )  # fmt: skip


def _checked(run: Run, stack: Stack) -> Result:
    """Plan a stack against what exists, and tell drift from undeployed code."""
    errored.refuse(run, stack)
    assessment = assess(run, stack)
    given = upstream.values(run, stack)
    if given.missing:
        return _never_deployed(run, stack, assessment, f"it waits for {given.missing_text(stack)}")
    images, _ = used.references(run.project, stack, deployed=True)
    try:
        values = {**given.values, **images}
        made = fresh_plan(run, stack, values, STAGE, lock=run.project.config.drift.lock)
    except EngineError as error:
        waits = [] if assessment.receipt else awaited.upstreams(run, stack, error)
        if not waits:
            raise
        why = f"it waits for {', '.join(waits)}; before that: {run.problem(error).summary}"
        return _never_deployed(run, stack, assessment, why)
    return _compared(run, stack, made, assessment)


def _never_deployed(run: Run, stack: Stack, assessment: Assessment, why: str) -> Result:
    """The result of a stack that cannot be planned before another one is deployed."""
    whole = classes.Finding(classes.DriftClass.UNDEPLOYED, WHOLE, shape=WHOLE)
    judged = rules.judged([whole], run.project.config.drift, stack.name, datetime.now(UTC).date())
    findings, over = previous.compared(run, stack.name, judged, ())
    details = DriftDetails(None, findings, over)
    return Result(
        STAGE, stack.name, Status.UNDEPLOYED, f"never deployed: {why}", assessment.words, details=details
    )  # fmt: skip


def _compared(run: Run, stack: Stack, made: Looked, assessment: Assessment) -> Result:
    """What a plan says of a stack, by class and rule."""
    last, found = assessment.receipt, made.changes
    accepted = stateguard.require(run, stack, last, made.seen, STAGE)
    as_deployed = not assessment.affected or assessment.rekeyed
    found_now = judged(run, stack, found, made.seen, last, as_deployed=as_deployed)
    findings, over = previous.compared(run, stack.name, found_now, made.addresses)
    if run.request.adopt is None:
        _show(run, stack, made, [item for item in findings if item.outside and item.alerting and item.item])
    details = DriftDetails(
        found.to_json(), findings, over, last.deployed if last else None, made.rules, accepted,
        statecheck.moved(last, made.seen),
    )  # fmt: skip
    checkblocks.refuse(run, stack, STAGE, found.failed_checks, details)
    counts = {"drifted": len(details.drifted), "pending": len(details.pending)}
    also = "".join(f"; {text}" for text in (words.resolved(over), details.state_moved) if text)
    if details.drifted:
        return Result(STAGE, stack.name, Status.DRIFTED, _drifted(run, stack, details) + also, [], counts, details)
    if details.pending:
        state = "undeployed code" if last else _UNRECORDED if made.exists else "never deployed"
        summary = f"{state}: {words.few_of(details.pending)}{also}"
        return Result(STAGE, stack.name, Status.UNDEPLOYED, summary, assessment.words, counts, details)
    return Result(STAGE, stack.name, summary=words.quiet(findings) + also, counts=counts, details=details)


def judged(
    run: Run, stack: Stack, found: PlanChanges, seen: Seen, last: Receipt | None, *, as_deployed: bool
) -> list[Finding]:  # fmt: skip
    """What a plan says that differs, by class and rule.

    Args:
        run: The run.
        stack: The stack.
        found: The changes of the plan.
        seen: The state that it was made for.
        last: The last receipt.
        as_deployed: Whether the inputs are those of the last receipt.
    """
    settings = run.project.config.drift
    names = author.Names(settings.changed_by, settings.changed_at)
    addresses = [str(item.get("address")) for item in found.resources]
    left = statecheck.compared(last, seen, run.project.keyring, addresses)
    classified = classes.classify(found, seen, left, as_deployed=as_deployed, names=names)
    return rules.judged(classified, settings, stack.name, datetime.now(UTC).date())


def _show(run: Run, stack: Stack, made: Looked, drifted: Sequence[Finding]) -> None:
    """Record what this check shows of a stack, for the deploy that undoes it; nothing if it has not drifted."""
    if drifted:
        shown.keep(run, stack, made.seen, made.digests, drifted)
    else:
        shown.forget(run, stack.name)


def _drifted(run: Run, stack: Stack, details: DriftDetails) -> str:
    """The line of a drifted stack."""
    text = f"drifted: {words.few_of(details.drifted)}"
    if details.pending and details.deployed is None:
        text += f"; and {plural(len(details.pending), 'change')} that may be undeployed code (no receipt is here)"
    elif details.pending:
        text += f"; and {plural(len(details.pending), 'change')} in undeployed code"
    if names := sorted(volatile.volatile(run.project, stack)):
        text += f"; a volatile variable ({', '.join(names)}) may be why"
    return text


def alerts(run: Run, result: Result) -> bool:
    """Whether a result makes the run exit with 2."""
    if result.stage != STAGE or result.status not in (Status.DRIFTED, Status.UNDEPLOYED):
        return False
    if not isinstance(result.details, DriftDetails):
        return True
    any_drift = run.project.config.drift.exit == "any"
    return any(found.alerting and (any_drift or found.fresh) for found in result.details.findings)


def useless_rules(run: Run, *, whole: bool) -> list[str]:
    """The rules of `drift.ignore` that do nothing, a sentence each.

    Args:
        run: The run, its checks ended.
        whole: Whether all stacks were asked for; only then is it known that a rule matches nothing.
    """
    settings = run.project.config.drift
    found = [item for item in run.results.values() if item.stage == STAGE]
    known = [item.details.rules for item in found if isinstance(item.details, DriftDetails)]
    over = rules.expired(settings, datetime.now(UTC).date())
    texts = []
    for number, rule in enumerate(settings.ignore):
        place = f"{run.project.loaded.where('drift', 'ignore', number)} ({rule.reason})"
        if number in over:
            texts.append(f"{place} has expired on {rule.until}: what it ignored is an alert again; renew or remove it")
        elif whole and len(known) == len(run.project.stacks) and not any(number in could for could in known):
            texts.append(f"{place} matches nothing in any stack: correct or remove it")
    return [*texts, *useless_repairs(run)]


def useless_repairs(run: Run) -> list[str]:
    """The rules of `drift.repair` that name no stack, a sentence each."""
    known = {*run.project.stacks, *run.project.config.stacks}  # a stack may be disabled in this environment
    return [
        f"{run.project.loaded.where('drift', 'repair', number)} names no stack: correct or remove it"
        for number, rule in enumerate(run.project.config.drift.repair)
        if not any(repairs.concerns([rule], name) for name in known)
    ]


@dataclass(frozen=True)
class Looked:
    """The result of a discarded plan.

    Args:
        changes: Its changes.
        seen: The state that it was made for.
        exists: Whether that has any resource.
        rules: The rules of `drift.ignore` that could match.
        addresses: Everything that can drift.
        digests: What the plan would do, see `drifts.shown`.
    """

    changes: PlanChanges
    seen: Seen
    exists: bool
    rules: list[int]
    addresses: list[str]
    digests: dict[str, str]


def fresh_plan(
    run: Run, stack: Stack, values: dict[str, Any], stage: str, *, lock: bool = True
) -> Looked:  # fmt: skip
    """Make a plan, read it and discard it.

    Args:
        run: The run.
        stack: The stack.
        values: Its variables from upstream outputs.
        stage: What it is made for.
        lock: Whether to lock the state meanwhile.

    Raises:
        EngineError: The engine could not plan.
        StoppedError: The run was asked to stop.
    """
    with workdir.context(run, stack, stage, values, optional=()) as (where, variables):
        workdir.initialize(run, stack, where, backend=True)
        with fresh.planned(run, stack, where, variables, lock=lock) as found:
            exists = bool(fields(fields(found.document.get("prior_state")).get("values")).get("root_module"))
            seen = Seen.read(found.document, *readstate.of_plan(run, stack, where, found.plan))
            could = rules.possible(run.project.config.drift, stack.name, found.document)
            names, digests = classes.addresses(found.document), shown.describes(run, found.document)
            return Looked(found.changes, seen, exists, could, names, digests)
