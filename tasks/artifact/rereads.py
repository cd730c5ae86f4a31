"""Files that an apply reads again: `file()`, templates and scripts come from the disk, not from the plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..base.files import sha256_file
from ..project import variables, volatile
from . import observed
from .inputs import ABSENT, FILES, InputKind

if TYPE_CHECKING:
    from ..project.project import Project
    from ..project.stack import Stack
    from .inputs import Input, Inputs


def changed(project: Project, stack: Stack, planned: Inputs) -> list[Input]:
    """Those of some inputs that are files and have changed, in order.

    Each file is read now, because the file index trusts times and sizes, which a change may preserve.

    Args:
        project: The project with the files.
        stack: The stack whose inputs they are.
        planned: The inputs.
    """
    found = []
    for item, digest in planned.digests.items():
        if item.kind in FILES:
            # The digest of a var file is prefixed with its position.
            if _digest(project, stack, item) != digest.rpartition(" ")[2]:
                found.append(item)
        elif item.kind is InputKind.OBSERVED:
            if observed.digest_now(project, item) not in (digest, None):
                found.append(item)
        elif item.kind is InputKind.ANY_FILE and project.digest_of_files() != digest:
            found.append(item)
    return sorted(found, key=lambda item: item.rank)


def _digest(project: Project, stack: Stack, item: Input) -> str:
    file = Path(project.index.absolute(item.name))
    try:
        is_var_file = item.kind is InputKind.VAR_FILE or variables.is_automatic(file.name)
        if is_var_file and volatile.uncounted(project, stack):
            return volatile.counted_digest(project, stack, item.name, file.read_bytes()) or ABSENT
        return sha256_file(file)
    except OSError:
        return ABSENT
