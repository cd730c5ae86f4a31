"""The file index of a commit: like `FileIndex`, but read from git's objects instead of the working tree.

A file that is unchanged in the working tree is not read again. No commit contains what is outside of the repository:
the answers about that are today's, and `outside` says so.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections import defaultdict
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from . import reader
from .facts import Facts
from .fileindex import FileIndex, described

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ...base.gittree import Commit

_LINKS = 40  # the most that are followed, as in the kernel
_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n")


class CommitIndex(FileIndex):
    """The files of a commit; paths are relative to the same root as in the current index.

    Args:
        root: The root: the top of the repository, or a folder below it.
        commit: The files at the commit.
        now: The index of the working tree.
    """

    def __init__(self, root: Path, commit: Commit, now: FileIndex) -> None:
        self._root, self._commit, self._now = str(root), commit, now
        prefix = root.resolve().relative_to(commit.top.resolve()).as_posix()
        self._prefix = "" if prefix == "." else prefix
        self._digests: dict[str, str | None] = {}
        self._facts: dict[str, Facts] = {}
        self.unreadable: dict[str, str] = {}

    @property
    def unread(self) -> list[str]:
        """The submodules that have changed since the commit, and whose files at the commit are not known."""
        return sorted(self._from_root(path) for path in self._commit.unread)

    @property
    def hidden(self) -> list[str]:
        """The files in the working tree that git was told not to check."""
        return sorted(self._from_root(path) for path in self._commit.hidden)

    def look_again(self, paths: Iterable[str]) -> None:
        """Compare the content of files that git called unchanged, before their digests are asked for."""
        self._commit.look_again([real for path in paths if (real := self._real(path)) is not None])

    def is_as_now(self, path: str) -> bool:
        """Whether the file is unchanged in the working tree according to git."""
        real = self._real(path)
        blob = self._commit.blobs.get(real) if real is not None else None
        return blob is not None and blob.same and not blob.is_link

    def outside(self, path: str) -> bool:
        """Whether a path leads out of the repository, directly or through a link."""
        return self._real(path) is None

    def digest(self, path: str) -> str | None:
        """The digest as in the working tree; for a Git LFS file, that of its content."""
        real = self._real(path)
        if real is None:
            return self._now.digest(path)
        if real not in self._digests:
            self._digests[real] = self._digest(real)
        return self._digests[real]

    def facts(self, path: str) -> Facts:
        """The facts of a configuration file; empty if it does not exist."""
        real = self._real(path)
        if real is None or self._as_now(real):
            return self._now.facts(path if real is None else self._from_root(real))
        if real not in self._commit.blobs:
            return Facts()
        if path not in self._facts:
            try:
                self._facts[path] = reader.read_facts(path, self.content(path))
            except OSError:
                return Facts()
        return self._facts[path]

    def content(self, path: str) -> bytes:
        """A file's bytes at the commit.

        Raises:
            OSError: It does not exist there.
        """
        real = self._real(path)
        if real is None:
            return self._now.content(path)
        if real not in self._commit.blobs:
            raise FileNotFoundError(2, "no such file at the commit", path)
        if reader.is_configuration(real):
            self._commit.fetch(self._differing)
        return self._commit.content(real)

    def entry(self, path: str) -> str | None:
        """A file's mode and digest, or a link's target; None if it does not exist."""
        folder = self._real(posixpath.dirname(path))
        if folder is None:
            return self._now.entry(path)
        blob = self._commit.blobs.get(_joined(folder, posixpath.basename(path)))
        if blob is not None and blob.is_link:
            return f"link {self._target(_joined(folder, posixpath.basename(path)))}"
        return described(self.digest(path), executable=blob is not None and blob.is_executable)

    def names(self, folder: str) -> list[str]:
        """The names of the regular files in a folder, sorted; empty if it does not exist."""
        real = self._real(folder)
        if real is None:
            return self._now.names(folder)
        found = self._children.get(real)
        return sorted(name for name in found.files if self.is_file(f"{folder}/{name}")) if found else []

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder at a path."""
        real = self._real(path)
        return self._now.is_folder(path) if real is None else real in self._children

    def followed(self, path: str) -> str | None:
        """The folder that a path leads to, relative to the root; None if a link on the way leads out of it."""
        real = self._real(path)
        found = None if real is None else self._from_root(real)
        return found if found and found != "." and not found.startswith("../") else None

    def is_file(self, path: str) -> bool:
        """Whether there is a file at a path."""
        real = self._real(path)
        return self._now.is_file(path) if real is None else real in self._commit.blobs

    def glob(self, folder: str, pattern: str) -> list[str]:
        """The sorted paths below a folder that match a pattern in `pathlib`'s syntax."""
        real = self._real(folder)
        if real is None or pattern.startswith("/"):
            return self._now.glob(folder, pattern)
        parts = [part for part in pattern.split("/") if part not in ("", ".")]
        found = self._matching(posixpath.normpath(folder or "."), parts)
        return sorted({posixpath.normpath(path) for path in found})

    def files(self) -> list[str] | None:
        """Every file of the commit below the root, sorted."""
        below = f"{self._prefix}/" if self._prefix else ""
        return sorted(path.removeprefix(below) for path in self._commit.blobs if path.startswith(below))

    def real(self, path: str) -> str:
        """A path with its links resolved: the same text for the same folder."""
        real = self._real(path)
        return self._now.real(path) if real is None else real

    def save(self) -> None:
        """Do nothing: nothing is kept between runs."""

    def _walk(self, folder: str) -> Iterator[tuple[str, list[str], list[str]]]:
        real = self._real(folder)
        if real is None:
            yield from self._now._walk(folder)  # noqa: SLF001 - the same class
            return
        pending = [(folder, real)]
        while pending:
            base, at = pending.pop()
            found = self._children.get(at)
            if found is None:
                continue
            leads = {name for name in found.files if self.is_folder(f"{base}/{name}")}  # links to folders
            folders = sorted({*found.folders, *leads})
            yield posixpath.normpath(base), folders, [name for name in found.files if name not in leads]
            pending += [(f"{base}/{name}", _joined(at, name)) for name in reversed(folders) if name not in leads]

    @cached_property
    def _children(self) -> dict[str, _Folder]:
        """The content of each folder, by its path from the top."""
        found: dict[str, _Folder] = defaultdict(_Folder)
        found[self._prefix]
        for path in self._commit.blobs:
            folder, _, name = path.rpartition("/")
            known = folder in found
            found[folder].files.append(name)
            while folder and not known:
                folder, _, name = folder.rpartition("/")
                known = folder in found
                found[folder].folders.append(name)
        return dict(found)

    @cached_property
    def _links(self) -> dict[str, str]:
        """The target of each link, by its path from the top."""
        links = [path for path, blob in self._commit.blobs.items() if blob.is_link]
        self._commit.fetch(links)
        return {path: self._target(path) for path in links}

    @cached_property
    def _differing(self) -> list[str]:
        """The configuration files that have changed, all read when the first one is needed."""
        return [path for path, blob in self._commit.blobs.items() if not blob.same and reader.is_configuration(path)]

    def _target(self, path: str) -> str:
        return self._commit.content(path).decode(errors="surrogateescape")

    def _digest(self, real: str) -> str | None:
        if real not in self._commit.blobs:
            return None
        if self._as_now(real):
            return self._now.digest(self._from_root(real))
        try:
            content = self.content(self._from_root(real))
        except OSError:
            return None
        pointer = _POINTER.match(content)
        return pointer[1].decode() if pointer else sha256(content).hexdigest()

    def _as_now(self, real: str) -> bool:
        """Whether a file is unchanged in the working tree; in a sparse checkout it may be missing."""
        blob = self._commit.blobs.get(real)
        same = blob is not None and blob.same and not blob.is_link
        return same and self._now.digest(self._from_root(real)) is not None

    def _from_root(self, real: str) -> str:
        """A path from the top as one from the root."""
        return posixpath.relpath(real or ".", self._prefix or ".") if self._prefix else real or "."

    def _real(self, path: str) -> str | None:
        """A path from the top of the repository, links followed; None if it leads outside."""
        if path.startswith("/"):
            whole = posixpath.relpath(path, self._commit.top.as_posix())
        else:
            whole = posixpath.normpath(_joined(self._prefix, path or "."))
        return self._followed(whole)

    def _followed(self, whole: str) -> str | None:
        if whole == "..":
            return None
        if whole.startswith("../"):
            return None
        if whole == ".":
            return ""
        if not self._links:
            return whole
        done, pending, followed = "", whole.split("/")[::-1], 0
        while pending:
            part = pending.pop()
            if part == "..":
                if not done:
                    return None
                done = posixpath.dirname(done)
                continue
            done = _joined(done, part) if part not in ("", ".") else done
            target = self._links.get(done)
            if target is None:
                continue
            followed += 1
            if followed > _LINKS or target.startswith("/"):
                return None
            done = posixpath.dirname(done)
            pending += target.split("/")[::-1]
        return done

    def _matching(self, folder: str, parts: list[str]) -> Iterator[str]:
        """The paths below a folder that match a pattern's parts."""
        if not parts:
            yield folder
            return
        part, rest = parts[0], parts[1:]
        real = self._real(folder)
        found = self._children.get(real) if real is not None else None
        if found is None:
            return
        if part == "**":
            yield from self._matching(folder, rest)
            for name in found.folders:
                yield from self._matching(f"{folder}/{name}", parts)
        elif part == "..":
            yield from self._matching(posixpath.normpath(f"{folder}/.."), rest)
        else:
            for name in (*found.folders, *found.files):
                if fnmatch.fnmatchcase(name, part) if any(mark in part for mark in "*?[") else name == part:
                    path = f"{folder}/{name}"
                    if self.is_folder(path) if rest else self.is_folder(path) or self.is_file(path):
                        yield from self._matching(path, rest)


class _Folder:
    """The names in a folder: of its folders, and of its files and links."""

    def __init__(self) -> None:
        self.folders: list[str] = []
        self.files: list[str] = []


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
