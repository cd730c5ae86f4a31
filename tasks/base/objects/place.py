"""What all places of files do alike, and what can go wrong there."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Protocol

_TYPES = {".json": "application/json", ".jsonl": "application/x-ndjson", ".html": "text/html", ".xml": "text/xml"}


class Place(Protocol):
    """A place that keeps files by their name.

    Attributes:
        name: The place for people, without credentials.
    """

    name: str

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """A file's content and its tag for `write`; None if there is no such file.

        Raises:
            RefusedError, UnreachableError: It cannot be read.
        """
        ...

    def write(self, path: str, data: bytes, *, tag: str | None = None, new: bool = False) -> str | None:
        """Write a file; with a tag only over that very content, with `new` only where there is no such file.

        Returns:
            The new tag, where the place says so.

        Raises:
            ChangedError: There is another content. Nothing was written.
            ConditionError: The place says that it knows no conditions. Nothing was written.
            RefusedError, UnreachableError: It cannot be written.
        """
        ...

    def remove(self, path: str) -> None:
        """Remove a file, if it exists.

        Raises:
            RefusedError, UnreachableError: It cannot be removed.
        """
        ...

    def close(self) -> None:
        """Close its connections."""
        ...


class PlaceError(Exception):
    """A place did not do what it was asked; the text says what, without secrets."""


class ChangedError(PlaceError):
    """Another writer wrote the file in between."""


class ConditionError(PlaceError):
    """The place cannot compare before it swaps."""


class RefusedError(PlaceError):
    """The place refuses: these credentials may not do it, or it is not such a place."""


class UnreachableError(PlaceError):
    """No answer. A write may have happened all the same."""


def content_type(path: str) -> str:
    """The media type of a file, by its name."""
    return _TYPES.get(PurePosixPath(path).suffix, "text/plain; charset=utf-8")
