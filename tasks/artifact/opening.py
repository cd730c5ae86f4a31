"""A plan artifact, opened: its files read once, everything in them checked, the plan as bytes that cannot change."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base import plain, sealed
from ..base.errors import ArtifactRefusedError
from ..base.files import canonical_json, parse_json, sha256_bytes
from ..base.problem import doit
from ..project.config import signature
from .manifest import FORMAT, from_json, refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..base.layout import Layout
    from ..base.sealed import Sealed
    from ..project.config.signer import Signer
    from .manifest import Manifest

_LARGEST_PLAN = 1 << 31
_LARGEST_MANIFEST = 1 << 28


@dataclass(frozen=True)
class Artifact:
    """A manifest, and the plan that it was made for, byte for byte."""

    manifest: Manifest
    plan: Sealed


@contextmanager
def opened(layout: Layout, stack: str, key: Signer | None) -> Iterator[Artifact]:
    """An artifact whose manifest is whole, signed when there is a key, and belongs to this stack's plan.

    A plan file carries its own configuration: who can write it and its manifest can run code in the deploy job. Only
    who has the key can sign. What is checked here is a sealed copy of the plan, and it is that copy that is to be
    shown, judged and applied: whatever happens to the file from now on, no path leads back to it.

    Raises:
        ArtifactRefusedError: Something is missing, was changed, is not signed, or is not a plain file.
    """
    with _sealed_plan(layout, stack) as plan:
        manifest = _manifest(layout, stack, key)
        if plan.sha256 != manifest.plan_sha256:
            name = layout.relative(layout.plan(stack))
            raise refused("plan-changed", stack, f"{name} is not the file that was planned: its hash differs")
        yield Artifact(manifest, plan)


def load(layout: Layout, stack: str, key: Signer | None) -> Manifest:
    """The manifest of an artifact that is as `opened` wants it.

    Raises:
        ArtifactRefusedError: It is not.
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
        raise refused("size", stack, f"{name} is larger than a plan can be")
    return plan


def _manifest(layout: Layout, stack: str, key: Signer | None) -> Manifest:
    """The manifest, once it is known to be as it was written."""
    path = layout.manifest(stack)
    name = layout.relative(path)
    with os.fdopen(_open(layout, path, stack), "rb") as stream:
        text = stream.read(_LARGEST_MANIFEST)
    try:
        record = parse_json(text)
        digest, signed = record.pop("digest"), record.pop("signature", None)
        if isinstance(found := record.get("format"), int) and found != FORMAT:
            raise refused(
                "format", stack, f"{name} was written by another version of doit-tofu, whose plans are not applied"
            )
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


def _check_signature(layout: Layout, stack: str, record: dict[str, Any], signed: Any, key: Signer | None) -> None:
    signer = str(record.get("key"))[:8]
    name = layout.relative(layout.manifest(stack))
    if key is None:
        if signed is not None or record.get("key") is not None:
            message = f"this plan was made with a key ({signer}), and none is set here"
            again = (" had, then ", doit("deploy"), "; or ", doit(f"plan:{stack}"))
            steps = ("set the key that ", doit("plan"), *again)
            raise ArtifactRefusedError("no-key", message, stack=stack, next_step=steps)
        return
    if signed is None:
        message = f"{name} is not signed, but a key is set ({key.variable}): anybody may have made it"
        signs = (doit(f"plan:{stack}"), " with the key makes a plan that is signed; then ", doit("deploy"))
        raise ArtifactRefusedError("unsigned", message, stack=stack, next_step=signs)
    if not signature.fits(record, signed, key):
        if signer == key.fingerprint:
            raise refused("signature", stack, f"{name} is not what was signed with {key.variable} ({key.fingerprint})")
        message = f"{name} is signed with another key ({signer}) than {key.variable} holds ({key.fingerprint})"
        other = (doit(f"plan:{stack}"), " with this key; then ", doit("deploy"))
        ways = (f"set {key.variable} as in the job that planned; or ", *other)
        raise ArtifactRefusedError("signature", message, stack=stack, next_step=ways)
