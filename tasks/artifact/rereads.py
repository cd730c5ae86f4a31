"""Files that an apply reads again: `file()`, templates and scripts are read from the disk, not from the plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..base.files import sha256_file
from .inputs import ABSENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..project.project import Project

_FILES = ("file ", "module ", "lock file ", "watched file ", "var file ")
_ANY = "any file "


def changed(project: Project, planned: Mapping[str, str]) -> list[str]:
    """The inputs among the given ones that are files and are not what they were, sorted.

    Each file is read now: the file index trusts times and sizes, which a change can leave as they were.

    Args:
        project: Where the files are.
        planned: The labels of inputs, with their digests.
    """
    found = []
    for label, digest in planned.items():
        kind = next((kind for kind in _FILES if label.startswith(kind)), None)
        if kind is not None:
            # A var file's digest has its position before it.
            if _digest(project, label.removeprefix(kind)) != digest.rpartition(" ")[2]:
                found.append(label)
        elif label.startswith(_ANY) and project.digest_of_files() != digest:
            found.append(label)
    return sorted(found)


def _digest(project: Project, path: str) -> str:
    try:
        return sha256_file(Path(project.index.absolute(path)))
    except OSError:
        return ABSENT
