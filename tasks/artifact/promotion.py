"""Promotion: whether a stack's code has been deployed to the environment that this one follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.layout import Layout
from . import receipt
from .inputs import reasons, summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..project.project import Project
    from .inputs import Inputs

_CODE = ("file ", "module ", "lock file ", "watched file ", "build ", "image ")


def missing(project: Project, stack: str, inputs: Inputs) -> str | None:
    """What of a stack's code never reached the environment to follow, in words; None when all has, or none is set.

    Code is compared by content, so a commit that changes something else counts as arrived.

    Raises:
        RecordError: The other environment's receipt cannot be read.
    """
    followed = project.config.follows
    if followed is None:
        return None
    last = receipt.read(Layout(project.layout.root, followed), stack)
    if last is None or not last.applied:
        return f"never deployed to {followed}"
    words = reasons(_code(last.inputs, last.produced), _code(inputs.labels, last.produced))
    return f"not in {followed} yet: {summary(words)}" if words else None


def _code(labels: Mapping[str, str], produced: list[str]) -> dict[str, str]:
    return {
        label: digest.rpartition(":")[2] if label.startswith("image ") else digest  # each environment has its registry
        for label, digest in labels.items()
        if label.startswith(_CODE) and label.removeprefix("file ") not in produced
    }
