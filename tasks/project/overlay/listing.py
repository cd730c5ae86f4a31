"""Lists the files of a repository: tracked and untracked ones, and ignored ones beside configuration."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING

from ...base import git
from ..hcl import reader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_NEVER = frozenset({".git", ".deploy", ".terraform", "__pycache__", "node_modules", "terraform.tfstate.d"})
_STATE = (".tfstate", ".tfstate.backup", ".lock.info", ".tfplan")


def listing(folder: Path, *, exact: bool = False, without: Collection[Path] = ()) -> list[str]:
    """The paths of a repository's files and links, POSIX and relative to it, sorted.

    In git these are tracked and untracked files, and ignored files in folders with configuration (var files with
    secrets, packages made by a build). Without git, everything that is not hidden. Never state or caches.

    Args:
        folder: The repository.
        exact: Whether the folder contains only its own files: then all of them count.
        without: Folders inside that are not part of it.
    """
    if exact:
        found = set(_walk(folder, "", hidden=True))
    else:
        known = git.files(folder)
        found = set(_walk(folder, "", hidden=False) if known is None else _with_ignored(folder, known))
    outside = tuple(f"{path.relative_to(folder).as_posix()}/" for path in without if path.is_relative_to(folder))
    return sorted(path for path in found if not is_state(path) and not path.startswith(outside or ("//",)))


def _with_ignored(folder: Path, known: list[str]) -> Iterator[str]:
    yield from known
    homes = {posixpath.dirname(path) for path in known if reader.is_configuration(path)} - {""}
    for home in homes:
        yield from _walk(folder, home, hidden=False)


def _walk(folder: Path, start: str, *, hidden: bool) -> Iterator[str]:
    for base, folders, names in os.walk(folder / start):
        relative = os.path.relpath(base, folder).replace(os.sep, "/")
        prefix = "" if relative == "." else f"{relative}/"
        kept = [name for name in folders if name not in _NEVER and (hidden or name[0] != ".")]
        yield from (prefix + name for name in kept if os.path.islink(f"{base}/{name}"))  # noqa: PTH114 - called per file
        folders[:] = kept
        yield from (prefix + name for name in names)


def is_state(path: str) -> bool:
    """Whether a path is state, or in a cache."""
    return path.endswith(_STATE) or ".tfstate." in path or not _NEVER.isdisjoint(path.split("/"))
