"""Plan artifacts as files: stored whole or not at all, taken once, read with everything in them checked."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import zipfile
from typing import TYPE_CHECKING, Any

from ..base.errors import ArtifactRefusedError, RecordError
from ..base.files import canonical_json, fsync_dir, read_json, sha256_bytes, sha256_file, write_json
from ..project.config import signature
from . import manifest as manifests
from .manifest import FORMAT, Manifest, refused

if TYPE_CHECKING:
    from pathlib import Path

    from ..base.layout import Layout
    from ..project.config.keyring import Key

STALE = "the state moved on since this was planned"
_OTHER_FORMAT = "{name} was written by another version of doit-tofu, whose plans are not applied"
_LARGEST = 1 << 31
_SHA256 = re.compile(r"[0-9a-f]{64}")


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
            raise refused("stale", manifest.stack, STALE)


def description(layout: Layout, manifest: Manifest) -> dict[str, Any] | None:
    """What a plan does, as `plan.json` says (see `changes.PlanChanges`); None when that file is not this artifact's."""
    try:
        found = read_json(layout.plan_json(manifest.stack))
        return found if sha256_bytes(canonical_json(found)) == manifest.described else None
    except (RecordError, TypeError, ValueError, RecursionError):
        return None


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
        if record["format"] != FORMAT:
            raise refused("format", stack, _OTHER_FORMAT.format(name=layout.relative(path)))
        digest, signed = record.pop("digest"), record.pop("signature", None)
        manifest = manifests.from_json(record)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise refused("manifest-unreadable", stack, f"{layout.relative(path)} cannot be read as a manifest") from None
    _check_signature(layout, stack, record, signed, key)
    if digest != sha256_bytes(canonical_json(record)):
        raise refused("manifest-changed", stack, f"{layout.relative(path)} was changed after it was written")
    if not _SHA256.fullmatch(manifest.plan_sha256) or sha256_file(plan) != manifest.plan_sha256:
        raise refused(
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
            raise refused("signature", stack, f"{name} is not what was signed with {key.variable} ({key.fingerprint})")
        message = f"{name} is signed with another key ({signer}) than {key.variable} holds ({key.fingerprint})"
        step = (
            f"set {key.variable} as in the job that planned; or `doit plan:{stack}` with this key; then `doit deploy`"
        )
        raise ArtifactRefusedError("signature", message, stack=stack, next_step=step)


def _plain_file(layout: Layout, path: Path, stack: str) -> None:
    name = layout.relative(path)
    try:
        status = path.lstat()
    except OSError:
        raise refused("missing", stack, f"{name} is missing") from None
    inside = path.parent.resolve() == layout.base.resolve() / "plans" / stack
    if not stat.S_ISREG(status.st_mode) or not inside:
        raise refused("not-a-file", stack, f"{name} is not a plain file in its own folder")
    if status.st_size > _LARGEST:
        raise refused("size", stack, f"{name} is larger than a plan can be")


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
