"""Promotion: whether a stack's code has been deployed to the environment that this one follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.layout import Layout
from . import reasons, receipt
from .inputs import CODE, Input, InputKind, Inputs

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..project.project import Project


def missing(project: Project, stack: str, inputs: Inputs) -> str | None:
    """What of a stack's code is not deployed to the environment to follow, in words; None if all is, or none is set.

    Code is compared by content, so a commit that changes nothing in the stack makes no difference.

    Raises:
        RecordError: The other environment's receipt cannot be read.
    """
    followed = project.config.follows
    if followed is None:
        return None
    last = receipt.read(Layout(project.layout.root, followed), stack)
    if last is None or not last.applied:
        return f"never deployed to {followed}"
    produced = {Input(InputKind.FILE, path) for path in last.produced}
    found = reasons.between(_code(last.inputs, produced), _code(inputs, produced))
    return f"not in {followed} yet: {reasons.summary(found)}" if found else None


def _code(inputs: Inputs, produced: Collection[Input]) -> Inputs:
    """Those of some inputs that are the same in every environment."""
    return Inputs({
        item: digest.rpartition(":")[2] if item.kind is InputKind.IMAGE else digest  # each has its own registry
        for item, digest in inputs.digests.items()
        if item.kind in CODE and item not in produced
    })  # fmt: skip
