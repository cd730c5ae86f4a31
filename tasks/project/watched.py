"""The files that `watch` names: they count although no configuration reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base import interpolate
from .hcl import globs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .hcl.fileindex import FileIndex
    from .project import Project
    from .sources import Sources
    from .stack import Stack

_CHOICE = re.compile(r"\{([^{}]*)\}")  # of a glob: `{a,b}`


@dataclass(frozen=True)
class Glob:
    """A glob of `watch`: a folder relative to the repository's root, and a pattern below it, empty for a plain path."""

    folder: str
    pattern: str

    def files(self, index: FileIndex) -> Iterable[str]:
        """The files that match; with a plain path the file, or everything in the folder."""
        if not self.pattern:
            folder = index.is_folder(self.folder)
            return index.below(self.folder, everything=True) if folder else filter(index.is_file, [self.folder])
        wanted = globs.compiled(self.pattern)
        if wanted is None or "**" not in self.pattern:
            return filter(index.is_file, index.glob(self.folder, self.pattern))
        above = "" if self.folder == "." else f"{self.folder}/"
        found = index.below(self.folder, everything=True)
        return (path for path in found if wanted.fullmatch(path.removeprefix(above)))


def written(project: Sources, stack: Stack) -> Iterator[Glob]:
    """The globs that a stack watches.

    Raises:
        ConfigError: One cannot be used.
    """
    for position, glob in enumerate(stack.settings.watch):
        where, key = ("stacks", stack.name, "watch", position), project.key(stack.name, "watch", position)
        text = interpolate.fill(glob, project.placeholders(stack.name), key=key, where=project.loaded.where(*where))
        if text.startswith(("/", "~")):
            raise project.loaded.error(f"'{text}' is absolute; it has to be relative to the stack", *where)
        for choice in _choices(text):
            found = Glob(*globs.split(stack.named, choice))
            if "**" in found.pattern and globs.compiled(found.pattern) is None:
                raise project.loaded.error(f"'{text}' is not a glob: `**` stands for whole folders", *where)
            yield found


def files(project: Project, watched: Iterable[Glob]) -> Iterator[str]:
    """The files that match, less what builds make, which counts by its sources."""
    for glob in watched:
        for path in glob.files(project.index):
            if project.catalog is None or not project.catalog.makes(path):
                yield path


def _choices(text: str) -> Iterator[str]:
    """The globs that one with `{a,b}` stands for."""
    found = _CHOICE.search(text)
    if found is None:
        yield text
        return
    for choice in found[1].split(","):
        yield from _choices(text[: found.start()] + choice + text[found.end() :])
