"""Collects the paths that a configuration reads or mentions while its expressions are evaluated."""

from __future__ import annotations

import itertools
import posixpath
import re
from typing import TYPE_CHECKING

from . import globs, references, values
from .facts import IF_THERE, NamedPath
from .values import ANY, Items, Start

if TYPE_CHECKING:
    from collections.abc import Callable

    from .facts import PathReference
    from .fileindex import FileIndex
    from .values import Values

_SPACE = re.compile(r"\s")
_TOO_MUCH = ("/", ".", "..")  # folders that stand for any file
_MOST_TEMPLATES = 100  # that a partly known path may lead to


class Paths:
    """The paths of one stack.

    Args:
        index: The files.
        folder: The stack's folder, where the engine runs.
        fill: Evaluates what a template reads.
    """

    def __init__(self, index: FileIndex, folder: str, fill: Callable[[str, Values], None]) -> None:
        self.named: dict[NamedPath, None] = {}
        self.unknown: set[str] = set()
        self.partly: dict[str, str] = {}
        self.file = folder
        self._index = index
        self._folder = folder
        self._fill = fill
        self._there: dict[str, bool] = {}

    def mention(self, path: str, *, exact: bool) -> None:
        """Note that a text mentions a path of the repository, or everything below it."""
        self.named[NamedPath(posixpath.normpath(path), exact, read=False)] = None

    def refer(self, reference: PathReference, folder: str) -> None:
        """Note the path that a text in a module's folder refers to."""
        if reference.path.startswith(("~", "/")) or (reference.base == IF_THERE and not self._begins(reference.path)):
            return
        base = folder if reference.base == "module" else self._folder
        self.mention(posixpath.join(base, reference.path), exact=reference.exact)

    def _begins(self, path: str) -> bool:
        """Whether a path's first part is in the stack's folder."""
        first = posixpath.join(self._folder, path.partition("/")[0])
        if first not in self._there:
            self._there[first] = self._index.is_file(first) or self._index.is_folder(first)
        return self._there[first]

    def mentions(self, found: Values) -> None:
        """Note the paths in a text, or the text itself if it is a path."""
        for item in found:
            if isinstance(item, str) and item.startswith(("./", "../", "/")) and not _SPACE.search(item):
                if not (path := self.located(item)).startswith("/"):
                    self.mention(path, exact=True)
            elif isinstance(item, Start) and item.text.startswith(("./", "../")) and not _SPACE.search(item.text):
                self.mention(self.located(item.text.rpartition("/")[0]), exact=False)
            elif isinstance(item, str | Start):
                for reference in references.mentions(item if isinstance(item, str) else f"{item.text}${{"):
                    self.refer(reference, self._folder)

    def below(self, folder: str) -> None:
        """Note that some file below a folder of the repository is read."""
        self.partly.setdefault(folder, self.file)
        self.named[NamedPath(folder, exact=False, read=True)] = None

    def located(self, path: str) -> str:
        """The engine's path relative to the repository's root; an absolute path outside stays absolute."""
        joined = posixpath.normpath(posixpath.join(self._folder, path))
        root = self._index.absolute("").rstrip("/")
        return posixpath.normpath(f".{joined.removeprefix(root)}") if joined.startswith(f"{root}/") else joined

    def read(self, path: Values) -> None:
        """Note that a function reads a file; if only a part of the path is known, any file below the known folder."""
        for item in path:
            if isinstance(item, str) and item and not item.startswith("~"):
                self.named[NamedPath(self.located(item), exact=True, read=True)] = None
            elif isinstance(item, Start):
                self._read_below(item.text)

    def _read_below(self, begin: str) -> None:
        folder = self._known_folder(begin)
        if not begin or folder in (".", ".."):
            self.unknown.add(self.file)
        elif not folder.startswith(("/", "../")):  # but not every file below a folder of the machine
            self.below(folder)

    def _known_folder(self, begin: str) -> str:
        """The folder that contains a path of which only the beginning is known."""
        return self.located(begin.rpartition("/")[0] or ("/" if begin.startswith("/") else "."))

    def content(self, path: str) -> str | None:
        """The text of a file; None if it does not exist or is not text."""
        try:
            return self._index.content(self.located(path)).decode()
        except (OSError, ValueError):
            return None

    def exists(self, path: str) -> bool:
        """Whether there is a file at a path."""
        return self._index.is_file(self.located(path))

    def absolute(self, path: str) -> str:
        """The absolute path as the engine's process sees it."""
        return posixpath.normpath(self._index.absolute(posixpath.join(self._folder, path)))

    def matching(self, folder: Values, pattern: Values) -> Values:
        """The result of `fileset`: the files that match now; unknown if only a part of the path is known."""
        found = [
            self._matching(base, glob) if isinstance(base, str) and isinstance(glob, str) else self._unmatched(base)
            for base in folder
            for glob in pattern
        ]
        return values.union(found)

    def _unmatched(self, base: values.Alternative) -> Values:
        if isinstance(base, str):
            base = Start(f"{base}/")
        self.read((base,))
        return values.bag(ANY)

    def _matching(self, folder: str, pattern: str) -> Values:
        fixed, rest = globs.split(folder, pattern)
        below, begin = self.located(fixed), self.located(folder)
        if not rest:
            self.named[NamedPath(below, exact=True, read=True)] = None
            names = [below] if self._index.is_file(below) else []
        elif below.startswith(("/", "../")):
            return values.bag(ANY)
        else:
            self.named[NamedPath(below, exact=False, read=True, pattern=rest)] = None
            names = list(self._index.matching(below, rest))
        return (Items(tuple((posixpath.relpath(name, begin),) for name in sorted(names)), is_set=True),)

    def fill(self, path: Values, given: Values) -> None:
        """Note that a template is filled in with some values.

        If only a part of the path is known, any file below the known folder may be the template.
        """
        for item in path:
            if isinstance(item, str):
                self._fill(self.located(item), given)
            elif isinstance(item, Start) and (folder := self._known_folder(item.text)) not in _TOO_MUCH:
                found = list(itertools.islice(self._index.below(folder, everything=True), _MOST_TEMPLATES + 1))
                if len(found) > _MOST_TEMPLATES:
                    self.unknown.add(self.file)
                    continue
                for template in found:
                    self._fill(template, given)
