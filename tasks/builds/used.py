"""What a stack uses of images and builds: references for its variables, digests of the outputs that it reads.

What reads receipts and registries is imported by the functions: most stacks have neither, and every plan asks.
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
    """The image references that a stack's variables get, and the names of the images that are not pinned yet.

    Args:
        project: Says which images.
        stack: Whose variables.
        deployed: Whether those that were applied last are asked for, as far as the images are still the same.

    Raises:
        ConfigError: A value in an image's configuration cannot be filled in.
        RecordError: The stack's receipt cannot be read.
    """
    if not stack.settings.images:
        return {}, []
    from . import images

    return images.values(project, stack, deployed=deployed)


def by_tag(project: Project, stack: Stack) -> frozenset[str]:
    """The stack's images that may be deployed by their tags: optional ones that are not to be had."""
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
    """The builds whose outputs are not those that a plan was made with, sorted; each file is read now.

    Args:
        project: Where the outputs are.
        planned: The digests of the outputs, by build.
    """
    catalog = project.catalog
    if catalog is None or not planned:
        return []
    from ..project.hcl.fileindex import FileIndex
    from . import made

    index = FileIndex(project.root, Path(os.devnull))  # one that knows nothing yet
    return [
        f"outputs of build {name}"
        for name, digest in sorted(planned.items())
        if name not in catalog.builds or made.outputs_digest(project.root, index, catalog.outputs(name)) != digest
    ]
