"""The interface to files that evaluation needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .values import Values


class Files(Protocol):
    """What evaluation asks about files, and what it reports about them."""

    def read(self, path: Values) -> None:
        """A function reads the file at a path."""

    def content(self, path: str) -> str | None:
        """The text of a file; None if it does not exist or is not text."""

    def exists(self, path: str) -> bool:
        """Whether there is a file at a path."""

    def matching(self, folder: Values, pattern: Values) -> Values:
        """The result of `fileset`."""

    def fill(self, path: Values, given: Values) -> None:
        """A template is filled in."""

    def absolute(self, path: str) -> str:
        """The absolute path as the engine's process sees it."""


class TooMuchError(Exception):
    """An expression is too large to be followed."""
