"""`doit deploy --repair STACK`: deploys the code again over a drift that was shown, if it would do exactly that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from . import drift
from .artifact import receipt, store
from .base import clock
from .base.errors import ConfigError, DriftRepairError
from .base.text import few
from .base.valuepath import matches
from .drifts import repairs
from .drifts import shown as digests
from .drifts.repairs import Repairing
from .plans import making, shown
from .run import errored, succession, upstream
from .run.assessment import assess
from .run.commandline import AUTO_REPAIR, REPAIR
from .run.details import PlanDetails
from .run.result import Result, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .artifact.affected import Assessment
    from .artifact.statecheck import Seen
    from .drifts.classes import Finding
    from .plans.fresh import Fresh
    from .plans.shown import Shown
    from .project.stack import Stack
    from .run.run import Run

_STAGE, _DEPLOY = "plan", "deploy"
_MOST = 5


class _NotAskedError(Exception):
    """No rule asks for this repair; the arguments say why."""


class AsDeployedError(Exception):
    """Nothing differs any more, so there is nothing to repair."""


def check(run: Run) -> None:
    """Refuse a stack that does not exist, and rules where there are none.

    Raises:
        ConfigError: There is no such stack, or no rule.
    """
    asked = run.request.repair
    if asked is not None and asked.automatic and not run.project.config.drift.repair:
        raise ConfigError(
            f"`{AUTO_REPAIR}` has no rule to go by", key="drift.repair", untouched="nothing was planned or applied",
            next_step=("write the stacks, classes and hours to repair into `drift.repair`; ",
                       run.command(_DEPLOY, REPAIR, "STACK"), " repairs one stack now"),
        )  # fmt: skip
    for name in asked.stacks if asked is not None else ():
        if not any(matches(stack, name) for stack in run.project.stacks):
            raise ConfigError(
                run.project.unknown_stack(name), untouched="nothing was planned or applied",
                next_step=("write ", run.command(_DEPLOY, REPAIR, "STACK")),
            )  # fmt: skip


def stacks(run: Run) -> frozenset[str]:
    """The stacks that a repair is for: those that were named, or those that drifted and that a rule names."""
    asked, rules = run.request.repair, run.project.config.drift.repair
    if asked is None or not asked.automatic:
        patterns = asked.stacks if asked is not None else ()
        return frozenset(name for name in run.project.stacks if any(matches(name, pattern) for pattern in patterns))
    return frozenset(name for name in shown.stacks(run) if repairs.concerns(rules, name))


def left_alone(run: Run) -> list[str]:
    """What a repair by rules says beforehand: the drifted stacks that no rule names, and rules that name no stack."""
    asked = run.request.repair
    if asked is None or not asked.automatic:
        return []
    named = stacks(run)
    found = [
        f"{name}: not repaired, as no rule of drift.repair names it" for name in shown.stacks(run) if name not in named
    ]
    return [*found, *drift.useless_repairs(run)]


def require_alone(run: Run, selected: Sequence[str]) -> None:
    """Refuse a repair in a run that does anything else.

    Raises:
        ConfigError: It does.
    """
    asked = run.request.repair
    if asked is None:
        return
    tasks = {_DEPLOY, *(f"{_DEPLOY}:{name}" for name in stacks(run))}
    if run.request.part is not None:
        why = "it repairs all of its stacks or none, which one job per stack cannot do"
        message = f"a repair needs a run of its own, without `ci=`: {why}"
    elif not {*selected} <= tasks:
        message = "a repair needs a run of its own, without other tasks"
    else:
        return
    words = [AUTO_REPAIR] if asked.automatic else [REPAIR, ",".join(asked.stacks)]
    raise ConfigError(message, untouched="nothing was run", next_step=("write ", run.command(_DEPLOY, *words)))


def plan(run: Run, stack: Stack) -> Result:
    """Make the plan that undoes a drift again, and accept it if it does what was shown; else nothing is applied.

    Args:
        run: The run.
        stack: The stack.

    Raises:
        DriftRepairError: Nothing was shown, something else was, or the code is not deployed either.
    """
    errored.refuse(run, stack)
    assessment = assess(run, stack)
    succession.require(run, stack, receipt.read(run.layout, stack.name))
    _require_deployed(run, stack, assessment)
    known = shown.read(run, stack, assessment)
    given = upstream.values(run, stack)
    if given.missing:
        raise shown.refused(run, stack.name, f"it waits for {given.missing_text(stack)}")
    findings: list[Finding] = []
    try:
        made = making.make(
            run, stack, given.values, origin="deploy",
            require=lambda found, seen: findings.extend(_require_shown(run, stack, known, found, seen)),
        )  # fmt: skip
    except _NotAskedError as error:
        run.say("\n".join([f"{stack.name}: not repaired, as no rule asks for it", *(f"  {why}" for why in error.args)]))
        return Result(_STAGE, stack.name, Status.UNAFFECTED, "no rule asks to repair it")
    except AsDeployedError:
        shown.forget(run, stack.name)
        run.say(f"{stack.name}: back to what was deployed, so there is nothing to repair")
        return Result(_STAGE, stack.name, Status.UNAFFECTED, "back to what was deployed")
    run.repairs[stack.name] = Repairing(list(known.drifted), findings)
    text = f"{made.text}, as its drift was shown at {clock.shown(known.made.created_at)}"
    return Result(
        _STAGE, stack.name, summary=text, counts=made.manifest.counts, reasons=["repairs drift"],
        details=PlanDetails(made.manifest.origin, made.changes, made.findings, images=made.manifest.images),
    )  # fmt: skip


def confirm(run: Run, stack: Stack) -> None:
    """Refuse to apply a repair by a rule once the hours of a rule that asks for it are over.

    Raises:
        DriftRepairError: They are.
    """
    if run.request.repair is None or not run.request.repair.automatic:
        return
    rules, findings = run.project.config.drift.repair, run.repairs[stack.name].findings
    if objections := repairs.not_asked(rules, stack.name, findings, datetime.now(UTC)):
        message = "the hours of drift.repair were over before it could be applied"
        raise shown.refused(run, stack.name, message, objections)


def abandon(run: Run) -> None:
    """Remove the plans of repairs that this run has not begun to apply: no later run may apply them.

    Raises:
        RecordError: A file cannot be removed.
    """
    for name in run.repairs:
        if name not in run.applied and store.pending(run.layout, name):
            store.discard(run.layout, name)


def words(run: Run, stack: Stack) -> str:
    """What a deploy has repaired of a stack, for its line."""
    return f"repaired: {few(run.repairs[stack.name].drifted, _MOST)}"


def _require_deployed(run: Run, stack: Stack, assessment: Assessment) -> None:
    """Refuse a stack with undeployed code, of which a review decides, and one of which that is not known."""
    if not assessment.affected or assessment.rekeyed:
        return
    if assessment.receipt is None:
        raise DriftRepairError(
            "no receipt here says what was deployed, so drift cannot be told from undeployed code", stack=stack.name,
            untouched="nothing was applied",
            next_step=("repair it where it was deployed, or with its ledger; or look at ", run.command("plan"),
                       ", and ", run.command("deploy"), " applies that"),
        )  # fmt: skip
    raise DriftRepairError(
        f"it has undeployed code, too ({few(assessment.words, 2)}), which a repair does not deploy",
        stack=stack.name, untouched="nothing was applied",
        next_step=(run.command("plan"), " shows both; ", run.command("deploy"), " deploys both"),
    )  # fmt: skip


def _require_shown(run: Run, stack: Stack, known: Shown, found: Fresh, seen: Seen) -> list[Finding]:
    """Refuse a plan that does anything else than what was shown; returns what it undoes, as rules judge it.

    Raises:
        AsDeployedError: It does nothing.
        DriftRepairError: It does something else.
    """
    changes = shown.describes(run, found.document)
    if not changes:
        raise AsDeployedError
    last, now = receipt.read(run.layout, stack.name), datetime.now(UTC)
    findings = drift.judged(run, stack, found.changes, seen, last, as_deployed=True)
    if run.request.repair is not None and run.request.repair.automatic:
        asked = run.project.config.drift.repair
        if objections := repairs.why_not(asked, stack.name, findings, found.document, now):
            raise _NotAskedError(*objections)
    if changed := digests.differences(known.changes, changes):
        raise shown.refused(run, stack.name, "its drift is no longer what was shown", changed)
    return findings
