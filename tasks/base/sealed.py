"""Immutable bytes: no path leads to them and, on Linux, nothing can write to them any more."""

from __future__ import annotations

import hashlib
import os
import tempfile
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from io import BufferedReader
    from types import TracebackType

_BLOCK = 1 << 20


class Sealed:
    """An unnamed file whose content cannot change; a context manager that closes it.

    On Linux it is in memory, with seals that stop every process from writing, growing or shrinking it. A read-only
    descriptor of a plain file is not enough: writes to the file in place show through it. Elsewhere it is a private,
    unlinked file that only we and our children can open.

    Args:
        descriptor: A file from `blank` with its content written; from now on this object owns and seals it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        try:
            _seal(descriptor)
            self.size = os.fstat(descriptor).st_size
            with self.stream() as stream:
                self.sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        except BaseException:
            os.close(descriptor)
            raise

    def argument(self) -> str:
        """Its path in a child process that inherits the descriptor; for one reader at a time."""
        os.lseek(self.descriptor, 0, os.SEEK_SET)  # if `/dev/fd` is not a link, the child shares our file position
        return path_of(self.descriptor)

    def stream(self) -> BufferedReader:
        """A stream of its content from the start; for one reader at a time."""
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        return os.fdopen(os.dup(self.descriptor), "rb")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it, which frees the content."""
        os.close(self.descriptor)


def path_of(descriptor: int) -> str:
    """The path of an open file in a child process that inherits its descriptor."""
    return f"/dev/fd/{descriptor}"


def blank() -> int:
    """The descriptor of an empty, unnamed file to write and then seal.

    Raises:
        OSError: Memory or descriptors have run out.
    """
    if hasattr(os, "memfd_create"):
        return os.memfd_create("sealed", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with tempfile.TemporaryFile() as file:  # mode 600, unlinked
        return os.dup(file.fileno())


def copy(source: int, most: int) -> Sealed | None:
    """A sealed copy of the file behind a descriptor; None if it is larger than `most` bytes.

    Raises:
        OSError: It cannot be read or copied.
    """
    target, left = blank(), most
    try:
        os.lseek(source, 0, os.SEEK_SET)
        while data := os.read(source, _BLOCK):
            left -= len(data)
            if left < 0:
                os.close(target)
                return None
            _write(target, data)
    except BaseException:
        os.close(target)
        raise
    return Sealed(target)


def of(data: bytes) -> Sealed:
    """A sealed copy of some bytes.

    Raises:
        OSError: They cannot be stored.
    """
    target = blank()
    try:
        _write(target, data)
    except BaseException:
        os.close(target)
        raise
    return Sealed(target)


def _write(target: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(target, left) :]


def _seal(descriptor: int) -> None:
    if not hasattr(os, "memfd_create"):
        return
    import fcntl

    fcntl.fcntl(
        descriptor,
        fcntl.F_ADD_SEALS,
        fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL,
    )
