"""What a stack gets of images and builds: references for its variables, digests of the outputs that it reads.

What reads receipts and registries is imported by the functions: most stacks have neither, and every plan asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
