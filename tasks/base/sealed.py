"""Bytes that stay as they are: no path leads to them and, on Linux, nothing can write to them any more."""

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
    """A file without a name whose content cannot change; closes with a `with` block.

    On Linux it lives in memory and carries seals against writing, growing and shrinking, for whoever holds it. A
    read-only descriptor of a plain file is no such thing: what is written in place shows behind it. Elsewhere it is a
    private file, unlinked: nobody but us and our children can open it.

    Args:
        descriptor: A file of `blank`, written; it is owned, and sealed, from now on.
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
        """What names it in a child process that is given the descriptor; for one reader at a time."""
        os.lseek(self.descriptor, 0, os.SEEK_SET)  # where `/dev/fd` is no link, the child goes on from where we were
        return path_of(self.descriptor)

    def stream(self) -> BufferedReader:
        """A stream of its content from the beginning; for one reader at a time."""
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        return os.fdopen(os.dup(self.descriptor), "rb")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget the content."""
        os.close(self.descriptor)


def path_of(descriptor: int) -> str:
    """What names an open file in a child process that is given its descriptor."""
    return f"/dev/fd/{descriptor}"


def blank() -> int:
    """The descriptor of an empty file without a name, to be written and then sealed.

    Raises:
        OSError: There is no memory or no descriptor left.
    """
    if hasattr(os, "memfd_create"):
        return os.memfd_create("sealed", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with tempfile.TemporaryFile() as file:  # mode 600, unlinked
        return os.dup(file.fileno())


def copy(source: int, most: int) -> Sealed | None:
    """A sealed copy of all that is behind a descriptor; None when that is more than `most` bytes.

    Raises:
        OSError: It cannot be read or kept.
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
    """Some bytes, sealed.

    Raises:
        OSError: They cannot be kept.
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
