"""`doit plan`: a saved plan for every affected stack, bound by a manifest, ready to be reviewed and applied."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from . import build
from .artifact import changes, outputs, promotion, receipt, store
from .artifact import manifest as manifests
from .artifact.manifest import Expected, Manifest
from .artifact.receipt import now
from .artifact.statecheck import Seen
from .base import git
from .base.errors import ArtifactRefusedError, DeployError, EngineError, PolicyError, PolicyRefusedError
from .base.files import canonical_json, sha256_bytes, sha256_file, write_json
from .base.text import few
from .engine import encryption
from .engine.engine import failure
from .run import errored, fanout, readstate, stateguard, upstream, workdir
from .run.action import StageAction, is_current
from .run.allowance import Judged
from .run.assessment import assess, assess_once
from .run.result import Result, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .artifact.affected import Assessment
    from .artifact.changes import PlanChanges
    from .project.stack import Stack
    from .run.run import Run

STAGE = "plan"
_NO_STATE = "Unable to find remote state"
_MOMENT = 0.05


def tasks(run: Run) -> Iterator[dict[str, Any]]:
    """`plan:<stack>`: after its validation; up to date when unaffected, or when its artifact still fits."""
    yield {"name": None, "doc": "save a plan for every affected stack, for review; changes nothing"}
    for name, stack in run.project.stacks.items():
        yield {
            "name": name,
            "actions": [StageAction(run, STAGE, name, act)],
            "task_dep": [f"validate:{name}"],
            "targets": [str(run.layout.plan(name)), str(run.layout.manifest(name))],
            "uptodate": [is_current(run, STAGE, stack, up_to_date)],
            "clean": True,
            "doc": f"plan {stack.path}",
        }


def up_to_date(run: Run, stack: Stack) -> bool:
    """Whether nothing has to be planned: unaffected without an artifact, or planned already from these very inputs."""
    store.settle(run.layout, stack.name)
    waiting = store.pending(run.layout, stack.name)
    if run.asked.deploying and waiting:
        return False  # it is verified, whatever it is
    assessment = assess_once(run, stack)
    if not waiting:
        return not assessment.affected
    if not assessment.affected or store.origin(run.layout, stack.name) != STAGE:
        return False
    try:
        manifest = check(run, stack, assessment)
    except ArtifactRefusedError:
        return False
    if manifest.policy != _judged_by(run):
        return False
    run.reused.add(stack.name)
    return True


def act(run: Run, stack: Stack, forced: bool) -> Result:
    """Plan one stack; in a deploy, accept the artifact that was handed over, or refuse it."""
    layout = run.layout
    errored.refuse(run, stack)
    if run.request.part is not None and run.asked.deploying:
        upstream.values(run, stack)  # what the plan's job read from states is not here: it is an input all the same
    assessment = assess(run, stack)
    if run.asked.deploying and store.pending(layout, stack.name) and store.origin(layout, stack.name) != "deploy":
        try:
            manifest = check(run, stack, assessment)
        except ArtifactRefusedError as error:
            why = _planned_again(run, stack, assessment, error)
            if why is None:
                raise
            run.replanned[stack.name] = why
        else:
            return _accepted(run, stack, manifest, assessment)
    elif run.request.part is not None and run.asked.deploying:
        run.replanned[stack.name] = _planned_late(assessment)
    if not assessment.affected and not forced:
        store.discard(layout, stack.name)
        return Result(STAGE, stack.name, Status.UNAFFECTED, "not affected; the plan that was there is discarded")
    given = upstream.values(run, stack)
    mocking = run.request.mocking and not run.asked.deploying
    mocked = [name for name in given.missing if name in stack.settings.mocks and mocking]
    if set(given.missing) - set(mocked):
        store.discard(layout, stack.name)
        return _deferred(run, stack, assessment, given.missing_text(stack))
    values = {**given.values, **{name: stack.settings.mocks[name] for name in mocked}}
    try:
        made = make(run, stack, values, origin="deploy" if run.asked.deploying else STAGE, mocked=mocked)
    except EngineError as error:
        waits = _unapplied_siblings(run, stack)
        if not waits or _NO_STATE not in error.message:
            raise
        return _deferred(run, stack, assessment, ", ".join(waits))
    summary = made.text + (f"; made with stand-ins for {', '.join(mocked)}: not for deploy" if mocked else "")
    summary += _images_text(made.manifest.images) + stateguard.said(assessment.receipt, made.manifest)
    if behind := promotion.missing(run.project, stack.name, assessment.inputs):
        summary += f"; {behind}"
    summary += f"; {run.replanned[stack.name]}" if stack.name in run.replanned else ""
    return Result(
        STAGE, stack.name, summary=summary, counts=made.manifest.counts,
        reasons=assessment.reasons or ["asked for with -a"],
        details={"origin": made.manifest.origin, "mocked": mocked, "changes": made.changes, "findings": made.findings,
                 "images": made.manifest.images, "unpinned": made.manifest.unpinned,
                 **stateguard.details(assessment.receipt, made.manifest)},
    )  # fmt: skip


def _deferred(run: Run, stack: Stack, assessment: Assessment, awaited: str) -> Result:
    """The result for a stack that cannot be planned yet; which images it will get is known all the same."""
    images, _ = build.references(run.project, stack)
    summary = f"deferred until {awaited} is there{_images_text(images)}"
    details = {"images": images} if images else {}
    return Result(STAGE, stack.name, Status.DEFERRED, summary, reasons=assessment.reasons, details=details)


def _images_text(images: dict[str, str]) -> str:
    """What a plan's line says of the images that variables get."""
    return "".join(
        f"; {name} = {reference}" + ("" if "@" in reference else " (not built yet)")
        for name, reference in images.items()
    )


def _planned_again(run: Run, stack: Stack, assessment: Assessment, error: ArtifactRefusedError) -> str | None:
    """Why a refused artifact is replaced by a plan made now; None where it stays refused."""
    if replans(run, error):
        return f"planned again: {error.message}"
    if run.request.part is None or error.reason != "inputs":
        return None
    planned, now = store.load(run.layout, stack.name, run.project.keyring.current).inputs, assessment.inputs.labels
    moved = upstream.moved_alone(
        run, stack, planned, now, fanout.deployed_elsewhere(run, run.project.graph.needs[stack.name])
    )
    return "planned again: an upstream's output changed" if moved else None


def _planned_late(assessment: Assessment) -> str:
    """Why a job of a pipeline makes the plan that it deploys: none was handed to it."""
    last = assessment.receipt
    if last is None:
        return "planned after its upstream"
    return "planned: an upstream's output changed" if last.applied else "planned again after its failed apply"


def _accepted(run: Run, stack: Stack, manifest: Manifest, assessment: Assessment) -> Result:
    """The result of a plan that was handed over: where there are policies they judge it again, from the plan itself.

    Raises:
        PolicyRefusedError: It may not be applied.
        PolicyError: It could not be judged.
    """
    details: dict[str, Any] = {"origin": manifest.origin, "images": manifest.images}
    details |= stateguard.details(assessment.receipt, manifest)
    if _judged_by(run) is None:
        if described := store.description(run.layout, manifest):
            details["changes"] = described
    else:
        with workdir.context(run, stack, STAGE, upstream.values(run, stack).values) as (where, _):
            workdir.initialize(run, stack, where, backend=True)
            document = run.engine().json(where, "show", "-json", "-no-color", str(run.layout.plan(stack.name)))
        read = changes.read(document, run.mask, hidden=run.hides_values)
        details |= {"changes": read.to_json(), "findings": _judge(run, stack, document, read, manifest.plan_sha256)}
    return Result(
        STAGE, stack.name,
        summary=f"{counts_text(manifest.counts)}, as planned at {manifest.created_at}"
        + stateguard.said(assessment.receipt, manifest),
        counts=manifest.counts, reasons=assessment.reasons, details=details,
    )  # fmt: skip


def _judged_by(run: Run) -> str | None:
    """The digest of the policies that plans are judged by now; None without policies."""
    policy = run.project.config.policy
    if not (policy.protect or policy.required_tags or policy.checkers or policy.max_destroy is not None):
        return None
    from .policy import judge

    return judge.digest(run)


def _judge(
    run: Run, stack: Stack, document: Mapping[str, Any], read: PlanChanges, plan_sha256: str
) -> list[dict[str, Any]]:
    """What the policies find in a plan that they let through, as JSON values; that they did is remembered.

    Raises:
        PolicyRefusedError: It may not be applied; the error carries the changes too, for the report.
        PolicyError: It could not be judged.
    """
    if _judged_by(run) is None:
        return []
    from .policy import judge

    try:
        findings = judge.judge(run, stack, document)
    except PolicyRefusedError as error:
        error.details["changes"] = read.to_json()
        raise
    run.judged[stack.name] = Judged(plan_sha256, judge.let_through(findings))
    return [finding.to_json() for finding in findings]


def _unapplied_siblings(run: Run, stack: Stack) -> list[str]:
    """The stacks whose state this one reads and of which nothing was applied yet."""
    reads = run.project.remote_reads.get(stack.name, ())
    return sorted({read.stack for read in reads if outputs.stored(run.layout, read.stack) is None})


@dataclass(frozen=True)
class Made:
    """A plan that was just made: its manifest, its redacted changes, its counts in words, what policies say of it."""

    manifest: Manifest
    changes: dict[str, Any]
    text: str
    findings: list[dict[str, Any]]


def make(run: Run, stack: Stack, values: dict[str, Any], *, origin: str, mocked: list[str] | None = None) -> Made:
    """Plan a stack and store the artifact; whatever goes wrong, no artifact is left.

    Args:
        run: The run.
        stack: The stack.
        values: Its variables from upstream outputs.
        origin: `plan` for review, `deploy` for what this deploy made for itself.
        mocked: The variables whose values are stand-ins.

    Raises:
        DeployError: The tree is not clean, and has to be.
        EngineError: The engine could not plan.
        PolicyRefusedError: Policy does not let it through.
        PolicyError: It could not be judged.
        StateRefusedError: The state is not the one that was deployed.
        StoppedError: The run was asked to stop.
    """
    layout, project, key = run.layout, run.project, run.project.keyring.current
    store.discard(layout, stack.name)
    _check_clean(run, stack)
    _let_the_second_pass(run, stack)
    try:
        images, unpinned = build.references(project, stack)
        with workdir.context(run, stack, STAGE, {**values, **images}) as (where, variables):
            workdir.initialize(run, stack, where, backend=True)
            last = assess(run, stack)  # the inputs as they are now: init may have written the lock file
            path = layout.draft(stack.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            arguments = [
                "-no-color", "-input=false", "-detailed-exitcode", f"-out={path}",
                *workdir.state_arguments(project, stack), *variables,
            ]  # fmt: skip
            engine = run.engine()
            completed = workdir.run_locked(run, where, "plan", *arguments)
            if not completed.ok:
                raise failure(f"{engine.kind} plan failed", completed, where)
            os.chmod(path, 0o600)  # noqa: PTH101 - it holds every value in clear
            document = engine.json(where, "show", "-json", "-no-color", str(path))
            read = changes.read(document, run.mask, hidden=run.hides_values)
            if read.errored:
                raise failure("the plan is incomplete and could not be applied", completed, where)
            seen = Seen.read(document, *readstate.of_plan(run, stack, where, path))
            accepted = stateguard.require(run, stack, last.receipt, seen)
        if not store.is_encrypted(path) and (warning := encryption.warning_in_ci()):
            run.say_once(warning)
        plan_sha256 = sha256_file(path)
        findings = _judge(run, stack, document, read, plan_sha256)
        judged = run.judged.get(stack.name)
        body = {"stack": stack.name, "environment": project.environment, **read.to_json()}
        manifest = Manifest(
            stack=stack.name,
            environment=project.environment,
            origin=origin,
            plan_sha256=plan_sha256,
            inputs_digest=last.inputs.digest,
            inputs=dict(last.inputs.labels),
            commit=run.revision.commit,
            dirty=run.revision.dirty,
            engine=f"{engine.kind} {engine.version}",
            lock_digest=workdir.lock_digest(project, stack),
            lineage=seen.lineage,
            serial=seen.serial,
            created_at=now(),
            counts=asdict(read.counts),
            mocked=mocked or [],
            upstream=run.upstream,
            key=key.fingerprint if key else None,
            described=sha256_bytes(canonical_json(body)),
            images=images,
            unpinned=unpinned,
            builds=build.made_of(project, stack),
            policy=_judged_by(run),
            allowed=judged.allowed if judged else [],
            state_empty=seen.empty,
            creates=list(seen.creates),
            exists=list(seen.exists),
            accepted=accepted,
        )
        write_json(layout.plan_json(stack.name), body, durable=False)
        store.store(layout, manifest, key)
    except BaseException:
        store.discard(layout, stack.name)
        raise
    return Made(manifest, read.to_json(), read.counts.text(), findings)


def _let_the_second_pass(run: Run, stack: Stack) -> None:
    """Wait, where the last apply was begun in this very second.

    A plan has the second it was made in, and nothing else that tells it from another plan of the same inputs and
    state: the new one would be taken for the one that was applied, and be refused.
    """
    last = receipt.read(run.layout, stack.name)
    while last is not None and last.started_at == now() and not run.stop.wait(_MOMENT):
        pass


def check(run: Run, stack: Stack, assessment: Assessment) -> Manifest:
    """The manifest of a stack's artifact when it may be applied here and now.

    Raises:
        ArtifactRefusedError: It may not; says why.
        StateRefusedError: It was planned for another state than the one that was deployed.
    """
    manifest = store.load(run.layout, stack.name, run.project.keyring.current)
    engine = run.engine()
    expected = Expected(
        environment=run.project.environment,
        inputs=assessment.inputs,
        commit=run.revision.commit,
        dirty=run.revision.dirty,
        engine=f"{engine.kind} {engine.version}",
        lock_digest=workdir.lock_digest(run.project, stack),
        max_age=timedelta(hours=run.project.config.plan.max_age),
        require_clean=run.project.config.plan.require_clean,
        receipt=assessment.receipt,
        upstream=run.upstream,
        builds=build.made_of(run.project, stack),
        by_tag=build.by_tag(run.project, stack),
    )
    manifests.verify(manifest, stack.name, expected)
    store.refuse_stale(run.layout, manifest)
    stateguard.require_planned(run, stack, assessment.receipt, manifest)
    return manifest


def replans(run: Run, error: ArtifactRefusedError) -> bool:
    """Whether a refused artifact may be replaced by a plan made now, without anybody seeing it first.

    One that names an image by its tag is: the tag is the digest of what the image is made of, so it is the same image
    that is now named by its own digest.
    """
    return error.reason == "unpinned" or (error.reason == "stale" and run.project.config.plan.on_stale == "replan")


def _check_clean(run: Run, stack: Stack) -> None:
    if run.project.config.plan.require_clean and run.revision.dirty:
        names = sorted(set().union(*git.differences(run.layout.root, "HEAD")))
        raise DeployError(
            f"the tree has uncommitted changes ({few(names, 3)}), and plan.require_clean is set",
            where=run.project.loaded.where("plan", "require_clean"),
            stack=stack.name,
            untouched="nothing of this stack was changed",
            next_step="commit them, or put them away (`git stash -u`), then run the same command again",
        )


def require_judged(run: Run, manifest: Manifest) -> list[str]:
    """The findings that were let through of the very plan that is to be applied.

    Raises:
        PolicyError: There are policies, and this run has not judged these very bytes.
    """
    if _judged_by(run) is None:
        return []
    judged = run.judged.get(manifest.stack)
    if judged is None or judged.plan_sha256 != manifest.plan_sha256:
        raise PolicyError(
            "this plan was not judged by policy in this run", stack=manifest.stack,
            untouched="nothing of this stack was changed",
            next_step=f"`doit plan:{manifest.stack}`, then `doit deploy`",
        )  # fmt: skip
    return judged.allowed


def counts_text(counts: dict[str, int]) -> str:
    """A manifest's counts in words."""
    try:
        return changes.Counts(**counts).text()
    except TypeError:
        raise DeployError("the manifest's counts cannot be read") from None
