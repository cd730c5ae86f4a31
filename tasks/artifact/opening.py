"""Opens a plan artifact: reads its files once, verifies them, and keeps the plan as immutable bytes."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base import plain, sealed
from ..base.errors import ArtifactRefusedError
from ..base.files import canonical_json, parse_json, sha256_bytes
from ..base.problem import doit
from ..project.config import signature
from .manifest import FORMAT, from_json, refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..base.jsonvalue import Json, JsonObject
    from ..base.layout import Layout
    from ..base.sealed import Sealed
    from ..project.config.signer import Signer
    from .manifest import Manifest

_LARGEST_PLAN = 1 << 31
_LARGEST_MANIFEST = 1 << 28


@dataclass(frozen=True)
class Artifact:
    """A manifest and its plan, byte for byte."""

    manifest: Manifest
    plan: Sealed


@contextmanager
def opened(layout: Layout, stack: str, key: Signer | None) -> Iterator[Artifact]:
    """An artifact whose manifest is complete, signed if there is a key, and matches its plan file.

    A plan file carries its own configuration: anyone who can write it and its manifest can run code in the deploy job.
    Only a holder of the key can sign. A sealed copy of the plan is verified, and that copy is shown, judged and
    applied: later changes of the file have no effect.

    Raises:
        ArtifactRefusedError: A file is missing, changed, not signed, or not a plain file.
    """
    with _sealed_plan(layout, stack) as plan:
        manifest = _manifest(layout, stack, key)
        if plan.sha256 != manifest.plan_sha256:
            name = layout.relative(layout.plan(stack))
            raise refused("plan-changed", stack, f"{name} is not the file that was planned: its hash differs")
        yield Artifact(manifest, plan)


def load(layout: Layout, stack: str, key: Signer | None) -> Manifest:
    """The manifest of an artifact, verified as in `opened`.

    Raises:
        ArtifactRefusedError: It fails verification.
    """
    with opened(layout, stack, key) as artifact:
        return artifact.manifest


def _sealed_plan(layout: Layout, stack: str) -> Sealed:
    path = layout.plan(stack)
    name = layout.relative(path)
    source = _open(layout, path, stack)
    try:
        big = os.fstat(source).st_size > _LARGEST_PLAN
        plan = None if big else sealed.copy(source, _LARGEST_PLAN)
    except OSError as error:
        raise refused("unreadable", stack, f"{name} cannot be read: {error.strerror}") from error
    finally:
        os.close(source)
    if plan is None:
        raise refused("size", stack, f"{name} is too large for a plan")
    return plan


def _manifest(layout: Layout, stack: str, key: Signer | None) -> Manifest:
    """The manifest, after its digest was verified."""
    path = layout.manifest(stack)
    name = layout.relative(path)
    with os.fdopen(_open(layout, path, stack), "rb") as stream:
        text = stream.read(_LARGEST_MANIFEST)
    try:
        record = parse_json(text)
        digest, signed = record.pop("digest"), record.pop("signature", None)
        if isinstance(found := record.get("format"), int) and found != FORMAT:
            raise refused("format", stack, f"{name} was written by an incompatible version of doit-tofu")
        manifest = from_json(record)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise refused("manifest-unreadable", stack, f"{name} cannot be read as a manifest") from None
    _check_signature(layout, stack, record, signed, key)
    if digest != sha256_bytes(canonical_json(record)):
        raise refused("manifest-changed", stack, f"{name} was changed after it was written")
    return manifest


def _open(layout: Layout, path: Path, stack: str) -> int:
    """The descriptor of a plain file of an artifact, in the artifact's own folder."""
    name = layout.relative(path)
    try:
        return plain.below(layout.base, *path.relative_to(layout.base).parts)
    except FileNotFoundError:
        raise refused("missing", stack, f"{name} is missing") from None
    except plain.NotPlainError:
        raise refused("not-a-file", stack, f"{name} is not a plain file in its own folder") from None
    except OSError as error:
        raise refused("unreadable", stack, f"{name} cannot be read: {error.strerror}") from error


def _check_signature(layout: Layout, stack: str, record: JsonObject, signed: Json, key: Signer | None) -> None:
    signer = str(record.get("key"))[:8]
    name = layout.relative(layout.manifest(stack))
    if key is None:
        if signed is not None or record.get("key") is not None:
            message = f"this plan was made with a key ({signer}), but none is set here"
            again = (" had, then ", doit("deploy"), "; or ", doit(f"plan:{stack}"))
            steps = ("set the key that ", doit("plan"), *again)
            raise ArtifactRefusedError("no-key", message, stack=stack, next_step=steps)
        return
    if signed is None:
        message = f"{name} is not signed, but a key is set ({key.variable}): anyone could have made it"
        signs = (doit(f"plan:{stack}"), " with the key makes a plan that is signed; then ", doit("deploy"))
        raise ArtifactRefusedError("unsigned", message, stack=stack, next_step=signs)
    if not signature.fits(record, signed, key):
        if signer == key.fingerprint:
            raise refused("signature", stack, f"{name} is not what was signed with {key.variable} ({key.fingerprint})")
        message = f"{name} is signed with another key ({signer}) than the one in {key.variable} ({key.fingerprint})"
        other = (doit(f"plan:{stack}"), " with this key; then ", doit("deploy"))
        ways = (f"set {key.variable} as in the plan job; or ", *other)
        raise ArtifactRefusedError("signature", message, stack=stack, next_step=ways)
