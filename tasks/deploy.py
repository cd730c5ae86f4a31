"""`doit deploy`: once all plans are ready, applies exactly these in dependency order, each followed by its checks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from . import plan
from .artifact import receipt, store
from .base.errors import ArtifactRefusedError, DeployError
from .base.text import plural
from .forges import gate
from .run import checkblocks, commandline, stateguard
from .run.action import is_current, stage_action
from .run.assessment import assess, assess_once
from .run.commandline import COMMANDS
from .run.details import DeployDetails
from .run.result import Result, Status
from .run.selection import BARRIER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .applying import Applied
    from .artifact.affected import Assessment
    from .artifact.receipt import Receipt
    from .project.stack import Stack
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "deploy"


def tasks(run: Run) -> Iterator[TaskDict]:
    """`deploy:<stack>`: runs after the barrier and after the deploys of its upstreams.

    What only a stack that is not up to date needs is imported by its action.
    """
    repaired = _to_repair(run)
    options = commandline.repair_options()
    yield {"name": None, "doc": COMMANDS[STAGE], "params": options}
    for name, stack in run.project.stacks.items():
        if repaired is not None and name not in repaired:
            continue
        upstreams = [other for other in run.project.graph.needs[name] if repaired is None or other in repaired]
        yield {
            "name": name,
            "actions": [stage_action(run, STAGE, name, act)],
            "task_dep": [BARRIER, f"plan:{name}", *(f"{STAGE}:{other}" for other in upstreams)],
            "params": options if repaired is not None else [],
            "uptodate": [is_current(run, STAGE, stack, up_to_date)],
            "doc": f"deploy {stack.path}",
        }


def _to_repair(run: Run) -> frozenset[str] | None:
    """The stacks that this run repairs; None if it is no repair."""
    if run.request.repair is None:
        return None
    from . import repair

    return repair.stacks(run)


def barrier(run: Run) -> TaskDict:
    """The barrier task between all plans and any apply, which compares them with the reviewed plans.

    Its edges are set when the selection is known (see `selection.raise_barrier`): `doit deploy:x` must not plan every
    stack.
    """
    return {
        "basename": BARRIER,
        "actions": [gate.action(run, BARRIER)],
        "doc": "all plans are ready and match the review",
    }


def up_to_date(run: Run, stack: Stack) -> bool:
    """Whether there is nothing to do: unaffected after its upstreams' deploys, verified, without an artifact."""
    if run.request.repair is not None or store.pending(run.layout, stack.name):
        return False
    return assess_once(run, stack).settled


def refuse_unfit(run: Run, names: Iterable[str]) -> None:
    """Refuse a deploy of stacks whose checks or hooks lack a variable or a client; where nothing is to do, none runs.

    Raises:
        ConfigErrors: Something is missing.
    """
    stacks = [run.project.stacks[name] for name in sorted(names)]
    having = [stack for stack in stacks if stack.settings.verify or run.project.config.hooks]
    if having:
        from .run import lacking

        lacking.refuse(run, having, lambda stack: _may_run(run, stack))


def _may_run(run: Run, stack: Stack) -> bool:
    """Whether this run may apply or check a stack, be it because of one that it needs."""
    if commandline.forces():
        return True
    from .run import hooks

    try:
        return any(
            not up_to_date(run, run.project.stacks[name]) or hooks.owed(run, STAGE, run.project.stacks[name])
            for name in (stack.name, *run.project.graph.upstreams(stack.name))
        )
    except DeployError:
        return True


def plan_or_accept(run: Run, stack: Stack, forced: bool) -> Result:
    """What `plan:<stack>` does: in a deploy it accepts the artifact that was handed over, or refuses it."""
    accepted = None
    if run.request.repair is not None:
        from . import repair

        return repair.plan(run, stack)
    if run.asked.deploying:
        from .plans import acceptance
        from .run import succession

        succession.require(run, stack, receipt.read(run.layout, stack.name))
        accepted = acceptance.accept(run, stack)
    return accepted or plan.act(run, stack, forced)


def act(run: Run, stack: Stack, forced: bool) -> Result:  # noqa: ARG001 - what `-a` forces is planned, and so is here
    """Apply the stack's artifact, or a new one if its upstreams have just changed; then run its checks."""
    from . import applying
    from .plans import acceptance

    if run.request.repair is not None:
        return _repair(run, stack)
    assessment = assess(run, stack)
    if store.pending(run.layout, stack.name):
        why = run.replanned.get(stack.name)
        try:
            applied = applying.apply_artifact(run, stack, assessment)
        except ArtifactRefusedError as error:
            why = acceptance.replaced(run, stack, assessment, error, run.applied)
            applied = applying.apply_new(run, stack)
    elif assessment.affected:
        why = "planned after its upstream" if not assessment.receipt else "planned: an upstream's output changed"
        applied = applying.apply_new(run, stack)
    elif assessment.unverified or not assessment.receipt:
        outcome = Result(STAGE, stack.name, summary="already applied; its checks have not passed yet")
        return _holding(run, stack, verified(run, stack, outcome), _failed_now(run, stack, assessment.receipt))
    elif assessment.unhooked:
        return Result(STAGE, stack.name, summary="already applied; the hooks after it had not passed yet")
    else:
        return Result(STAGE, stack.name, Status.UNAFFECTED, "not affected")
    return _ended_well(run, stack, assessment, applied, why)


def _repair(run: Run, stack: Stack) -> Result:
    """Apply the plan that undoes the drift that was shown; nothing else is planned, let alone applied."""
    if stack.name not in run.repairs:
        return Result(STAGE, stack.name, Status.UNAFFECTED, "nothing to repair")
    from . import applying, repair

    repair.confirm(run, stack)
    assessment = assess(run, stack)
    applied = applying.apply_artifact(run, stack, assessment)
    return _ended_well(run, stack, assessment, applied, None)


def _ended_well(run: Run, stack: Stack, assessment: Assessment, applied: Applied, why: str | None) -> Result:
    """The result of an apply, once the stack's checks have passed.

    Args:
        run: The run.
        stack: The stack.
        assessment: Why it was affected.
        applied: What was applied.
        why: Why the deploy made the plan for itself, if it did.
    """
    run.layout.drift(stack.name).unlink(missing_ok=True)  # what was shown of it before; see `plans.shown`
    manifest = applied.manifest
    repaired, said = run.repairs[stack.name].drifted if stack.name in run.repairs else [], why or ""
    if repaired and not said:
        from . import repair

        said = repair.words(run, stack)
    outcome = Result(
        STAGE, stack.name, summary=applied.text + (f"; {said}" if said else ""), counts=manifest.counts,
        reasons=assessment.words,
        details=DeployDetails(
            applied=True, commit=manifest.commit, plan_sha256=manifest.plan_sha256, outputs=applied.outputs,
            replanned=bool(why), allowed=applied.allowed, repaired=repaired,
            # A plan made here is not shown by any plan task.
            changes=store.description(run.layout, manifest) if why else None,
            **stateguard.details(assessment.receipt, manifest),
        ),
    )  # fmt: skip
    if why:
        outcome.summary += stateguard.said(assessment.receipt, manifest)
    return _holding(run, stack, verified(run, stack, outcome), applied.failed_checks)


def _holding(run: Run, stack: Stack, outcome: Result, failed: list[str]) -> Result:
    """The result, where the stack's `check` blocks hold or need not.

    Raises:
        CheckFailedError: One does not hold, and `deploy.on_failed_check` is `fail`.
    """
    known = outcome.details if isinstance(outcome.details, DeployDetails) else DeployDetails()
    checkblocks.refuse(run, stack, STAGE, failed, known)
    return outcome


def _failed_now(run: Run, stack: Stack, last: Receipt | None) -> list[str]:
    """The `check` blocks that still do not hold of those that did not at the end of the apply; kept in the receipt."""
    if last is None or not last.failed_checks:
        return []
    from . import drift
    from .run import upstream

    given = upstream.values(run, stack).values
    failed = drift.fresh_plan(run, stack, {**given, **last.images}, STAGE).changes.failed_checks
    receipt.write(run.layout, replace(last, failed_checks=failed))
    return failed


def verified(run: Run, stack: Stack, outcome: Result) -> Result:
    """The result after the stack's checks; the receipt says whether they passed, so that the next run checks again.

    Raises:
        CheckFailedError: A check failed.
    """
    from . import verify

    known = outcome.details if isinstance(outcome.details, DeployDetails) else DeployDetails()
    checks = verify.run_checks(run, stack, STAGE, known)
    if not checks:
        return outcome
    summary = f"{outcome.summary}; {plural(len(checks), 'check')} passed"
    return replace(outcome, summary=summary, details=replace(known, checks=checks))
