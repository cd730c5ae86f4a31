"""The manifest of a plan artifact: the context that a saved plan was made in, compared with the current one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from ..base import clock
from ..base.errors import ArtifactRefusedError
from ..base.files import canonical_json, sha256_bytes
from ..base.problem import doit
from ..base.text import short
from ..project.config import signature
from . import reasons
from .inputs import Inputs  # noqa: TC001 - pydantic reads a manifest by it

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..project.config.signer import Signer
    from .receipt import Receipt

FORMAT = 4
_CLOCK_SKEW = timedelta(minutes=5)  # between the clocks of the planning and the deploying machine


@dataclass(frozen=True)
class Manifest:
    """The context of a saved plan.

    `id` is random: no two plans share it. `follows` is the id of the plan that was applied last when this was planned.
    `origin` is `plan` for an artifact to review and hand over, `deploy` for one that a deploy made for itself.
    `upstream` is the commit of an overlay's upstream. `key` is the fingerprint of the key that it is signed with, if
    any. `policy` is the digest of the policy that judged it, `allowed` are the findings that were accepted; a
    deploy judges it again. `images` are the references that variables got, `unpinned` the images among them that
    were not in their registry yet; `builds` are the digests of the outputs that were read. `state_empty`, `creates`
    and `exists` are what the plan found in the state (see `statecheck.Seen`), `accepted` is set if a state other
    than the deployed one was accepted. `sensitive` says whether the plan has values that the engine marks as such.
    `described` is the SHA-256 over `plan.json`, which lists the changes. `project` is the repository as its forge
    knows it, `backend` a digest of where the state is kept. The file has two more fields: `digest`, the SHA-256
    over all fields, reveals changed or torn manifests; `signature` (see there) reveals forged ones.
    """

    id: str
    stack: str
    environment: str
    origin: str
    plan_sha256: str
    inputs_digest: str
    inputs: Inputs
    commit: str | None
    dirty: bool
    engine: str
    lock_digest: str | None
    lineage: str | None
    serial: int | None
    created_at: str
    counts: dict[str, int] = field(default_factory=dict)
    mocked: list[str] = field(default_factory=list)
    upstream: str | None = None
    key: str | None = None
    described: str | None = None
    images: dict[str, str] = field(default_factory=dict)
    unpinned: list[str] = field(default_factory=list)
    builds: dict[str, str] = field(default_factory=dict)
    policy: str | None = None
    allowed: list[str] = field(default_factory=list)
    state_empty: bool = False
    creates: list[str] = field(default_factory=list)
    exists: list[str] = field(default_factory=list)
    accepted: dict[str, Any] | None = None
    follows: str | None = None
    project: str = ""
    backend: str | None = None
    sensitive: bool = True
    format: int = FORMAT

    def body(self) -> dict[str, Any]:
        """All fields as a JSON value."""
        return {**vars(self), "inputs": self.inputs.to_json()}

    def to_json(self, key: Signer | None) -> dict[str, Any]:
        """The manifest with its digest, and with a signature if there is a key."""
        body = self.body()
        signed = {"signature": signature.sign(body, key)} if key else {}
        return {**body, "digest": sha256_bytes(canonical_json(body)), **signed}

    @property
    def age(self) -> timedelta:
        """The time since it was made."""
        return datetime.now(UTC) - datetime.fromisoformat(self.created_at)


@dataclass(frozen=True)
class Expected:
    """The current context, which an artifact must match; `by_tag` are images that need not be pinned.

    `ordered`: every apply of every machine is known, so a plan has to follow the last one.
    """

    environment: str
    inputs: Inputs
    commit: str | None
    dirty: bool
    engine: str
    lock_digest: str | None
    max_age: timedelta
    require_clean: bool
    receipt: Receipt | None
    upstream: str | None = None
    project: str = ""
    backend: str | None = None
    builds: Mapping[str, str] = field(default_factory=dict)
    by_tag: Collection[str] = ()
    ordered: bool = False


def verify(manifest: Manifest, stack: str, expected: Expected) -> None:
    """Refuse an artifact that was made for another stack, environment, tree or engine, or that is out of date.

    Raises:
        ArtifactRefusedError: Names the first mismatch.
    """
    for reason, message in _mismatches(manifest, stack, expected):
        if reason == "mocked":
            defer = (doit(f"plan:{stack}", "mocks=no"), " defers it instead; then ")
            steps = (*defer, doit("deploy"), " plans it after its upstream")
            raise ArtifactRefusedError(reason, message, stack=stack, next_step=steps)
        raise refused(reason, stack, message)


def _mismatches(manifest: Manifest, stack: str, expected: Expected) -> list[tuple[str, str]]:
    found = _of_another(manifest, stack, expected)
    if manifest.mocked:
        names = ", ".join(manifest.mocked)
        found.append(("mocked", f"this plan was made with mocks for {names}: it is for review only"))
    receipt = expected.receipt
    if receipt is not None and receipt.plan_id == manifest.id:
        ended = f"{receipt.outcome} at {clock.shown(receipt.finished_at or '?')}"
        found.append(("applied", f"this plan was already applied ({ended})"))
    elif receipt is not None and manifest.id in receipt.spent:
        found.append(("applied", "this plan was already applied, and another one after it"))
    if manifest.commit != expected.commit:
        old, new = (short(commit) for commit in (manifest.commit, expected.commit))
        found.append(("commit", f"this plan was made at {old}, but the tree is at {new}"))
    if manifest.upstream != expected.upstream:
        old, new = (commit or "no commit" for commit in (manifest.upstream, expected.upstream))
        found.append(("upstream", f"this plan was made over the upstream at {old}, but it is now at {new}"))
    if manifest.dirty and (expected.require_clean or not expected.dirty):
        why = "see plan.require_clean" if expected.dirty else "this tree is clean"
        found.append(("dirty", f"this plan was made in a tree with uncommitted changes; {why}"))
    if manifest.engine != expected.engine:
        found.append(("engine", f"this plan was made by {manifest.engine}, but the engine here is {expected.engine}"))
    if manifest.lock_digest != expected.lock_digest:
        what = "is missing" if expected.lock_digest is None else "has changed since this was planned"
        found.append(("lock-file", f".terraform.lock.hcl {what}"))
    if manifest.inputs_digest != manifest.inputs.digest:
        found.append(("inputs-digest", "the manifest's inputs do not match its inputs digest"))
    if manifest.inputs_digest != expected.inputs.digest:
        why = reasons.summary(reasons.between(manifest.inputs, expected.inputs))
        found.append(("inputs", f"this plan was made from different inputs: {why}"))
    if manifest.age > expected.max_age:
        found.append(("age", f"this plan is {_hours(manifest.age)} old, more than {_hours(expected.max_age)}"))
    if manifest.age < -_CLOCK_SKEW:
        found.append(("future", f"this plan claims to be from the future: {clock.shown(manifest.created_at)}"))
    if receipt is not None:
        found += _applied_since(manifest, receipt, ordered=expected.ordered)
    return found + _made_otherwise(manifest, expected)


def _applied_since(manifest: Manifest, receipt: Receipt, *, ordered: bool) -> list[tuple[str, str]]:
    """That another plan was applied since this one was made."""
    if ordered and receipt.plan_id not in (manifest.follows, manifest.id):
        return [("stale", "another plan was applied since this one was made")]
    if (
        receipt.serial is not None
        and manifest.serial is not None
        and manifest.lineage in (receipt.lineage, None)
        and manifest.serial < receipt.serial
        and not _is_later(manifest, receipt)
    ):
        message = f"the state has changed: planned for serial {manifest.serial}, last applied is {receipt.serial}"
        return [("stale", message)]
    return []


def _of_another(manifest: Manifest, stack: str, expected: Expected) -> list[tuple[str, str]]:
    """Whether a plan is of another stack, environment, project or state."""
    found: list[tuple[str, str]] = []
    if manifest.stack != stack:
        found.append(("stack", f"this is a plan of stack '{manifest.stack}'"))
    if manifest.environment != expected.environment:
        found.append(
            ("environment", f"this is a plan for environment '{manifest.environment}', not '{expected.environment}'")
        )
    if expected.project and manifest.project != expected.project:
        made = f"in project {manifest.project}" if manifest.project else "outside of a project's pipeline"
        message = f"this plan was made {made}, but this is project {expected.project}"
        found.append(("project", message))
    if manifest.backend != expected.backend:
        message = "this plan was made for another state: the backend of this stack is set differently here"
        found.append(("backend", message))
    return found


def _is_later(manifest: Manifest, receipt: Receipt) -> bool:
    """Whether a plan was made after an apply: then an older state has been restored from a backup."""
    known = manifest.follows is not None and manifest.follows == receipt.plan_id
    return known or manifest.created_at > (receipt.finished_at or "")


def _made_otherwise(manifest: Manifest, expected: Expected) -> list[tuple[str, str]]:
    """Which builds and images differ from those of the plan."""
    found: list[tuple[str, str]] = []
    if manifest.builds != expected.builds:
        names = ", ".join(sorted(set(manifest.builds) | set(expected.builds)))
        found.append(("build", f"it was planned with different outputs of {names} than those here"))
    if names := ", ".join(name for name in manifest.unpinned if name not in expected.by_tag):
        found.append(("unpinned", f"this plan was made before the image was in its registry: {names}"))
    return found


@cache
def _adapter() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)  # slow, and only needed to read a manifest


def from_json(record: dict[str, Any]) -> Manifest:
    """The manifest with this body.

    Raises:
        ValueError: A field is missing, unknown or of the wrong type.
    """
    manifest = _adapter().validate_python(record)
    if manifest.body() != record or datetime.fromisoformat(manifest.created_at).tzinfo is None:
        raise ValueError("not in canonical form")
    return manifest


def refused(reason: str, stack: str, message: str) -> ArtifactRefusedError:
    """A refusal with the usual next step: plan again."""
    return ArtifactRefusedError(reason, message, stack=stack)


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:.1f} h"
