"""Files that an apply reads again: `file()`, templates and scripts are read from the disk, not from the plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..base.files import sha256_file
from .inputs import ABSENT, FILES, InputKind

if TYPE_CHECKING:
    from ..project.project import Project
    from .inputs import Input, Inputs


def changed(project: Project, planned: Inputs) -> list[Input]:
    """The inputs among the given ones that are files and are not what they were, in their order.

    Each file is read now: the file index trusts times and sizes, which a change can leave as they were.

    Args:
        project: Where the files are.
        planned: The inputs.
    """
    found = []
    for item, digest in planned.digests.items():
        if item.kind in FILES:
            # A var file's digest has its position before it.
            if _digest(project, item.name) != digest.rpartition(" ")[2]:
                found.append(item)
        elif item.kind is InputKind.ANY_FILE and project.digest_of_files() != digest:
            found.append(item)
    return sorted(found, key=lambda item: item.rank)


def _digest(project: Project, path: str) -> str:
    try:
        return sha256_file(Path(project.index.absolute(path)))
    except OSError:
        return ABSENT
