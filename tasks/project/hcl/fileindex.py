"""Digests and facts of source files, cached between runs and keyed by the file's stat."""

from __future__ import annotations

import itertools
import os
import posixpath
import stat
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...base import cachefile, git, plain
from ...base.errors import RecordError
from ...base.files import sha256_bytes, sha256_file
from ...base.jsonvalue import fields
from . import globs, reader
from .facts import FACTS_VERSION, Facts, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...base.jsonvalue import JsonObject
    from .facts import NamedPath

_FORMAT = 3  # of the cache
_RACY_NS = 2_000_000_000  # a file this recent may change again with the same times, so it is not kept between runs
_SKIPPED_FOLDERS = frozenset({".terraform", "__pycache__", "node_modules"})
_OWN_FOLDERS = frozenset({".terraform", ".git", ".deploy"})


_READ_WHOLE = (".tf", ".tofu", ".json", ".tfvars", ".hcl")  # what the engine opens in a module's folder


class FileIndex:
    """Digests and facts of files below one root; paths are POSIX and relative to it.

    A file is not read again while its mtime, ctime, inode and size are those of the last run; the mtime alone is not
    enough, as tools that unpack archives set it. Safe to use from several threads.

    `unreadable` are the folders that could not be listed so far, each with the reason.
    """

    def __init__(self, root: Path, cache: Path) -> None:
        self._root = str(root)
        self._cache = cache
        self._lock = threading.Lock()
        self._changed = False
        stored = fields(cachefile.read(cache, [_FORMAT, FACTS_VERSION]).get("files"))
        self._entries = cast("dict[str, list[Any]]", stored)  # as `save` wrote them, or there are none
        self._facts: dict[str, Facts] = {}
        self.unreadable: dict[str, str] = {}
        self._listed: dict[str, list[str]] | None = None
        self._linked: dict[str, bool] | None = None
        self._told: dict[str, Facts] | None = None

    def absolute(self, path: str) -> str:
        """The file system path of an indexed path."""
        return os.path.join(self._root, path)  # noqa: PTH118 - called for every file of every stack

    def digest(self, path: str) -> str | None:
        """Hex SHA-256 of a file's content; None if there is no such regular file or it cannot be read."""
        entry = self._entry(path)
        return None if entry is None else entry[1]

    def facts(self, path: str) -> Facts:
        """The facts of a configuration file; empty if it does not exist."""
        told = self._told
        if told is None:
            return self._facts_now(path)
        if path not in told:
            told[path] = self._facts_now(path)
        return told[path]

    def _facts_now(self, path: str) -> Facts:
        content: list[bytes] = []
        entry = self._entry(path, content)
        if entry is None:
            return Facts()
        key = f"{path}\0{entry[1]}"
        known = self._facts.get(key)
        if known is None:
            if entry[2] is None:
                try:
                    known = without_secrets(reader.read_facts(path, *content or [self.content(path)]))
                except OSError:
                    return Facts()
                entry[2] = known.to_json()
                self._changed = True
            self._facts[key] = known = known or Facts.from_json(entry[2])
        return known

    def read_facts(self, path: str) -> Facts:
        """The facts of a configuration file including secrets: read now and not kept.

        Raises:
            OSError: It cannot be read.
        """
        return reader.read_facts(path, self.content(path))

    def content(self, path: str) -> bytes:
        """A file's current bytes.

        Raises:
            OSError: It cannot be read.
        """
        with open(self.absolute(path), "rb") as stream:  # noqa: PTH123 - see `absolute`
            return stream.read()

    def entry(self, path: str) -> str | None:
        """A file's mode in git's terms and its digest, or a link's target; None if it does not exist."""
        absolute = self.absolute(path)
        try:
            status = os.lstat(absolute)
            if stat.S_ISLNK(status.st_mode):
                return f"link {os.readlink(absolute)}"  # noqa: PTH115 - a text, not a path
        except OSError:
            return None
        return described(self.digest(path), executable=bool(status.st_mode & stat.S_IXUSR))

    def files(self) -> list[str] | None:
        """The current files that git does not ignore, sorted; None without git."""
        return git.files(Path(self._root))

    def names(self, folder: str) -> list[str]:
        """The names of the regular files in a folder, sorted; empty if it does not exist."""
        if self._listed is None:
            return self._names(folder)
        if folder not in self._listed:
            self._listed[folder] = self._names(folder)
        return self._listed[folder].copy()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Look at each folder, link and configuration file once: all that is read within counts as one moment.

        So it is when a project is loaded; its inputs are digested afterwards, from the files as they are then.
        """
        self._listed, self._linked, self._told = {}, {}, {}
        try:
            yield
        finally:
            self._listed = self._linked = self._told = None

    def _names(self, folder: str) -> list[str]:
        try:
            with os.scandir(self.absolute(folder)) as entries:
                found = list(entries)
            for entry in found:
                if entry.name.endswith(_READ_WHOLE) and _is_special(entry):
                    self.unreadable[folder] = f"{entry.name} is neither a plain file nor a link"
            return sorted(entry.name for entry in found if _is_file(entry))
        except OSError as error:
            self._could_not_list(error)
            return []

    def listed(self, folder: str) -> list[str] | None:
        """The names of everything in a folder; None if it does not exist."""
        if not self.is_folder(folder):
            return None
        _, folders, names = next(self._walk(folder), (folder, [], []))
        return [*folders, *names]

    def configuration(self, folder: str) -> list[str]:
        """The paths of a folder's configuration files, sorted."""
        return [f"{folder}/{name}" for name in self.names(folder) if reader.is_configuration(name)]

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder at a path."""
        return os.path.isdir(self.absolute(path))  # noqa: PTH112 - see `absolute`

    def is_file(self, path: str) -> bool:
        """Whether there is a regular file at a path, or a link to one."""
        return os.path.isfile(self.absolute(path))  # noqa: PTH113 - see `absolute`

    def below(self, folder: str, *, everything: bool = False) -> Iterator[str]:
        """The paths of all files below a folder, sorted.

        Args:
            folder: The folder.
            everything: Whether hidden folders, installed packages and folders behind links count too, as they do for
                the engine; the data folders of the engine, git and this program never count.
        """
        if everything:
            yield from self._all_below(posixpath.normpath(folder), (self.real(folder),))
            return
        for base, folders, names in self._walk(folder):
            folders[:] = sorted(name for name in folders if name[0] != "." and name not in _SKIPPED_FOLDERS)
            for name in sorted(names):
                yield f"{base}/{name}"

    def glob(self, folder: str, pattern: str) -> list[str]:
        """The sorted paths below a folder that match a pattern in `pathlib`'s syntax.

        Raises:
            ValueError: The pattern is invalid.
            NotImplementedError: It is absolute.
            IndexError: It has no parts.
        """
        base = Path(self._root, folder)
        prefix = os.fspath(base).rstrip("/") + "/"
        found = ("." if path == base else os.fspath(path).removeprefix(prefix) for path in base.glob(pattern))
        return sorted(posixpath.normpath(posixpath.join(folder, name)) for name in found)

    def followed(self, path: str) -> str | None:
        """The folder that a path leads to, relative to the root; None if a link on the way leads out of it.

        The engine resolves `..` from the folder's real place, so relative paths must do the same.
        """
        if not any(map(self._is_link, itertools.accumulate(path.split("/"), "{}/{}".format))):
            return path
        real, base = self.real(path), os.path.realpath(self._root)
        inside = os.path.commonpath([real, base]) == base and real != base
        return Path(os.path.relpath(real, base)).as_posix() if inside else None

    def _is_link(self, path: str) -> bool:
        """Whether a path is a link; within `at_once`, looked at once, as all stacks are below the same folders."""
        known = self._linked
        if known is None:
            return os.path.islink(self.absolute(path))  # noqa: PTH114 - see `absolute`
        if path not in known:
            known[path] = os.path.islink(self.absolute(path))  # noqa: PTH114 - see `absolute`
        return known[path]

    def _all_below(self, folder: str, within: tuple[str, ...]) -> Iterator[str]:
        """All files below a folder; links are followed unless they lead to a folder that contains them."""
        _, folders, names = next(self._walk(folder), (folder, [], []))
        prefix = "" if folder == "." else f"{folder}/"
        for name in sorted((*folders, *names)):
            path = prefix + name
            if name in _OWN_FOLDERS:  # `.git` is a file in a submodule, which each clone writes
                continue
            if name not in folders:
                yield path
            elif (real := self.real(path)) not in within:
                yield from self._all_below(path, (*within, real))

    def real(self, path: str) -> str:
        """A path with its links resolved: the same text for the same folder."""
        return os.path.realpath(self.absolute(path))

    def _walk(self, folder: str) -> Iterator[tuple[str, list[str], list[str]]]:
        """Like `os.walk`, with paths relative to the root."""
        for base, folders, names in os.walk(self.absolute(folder), onerror=self._could_not_list):
            yield os.path.relpath(base, self._root).replace(os.sep, "/"), folders, names

    def _could_not_list(self, error: OSError) -> None:
        """Remember a folder that exists and cannot be listed: its content is unknown."""
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            path = os.path.relpath(str(error.filename), self._root).replace(os.sep, "/")
            self.unreadable[path] = error.strerror or str(error)

    def matching(self, folder: str, pattern: str) -> Iterator[str]:
        """The paths of the files below a folder that match a pattern of `fileset`, sorted within each folder."""
        glob = globs.compiled(pattern)
        prefix = "" if folder == "." else f"{folder}/"
        for path in self.below(folder, everything=True):
            if glob is None or glob.fullmatch(path.removeprefix(prefix)):
                yield path

    def meant(self, named: NamedPath) -> Iterator[str]:
        """The paths of the files that a named path stands for."""
        if named.pattern:
            return self.matching(named.path, named.pattern)
        return self.below(named.path, everything=named.read)

    def save(self) -> None:
        """Store what was read for the next run; if that fails, the next run only takes longer."""
        if not self._changed:
            return
        youngest = time.time_ns() - _RACY_NS
        kept: JsonObject = {path: entry for path, entry in self._entries.items() if max(entry[0][:2]) < youngest}
        with suppress(RecordError):
            cachefile.write(self._cache, [_FORMAT, FACTS_VERSION], {"files": kept})

    def _entry(self, path: str, content: list[bytes] | None = None) -> list[Any] | None:
        """A file's stamp, digest and facts; what is read of it for the digest is added to `content`."""
        absolute = self.absolute(path)
        try:
            status = os.stat(absolute)  # noqa: PTH116 - see `absolute`
        except OSError:
            return None
        entry = self._entries.get(path)
        stamp = [status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size]
        if entry is not None and entry[0] == stamp:
            return entry
        try:
            digest = _digest(absolute, content)
        except OSError:
            return None
        with self._lock:
            known = entry[2] if entry is not None and entry[1] == digest else None
            entry = self._entries[path] = [stamp, digest, known]
            self._changed = True
        return entry


def _digest(path: str, content: list[bytes] | None) -> str:
    """Hex SHA-256 of a file, whose content is read whole if it is wanted."""
    if content is None:
        return sha256_file(Path(path))
    with os.fdopen(plain.regular(path), "rb") as stream:
        content.append(stream.read())
    return sha256_bytes(content[-1])


def described(digest: str | None, *, executable: bool) -> str | None:
    """A file's mode in git's terms and its digest, as one text."""
    return None if digest is None else f"{'executable' if executable else 'file'} {digest}"


def _is_special(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a pipe, a socket or a device: opening it may block for ever."""
    return not (entry.is_symlink() or entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False))


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry of a folder is a regular file; a link that leads to itself is not."""
    try:
        return entry.is_file()
    except OSError:
        return False
