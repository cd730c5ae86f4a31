"""Durable files: every record is written whole or not at all, and read with an error that names it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import plain
from .errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ERRORS = "surrogatepass"  # a file's name that is not UTF-8 is a lone surrogate in Python; `json.loads` reads it back
_LONGEST_NOTE = 4096
LARGEST_RECORD = 1 << 28
DEEPEST = 200  # of all that the engine and this product write, nothing is nested a tenth as deep
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_TEXTS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_OTHERS = bytes(byte for byte in range(256) if byte not in _STEPS)


class HeldError(Exception):
    """Another process holds a lock; says what it noted in the lock's file."""


def sha256_bytes(data: bytes) -> str:
    """Hex SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's content, read in blocks; a link is followed, a pipe or device raises an OSError."""
    with os.fdopen(plain.regular(path), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """The one JSON text of a value (sorted keys, no spaces): what digests are taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode(
        errors=_ERRORS
    )


def fsync_dir(path: Path) -> None:
    """Make a rename inside this folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file by temporary file, flush, fsync and rename: readers see the old content or the new.

    Args:
        path: The file; its folder is made when missing.
        data: All of its content.
        durable: False leaves out the fsync, for what can be made again (reports, caches).

    Raises:
        RecordError: The disk is full, the folder is read-only, or the like. The old content still stands.
    """
    try:
        plain.make_folder(path.parent)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                if durable:
                    stream.flush()
                    os.fsync(stream.fileno())
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
        if durable:
            fsync_dir(path.parent)
    except OSError as error:
        raise RecordError(
            f"cannot write {path}: {error.strerror or error}",
            untouched="the file's former content stands",
            next_step="make room or make the folder writable, then run the same command again",
        ) from error


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """`write_atomic` of a value as readable JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"
    write_atomic(path, text.encode(errors=_ERRORS), durable=durable)


def append(path: Path, text: str) -> None:
    """Add a text at the end of a file, which is made when missing; a link or what is no plain file is refused.

    Raises:
        OSError: The file cannot be used.
    """
    plain.make_folder(path.parent)
    with os.fdopen(plain.opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as stream:
        stream.write(text.encode(errors="backslashreplace"))


def read_json(path: Path) -> Any:
    """The value of a JSON file, or None when there is no such file; a link or a pipe in its place is refused.

    Raises:
        RecordError: It is there and cannot be read or is not JSON.
    """
    try:
        return parse_json(plain.read(path, LARGEST_RECORD))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(
            f"cannot read {path}: {error}",
            where=str(path),
            next_step="remove the file if its content is lost, then run the same command again",
        ) from error


def parse_json(data: bytes) -> Any:
    """The value of a JSON text that somebody else may have written.

    Raises:
        ValueError: It is not JSON, or nested deeper than any code that walks it could bear.
    """
    if data.count(b"[") + data.count(b"{") > DEEPEST:
        brackets = _TEXTS.sub(b"", data).translate(None, _OTHERS)
        if max(itertools.accumulate(map(_STEPS.__getitem__, brackets)), default=0) > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
    return json.loads(data)


@contextlib.contextmanager
def locked(
    path: Path, *, wait: bool = True, explain: Callable[[OSError], Exception] | None = None,
    pause: Callable[[], None] | None = None, note: str = "", shared: bool = False,
) -> Iterator[int]:  # fmt: skip
    """Hold a file's lock among processes; it ends with this process at the latest.

    Yields the descriptor: a child that gets it holds the lock for as long as it lives. A link as the file is refused,
    and so is all that is no plain file: what it leads to is neither emptied nor waited for.

    Args:
        path: The file; it and its folder are made when missing.
        wait: Whether to wait for who holds it.
        explain: Turns what the system says when the file cannot be used into an error for people.
        pause: Called again and again while another process holds it, in place of waiting without end; may raise.
        note: What the file says while it is held.
        shared: Whether others that share it may hold it at the same time.

    Raises:
        HeldError: Another process holds it, and `wait` is False.
        OSError: The file cannot be used, where nothing explains it.
    """
    try:
        plain.make_folder(path.parent)
        descriptor = plain.opened(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        if explain is None:
            raise
        raise explain(error) from error
    try:
        while not _lock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, wait=wait and pause is None):
            if pause is None:
                raise HeldError(_note(descriptor))
            pause()
        if note:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, note.encode(), 0)
        yield descriptor
        if note:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def holder(path: Path) -> str | None:
    """What the process noted that holds a lock at this moment; None when none does, or it cannot be known."""
    try:
        descriptor = plain.opened(path)
    except OSError:
        return None
    try:
        return None if _lock(descriptor, fcntl.LOCK_SH, wait=False) else _note(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, operation: int, *, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, operation | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _note(descriptor: int) -> str:
    return os.pread(descriptor, _LONGEST_NOTE, 0).decode("utf-8", "replace").strip() or "an unknown process"
