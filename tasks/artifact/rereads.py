"""Files that an apply reads again: `file()`, templates and scripts come from the disk, not from the plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..base.files import sha256_file
from .inputs import ABSENT, FILES, InputKind

if TYPE_CHECKING:
    from ..project.project import Project
    from .inputs import Input, Inputs


def changed(project: Project, planned: Inputs) -> list[Input]:
    """Those of some inputs that are files and have changed, in order.

    Each file is read now, because the file index trusts times and sizes, which a change may preserve.

    Args:
        project: The project with the files.
        planned: The inputs.
    """
    found = []
    for item, digest in planned.digests.items():
        if item.kind in FILES:
            # The digest of a var file is prefixed with its position.
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
