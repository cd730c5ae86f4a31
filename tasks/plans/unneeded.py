"""An apply that would change nothing: neither the infrastructure nor the state. No engine is started for it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..artifact.inputs import InputKind
from ..base import jsontext
from ..base.jsonvalue import fields
from ..engine import encryption
from ..engine.planfile import plan as plans
from ..engine.planfile.wire import UnreadableError
from ..run import readstate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..artifact.manifest import Manifest
    from ..artifact.opening import Artifact
    from ..artifact.receipt import Receipt
    from ..engine.command import Context
    from ..engine.planfile.plan import SavedPlan
    from ..project.stack import Stack
    from ..run.run import Run

_MADE_WITH = (InputKind.ENGINE, InputKind.LOCK_FILE)
_REATTACHED = "TF_REATTACH_PROVIDERS"
_OVERRIDES = "dev_overrides"  # providers that are not those of the lock file
_CLI_CONFIGURATION = (".tofurc", ".terraformrc")


@dataclass(frozen=True)
class Unneeded:
    """The state that an apply would leave exactly as it is."""

    serial: int
    outputs: Mapping[str, Any] = field(repr=False)


def found(run: Run, stack: Stack, artifact: Artifact, last: Receipt | None, where: Context) -> Unneeded | None:
    """Whether an apply of a verified plan would write nothing; None where it would, or where that is not certain.

    An empty plan is not enough: with one, an apply still saves what the refresh has found, which resources depend on
    which, and the results of checks, and it encrypts the state with the current key. So the plan is empty, and what
    would be saved is compared with the state as it is now. Only the engine reads an encrypted plan.

    Args:
        run: The run.
        stack: The stack.
        artifact: The plan.
        last: The stack's receipt.
        where: Its context.

    Raises:
        StoppedError: The run was asked to stop.
    """
    if last is None or not last.applied or not _made_alike(run, last, artifact.manifest):
        return None
    try:
        saved = plans.read(artifact.plan)
        if not saved.changes_nothing or any(b"encryption" in part for part in _configuration(saved)):
            return None
        planned = jsontext.loads(saved.parts["tfstate"])
    except (UnreadableError, KeyError, ValueError, RecursionError):
        return None
    if not isinstance(planned, dict):
        return None
    now = readstate.content(run, stack, where)
    if now is None or not _alike(planned, now) or not _same_checks(saved, now):
        return None
    return Unneeded(int(str(now["serial"])), fields(now["outputs"]))


def _made_alike(run: Run, last: Receipt, manifest: Manifest) -> bool:
    """Whether the last apply had the same engine, providers and keys, so that this one writes what it would have."""
    if run.project.keyring.is_set or last.state_key is not None or os.environ.get(encryption.VARIABLE):
        return False
    if os.environ.get(_REATTACHED) or _overrides_providers():
        return False
    locked = any(item.kind is InputKind.LOCK_FILE for item in manifest.inputs.digests)
    if manifest.lock_digest is not None and not locked:
        return False
    return not any(item.kind in _MADE_WITH for item in last.inputs.differing(manifest.inputs))


def _overrides_providers() -> bool:
    """Whether the engine's own configuration replaces providers by some that are being developed."""
    named = os.environ.get("TF_CLI_CONFIG_FILE")
    files = [Path(named)] if named else [Path.home() / name for name in _CLI_CONFIGURATION]
    for file in files:
        with suppress(OSError):
            if _OVERRIDES in file.read_text(errors="replace"):
                return True
    return False


def _configuration(saved: SavedPlan) -> Iterator[bytes]:
    return (part for name, part in saved.parts.items() if name.startswith("tfconfig/"))


def _alike(planned: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a state is the one that a plan was made for, and would be saved with the same resources and outputs."""
    same = all(planned.get(key) == now.get(key) for key in ("lineage", "serial"))
    return (
        same
        and bool(now.get("lineage"))
        and isinstance(now.get("outputs"), dict)
        and all(_text(planned.get(key)) == _text(now.get(key)) for key in ("outputs", "resources"))
    )


def _text(value: Any) -> str:
    return jsontext.dumps(value, sort_keys=True)


def _same_checks(saved: SavedPlan, now: Mapping[str, Any]) -> bool:
    """Whether the state has the very results of checks that would be saved; all of those in the plan have passed."""
    planned = sorted((check.address, sorted(item.address for item in check.objects)) for check in saved.checks)
    try:
        known = sorted(
            (str(check["config_addr"]), sorted(str(item["object_addr"]) for item in check.get("objects") or ()))
            for check in now.get("check_results") or ()
            if check["status"] == "pass" and all(item["status"] == "pass" for item in check.get("objects") or ())
        )
    except (KeyError, TypeError, AttributeError):
        return False
    return planned == known and len(known) == len(now.get("check_results") or ())
