"""Makes a plan and stores it as an artifact, to review and hand over, or for the deploy that needs it."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..artifact import folder, observed, plansecrets, receipt, secretfile, store
from ..artifact.inputs import Inputs
from ..artifact.manifest import Manifest
from ..artifact.statecheck import Seen
from ..base import ci
from ..base.clock import now
from ..base.files import canonical_json, sha256_bytes
from ..builds import used
from ..engine import encryption
from ..project import stateid
from ..run import checkblocks, readstate, stateguard, validated, watching, workdir
from ..run.assessment import assess
from ..run.details import PlanDetails
from . import cleanliness, fresh, judging, knowing

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..base.jsonvalue import JsonObject
    from ..project.stack import Stack
    from ..run.run import Run
    from .fresh import Fresh

_ID_BYTES = 16


@dataclass(frozen=True)
class Made:
    """A plan that was just made: its manifest, its redacted changes, its counts in words, what policies say of it.

    `outside` are the files outside of the repository that it was seen to read.
    """

    manifest: Manifest
    changes: JsonObject
    text: str
    findings: list[JsonObject]
    outside: list[str]


@dataclass(frozen=True)
class _Basis:
    """What a plan is made of and for: its origin, mocks, images, inputs, the state, and that it was accepted.

    `outside` are the files outside of the repository that it was seen to read.
    """

    origin: str
    mocked: list[str]
    images: dict[str, str]
    unpinned: list[str]
    inputs: Inputs
    seen: Seen
    accepted: JsonObject | None
    outside: list[str]


def make(
    run: Run, stack: Stack, values: JsonObject, *, origin: str, mocked: list[str] | None = None,
    require: Callable[[Fresh, Seen], None] | None = None,
) -> Made:  # fmt: skip
    """Plan a stack and store the artifact; whatever goes wrong, no artifact is left.

    Args:
        run: The run.
        stack: The stack.
        values: Its variables from upstream outputs.
        origin: `plan` for review, `deploy` for what this deploy made for itself.
        mocked: The variables whose values are mocks.
        require: Refuses a plan, for the state that it was made for, by raising.

    Raises:
        DeployError: The tree is not clean, and has to be; or `require` refuses the plan.
        EngineError: The engine could not plan.
        CheckFailedError: A `check` block does not hold, and `plan.on_failed_check` is `fail`.
        PolicyRefusedError: Policy does not let it through.
        PolicyError: It could not be judged.
        StateRefusedError: The state is not the one that was deployed.
        StoppedError: The run was asked to stop.
    """
    store.discard(run.layout, stack.name)
    cleanliness.require(run, stack, assess(run, stack).inputs)
    try:
        with ExitStack() as held:
            images, unpinned = used.references(run.project, stack)
            with workdir.context(run, stack, "plan", {**values, **images}, optional=()) as (where, variables):
                workdir.initialize(run, stack, where, backend=True)
                now = assess(run, stack)  # the inputs as they are now: init may have written the lock file
                configuration = validated.configuration(run, stack)
                with watching.watched(run, stack, where) as (place, read):
                    found = held.enter_context(fresh.planned(run, stack, place, variables))
                    reads = read(now.inputs)
                validated.remember(run, stack, configuration)
                seen = Seen.read(found.document, *readstate.of_plan(run, stack, where, found.plan))
                accepted = stateguard.require(run, stack, now.receipt, seen)
                if require is not None:
                    require(found, seen)
                known = PlanDetails(origin, found.changes.to_json(), mocked=mocked or [])
                checkblocks.refuse(run, stack, "plan", found.changes.failed_checks, known)
            if not store.is_encrypted(found.plan) and (warning := encryption.warning_in_ci()):
                run.say_once(warning)
            made_of = observed.joined(now.inputs, reads)
            cleanliness.require(run, stack, Inputs(reads.inputs))
            basis = _Basis(origin, mocked or [], images, unpinned, made_of, seen, accepted, reads.outside)
            return _kept(run, stack, found, basis)
    except BaseException:
        store.discard(run.layout, stack.name)
        raise


def _kept(run: Run, stack: Stack, found: Fresh, basis: _Basis) -> Made:
    """Judge a plan, and store it with what describes and what binds it."""
    project, engine, key = run.project, run.engine(), run.project.keyring.artifact
    findings = judging.judge(run, stack, found.document, found.changes)
    body = {"stack": stack.name, "environment": project.environment, **found.changes.to_json()}
    last = receipt.read(run.layout, stack.name)
    secret = [value for value in plansecrets.values(found.document) if value not in (None, "", [], {})]
    manifest = Manifest(
        id=secrets.token_hex(_ID_BYTES),
        stack=stack.name,
        environment=project.environment,
        origin=basis.origin,
        plan_sha256=found.plan.sha256,
        inputs_digest=basis.inputs.digest,
        inputs=basis.inputs,
        commit=run.revision.commit,
        dirty=run.revision.dirty,
        engine=f"{engine.kind} {engine.version}",
        lock_digest=workdir.lock_digest(project, stack),
        lineage=basis.seen.lineage,
        serial=basis.seen.serial,
        created_at=now(),
        counts=asdict(found.changes.counts),
        mocked=basis.mocked,
        upstream=run.upstream,
        key=key.fingerprint if key else None,
        described=sha256_bytes(canonical_json(body)),
        images=basis.images,
        unpinned=basis.unpinned,
        builds=used.made_of(project, stack),
        policy=judging.judged_by(run),
        allowed=judging.overridden(findings),
        state_empty=basis.seen.empty,
        creates=list(basis.seen.creates),
        exists=list(basis.seen.exists),
        accepted=basis.accepted,
        follows=last.plan_id if last else None,
        project=ci.repository(),
        backend=stateid.binding(project, stack),
        sensitive=bool(secret),
    )
    folder.keep(run.layout, run.layout.plan_json(stack.name), body, durable=False)
    secretfile.write(run.layout, manifest, secret, project.keyring.current)
    knowing.note(run, manifest)
    store.store(run.layout, manifest, found.plan, key)
    judging.let_through(run, manifest, findings)
    shown = [finding.to_json() for finding in findings]
    return Made(manifest, found.changes.to_json(), found.changes.counts.text(), shown, basis.outside)
