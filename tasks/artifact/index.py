"""The signed index of a folder: the digests of the files that a run left in it, and its project, commit and pipeline.

The first line names the format and the key. Each further line is a MAC and a JSON value; the MAC covers the previous
line too, so that no line can be removed, inserted or moved. The first value names the index's origin and the files that
were already there. A file is announced before it is written, so that after a kill the same command can continue from
the index. The last value marks the end of the run.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import threading
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from ..base.files import opened_to_append, write_atomic

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from ..base.jsonvalue import Json, JsonObject
    from ..project.config.signer import Signer

_FORMAT = "doit-tofu index 1"
_MAC = 64  # hex digits
_FINGERPRINT = re.compile("[0-9a-f]{8}")
Digests = dict[str, str | None]  # by path in the folder; None for a file that does not exist


class BrokenIndexError(ValueError):
    """An index that cannot be trusted; the message says why."""


class OtherKeyError(BrokenIndexError):
    """An index that is signed with a key that this job does not have."""


@dataclass(frozen=True)
class Origin:
    """The origin of an index; unknown values are empty or None."""

    project: str
    environment: str
    commit: str | None
    pipeline: str


@dataclass(frozen=True)
class _Head:
    """The first value of an index: `writer` is its file's name."""

    writer: str
    origin: Origin
    files: dict[str, str]


@dataclass(frozen=True)
class _Change:
    """The files that are about to be written or removed."""

    changed: dict[str, str | None]


@dataclass(frozen=True)
class _End:
    """The end of a run, and which files it hands on; None for all."""

    handed_on: dict[str, str] | None


@dataclass
class Index:
    """An index as read: its origin, the required digests of files, and those also possible if its run was killed."""

    name: str
    origin: Origin
    files: dict[str, str] = field(default_factory=dict)
    former: dict[str, set[str | None]] = field(default_factory=dict)
    ended: bool = False


def read(name: str, data: bytes, keys: Collection[Signer]) -> Index:
    """Verify and read an index.

    Args:
        name: The name of its file.
        data: The content of its file.
        keys: The keys that it may be signed with.

    Raises:
        BrokenIndexError: It was changed, torn, or is not signed with one of the keys.
    """
    first, *lines = data.split(b"\n")
    key = _signer(first, keys)
    mac, values = first, []
    for line in lines[:-1]:  # after the last newline there may be a partial line, left by a kill
        found, text = line[:_MAC], line[_MAC + 1 :]
        mac = _next(key, mac, text)
        if not hmac.compare_digest(mac, found):
            raise BrokenIndexError("it was changed after it was written")
        values.append(text)
    read_index = _meaning(name, values)
    if read_index.ended and lines[-1]:
        raise BrokenIndexError("something was added after its end")
    return read_index


def _signer(first: bytes, keys: Collection[Signer]) -> Signer:
    head, _, fingerprint = first.decode("ascii", "replace").rpartition(" ")
    if head != _FORMAT or not _FINGERPRINT.fullmatch(fingerprint):
        raise BrokenIndexError("it is not an index of this version of doit-tofu")
    known = {key.fingerprint: key for key in keys}
    if fingerprint not in known:
        names = ", ".join(f"{key.variable} ({key.fingerprint})" for key in keys)
        raise OtherKeyError(f"it is signed with another key ({fingerprint}) than {names}")
    return known[fingerprint]


def _next(key: Signer, mac: bytes, text: bytes) -> bytes:
    return hmac.new(key.signature, b"index\0" + mac + b"\0" + text, "sha256").hexdigest().encode()


def _meaning(name: str, values: list[bytes]) -> Index:
    try:
        head = _head().validate_json(values[0])
        steps = [_step().validate_json(text) for text in values[1:]]
    except (IndexError, ValidationError):
        raise BrokenIndexError("it cannot be read as an index") from None
    if head.writer != name:
        raise BrokenIndexError(f"it was written as {head.writer}")
    index = Index(name, head.origin, dict(head.files))
    for step in steps:
        if isinstance(step, _End):
            index.ended = True
            index.files = index.files if step.handed_on is None else dict(step.handed_on)
            continue
        index.ended = False
        for path, digest in step.changed.items():
            index.former.setdefault(path, set()).add(index.files.get(path))
            if digest is None:
                index.files.pop(path, None)
            else:
                index.files[path] = digest
    return index


@cache
def _head() -> TypeAdapter[_Head]:
    return TypeAdapter(_Head)


@cache
def _step() -> TypeAdapter[_Change | _End]:
    return TypeAdapter(_Change | _End)


class Writer:
    """Writes the index of one run; its file is created when the first file is announced.

    Args:
        path: The index's file.
        key: The key to sign with.
        origin: Its origin.
        files: The files that exist, as verified.
        replaced: The indexes that this one replaces.
    """

    def __init__(
        self, path: Path, key: Signer, origin: Origin, files: Mapping[str, str], replaced: Collection[Path] = ()
    ) -> None:
        self._path, self.key, self.origin = path, key, origin
        self._files: dict[str, str] = dict(files)
        self._replaced = [other for other in replaced if other != path]
        self._lock = threading.Lock()
        self._mac = b""
        self._descriptor: int | None = None

    @property
    def begun(self) -> bool:
        """Whether anything was announced."""
        return self._descriptor is not None

    @property
    def files(self) -> dict[str, str]:
        """The files as they were announced."""
        return dict(self._files)

    def announce(self, files: Mapping[str, str | None], *, durable: bool = True) -> None:
        """Announce what is about to be written or removed; need not be durable for files that are only shown.

        Raises:
            RecordError: The index cannot be created.
            OSError: It cannot be written.
        """
        with self._lock:
            if self._descriptor is None:
                self._begin()
            self._append({"changed": dict(files)}, durable=durable)
            for path, digest in files.items():
                if digest is None:
                    self._files.pop(path, None)
                else:
                    self._files[path] = digest

    def end(self, handed_on: Mapping[str, str] | None = None) -> None:
        """Mark the end of the run, and name the files that it hands on, unless it hands on all.

        Raises:
            RecordError: The index cannot be created.
            OSError: It cannot be written.
        """
        with self._lock:
            if self._descriptor is None:
                self._begin()
            self._append({"handed_on": None if handed_on is None else dict(handed_on)}, durable=True)
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _begin(self) -> None:
        head: JsonObject = {"writer": self._path.name, "origin": asdict(self.origin), "files": {**self._files}}
        first = f"{_FORMAT} {self.key.fingerprint}".encode()
        self._mac = first
        write_atomic(self._path, first + b"\n" + self._line(head))
        for other in self._replaced:
            other.unlink(missing_ok=True)
        self._descriptor = opened_to_append(self._path)

    def _append(self, value: Mapping[str, Json], *, durable: bool) -> None:
        if self._descriptor is not None:
            os.write(self._descriptor, self._line(value))
            if durable:
                os.fsync(self._descriptor)

    def _line(self, value: Mapping[str, Json]) -> bytes:
        text = json.dumps(value, separators=(",", ":")).encode()
        self._mac = _next(self.key, self._mac, text)
        return self._mac + b" " + text + b"\n"
