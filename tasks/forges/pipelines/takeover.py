"""Takes over the files that other jobs handed on: `from=FOLDER` on the command line.

A forge that unpacks an artifact over the checkout lets the job that wrote it replace any file there, the configuration
and its hooks included. So the artifact is unpacked into a folder of its own, and from there only what belongs is taken:
plain files, and of those the ones that one job makes for another.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...artifact.folder import decides
from ...base import git, plain
from ...base.errors import RecordError
from ...base.files import write_atomic
from ...base.layout import DEPLOY_DIR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ...project.project import Project

_OF_ENVIRONMENT = ("drift/", "images/", "plans/", "results/")
_SIGNED = ("index/", "memory.jsonl", "ci/before/memory.jsonl")
_LARGEST = 1 << 31


def take(project: Project, folder: Path, *, receipts: bool = False) -> int:
    """Take what belongs to this environment out of a folder in which artifacts were unpacked; returns how many files.

    Args:
        project: The project.
        folder: The folder.
        receipts: Whether to take all records, receipts too, if no key is set. A job that deploys alone has its own, or
            none. If a key is set, whatever a signed index lists is taken.

    Raises:
        RecordError: There is no such folder, what is to be taken is no plain file, or it cannot be written.
    """
    return _take(project, folder, lambda: _belonging(project, folder, receipts=receipts))


def take_drift(project: Project, folder: Path) -> int:
    """Take what checks for drift have shown, and nothing else, in place of what was shown here.

    The job that checks holds no key of the deploy: whatever else it hands on is not believed.

    Args:
        project: The project.
        folder: The folder.

    Raises:
        RecordError: There is no such folder, what is to be taken is no plain file, or it cannot be written.
    """
    below = project.layout.relative(project.layout.drifts)
    before = list(plain.files_below(project.layout.root, below))
    taken = _take(project, folder, lambda: plain.files_below(folder, below))
    for path in {*before} - {*plain.files_below(folder, below)}:
        (project.layout.root / path).unlink(missing_ok=True)
    return taken


def _take(project: Project, folder: Path, belonging: Callable[[], Iterator[str]]) -> int:
    if not folder.is_dir():
        raise _refused(f"from={folder}: the folder does not exist", "unpack the handed-over files there")
    try:
        taken = list(belonging())
        for path in taken:
            write_atomic(project.layout.root / path, plain.read_below(folder, path, _LARGEST), durable=False)
    except plain.NotPlainError as error:
        raise _refused(
            f"from={folder}: {error.strerror}",
            "only plain files are accepted; find out which job wrote it, then plan again",
        ) from error
    except OSError as error:
        raise _refused(f"from={folder}: {error.strerror or error}", "make it readable, then run it again") from error
    return len(taken)


def _belonging(project: Project, folder: Path, *, receipts: bool) -> Iterator[str]:
    """The paths of the files to take, relative to the repository's root as well as to the folder."""
    layout = project.layout
    below, signed = layout.relative(layout.base), project.keyring.signs
    every = signed or receipts
    for path in plain.files_below(folder, below):
        name = path.removeprefix(f"{below}/")
        if name.startswith(_OF_ENVIRONMENT) or (every and decides(name)) or (signed and name.startswith(_SIGNED)):
            yield path
    yield from plain.files_below(folder, f"{DEPLOY_DIR}/.builds")
    catalog = project.catalog
    outputs = [path for name in catalog.builds for path in catalog.outputs(name)] if catalog else []
    made = [path for output in outputs for path in plain.files_below(folder, os.path.normpath(output))]
    yield from sorted(set(made) - (git.tracked(project.layout.root, made) or set()))


def _refused(message: str, step: str) -> RecordError:
    return RecordError(message, untouched="nothing was planned or applied", next_step=step)
