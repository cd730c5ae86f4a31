"""Digests and facts of source files, read once and kept between runs by the file's stat."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from ...base.errors import RecordError
from ...base.files import canonical_json, sha256_file, write_atomic
from . import reader
from .facts import FACTS_VERSION, Facts, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FORMAT = 2  # of the cache
_RACY_NS = 2_000_000_000  # a file this young may change again without its times showing it: not kept between runs
_SKIPPED_FOLDERS = frozenset({".terraform", "__pycache__", "node_modules"})


class FileIndex:
    """Digests and facts of files below one root; paths are POSIX and relative to it.

    A file is not read again while its mtime, ctime, inode and size are those of the last run; mtime alone is set by
    tools that unpack archives. Safe to use from several threads.
    """

    def __init__(self, root: Path, cache: Path) -> None:
        self._root = str(root)
        self._cache = cache
        self._lock = threading.Lock()
        self._changed = False
        self._entries: dict[str, list[Any]] = {}
        self._facts: dict[str, Facts] = {}
        try:
            stored = json.loads(cache.read_bytes())
            if stored["version"] == [_FORMAT, FACTS_VERSION] and isinstance(stored["files"], dict):
                self._entries = stored["files"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass  # a cache that cannot be read is a cache that is not there

    def absolute(self, path: str) -> str:
        """The file system path of an indexed path."""
        return os.path.join(self._root, path)  # noqa: PTH118 - called for every file of every stack

    def digest(self, path: str) -> str | None:
        """Hex SHA-256 of a file's content; None when there is no such regular file or it cannot be read."""
        entry = self._entry(path)
        return None if entry is None else entry[1]

    def facts(self, path: str) -> Facts:
        """What a configuration file says; nothing when it is not there."""
        entry = self._entry(path)
        if entry is None:
            return Facts()
        key = f"{path}\0{entry[1]}"
        known = self._facts.get(key)
        if known is None:
            if entry[2] is None:
                try:
                    entry[2] = without_secrets(self.read_facts(path)).to_json()
                except OSError:
                    return Facts()
                self._changed = True
            known = self._facts[key] = Facts.from_json(entry[2])
        return known

    def read_facts(self, path: str) -> Facts:
        """What a configuration file says, secrets included: read now, not kept.

        Raises:
            OSError: It cannot be read.
        """
        with open(self.absolute(path), "rb") as stream:  # noqa: PTH123 - see `absolute`
            return reader.read_facts(path, stream.read())

    def names(self, folder: str) -> list[str]:
        """The names of the plain files in a folder, sorted; nothing when it is not there."""
        try:
            with os.scandir(self.absolute(folder)) as entries:
                return sorted(entry.name for entry in entries if entry.is_file())
        except OSError:
            return []

    def configuration(self, folder: str) -> list[str]:
        """The paths of a folder's configuration files, sorted."""
        return [f"{folder}/{name}" for name in self.names(folder) if reader.is_configuration(name)]

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder at a path."""
        return os.path.isdir(self.absolute(path))  # noqa: PTH112 - see `absolute`

    def below(self, folder: str) -> Iterator[str]:
        """The paths of all files below a folder, sorted, without the engine's own and hidden folders."""
        for base, folders, names in os.walk(self.absolute(folder)):
            folders[:] = sorted(name for name in folders if name[0] != "." and name not in _SKIPPED_FOLDERS)
            relative = os.path.relpath(base, self._root).replace(os.sep, "/")
            for name in sorted(names):
                yield f"{relative}/{name}"

    def save(self) -> None:
        """Keep what was read for the next run; a failure only costs time there."""
        if not self._changed:
            return
        youngest = time.time_ns() - _RACY_NS
        kept = {path: entry for path, entry in self._entries.items() if max(entry[0][:2]) < youngest}
        try:
            data = canonical_json({"version": [_FORMAT, FACTS_VERSION], "files": kept})
            write_atomic(self._cache, data, durable=False)
        except RecordError:
            pass

    def _entry(self, path: str) -> list[Any] | None:
        absolute = self.absolute(path)
        try:
            status = os.stat(absolute)  # noqa: PTH116 - see `absolute`
        except OSError:
            return None
        entry = self._entries.get(path)
        stamp = [status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size]
        if entry is not None and entry[0] == stamp:
            return entry
        from pathlib import Path

        try:
            digest = sha256_file(Path(absolute))
        except OSError:
            return None
        with self._lock:
            known = entry[2] if entry is not None and entry[1] == digest else None
            entry = self._entries[path] = [stamp, digest, known]
            self._changed = True
        return entry
