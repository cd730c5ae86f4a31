"""Applies a stack's plan, exactly the bytes that were verified, with a durable receipt before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .artifact import changes, inputs, observed, outputs, reasons, receipt, rereads, store
from .artifact.inputs import Input, InputKind
from .artifact.receipt import Outcome, Receipt
from .base.clock import now
from .base.errors import ArtifactRefusedError, DeployError, StoppedError, UnreviewedError
from .base.jsonvalue import named
from .base.problem import NOTHING_CHANGED, doit
from .base.text import few
from .builds import used
from .engine import diagnostics, statelock
from .engine.engine import failure, is_stale
from .forges import gate
from .plans import acceptance, judging, knowing, making, replayed, unneeded
from .project import volatile
from .run import deployedtag, errored, readstate, statecopies, stateguard, succession, upstream, workdir
from .run.assessment import assess, may_be_affected
from .run.readstate import Left

if TYPE_CHECKING:
    from .artifact.affected import Assessment
    from .artifact.manifest import Manifest
    from .artifact.opening import Artifact
    from .engine.command import Completed, Context
    from .project.stack import Stack
    from .run.run import Run

STAGE = "deploy"
_UNNEEDED = "the state is as planned, so the engine was not started"


@dataclass(frozen=True)
class Applied:
    """What was applied, and what it did: counts in words, the non-sensitive outputs, what policies were overridden."""

    manifest: Manifest
    text: str
    outputs: dict[str, Any]
    allowed: list[str]
    failed_checks: list[str]


def apply_artifact(run: Run, stack: Stack, assessment: Assessment) -> Applied:
    """Verify the stack's artifact and apply exactly the verified bytes.

    Raises:
        ArtifactRefusedError: It may not be applied.
        DeployError: The apply failed.
    """
    with acceptance.verified(run, stack, assessment) as artifact:
        return _apply(run, stack, artifact, assessment)


def apply_new(run: Run, stack: Stack) -> Applied:
    """Make a new artifact for this deploy and apply it."""
    given = upstream.values(run, stack)
    if given.missing:
        raise DeployError(
            f"its upstream was deployed, but has no output {given.missing_text(stack)}",
            stack=stack.name,
            untouched=NOTHING_CHANGED,
            next_step="fix `inputs` of this stack, or the outputs of the upstream",
        )
    making.make(run, stack, given.values, origin="deploy")
    try:
        gate.judge(run, [stack.name])
    except UnreviewedError:
        store.discard(run.layout, stack.name)
        raise
    return apply_artifact(run, stack, assess(run, stack))


def _apply(run: Run, stack: Stack, artifact: Artifact, assessment: Assessment) -> Applied:
    """Apply a verified plan; the receipt is durable before this returns or raises."""
    layout, last, manifest = run.layout, assessment.receipt, artifact.manifest
    errored.refuse(run, stack)
    succession.require(run, stack, last)
    allowed = judging.require(run, manifest)
    accepted = stateguard.require_planned(run, stack, last, manifest)
    given = {**upstream.values(run, stack).values, **manifest.images}  # exactly the planned references
    replaced = volatile.volatile(run.project, stack)  # by the plan's own values
    with workdir.context(run, stack, STAGE, given, optional=replaced) as (where, variables):
        workdir.initialize(run, stack, where, backend=True)
        knowing.learn(run, artifact, where)
        run.stop.check(f"{STAGE}:{stack.name}")
        if run.recording is not None:
            run.recording.announce(lambda: _about_to_apply(run))
            run.recording.require_ours(stack.name)
        order = succession.require(run, stack, last)  # by what the ledger says now that others cannot deploy
        allowed = [*allowed, *order.allowed]
        deployedtag.announce(run, lambda: _about_to_apply(run))
        without = run.recording.allowed if run.recording is not None else []
        begun = Receipt(
            stack.name, run.project.environment, Outcome.STARTED, manifest.plan_sha256, manifest.inputs_digest,
            manifest.inputs, manifest.commit, started_at=now(), counts=manifest.counts,
            produced=list(last.produced) if last else [], deployed=last.deployed if last else None,
            upstream=manifest.upstream, allowed=[*allowed, *without], images=manifest.images, plan_id=manifest.id,
            lineage=manifest.lineage, serial=manifest.serial, accepted=accepted, repaired=_repaired(run, stack),
            besides=order.besides, follows=run.recording.follows(stack.name) if run.recording is not None else None,
            spent=last.spent_by(manifest.commit) if last is not None else [],
        )  # fmt: skip
        store.claim(layout, manifest)
        receipt.write(layout, begun)
        attempt = _Attempt(artifact, begun, last)
        _require_unchanged(run, stack, attempt)
        end = _settled(run, stack, attempt, where) or _ended(run, stack, attempt, where, variables)
    outputs.store(layout, stack.name, end.outputs, run.mask, run.project.keyring.current)
    run.mark_applied(stack.name)
    ended = begun.ended(
        Outcome.APPLIED, **end.left.identity, verified=None if stack.settings.verify else True,
        state_key=run.project.keyring.state_key, exists=manifest.exists, failed_checks=end.failed_checks,
        unneeded=end.unneeded, **_less_produced(run, stack, begun),
    )  # fmt: skip
    receipt.write(layout, ended)
    shown = {
        name: changes.HIDDEN if run.hides_values else output.value
        for name, output in end.outputs.items()
        if not output.sensitive
    }
    text = changes.counts_text(manifest.counts) + (f": {_UNNEEDED}" if end.unneeded else "")
    return Applied(manifest, text, shown, allowed, end.failed_checks)


def _repaired(run: Run, stack: Stack) -> str | None:
    """Who asked for the apply, if it undoes a drift."""
    if run.request.repair is None or stack.name not in run.repairs:
        return None
    return "rule" if run.request.repair.automatic else "person"


def _about_to_apply(run: Run) -> set[str]:
    """The stacks that this run may apply: those that are affected, and those that an output of theirs may affect.

    For the tag, which the jobs of a pipeline cannot all write, those of the whole pipeline.
    """
    found: set[str] = set()
    for name in run.project.graph.order:
        if name not in run.asked.planned and (run.request.part is None or run.recording is not None):
            continue
        waits = store.pending(run.layout, name) or not found.isdisjoint(run.project.graph.needs[name])
        if waits or may_be_affected(run, run.project.stacks[name]):
            found.add(name)
    return found


@dataclass(frozen=True)
class _End:
    """How an apply ended well: the state that it left, its outputs, the `check` blocks that did not hold."""

    left: Left
    outputs: dict[str, outputs.Output]
    failed_checks: list[str]
    unneeded: bool = False


@dataclass(frozen=True)
class _Attempt:
    """An apply about to start: its artifact, its receipt, and the previous receipt."""

    artifact: Artifact
    begun: Receipt
    last: Receipt | None


def _require_unchanged(run: Run, stack: Stack, attempt: _Attempt) -> None:
    """Refuse a plan where files that its apply reads again have changed; the previous receipt is restored.

    Raises:
        ArtifactRefusedError: They have.
    """
    manifest = attempt.artifact.manifest
    files = map(reasons.named, rereads.changed(run.project, stack, manifest.inputs))
    changed = [*files, *used.changed(run.project, manifest.builds)]
    if changed:
        receipt.restore(run.layout, stack.name, attempt.last)
        store.release(run.layout, stack.name)
        message = f"changed since this was verified: {few(changed, 3, '; ')}"
        raise ArtifactRefusedError("changed", message, stack=stack.name)


def _settled(run: Run, stack: Stack, attempt: _Attempt, where: Context) -> _End | None:
    """How a plan ends that has nothing to apply; None where the engine has to be started."""
    manifest = attempt.artifact.manifest
    found = unneeded.found(run, stack, attempt.artifact, attempt.last, where)
    if found is None:
        return None
    values = outputs.parse(found.outputs, run.project.module(stack.name).outputs)
    run.mask.add(output.value for output in values.values() if output.sensitive)
    return _End(Left(manifest.lineage, found.serial), values, [], unneeded=True)


def _ended(run: Run, stack: Stack, attempt: _Attempt, where: Context, variables: list[str]) -> _End:
    """Apply a plan, and read what it left."""
    statecopies.keep_before(run, stack, attempt.artifact.manifest, attempt.artifact.plan)
    done = _run_apply(run, stack, attempt, where, variables)
    left = readstate.left_by(run, stack, where, attempt.artifact.manifest)
    exists = attempt.artifact.manifest.exists
    if readstate.is_lost(run, stack, where, left, expected=bool(exists)):
        lost = attempt.begun.ended(Outcome.FAILED, exists=exists, **_less_produced(run, stack, attempt.begun))
        receipt.write(run.layout, lost)  # the next plan is refused: it would create everything again
        raise errored.lost(stack)
    failed = [run.mask.text(item.text) for item in diagnostics.warnings(done.events) if item.is_failed_check]
    return _End(left, _outputs(run, stack, done, left), failed)


def _run_apply(run: Run, stack: Stack, attempt: _Attempt, where: Context, variables: list[str]) -> Completed:
    """Run the engine's apply; if it did not start, the previous receipt is restored.

    Raises:
        ArtifactRefusedError: The state or files that the plan reads have changed.
        StoppedError: The run was asked to stop.
        DeployError: The apply failed.
    """
    layout, begun, last = run.layout, attempt.begun, attempt.last
    manifest, saved = attempt.artifact.manifest, attempt.artifact.plan
    try:
        with replayed.values(run, stack, where, saved) as (replaying, planned):
            done = workdir.run_locked(
                run, replaying.holding(saved.descriptor), "apply", "-no-color", "-input=false",
                *workdir.state_arguments(run.project, stack), *variables, *planned, saved.argument(),
            )  # fmt: skip
    except StoppedError:
        left = readstate.left_by(run, stack, where, manifest)
        less = _less_produced(run, stack, begun)
        receipt.write(layout, begun.ended(Outcome.FAILED, stopped=True, **left.identity, **less))
        raise
    if is_stale(done.summaries()):  # nothing was started; the receipt of a failure would make the next deploy plan
        receipt.restore(layout, stack.name, last)  # and apply something that nobody has reviewed
        store.mark_stale(layout, manifest)
        raise ArtifactRefusedError("stale", store.STALE, stack=stack.name)
    if statelock.held(done, where.backend):  # nothing was started: the same plan can be applied once the lock is free
        receipt.restore(layout, stack.name, last)
        store.release(layout, stack.name)
        raise failure("apply failed", done, where)
    if not done.ok:
        left = readstate.left_by(run, stack, where, manifest)
        receipt.write(layout, begun.ended(Outcome.FAILED, **left.identity, **_less_produced(run, stack, begun)))
        raise _apply_error(run, stack, done, where)
    return done


def _apply_error(run: Run, stack: Stack, done: Completed, where: Context) -> DeployError:
    if unsaved := errored.found(run, stack, done):
        return unsaved
    return failure(
        "apply failed", done, where,
        untouched="changes made before the error are in the state; the rest is unchanged",
        next_step=("fix the cause, then ", doit("deploy"), " again"),
    )  # fmt: skip


def _outputs(run: Run, stack: Stack, done: Completed, left: Left) -> dict[str, outputs.Output]:
    """The outputs after an apply: from its own stream, or with sensitive ones from the state, which is read anyway."""
    declared = run.project.module(stack.name).outputs
    events = [named(event["outputs"]) for event in done.events if event.get("type") == "outputs"]
    if events and not any(item.get("sensitive") for item in events[-1].values()):
        return outputs.parse(events[-1], declared)
    if not events and not declared:
        return {}
    if left.outputs is None:
        return upstream.read(run, stack, declared)
    found = outputs.parse(left.outputs, declared)
    run.mask.add(output.value for output in found.values() if output.sensitive)
    return found


def _less_produced(run: Run, stack: Stack, begun: Receipt) -> dict[str, Any]:
    """What the apply wrote, and the inputs without it: from now on that is what the stack is compared with."""
    produced = {*begun.produced, *inputs.written_since(run.project, stack, begun.inputs)}
    produced |= observed.written_since(run.project, begun.inputs)
    left = begun.inputs.without({Input(InputKind.FILE, path) for path in produced})
    left = observed.less_produced(run.project, left, produced)
    return {"produced": sorted(produced), "inputs": left, "inputs_digest": left.digest}
