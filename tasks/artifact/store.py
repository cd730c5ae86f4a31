"""Stores plan artifacts as files, atomically, and hands each out once; `opening` reads them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import RecordError
from ..base.files import canonical_json, fsync_dir, json_bytes, read_json, sha256_bytes, sha256_file, write_atomic
from . import folder
from .manifest import refused

if TYPE_CHECKING:
    from ..base.jsonvalue import JsonObject
    from ..base.layout import Layout
    from ..base.sealed import Sealed
    from ..project.config.signer import Signer
    from .manifest import Manifest

STALE = "the state has changed since this was planned"


def discard(layout: Layout, stack: str) -> None:
    """Remove a stack's artifact, so that a failed plan does not leave an old one to be applied.

    If it is killed half-way, the artifact counts as claimed, not as incomplete.

    Raises:
        RecordError: A file cannot be removed.
    """
    if os.path.lexists(layout.manifest(stack)):
        with contextlib.suppress(RecordError, TypeError, KeyError):
            folder.keep(layout, layout.claim(stack), {"id": read_json(layout.manifest(stack))["id"]})
    parts = (layout.draft, layout.plan, layout.manifest, layout.plan_json, layout.plan_secrets, layout.claim)
    try:
        folder.drop(layout, *(part(stack) for part in parts))
    except OSError as error:
        raise RecordError(
            f"cannot remove {layout.relative(Path(error.filename))}: {error.strerror}",
            stack=stack,
            untouched="nothing was planned or applied",
            next_step="make the folder writable, then run the same command again",
        ) from error


def settle(layout: Layout, stack: str) -> None:
    """Complete a `store` that was killed after writing the manifest and before renaming the plan.

    Only with the environment lock held: otherwise another run may be about to rename it.
    """
    draft, plan = layout.draft(stack), layout.plan(stack)
    if os.path.lexists(plan) or not os.path.lexists(draft) or not os.path.lexists(layout.manifest(stack)):
        return
    with contextlib.suppress(RecordError, OSError, TypeError, KeyError):
        if (
            stat.S_ISREG(draft.lstat().st_mode)
            and sha256_file(draft) == read_json(layout.manifest(stack))["plan_sha256"]
        ):
            folder.announce(layout, {plan: sha256_file(draft)})
            draft.replace(plan)


def pending(layout: Layout, stack: str) -> bool:
    """Whether an artifact exists that no deploy has claimed yet; cheap."""
    if not os.path.lexists(layout.plan(stack)) and not os.path.lexists(layout.manifest(stack)):
        return False
    try:
        claim = read_json(layout.claim(stack))
        manifest = read_json(layout.manifest(stack))
        return not claim or bool(claim.get("stale")) or claim.get("id") != manifest.get("id")
    except (RecordError, AttributeError):
        return True


def origin(layout: Layout, stack: str) -> str | None:
    """The origin in the manifest, unverified; None if it cannot be read."""
    try:
        return str(read_json(layout.manifest(stack))["origin"])
    except (RecordError, TypeError, KeyError):
        return None


def claim(layout: Layout, manifest: Manifest) -> None:
    """Claim an artifact durably before it is applied: it is never applied again.

    Raises:
        RecordError: The claim cannot be written; nothing was applied.
    """
    folder.keep(layout, layout.claim(manifest.stack), {"id": manifest.id})


def release(layout: Layout, stack: str) -> None:
    """Release a claimed artifact of which nothing was applied.

    Raises:
        RecordError: The claim cannot be removed; the artifact then counts as applied, and the stack must be planned
            again.
    """
    try:
        folder.drop(layout, layout.claim(stack))
    except OSError as error:
        raise RecordError(f"cannot remove {layout.relative(layout.claim(stack))}: {error.strerror}") from error


def mark_stale(layout: Layout, manifest: Manifest) -> None:
    """Mark an artifact as stale: it stays, and is refused, until the stack is planned again.

    Raises:
        RecordError: The mark cannot be written; the artifact then counts as applied, and the stack must be planned
            again.
    """
    folder.keep(layout, layout.claim(manifest.stack), {"id": manifest.id, "stale": True})


def refuse_stale(layout: Layout, manifest: Manifest) -> None:
    """Refuse an artifact that the engine has already found stale.

    Raises:
        ArtifactRefusedError: It is stale.
    """
    with contextlib.suppress(RecordError, AttributeError):
        found = read_json(layout.claim(manifest.stack)) or {}
        if found.get("stale") and found.get("id") == manifest.id:
            raise refused("stale", manifest.stack, STALE)


def description(layout: Layout, manifest: Manifest) -> JsonObject | None:
    """The changes of a plan from `plan.json` (see `changes.PlanChanges`); None if the file belongs to another plan."""
    try:
        found = read_json(layout.plan_json(manifest.stack))
        return found if sha256_bytes(canonical_json(found)) == manifest.described else None
    except (RecordError, TypeError, ValueError, RecursionError):
        return None


def state_of_plan(plan: Sealed) -> tuple[str | None, int | None]:
    """The lineage and serial of the state that a saved plan was made for; None if it cannot be read.

    A saved plan is a zip file that contains the state. Its layout is internal to the engine and was checked with 1.12;
    https://opentofu.org/docs/internals/json-format/ only describes the JSON form.
    """
    try:
        with plan.stream() as stream, zipfile.ZipFile(stream) as archive:
            state = json.loads(archive.read("tfstate"))
        return state.get("lineage") or None, int(state["serial"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, RuntimeError):
        return None, None


def prior_state(plan: bytes) -> bytes | None:
    """The state that a saved plan was made for, as it was before the plan's refresh; None if it cannot be read."""
    try:
        with zipfile.ZipFile(BytesIO(plan)) as archive:
            return archive.read("tfstate-prev")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, RuntimeError):
        return None


def is_encrypted(plan: Sealed) -> bool:
    """Whether a saved plan is encrypted: an unencrypted one is a zip file."""
    with plan.stream() as stream:
        return stream.read(2) != b"PK"


def store(layout: Layout, manifest: Manifest, plan: Sealed, key: Signer | None) -> None:
    """Store a plan and its manifest (signed if there is a key) durably as an artifact; the plan is renamed last.

    Raises:
        RecordError: It cannot be written.
    """
    draft, path = layout.draft(manifest.stack), layout.plan(manifest.stack)
    try:
        _write(draft, plan)
        body = json_bytes(manifest.to_json(key))
        folder.announce(layout, {path: plan.sha256, layout.manifest(manifest.stack): sha256_bytes(body)})
        write_atomic(layout.manifest(manifest.stack), body)
        draft.replace(path)
        fsync_dir(path.parent)
    except OSError as error:
        raise RecordError(
            f"cannot store {layout.relative(path)}: {error.strerror}",
            stack=manifest.stack,
            untouched="nothing was applied",
            next_step="free disk space or make the folder writable, then run the same command again",
        ) from error


def _write(draft: Path, plan: Sealed) -> None:
    """Write a plan durably as a new private file, because it may contain every value in plain text."""
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as target, plan.stream() as source:
        shutil.copyfileobj(source, target)
        target.flush()
        os.fsync(target.fileno())
