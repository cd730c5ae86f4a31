"""Verifies and judges an artifact that was handed over, then accepts, replaces or refuses it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from ..artifact import changes, observed, opening, store
from ..artifact import manifest as manifests
from ..artifact.manifest import Expected
from ..artifact.receipt import Outcome
from ..base import ci, clock
from ..base.errors import ArtifactRefusedError, DeployError
from ..builds import used
from ..project import stateid, volatile
from ..run import errored, fanout, stateguard, upstream, workdir
from ..run.assessment import assess
from ..run.details import PlanDetails
from ..run.result import Result, Status
from . import cleanliness, judging, knowing, reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ..artifact.affected import Assessment
    from ..artifact.inputs import Inputs
    from ..artifact.manifest import Manifest
    from ..artifact.opening import Artifact
    from ..project.stack import Stack
    from ..run.run import Run

_READY = "a plan is ready to deploy"
MOVED = "planned again: an upstream's output changed"
_PASSED_OVER = "not affected: since it was planned, another run has deployed it as this commit wants it"


@contextmanager
def verified(run: Run, stack: Stack, assessment: Assessment) -> Iterator[Artifact]:
    """A stack's artifact when it may be applied here and now; what was verified is the plan in it, not the file.

    Raises:
        ArtifactRefusedError: It may not; says why.
        StateRefusedError: It was planned for another state than the one that was deployed.
    """
    with opening.opened(run.layout, stack.name, run.project.keyring.artifact) as artifact:
        manifests.verify(artifact.manifest, stack.name, expected(run, stack, assessment, artifact.manifest.inputs))
        cleanliness.require_of_artifact(run, stack, artifact.manifest.inputs)
        store.refuse_stale(run.layout, artifact.manifest)
        stateguard.require_planned(run, stack, assessment.receipt, artifact.manifest)
        yield artifact


def check(run: Run, stack: Stack, assessment: Assessment) -> Manifest:
    """The manifest of a stack's artifact when it may be applied here and now.

    Raises:
        ArtifactRefusedError: It may not; says why.
        StateRefusedError: It was planned for another state than the one that was deployed.
    """
    with verified(run, stack, assessment) as artifact:
        return artifact.manifest


class Readiness(NamedTuple):
    """What a deploy would do with a stack's artifact: accept or refuse it, and why; mocks are one reason."""

    accepted: bool
    text: str
    mocked: bool = False


def readiness(run: Run, stack: Stack, assessment: Assessment) -> Readiness:
    """What a deploy would do with a stack's artifact, as far as it is known without the engine."""
    try:
        with opening.opened(run.layout, stack.name, run.project.keyring.artifact) as artifact:
            made = artifact.manifest
            here = expected(run, stack, assessment, made.inputs, engine=made.engine)
            manifests.verify(made, stack.name, here)
            cleanliness.require_of_artifact(run, stack, made.inputs)
            store.refuse_stale(run.layout, made)
    except DeployError as error:
        mocked = isinstance(error, ArtifactRefusedError) and error.reason == "mocked"
        return Readiness(False, f"a plan waits that would be refused: {error.message}", mocked)
    return Readiness(
        True, "a plan with uncommitted changes is ready to deploy from this tree" if made.dirty else _READY
    )


def accept(run: Run, stack: Stack) -> Result | None:
    """The result of the plan that was handed over to this deploy; None if one has to be made.

    Raises:
        ArtifactRefusedError: It may not be applied, nor be replaced.
        PolicyRefusedError: A policy refuses it.
        PolicyError: It could not be judged.
    """
    errored.refuse(run, stack)
    waits = store.pending(run.layout, stack.name) and store.origin(run.layout, stack.name) != "deploy"
    if run.request.part is not None or (waits and upstream.is_unrecorded(run, stack)):
        upstream.values(run, stack)  # what the plan's job read from states is not here: it is an input all the same
    elif not waits:
        return None
    assessment = assess(run, stack)
    if not waits:
        run.replanned[stack.name] = _planned_late(assessment)
        return None
    try:
        with verified(run, stack, assessment) as artifact:
            return _accepted(run, stack, artifact, assessment)
    except ArtifactRefusedError as error:
        if _is_passed_over(run, stack, assessment, error):
            return Result("plan", stack.name, Status.UNAFFECTED, _PASSED_OVER)
        run.replanned[stack.name] = replaced(run, stack, assessment, error, _deployed_elsewhere(run, stack))
        return None


def _is_passed_over(run: Run, stack: Stack, assessment: Assessment, error: ArtifactRefusedError) -> bool:
    """Whether a refused plan is needless, and is claimed: by the ledger, another run has deployed the stack since.

    Nothing is left to apply then: the stack is as this commit wants it. A plan that was made with other inputs shows
    nothing of the kind, unless only outputs of upstreams are others since: what differs may be missing in this job.
    """
    ordered, last = run.recording is not None and run.recording.unread is None, assessment.receipt
    if assessment.affected or not ordered or last is None or error.reason not in ("stale", "inputs"):
        return False
    manifest = opening.load(run.layout, stack.name, run.project.keyring.artifact)
    if last.plan_id in (manifest.follows, manifest.id):
        return False
    upstreams = run.project.graph.needs[stack.name]
    if error.reason == "inputs" and not upstream.moved_alone(run, stack, manifest.inputs, assessment.inputs, upstreams):
        return False
    store.claim(run.layout, manifest)
    run.say(f"{stack.name}: {_PASSED_OVER}")
    return True


def replaced(
    run: Run, stack: Stack, assessment: Assessment, error: ArtifactRefusedError, deployed: Collection[str]
) -> str:
    """Why a refused artifact is replaced by a plan made now, without anybody seeing it first.

    One that names an image by its tag is: the tag is the digest of what the image is made of, so it is the same image
    that is now named by its own digest. So is one that differs only by outputs of upstreams that were deployed since.

    Args:
        run: The run.
        stack: The stack.
        assessment: What its inputs are now.
        error: The refusal.
        deployed: The upstreams that were deployed since it was planned.

    Raises:
        ArtifactRefusedError: It stays refused: the given error.
    """
    if error.reason == "unpinned" or (error.reason == "stale" and run.project.config.plan.on_stale == "replan"):
        return f"planned again: {error.message}"
    if error.reason == "inputs" and deployed:
        planned = opening.load(run.layout, stack.name, run.project.keyring.artifact).inputs
        if upstream.moved_alone(run, stack, planned, assessment.inputs, deployed):
            return MOVED
    raise error


def expected(
    run: Run, stack: Stack, assessment: Assessment, planned: Inputs, engine: str | None = None
) -> Expected:  # fmt: skip
    """What an artifact has to match; what its own plan was seen to read counts as it is now."""
    config, last = run.project.config.plan, assessment.receipt
    return Expected(
        environment=run.project.environment,
        inputs=observed.again(run.project, assessment.inputs, planned, last.produced if last else ()),
        commit=run.revision.commit,
        dirty=run.revision.dirty,
        engine=engine or f"{run.engine().kind} {run.engine().version}",
        lock_digest=workdir.lock_digest(run.project, stack),
        max_age=timedelta(hours=config.max_age),
        require_clean=config.require_clean,
        receipt=assessment.receipt,
        upstream=run.upstream,
        project=ci.repository(),
        backend=stateid.binding(run.project, stack),
        builds=used.made_of(run.project, stack),
        by_tag=used.by_tag(run.project, stack),
        ordered=run.recording is not None and run.recording.unread is None,
    )


def _accepted(run: Run, stack: Stack, artifact: Artifact, assessment: Assessment) -> Result:
    """The result of a plan that was verified: where there are policies they judge it again, from the plan itself."""
    manifest = artifact.manifest
    names = sorted(volatile.volatile(run.project, stack))
    details = PlanDetails(
        manifest.origin, images=manifest.images, volatile=names, **stateguard.details(assessment.receipt, manifest)
    )
    findings = []
    if judging.judged_by(run) is None and knowing.is_known(run, manifest):
        details = replace(details, changes=store.description(run.layout, manifest))
    else:
        with workdir.context(run, stack, "plan", upstream.values(run, stack).values) as (where, _):
            workdir.initialize(run, stack, where, backend=True)
            document = reading.of(run, where, artifact.plan)
        read = changes.read(document, run.mask, hidden=run.hides_values)
        knowing.note(run, manifest)
        findings = judging.judge(run, stack, document, read)
        details = replace(details, changes=read.to_json(), findings=[finding.to_json() for finding in findings])
    judging.let_through(run, manifest, findings)
    return Result(
        "plan", stack.name,
        summary=f"{changes.counts_text(manifest.counts)}, as planned at {clock.shown(manifest.created_at)}"
        + stateguard.said(assessment.receipt, manifest),
        counts=manifest.counts, reasons=assessment.words, details=details,
    )  # fmt: skip


def _deployed_elsewhere(run: Run, stack: Stack) -> Collection[str]:
    """The upstreams that other jobs of this pipeline have deployed since its plans were made."""
    return fanout.deployed_elsewhere(run, run.project.graph.needs[stack.name]) if run.request.part is not None else ()


def _planned_late(assessment: Assessment) -> str:
    """Why a job of a pipeline makes the plan that it deploys: none was handed to it."""
    last = assessment.receipt
    if last is None:
        return "planned after its upstream"
    if last.outcome is not Outcome.APPLIED:
        return f"planned again after its {'stopped' if last.stopped else 'failed'} apply"
    if last.besides:
        return "planned again, as which of its deploys came last is not known"
    return "planned: an upstream's output changed"
