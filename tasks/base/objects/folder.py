"""A folder as a place of files, which may lie on a share: one lock for its writers, each file whole or not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import plain
from ..errors import RecordError
from ..files import LARGEST_RECORD, locked, sha256_bytes, write_atomic
from .place import ChangedError, UnreachableError

if TYPE_CHECKING:
    from pathlib import Path


class Folder:
    """A folder; the tag of a file is its digest.

    Args:
        folder: The folder; it is made when it is written to.
        durable: Whether a file is on the disk when `write` returns.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.name, self._folder, self._durable = str(folder), folder, durable

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """A file of the folder."""
        try:
            data = plain.read(self._folder / path, LARGEST_RECORD)
        except FileNotFoundError:
            return None, None
        except OSError as error:
            raise UnreachableError(f"cannot read {path}: {error.strerror}") from error
        return data, sha256_bytes(data)

    def write(self, path: str, data: bytes, *, tag: str | None = None, new: bool = False) -> str | None:
        """Write under a lock of the folder, so that two writers do not lose each other's changes."""
        target = self._folder / path
        try:
            with locked(self._folder / ".lock"):
                if tag is not None or new:
                    found = self.read(path)[0]
                    if (found is None) is not new or (found is not None and sha256_bytes(found) != tag):
                        raise ChangedError(path)
                write_atomic(target, data, durable=self._durable)
        except (OSError, RecordError) as error:
            raise UnreachableError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error
        return sha256_bytes(data)

    def remove(self, path: str) -> None:
        """Remove a file."""
        try:
            (self._folder / path).unlink(missing_ok=True)
        except OSError as error:
            raise UnreachableError(f"cannot remove {path}: {error.strerror}") from error

    def close(self) -> None:
        """Nothing is left open."""
