"""What a watched plan read, as inputs with their digests, unless another input already covers it.

The reader of configuration knows what can be read; watching shows what was read. A file that the reader missed becomes
an input with the first watched plan.
"""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import gittree
from ..base.files import canonical_json, sha256_bytes, sha256_file
from ..project import backend
from ..project.hcl import reader
from .accesses import Access, How
from .inputs import ABSENT, FILES, Input, InputKind, Inputs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ..project.hcl.facts import NamedPath
    from ..project.project import Project
    from ..project.stack import Stack

_KEPT = re.compile(
    r"(^|/)(\.terraform($|/)|\.terraform\.lock\.hcl$|terraform\.d($|/)|[^/]*\.tfstate($|\.)|\.terraform\.tfstate"
    r"|\.git($|/)|\.deploy($|/))"
)  # files that the engine, git and this program keep for themselves
_OF_THE_SYSTEM = (
    "/proc/",
    "/sys/",
    "/dev/",
    "/etc/",
    "/usr/",
    "/lib",
    "/bin/",
    "/sbin/",
    "/run/",
    "/var/lib/",
    "/opt/",
)
_NAMES = "names"  # the target of an input that is a listed folder: only the names in it count
_THERE = "there"


@dataclass(frozen=True)
class Seen:
    """What a plan read: inputs, and the files outside of the repository, which are only reported."""

    inputs: dict[Input, str]
    outside: list[str]


@dataclass
class Known:
    """What already counts for a stack: its files, folders of which all or matching files count, folders of modules."""

    root: str
    files: set[str]
    folders: list[NamedPath]
    homes: set[str]

    @classmethod
    def of(cls, project: Project, stack: Stack, found: Inputs) -> Known:
        """What a stack's inputs already cover.

        Args:
            project: The project.
            stack: The stack.
            found: Its inputs.
        """
        module = project.module(stack.name)
        files = {item.name for item in found.digests if item.kind in FILES}
        folders = [named for named in module.named if not named.exact and named.read]
        return cls(os.path.realpath(project.root), files, folders, {module.path, *module.modules})

    def missing(self, accesses: Iterable[Access]) -> list[Access]:
        """The accesses that no input covers; their paths are relative to the root."""
        real = {self._real(path) for path in self.files}
        above = {parent for path in (*self.files, *self.homes) for parent in _above(path)}
        return sorted(each for each in accesses if not self._has(each, real, above))

    def _has(self, access: Access, real: set[str], above: set[str]) -> bool:
        path, how = access
        if path in self.files or self._real(path) in real:
            return True
        within = any(path == named.path or path.startswith(f"{named.path}/") for named in self.folders)
        if how is How.OPENED:
            return False
        if how is How.LISTED:
            return path in self.homes or within or self._is_linked_into_folder(path)
        if how is How.MISSED:
            name = posixpath.basename(path)
            own = posixpath.dirname(path) in self.homes and (reader.is_configuration(name) or ".tfvars" in name)
            return own or within
        own = posixpath.dirname(path) in self.homes  # the engine looks at each entry of a folder that it lists
        return own or within or path in self.homes or path in above or self._is_linked_into_folder(path)

    def _is_linked_into_folder(self, path: str) -> bool:
        """Whether a link in a folder that counts leads to this path."""
        return any(
            self._real(path).startswith(self._real(f"{named.path}/{name}"))
            for named in self.folders
            if os.path.isdir(self._at(named.path))  # noqa: PTH112 - a text
            for name in os.listdir(self._at(named.path))  # noqa: PTH208
            if os.path.islink(self._at(f"{named.path}/{name}"))  # noqa: PTH114
        ) or any(named.path.startswith(f"{path}/") for named in self.folders)

    def _at(self, path: str) -> str:
        return posixpath.join(self.root, path)

    def _real(self, path: str) -> str:
        return os.path.realpath(self._at(path))


def seen(
    project: Project, stack: Stack, found: Inputs, accesses: Iterable[Access], caches: Collection[str]
) -> Seen:  # fmt: skip
    """What a stack's plan read beyond its inputs.

    Args:
        project: The project.
        stack: The stack.
        found: Its inputs.
        accesses: What its engine and providers did.
        caches: Folders of the engine and of this program, whose files are not inputs.
    """
    inside, outside = set[Access](), set[str]()
    root, top = os.path.realpath(project.root), os.path.realpath(gittree.top(project.home) or project.root)
    state = backend.state_file(project, stack)
    ours = [os.path.realpath(path) for path in [*caches, *([str(state)] if state else [])]]
    for access in set(accesses):
        path = access.path
        if any(path == own or path.startswith(f"{own}/") for own in ours) or _KEPT.search(path.removeprefix(top)):
            continue
        if path.startswith((f"{top}/", f"{root}/")):
            inside.add(access._replace(path=os.path.relpath(path, root)))
        elif access.how is How.OPENED and not path.startswith(_OF_THE_SYSTEM) and not os.access(path, os.X_OK):
            outside.add(path)
    known = Known.of(project, stack, found)
    items = {item for access in known.missing(inside) if (item := _input(project, access)) is not None}
    return Seen(_digests(project, items), sorted(outside - {posixpath.normpath(path) for path in known.files}))


def joined(found: Inputs, reads: Seen) -> Inputs:
    """The inputs of a plan: the stack's known inputs, and what this plan read."""
    kept = {item: digest for item, digest in found.digests.items() if item.kind is not InputKind.OBSERVED}
    return Inputs({**kept, **reads.inputs}, found.key)


def again(project: Project, found: Inputs, before: Inputs, produced: Collection[str] = ()) -> Inputs:
    """Inputs, with the current digests of what an earlier plan read.

    Args:
        project: The project.
        found: The inputs; observed ones among them are ignored.
        before: The inputs of the earlier plan.
        produced: Files that the stack's own applies wrote: they are not inputs.
    """
    return with_items(project, found, before.digests, produced)


def with_items(project: Project, found: Inputs, items: Iterable[Input], produced: Collection[str] = ()) -> Inputs:
    """Inputs, with the current digests of the observed ones among some items."""
    items = {item for item in items if item.kind is InputKind.OBSERVED and item.name not in produced}
    kept = {item: digest for item, digest in found.digests.items() if item.kind is not InputKind.OBSERVED}
    return (
        Inputs({**kept, **_digests(project, items, produced)}, found.key) if items or kept != found.digests else found
    )


def written_since(project: Project, planned: Inputs) -> set[str]:
    """The files that a plan read and its apply wrote: those that changed since the plan and that git does not track."""
    now = again(project, planned, planned)
    items = [item for item in planned.digests if item.kind is InputKind.OBSERVED and item.target != _NAMES]
    changed = [item.name for item in items if now.digests[item] != planned.digests[item]]
    tracked = project.tracked(changed) if changed else set()
    return set(changed) - (tracked or set())


def less_produced(project: Project, planned: Inputs, produced: Collection[str]) -> Inputs:
    """The inputs of a plan without the files that its apply wrote, also in the names of folders that it listed."""
    folders = {posixpath.dirname(path) for path in produced}
    now = again(project, planned, planned, produced)
    kept = {}
    for item, digest in planned.digests.items():
        listed = item.kind is InputKind.OBSERVED and item.target == _NAMES and item.name in folders
        if item in now.digests:
            kept[item] = now.digests[item] if listed else digest
    return Inputs(kept, planned.key)


def digest_now(project: Project, item: Input) -> str | None:
    """The current digest of a file that a plan read; None for an access that an apply does not repeat."""
    if item.target:
        return None
    try:
        return sha256_file(Path(project.index.absolute(item.name)))
    except IsADirectoryError:
        return _THERE
    except OSError:
        return ABSENT


def _input(project: Project, access: Access) -> Input | None:
    """The input for an access; None if it read nothing."""
    if access.how is How.LISTED:
        return Input(InputKind.OBSERVED, access.path, target=_NAMES)
    if access.how is How.LOOKED_UP and project.index.is_folder(access.path):
        return None
    return Input(InputKind.OBSERVED, access.path, target=_THERE if access.how is How.LOOKED_UP else "")


def _digests(project: Project, items: Iterable[Input], produced: Collection[str] = ()) -> dict[Input, str]:
    index = project.index
    found = {}
    for item in items:
        if item.target == _NAMES:
            within = index.listed(item.name)
            names = None if within is None else [name for name in within if f"{item.name}/{name}" not in produced]
            found[item] = ABSENT if names is None else sha256_bytes(canonical_json(_counting(names)))
        elif item.target == _THERE:
            found[item] = _THERE if index.is_file(item.name) else ABSENT
        else:
            found[item] = index.digest(item.name) or (_THERE if index.is_folder(item.name) else ABSENT)
    return found


def _counting(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not _KEPT.search(name))


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]
