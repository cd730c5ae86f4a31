"""Plan artifacts: the saved plan, the manifest that binds it, and the checks that deploy makes before it applies."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import zipfile
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from . import signature
from .errors import ArtifactRefusedError, RecordError
from .files import canonical_json, fsync_dir, read_json, sha256_bytes, sha256_file, write_json
from .inputs import reasons, summary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .inputs import Inputs
    from .keyring import Key
    from .layout import Layout
    from .receipt import Receipt

FORMAT = 1
STALE = "the state moved on since this was planned"
_CLOCK_SKEW = timedelta(minutes=5)  # between the machine that planned and the one that deploys
_LARGEST = 1 << 31
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """What a saved plan was made of and for.

    `origin` is `plan` for an artifact to be reviewed and handed over, `deploy` for one that a deploy made for itself.
    `upstream` is the commit of what an overlay lies over. `key` is the fingerprint of the key that it is signed with,
    if any. `policy` is the digest of what it was judged by, `allowed` names the findings that were let through; who
    applies it judges it again. `images` are the references that variables got, `unpinned` the images among them that
    were not in their registry yet; `builds` are the digests of the outputs that were read. `meaning` is the digest of
    what it means (`review.semantic`), which binds `plan.json`. In the file stand two more: `digest`, the SHA-256 over
    all fields, finds a manifest that was changed or torn; `signature` (see there) finds a forger.
    """

    stack: str
    environment: str
    origin: str
    plan_sha256: str
    inputs_digest: str
    inputs: dict[str, str]
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
    meaning: str | None = None
    images: dict[str, str] = field(default_factory=dict)
    unpinned: list[str] = field(default_factory=list)
    builds: dict[str, str] = field(default_factory=dict)
    policy: str | None = None
    allowed: list[str] = field(default_factory=list)
    format: int = FORMAT

    def to_json(self, key: Key | None) -> dict[str, Any]:
        """The manifest with its digest, and signed when there is a key."""
        body = asdict(self)
        signed = {"signature": signature.sign(body, key)} if key else {}
        return {**body, "digest": sha256_bytes(canonical_json(body)), **signed}

    @property
    def age(self) -> timedelta:
        """How long ago it was made."""
        return datetime.now(UTC) - datetime.fromisoformat(self.created_at)


@dataclass(frozen=True)
class Expected:
    """What an artifact must match to be applied here and now."""

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
    builds: Mapping[str, str] = field(default_factory=dict)


def discard(layout: Layout, stack: str) -> None:
    """Remove a stack's artifact: a planning that fails must not leave the old one to be applied.

    Killed in the middle, it leaves an artifact that counts as taken, not one that has lost a part.

    Raises:
        RecordError: A file cannot be removed.
    """
    if os.path.lexists(layout.manifest(stack)):
        with contextlib.suppress(RecordError, TypeError, KeyError):
            write_json(layout.claim(stack), {"plan_sha256": read_json(layout.manifest(stack))["plan_sha256"]})
    parts = (layout.draft, layout.plan, layout.manifest, layout.plan_json, layout.claim)
    for path in (part(stack) for part in parts):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise RecordError(
                f"cannot remove {layout.relative(path)}: {error.strerror}",
                stack=stack,
                untouched="nothing was planned or applied",
                next_step="make the folder writable, then run the same command again",
            ) from error


def settle(layout: Layout, stack: str) -> None:
    """End what `store` had begun when it was killed: the manifest is there, its plan still has the draft's name.

    Only for who holds the environment: in another run's hands the plan is about to get its name.
    """
    draft, plan = layout.draft(stack), layout.plan(stack)
    if os.path.lexists(plan) or not os.path.lexists(draft) or not os.path.lexists(layout.manifest(stack)):
        return
    with contextlib.suppress(RecordError, OSError, TypeError, KeyError):
        if (
            stat.S_ISREG(draft.lstat().st_mode)
            and sha256_file(draft) == read_json(layout.manifest(stack))["plan_sha256"]
        ):
            draft.replace(plan)


def pending(layout: Layout, stack: str) -> bool:
    """Whether there is an artifact that no deploy has taken yet; cheap."""
    if not os.path.lexists(layout.plan(stack)) and not os.path.lexists(layout.manifest(stack)):
        return False
    try:
        claim = read_json(layout.claim(stack))
        manifest = read_json(layout.manifest(stack))
        return not claim or bool(claim.get("stale")) or claim.get("plan_sha256") != manifest.get("plan_sha256")
    except (RecordError, AttributeError):
        return True


def origin(layout: Layout, stack: str) -> str | None:
    """The origin that the manifest states, unverified; None when it cannot be read."""
    try:
        return str(read_json(layout.manifest(stack))["origin"])
    except (RecordError, TypeError, KeyError):
        return None


def claim(layout: Layout, manifest: Manifest) -> None:
    """Take an artifact, durably, before it is applied: from now on it is never applied again.

    Raises:
        RecordError: The claim cannot be written; nothing was applied.
    """
    write_json(layout.claim(manifest.stack), {"plan_sha256": manifest.plan_sha256})


def release(layout: Layout, stack: str) -> None:
    """Give an artifact back that was taken, when nothing of it was applied.

    Raises:
        RecordError: The claim cannot be removed; the artifact then counts as applied and has to be planned again.
    """
    try:
        layout.claim(stack).unlink(missing_ok=True)
    except OSError as error:
        raise RecordError(f"cannot remove {layout.relative(layout.claim(stack))}: {error.strerror}") from error


def mark_stale(layout: Layout, manifest: Manifest) -> None:
    """Say of an artifact that the engine found it stale: it stays, and is refused, until somebody plans again.

    Raises:
        RecordError: That cannot be written; the artifact then counts as applied and has to be planned again.
    """
    write_json(layout.claim(manifest.stack), {"plan_sha256": manifest.plan_sha256, "stale": True})


def refuse_stale(layout: Layout, manifest: Manifest) -> None:
    """Refuse an artifact that the engine has found stale before.

    Raises:
        ArtifactRefusedError: It was.
    """
    with contextlib.suppress(RecordError, AttributeError):
        found = read_json(layout.claim(manifest.stack)) or {}
        if found.get("stale") and found.get("plan_sha256") == manifest.plan_sha256:
            raise _refused("stale", manifest.stack, STALE)


def state_of_plan(path: Path) -> tuple[str | None, int | None]:
    """The lineage and serial of the state that a saved plan was made for; None where it cannot be read.

    A saved plan is a zip file with the state in it (https://opentofu.org/docs/internals/json-format/ describes only
    its JSON form; the layout is the engine's own and was checked with 1.12).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            state = json.loads(archive.read("tfstate"))
        return state.get("lineage") or None, int(state["serial"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, RuntimeError):
        return None, None


def is_encrypted(path: Path) -> bool:
    """Whether a saved plan is encrypted: one in clear is a zip file."""
    with path.open("rb") as stream:
        return stream.read(2) != b"PK"


def load(layout: Layout, stack: str, key: Key | None) -> Manifest:
    """Read a manifest that is whole, signed when there is a key, and belongs to this stack's plan file, byte for byte.

    A plan file carries its own configuration: who can write it and its manifest can run code in the deploy job. Only
    who has the key can sign.

    Raises:
        ArtifactRefusedError: Something is missing, was changed, is not signed, or is not a plain file.
    """
    plan, path = layout.plan(stack), layout.manifest(stack)
    for file in (plan, path):
        _plain_file(layout, file, stack)
    try:
        record = json.loads(path.read_bytes())
        digest, signed = record.pop("digest"), record.pop("signature", None)
        manifest = Manifest(**record)
        _check_types(manifest)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _refused("manifest-unreadable", stack, f"{layout.relative(path)} cannot be read as a manifest") from None
    _check_signature(layout, stack, record, signed, key)
    if digest != sha256_bytes(canonical_json(record)):
        raise _refused("manifest-changed", stack, f"{layout.relative(path)} was changed after it was written")
    if manifest.format != FORMAT:
        raise _refused("format", stack, f"the manifest has format {manifest.format}, this version reads {FORMAT}")
    if not _SHA256.fullmatch(manifest.plan_sha256) or sha256_file(plan) != manifest.plan_sha256:
        raise _refused(
            "plan-changed", stack, f"{layout.relative(plan)} is not the file that was planned: its hash differs"
        )
    return manifest


def _check_signature(layout: Layout, stack: str, record: dict[str, Any], signed: Any, key: Key | None) -> None:
    signer = str(record.get("key"))[:8]
    name = layout.relative(layout.manifest(stack))
    if key is None:
        if signed is not None or record.get("key") is not None:
            message = f"this plan was made with a key ({signer}), and none is set here"
            step = f"set the key that `doit plan` had, then `doit deploy`; or `doit plan:{stack}`"
            raise ArtifactRefusedError("no-key", message, stack=stack, next_step=step)
        return
    if signed is None:
        message = f"{name} is not signed, but a key is set ({key.variable}): anybody may have made it"
        step = f"`doit plan:{stack}` with the key makes a plan that is signed; then `doit deploy`"
        raise ArtifactRefusedError("unsigned", message, stack=stack, next_step=step)
    if not signature.fits(record, signed, key):
        if signer == key.fingerprint:
            raise _refused("signature", stack, f"{name} is not what was signed with {key.variable} ({key.fingerprint})")
        message = f"{name} is signed with another key ({signer}) than {key.variable} holds ({key.fingerprint})"
        step = (
            f"set {key.variable} as in the job that planned; or `doit plan:{stack}` with this key; then `doit deploy`"
        )
        raise ArtifactRefusedError("signature", message, stack=stack, next_step=step)


def verify(manifest: Manifest, stack: str, expected: Expected) -> None:
    """Refuse an artifact that is not for this stack, this environment, this tree, this engine, this moment.

    Raises:
        ArtifactRefusedError: By name, the first thing that does not match.
    """
    for reason, message in _mismatches(manifest, stack, expected):
        if reason == "mocked":
            step = f"`doit plan:{stack} mocks=no` defers it instead; then `doit deploy` plans it after its upstream"
            raise ArtifactRefusedError(reason, message, stack=stack, next_step=step)
        raise _refused(reason, stack, message)


def _mismatches(manifest: Manifest, stack: str, expected: Expected) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if manifest.stack != stack:
        found.append(("stack", f"this is a plan of stack '{manifest.stack}'"))
    if manifest.environment != expected.environment:
        found.append(
            ("environment", f"this is a plan for environment '{manifest.environment}', not '{expected.environment}'")
        )
    if manifest.mocked:
        names = ", ".join(manifest.mocked)
        found.append(("mocked", f"this plan was made with stand-ins for {names}: it is for review only"))
    receipt = expected.receipt
    if receipt is not None and receipt.plan_sha256 == manifest.plan_sha256:
        found.append(("applied", f"this plan was already applied ({receipt.outcome} at {receipt.finished_at or '?'})"))
    if manifest.commit != expected.commit:
        old, new = (commit[:8] if commit else "no commit" for commit in (manifest.commit, expected.commit))
        found.append(("commit", f"this plan was made at {old}, the tree is at {new}"))
    if manifest.upstream != expected.upstream:
        old, new = (commit or "no commit" for commit in (manifest.upstream, expected.upstream))
        found.append(("upstream", f"this plan was made over the upstream at {old}, here it is at {new}"))
    if manifest.dirty and (expected.require_clean or not expected.dirty):
        why = "see plan.require_clean" if expected.dirty else "this tree has none"
        found.append(("dirty", f"this plan was made in a tree with uncommitted changes; {why}"))
    if manifest.engine != expected.engine:
        found.append(("engine", f"this plan was made by {manifest.engine}, the engine here is {expected.engine}"))
    if manifest.lock_digest != expected.lock_digest:
        what = "is missing" if expected.lock_digest is None else "is another one than when this was planned"
        found.append(("lock-file", f".terraform.lock.hcl {what}"))
    if manifest.inputs_digest != sha256_bytes(canonical_json(manifest.inputs)):
        found.append(("inputs-digest", "the manifest's inputs do not have the digest that it states"))
    if manifest.inputs_digest != expected.inputs.digest:
        why = summary(reasons(manifest.inputs, expected.inputs.labels))
        found.append(("inputs", f"this plan was made of other inputs: {why}"))
    if manifest.age > expected.max_age:
        found.append(("age", f"this plan is {_hours(manifest.age)} old, more than {_hours(expected.max_age)}"))
    if manifest.age < -_CLOCK_SKEW:
        found.append(("future", f"this plan says it was made in the future, at {manifest.created_at}"))
    if (
        receipt is not None
        and receipt.serial is not None
        and manifest.serial is not None
        and manifest.lineage in (receipt.lineage, None)
        and manifest.serial < receipt.serial
        and manifest.created_at <= (receipt.finished_at or "")  # a later plan is of a state that somebody put back
    ):
        message = f"the state moved on: planned for serial {manifest.serial}, last applied is {receipt.serial}"
        found.append(("stale", message))
    return found + _made_otherwise(manifest, expected)


def _made_otherwise(manifest: Manifest, expected: Expected) -> list[tuple[str, str]]:
    """What of builds and images is not as it was planned."""
    found: list[tuple[str, str]] = []
    if manifest.builds != expected.builds:
        names = ", ".join(sorted(set(manifest.builds) | set(expected.builds)))
        found.append(("build", f"it was planned with other outputs of {names} than those that are here"))
    if manifest.unpinned:
        names = ", ".join(manifest.unpinned)
        found.append(("unpinned", f"this plan was made before the image was in its registry: {names}"))
    return found


def _check_types(manifest: Manifest) -> None:
    """Raise a ValueError or TypeError where a field is not of its kind."""
    if datetime.fromisoformat(manifest.created_at).tzinfo is None:
        raise ValueError("created_at")
    texts = (manifest.stack, manifest.environment, manifest.origin, manifest.plan_sha256, manifest.inputs_digest)
    mappings = (manifest.inputs, manifest.counts, manifest.images, manifest.builds)
    if not all(isinstance(text, str) for text in (*texts, manifest.engine)):
        raise TypeError("text")
    if not all(isinstance(mapping, dict) for mapping in mappings) or not all(
        isinstance(items, list) for items in (manifest.mocked, manifest.allowed, manifest.unpinned)
    ):
        raise TypeError("mapping")
    if not isinstance(manifest.key, str | None) or not isinstance(manifest.policy, str | None):
        raise TypeError("key")
    if not isinstance(manifest.serial, int | None) or not isinstance(manifest.dirty, bool):
        raise TypeError("number")


def _plain_file(layout: Layout, path: Path, stack: str) -> None:
    name = layout.relative(path)
    try:
        status = path.lstat()
    except OSError:
        raise _refused("missing", stack, f"{name} is missing") from None
    inside = path.parent.resolve() == layout.base.resolve() / "plans" / stack
    if not stat.S_ISREG(status.st_mode) or not inside:
        raise _refused("not-a-file", stack, f"{name} is not a plain file in its own folder")
    if status.st_size > _LARGEST:
        raise _refused("size", stack, f"{name} is larger than a plan can be")


def _refused(reason: str, stack: str, message: str) -> ArtifactRefusedError:
    return ArtifactRefusedError(reason, message, stack=stack)


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:.1f} h"


def store(layout: Layout, manifest: Manifest, key: Key | None) -> None:
    """Make a draft and its manifest, signed when there is a key, an artifact, durably; the plan gets its name last.

    Raises:
        RecordError: It cannot be written.
    """
    draft, plan = layout.draft(manifest.stack), layout.plan(manifest.stack)
    try:
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        write_json(layout.manifest(manifest.stack), manifest.to_json(key))
        draft.replace(plan)
        fsync_dir(plan.parent)
    except OSError as error:
        raise RecordError(
            f"cannot keep {layout.relative(plan)}: {error.strerror}",
            stack=manifest.stack,
            untouched="nothing was applied",
            next_step="make room or make the folder writable, then run the same command again",
        ) from error
