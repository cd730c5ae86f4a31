"""Durable files: a record is written completely or not at all, and an error that reads one names it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import jsontext, plain
from .errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_ERRORS = (
    "surrogatepass"  # Python turns a file name that is not UTF-8 into lone surrogates; `json.loads` reads them back
)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST_NOTE = 4096
LARGEST_RECORD = 1 << 28
DEEPEST = 200  # of all that the engine and this product write, nothing is nested a tenth as deep
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_TEXTS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_OTHERS = bytes(byte for byte in range(256) if byte not in _STEPS)


class HeldError(Exception):
    """Another process holds a lock; the message is what that process noted in the lock file."""


def sha256_bytes(data: bytes) -> str:
    """Hex SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's content, read in blocks; a link is followed, a pipe or device raises an OSError."""
    with os.fdopen(plain.regular(path), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """The canonical JSON text of a value (sorted keys, no spaces), for digests."""
    return jsontext.dumps(value, sort_keys=True, compact=True, ensure_ascii=False, default=str).encode(errors=_ERRORS)


def fsync_dir(path: Path) -> None:
    """Make a rename inside this folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes, *, durable: bool = True, mode: int | None = None) -> None:
    """Write a file via temporary file, flush, fsync and rename: readers see the old content or the new.

    Args:
        path: The file; its folder is created if missing.
        data: Its whole content.
        durable: False skips the fsync, for files that can be recreated (reports, caches).
        mode: Its permissions; None leaves it to its owner alone.

    Raises:
        RecordError: The disk is full, the folder is read-only, or similar. The old content is kept.
    """
    try:
        plain.make_folder(path.parent)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                if mode is not None:
                    os.fchmod(stream.fileno(), mode)
                if durable:
                    stream.flush()
                    os.fsync(stream.fileno())
            os.replace(name, path)  # noqa: PTH105 - called for every record of every stack
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
        if durable:
            fsync_dir(path.parent)
    except OSError as error:
        raise _unwritten(path, error) from error


def write_all(contents: Mapping[Path, bytes]) -> None:
    """`write_atomic` of many files: the disk is waited for once, not twice for each file.

    Each file has its old content or the new at any time. After a crash, some may have the one and some the other.

    Raises:
        RecordError: As `write_atomic`; some files may have been replaced.
    """
    written: dict[str, str] = {}  # by path; texts, as there are thousands
    made: set[str] = set()
    token = os.urandom(8).hex()
    path: Path | str | None = None
    try:
        try:
            for path, data in contents.items():
                parent, name = os.path.split(path)
                if parent not in made:
                    plain.make_folder(Path(parent))
                    made.add(parent)
                place = written[str(path)] = f"{parent}/.{name}.{token}"  # `mkstemp` makes each name anew
                with os.fdopen(os.open(place, _NEW, 0o600), "wb") as stream:
                    stream.write(data)
            _flush(list(written.values()))
            for path, place in list(written.items()):
                os.replace(place, path)  # noqa: PTH105 - called for every record of every stack
                del written[path]
        finally:
            for place in written.values():
                Path(place).unlink(missing_ok=True)
        for folder in made:
            fsync_dir(Path(folder))
    except OSError as error:
        raise _unwritten(path, error) from error


def _unwritten(path: Path | str | None, error: OSError) -> RecordError:
    return RecordError(
        f"cannot write {path}: {error.strerror or error}",
        untouched="the file's previous content is intact",
        next_step="free disk space or make the folder writable, then run the same command again",
    )


def _flush(names: Sequence[str]) -> None:
    """Wait until the content of these files, all in one file system, is on the disk."""
    for number, name in enumerate(names):
        descriptor = plain.regular(Path(name))
        try:
            if number == 0 and _flush_all(descriptor):
                return
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _flush_all(descriptor: int) -> bool:
    """Flush the file system of a file, with `syncfs(2)` of Linux; False where that fails or does not exist."""
    import ctypes

    flush = getattr(ctypes.CDLL(None), "syncfs", None)
    return flush is not None and flush(descriptor) == 0


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """`write_atomic` of a value as readable JSON."""
    write_atomic(path, json_bytes(value), durable=durable)


def json_bytes(value: object, *, readable: bool = True) -> bytes:
    """A value as JSON, readable as `write_json` writes it, or on a single line, which takes a tenth of the time."""
    text = jsontext.dumps(
        value, indent=2 if readable else None, compact=not readable, ensure_ascii=False, default=str
    )  # fmt: skip
    return (text + "\n").encode(errors=_ERRORS)


def append(path: Path, text: str) -> None:
    """Append a text to a file, which is created if missing; anything but a plain file is refused.

    Raises:
        OSError: The file cannot be used.
    """
    plain.make_folder(path.parent)
    with os.fdopen(plain.opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as stream:
        stream.write(text.encode(errors="backslashreplace"))


def opened_to_append(path: Path) -> int:
    """A descriptor that writes at the end of a file; a link or what is no plain file is refused.

    Raises:
        OSError: The file cannot be used.
    """
    return plain.opened(path, os.O_WRONLY | os.O_APPEND)


def read_json(path: Path) -> Any:
    """The value of a JSON file, or None if the file does not exist; a link or a pipe in its place is refused.

    Raises:
        RecordError: It exists, but cannot be read or is not JSON.
    """
    try:
        return parse_json(plain.read(path, LARGEST_RECORD))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(
            f"cannot read {path}: {error}",
            where=str(path),
            next_step="if its content is lost, remove the file and run the same command again",
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
    return jsontext.loads(data)


@contextlib.contextmanager
def locked(
    path: Path, *, wait: bool = True, explain: Callable[[OSError], Exception] | None = None,
    pause: Callable[[], None] | None = None, note: str = "", shared: bool = False,
) -> Iterator[int]:  # fmt: skip
    """Hold a file lock between processes; it ends with this process at the latest.

    Yields the descriptor: a child that inherits it holds the lock for as long as it lives. A link, or anything else
    that is not a plain file, is refused: its target is neither emptied nor waited for.

    Args:
        path: The file; it and its folder are created if missing.
        wait: Whether to wait for the holder.
        explain: Turns the OSError of an unusable file into an error for people.
        pause: Called repeatedly while another process holds it, instead of waiting forever; may raise.
        note: What the file contains while the lock is held.
        shared: Whether several sharers may hold it at the same time.

    Raises:
        HeldError: Another process holds it, and `wait` is False.
        OSError: The file cannot be used, and `explain` is not given.
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
    """What the process that holds a lock noted; None if it is free, or if that cannot be told."""
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
