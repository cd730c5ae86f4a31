"""`doit verify`: runs the checks of deployed stacks, on their own or right after an apply."""

from __future__ import annotations

import time
from concurrent import futures
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from .artifact import affected, receipt
from .base import clock
from .base.errors import StoppedError
from .base.problem import Command, doit
from .base.text import few, short
from .builds import used
from .run import upstream
from .run.action import stage_action
from .run.commandline import COMMANDS
from .run.details import CheckFailedError, CheckRecord, Deployed, VerifyDetails
from .run.result import Result, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .artifact.changes import PlanChanges
    from .artifact.receipt import Receipt
    from .checks.check import Check, Look
    from .checks.waiting import Outcome, Progress
    from .project.stack import Stack
    from .run.details import Checked
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "verify"
_TELL_EVERY = 15.0  # seconds between progress lines about checks, if there is no live line
_FEW = 3


def tasks(run: Run) -> Iterator[TaskDict]:
    """`verify:<stack>`: always runs when selected."""
    yield {"name": None, "doc": COMMANDS[STAGE]}
    for name, stack in run.project.stacks.items():
        if stack.settings.verify:
            yield {"name": name, "actions": [stage_action(run, STAGE, name, act)], "doc": f"check {stack.path}"}


def act(run: Run, stack: Stack, forced: bool) -> Result:  # noqa: ARG001 - a stage's signature
    """Check one stack, if it is deployed."""
    last = receipt.read(run.layout, stack.name)
    if last is None or last.deployed is None:
        return Result(STAGE, stack.name, Status.UNAFFECTED, "not deployed from here, nothing to check")
    observed = run_checks(run, stack, STAGE, VerifyDetails())
    return Result(STAGE, stack.name, summary=f"{len(observed)} passed", details=VerifyDetails(observed))


def run_checks(run: Run, stack: Stack, stage: str, known: Checked) -> list[CheckRecord]:
    """Run all checks of a stack at once, record in its receipt whether they passed, and return the observations.

    Args:
        run: The run.
        stack: The stack.
        stage: The stage that waits for them, for the progress display.
        known: What the stage already knows, for the error's details.

    Raises:
        CheckFailedError: At least one check failed; the error has the last observation of each.
        ConfigError: A check cannot be filled in; none was run.
        StoppedError: The run was asked to stop; the receipt is unchanged.
    """
    if not stack.settings.verify:
        return []
    from .run import filling

    last = receipt.read(run.layout, stack.name)
    checks = [filling.fill(run.project, stack, number) for number in range(len(stack.settings.verify))]
    outcomes = _wait(run, stack, f"{stage}:{stack.name}", checks, last)
    found = [_record(run, outcome) for outcome in outcomes]
    failed = [record for record in found if not record.passed]
    if failed and run.stop.requested:
        raise StoppedError(
            f"stopped while it waited for {len(failed)} of {len(found)} checks: {_observations(failed)}",
            stack=stack.name, untouched="the stack has been applied and stays as it is",
            next_step="run the same command again; it repeats the checks and applies nothing",
        )  # fmt: skip
    _remember(run, stack, passed=not failed)
    if failed:
        raise _failure(stack, stage, replace(known, checks=found, deployed=_deployed(last)))
    return found


def _wait(run: Run, stack: Stack, label: str, checks: Sequence[Check], last: Receipt | None) -> list[Outcome]:
    """Wait for all checks at once, and report from time to time what they wait for."""
    from .checks import waiting
    from .checks.check import Look

    since = _moment(last.started_at) if last else None
    project = run.project

    def plan() -> PlanChanges:
        from . import drift

        values = {**upstream.values(run, stack).values, **used.references(project, stack, deployed=True)[0]}
        return drift.fresh_plan(run, stack, values, STAGE).changes

    def looking(deadline: float) -> Look:
        return Look(
            stack.name, project.environment, project.root, deadline, since, run.stop, run.mask, plan,
            tuple(project.keyring.variables),
        )  # fmt: skip

    progress = [waiting.Progress(check.name or check.title()) for check in checks]
    began = time.monotonic()
    pool = futures.ThreadPoolExecutor(1, thread_name_prefix="checks")
    with run.waits(label, lambda: tell(progress)), pool:
        waits = pool.submit(waiting.all_of, checks, looking, progress)
        while futures.wait([waits], timeout=_TELL_EVERY).not_done:
            if run.output.live is None and not run.stop.requested:
                run.say(f"{label.replace(':', ' ')}: after {time.monotonic() - began:.0f} s {tell(progress)}")
        return waits.result()


def tell(progress: Sequence[Progress]) -> str:
    """What pending checks wait for, on one line; empty if there are none."""
    waits = [state for state in progress if not state.ended]
    if not waits:
        return ""
    shown = few([f"{state.title}: {state.seen:.100}" for state in waits], _FEW, "; ")
    return f"{len(waits)} of {len(progress)} checks pending: {shown}"


def _remember(run: Run, stack: Stack, *, passed: bool) -> None:
    """Record in the receipt whether these checks have passed."""
    last = receipt.read(run.layout, stack.name)
    if last is None or not last.applied:
        return
    now = replace(last, verified=passed, checks=affected.checks_digest(stack))
    if now != last:
        receipt.write(run.layout, now)


def _failure(stack: Stack, stage: str, known: Checked) -> CheckFailedError:
    """The error of failed checks: what was deployed, what was observed, commands for a closer look."""
    failed = [record for record in known.checks if not record.passed]
    commands = dict.fromkeys(command for record in failed for command in record.commands)
    deployed = [f"deployed: {_deployed_text(known.deployed)}"] if known.deployed else []
    count = f"{len(failed)} of {len(known.checks)} checks" if known.checks[1:] else "its check"
    kept = "" if stage == STAGE else "; its dependents were not deployed"
    again = (doit(f"verify:{stack.name}"), "; ", doit("deploy"), " repeats the checks and applies nothing")
    return CheckFailedError(
        f"{count} failed: {_observations(failed)}",
        found=known,
        stack=stack.name,
        details=[*deployed, *(f"to look closer: `{command}`" for command in commands)],
        untouched="the stack has been applied and stays as it is" + kept,
        next_step=("find the cause, then ", *again),
    )


def _deployed(last: Receipt | None) -> Deployed | None:
    """What the checks looked at: the plan that was applied last, its commit and images."""
    if last is None:
        return None
    place = last.deployed or {}
    return Deployed(
        place.get("plan_sha256") or last.plan_sha256,
        place.get("commit", last.commit),
        place.get("at", last.finished_at),
        last.images,
    )


def _deployed_text(deployed: Deployed) -> str:
    commit = f"commit {short(deployed.commit)}" if deployed.commit else "no commit"
    images = "".join(f", image {name} {text}" for name, text in sorted(deployed.images.items()))
    return f"plan {deployed.plan_sha256[:12]} of {commit}, applied {clock.shown(deployed.at or '?')}{images}"


def _record(run: Run, outcome: Outcome) -> CheckRecord:
    """An outcome for a result, with its commands set to this run's environment."""
    commands = [
        str(command.within(run.named_environment) if isinstance(command, Command) else command)
        for command in outcome.commands
    ]
    return CheckRecord(
        outcome.kind,
        outcome.title,
        outcome.passed,
        outcome.text,
        f"{outcome.title}: {outcome.text}",
        outcome.looks,
        outcome.seconds,
        commands,
    )


def _observations(records: Sequence[CheckRecord]) -> str:
    return "; ".join(record.text for record in records)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
