"""Durable files: every record is written whole or not at all, and read with an error that names it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from .errors import RecordError

_ERRORS = "surrogatepass"  # a file's name that is not UTF-8 is a lone surrogate in Python; `json.loads` reads it back


class NotPlainError(OSError):
    """What is there is a link, a folder, a device: not the plain file that it has to be."""


def sha256_bytes(data: bytes) -> str:
    """Hex SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's content, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def open_plain(base: Path, *parts: str) -> int:
    """A descriptor to read a file below a folder, opened without following a link on the way.

    Raises:
        FileNotFoundError: It is not there.
        NotPlainError: It is no plain file, or a part of its path is a link.
        OSError: It cannot be read.
    """
    folder = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        # A pipe without a writer would make us wait for one.
        file = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            raise NotPlainError(error.errno, "is not a plain file", parts[-1]) from error
        raise
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise NotPlainError(errno.EINVAL, "is not a plain file", parts[-1])
    return file


def canonical_json(value: Any) -> bytes:
    """The one JSON text of a value (sorted keys, no spaces): what digests are taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode(
        errors=_ERRORS
    )


def fsync_dir(path: Path) -> None:
    """Make a rename inside this folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
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
        path.parent.mkdir(parents=True, exist_ok=True)
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


def read_json(path: Path) -> Any:
    """The value of a JSON file, or None when there is no such file.

    Raises:
        RecordError: It is there and cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(
            f"cannot read {path}: {error}",
            where=str(path),
            next_step="remove the file if its content is lost, then run the same command again",
        ) from error
