"""How the inputs of a stack differ from those that the ledger has of its last deploy."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .inputs import CODE, FILES, NOT_RECORDED, VALUES, InputKind, Inputs

if TYPE_CHECKING:
    from ..base.jsonvalue import Json
    from .inputs import Input

_COMPARED = CODE | FILES | VALUES | {InputKind.ENGINE}  # outputs and what plans read are known to the deploy alone


@dataclass(frozen=True)
class Pending:
    """The difference.

    Args:
        differs: Whether the deployed inputs are others.
        without_value: The environment variables that the deploy had, and this job has not: they are not compared.
    """

    differs: bool = False
    without_value: tuple[str, ...] = ()


def compare(recorded: Json, now: Inputs) -> Pending:
    """Compare the inputs of a stack in the ledger with those in this job.

    Args:
        recorded: The inputs in the ledger, as JSON.
        now: The inputs in this job.
    """
    with suppress(ValueError):
        before = Inputs.from_json(recorded)
        changed = [item for item in before.differing(now) if item.kind in _COMPARED]
        missing = [item for item in changed if item.kind is InputKind.ENVIRONMENT_VARIABLE and item not in now.digests]
        rest = [item for item in changed if item not in missing]
        if before.key != now.key:  # digests of values are made with the key
            rest = [item for item in rest if item.kind not in VALUES]
        differs = any(before.digests.get(item) != NOT_RECORDED for item in rest)
        return Pending(differs, tuple(sorted(item.name for item in missing)))
    return Pending(differs=True)


def seen(recorded: Json) -> list[Input]:
    """What a plan was seen to read, of the inputs in the ledger, as JSON."""
    with suppress(ValueError):
        return [item for item in Inputs.from_json(recorded).digests if item.kind is InputKind.OBSERVED]
    return []
