"""`doit plan`: saves a plan for every affected stack as an artifact, to be reviewed and applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .artifact import promotion, store
from .base import whence
from .base.errors import ArtifactRefusedError, DeployError, EngineError, ExitCode
from .base.text import few
from .builds import used
from .engine.encryption import REMOTE_STATE
from .project import volatile
from .run import lockfile, stateguard
from .run.action import is_current, stage_action
from .run.assessment import assess_once
from .run.commandline import COMMANDS, json_option
from .run.details import PlanDetails
from .run.result import Result, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .artifact.affected import Assessment
    from .plans.making import Made
    from .project.stack import Stack
    from .run.action import Act
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "plan"
_FEW = 3


def tasks(run: Run, planning: Act) -> Iterator[TaskDict]:
    """`plan:<stack>`: runs after validation; up to date if the stack is unaffected or its artifact still matches.

    What only a stack that is not up to date needs is imported by its action.

    Args:
        run: The run.
        planning: The action of the task: `act`, or in a deploy the acceptance of handed-over artifacts.
    """
    yield {"name": None, "doc": COMMANDS[STAGE], "params": json_option()}
    for name, stack in run.project.stacks.items():
        yield {
            "name": name,
            "actions": [stage_action(run, STAGE, name, planning)],
            "task_dep": [f"validate:{name}"],
            "targets": [str(run.layout.plan(name)), str(run.layout.manifest(name))],
            "uptodate": [is_current(run, STAGE, stack, up_to_date)],
            "clean": [(cleaned, [run, name])],
            "params": json_option(),
            "doc": f"plan {stack.path}",
        }


def cleaned(run: Run, name: str) -> None:
    """What `doit clean plan:<stack>` does: the artifact is removed, and the folder's index knows.

    Raises:
        SystemExit: Another run holds the environment, or the folder is not as it was left; it was printed.
    """
    try:
        run.lock.take("doit clean")
        run.custody.verify([f"plan:{name}"], run.signed_commit, writing=True)
        store.discard(run.layout, name)
        run.custody.end(())
    except DeployError as error:
        run.say(whence.text(run.problem(error)))
        raise SystemExit(int(ExitCode.FAILED)) from None
    finally:
        run.lock.release()


def up_to_date(run: Run, stack: Stack) -> bool:
    """Whether nothing has to be planned: unaffected without an artifact, or already planned from the same inputs."""
    if run.request.repair is not None:
        return False
    store.settle(run.layout, stack.name)
    waiting = store.pending(run.layout, stack.name)
    if run.asked.deploying and waiting:
        return False  # it is verified in any case
    assessment = assess_once(run, stack)
    if not waiting:
        return not assessment.affected
    if not assessment.affected or store.origin(run.layout, stack.name) != STAGE:
        return False
    from .plans import acceptance, judging

    try:
        manifest = acceptance.check(run, stack, assessment)
    except ArtifactRefusedError:
        return False
    if manifest.policy != judging.judged_by(run):
        return False
    run.reused.add(stack.name)
    return True


def act(run: Run, stack: Stack, forced: bool) -> Result:
    """Plan one stack and store the plan as an artifact."""
    from .plans import making
    from .run import awaited, errored, upstream, validated

    errored.refuse(run, stack)
    assessment = upstream.assessed(run, stack)
    if not assessment.affected and not forced:
        left = store.pending(run.layout, stack.name)
        store.discard(run.layout, stack.name)
        return Result(STAGE, stack.name, Status.UNAFFECTED, "not affected" + "; the old plan was discarded" * left)
    given = upstream.values(run, stack)
    mocking = run.request.mocking and not run.asked.deploying
    mocked = [name for name in given.missing if name in stack.settings.mocks and mocking]
    if set(given.missing) - set(mocked):
        store.discard(run.layout, stack.name)
        validated.check(run, stack)  # no plan will
        return _deferred(run, stack, assessment, given.missing_text(stack))
    values = {**given.values, **{name: stack.settings.mocks[name] for name in mocked}}
    try:
        made = making.make(run, stack, values, origin="deploy" if run.asked.deploying else STAGE, mocked=mocked)
    except EngineError as error:
        if waits := awaited.upstreams(run, stack, error):
            validated.check(run, stack)  # errors of the stack itself are no reason to wait
            return _deferred(run, stack, assessment, ", ".join(waits), error)
        raise awaited.failure(run, stack, error) from error
    return Result(
        STAGE, stack.name, summary=_summary(run, stack, made, assessment), counts=made.manifest.counts,
        reasons=assessment.words or ["requested with -a"],
        details=PlanDetails(
            made.manifest.origin, made.changes, made.findings, mocked, made.manifest.images, made.manifest.unpinned,
            sorted(volatile.volatile(run.project, stack)), lockfile.uncommitted(run, stack),
            **stateguard.details(assessment.receipt, made.manifest),
        ),
    )  # fmt: skip


def _summary(run: Run, stack: Stack, made: Made, assessment: Assessment) -> str:
    """The summary line of a plan."""
    parts = [made.text]
    if mocked := ", ".join(made.manifest.mocked):
        parts.append(f"; made with mocks for {mocked}: not for deploy")
    parts += [_images_text(made.manifest.images), stateguard.said(assessment.receipt, made.manifest)]
    if made.outside:
        parts.append(f"; reads outside of the repository: {few(made.outside, _FEW)}")
    if names := _untracked(run, stack):
        parts.append(f"; reads a state that is not tracked ({few([f'{REMOTE_STATE}.{name}' for name in names], _FEW)})")
    from .run import workdir

    place = run.project.module(stack.name).workspace
    if place is not None and not workdir.keeps_workspace(run, stack):
        parts.append(f'; terraform.workspace is "default" in every environment ({place})')
    if behind := promotion.missing(run.project, stack.name, assessment.inputs):
        parts.append(f"; {behind}")
    if stack.name in run.replanned:
        parts.append(f"; {run.replanned[stack.name]}")
    return "".join(parts)


def _untracked(run: Run, stack: Stack) -> list[str]:
    """The data sources that read a state of no stack of this environment: its outputs are no inputs."""
    tracked = {read.name for read in run.project.remote_reads.get(stack.name, ())}
    return sorted({read.name for read in run.project.module(stack.name).remote_states} - tracked)


def _deferred(
    run: Run, stack: Stack, assessment: Assessment, waits: str, error: EngineError | None = None
) -> Result:  # fmt: skip
    """The result for a stack that cannot be planned yet, with the images that it will get, which are already known.

    Args:
        run: The run.
        stack: The stack.
        assessment: Why it is affected.
        waits: What it waits for.
        error: How its plan failed, if it was tried; shown in the review.
    """
    images, _ = used.references(run.project, stack)
    problem = run.problem(error, stack.name) if error else None
    summary = f"deferred until {waits} {'exist' if ', ' in waits else 'exists'}{_images_text(images)}"
    summary += f"; before that: {problem.summary}" if problem else ""
    details = PlanDetails(images=images)
    return Result(
        STAGE, stack.name, Status.DEFERRED, summary, reasons=assessment.words, details=details, problem=problem
    )  # fmt: skip


def _images_text(images: dict[str, str]) -> str:
    """The part of a plan's summary line about images."""
    return "".join(
        f"; {name} = {reference}" + ("" if "@" in reference else " (not built yet)")
        for name, reference in images.items()
    )
