"""The images and builds that a stack uses: references for its variables, digests of the outputs that it reads.

The functions import what reads receipts and registries: every plan calls them, and most stacks use neither.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..project.project import Project
    from ..project.stack import Stack


def references(project: Project, stack: Stack, *, deployed: bool = False) -> tuple[dict[str, str], list[str]]:
    """The image references for a stack's variables, and the names of the images that are not pinned yet.

    Args:
        project: The project, for its images.
        stack: The stack.
        deployed: Whether to return the references that were applied last, if the images are still the same.

    Raises:
        ConfigError: A value in an image's configuration cannot be filled in.
        RecordError: The stack's receipt cannot be read.
    """
    if not stack.settings.images:
        return {}, []
    from . import images

    return images.values(project, stack, deployed=deployed)


def by_tag(project: Project, stack: Stack) -> frozenset[str]:
    """The stack's images that may be deployed by their tags: optional ones that are not available."""
    if not stack.settings.images:
        return frozenset()
    from . import images

    return frozenset(name for name in stack.settings.images.values() if images.goes_by_tag(project, name))


def made_of(project: Project, stack: Stack) -> dict[str, str]:
    """The digests of the outputs that a stack reads, by build."""
    if project.catalog is None:
        return {}
    from . import made

    receipts = {name: made.read_build(project.layout, name) for name in project.catalog.read_by(stack)}
    return {name: receipt.outputs for name, receipt in receipts.items() if receipt}


def changed(project: Project, planned: Mapping[str, str]) -> list[str]:
    """The builds whose outputs differ from those that a plan was made with, sorted; every file is read.

    Args:
        project: The project, for the outputs' paths.
        planned: The digests of the outputs, by build.
    """
    catalog = project.catalog
    if catalog is None or not planned:
        return []
    from ..project.hcl.fileindex import FileIndex
    from . import made

    index = FileIndex(project.root, Path(os.devnull))  # an empty one
    return [
        f"outputs of build {name}"
        for name, digest in sorted(planned.items())
        if name not in catalog.builds or made.outputs_digest(project.root, index, catalog.outputs(name)) != digest
    ]
