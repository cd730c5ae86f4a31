"""Whether this job can read and write the ledger, tested by doing both."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from .home import BrokenError, DeniedError, HomeError, MovedError, UnconditionalError, UnreachableError

if TYPE_CHECKING:
    from .home import Home


class Found(StrEnum):
    """The outcome of a check."""

    WRITABLE = "writable"
    ABSENT = "absent"
    UNREADABLE = "unreadable"  # these credentials cannot even read it
    READABLE = "readable"  # these credentials can read but not write
    UNREACHABLE = "unreachable"
    UNCONDITIONAL = "unconditional"
    BROKEN = "broken"
    FAILED = "failed"

    @property
    def can_write(self) -> bool:
        """Whether a deploy job with these credentials can work."""
        return self is Found.WRITABLE


@dataclass(frozen=True)
class Check:
    """What was tested, and the outcome.

    Args:
        name: The ledger's home.
        found: The outcome.
        said: The error, without credentials; empty if there was none.
    """

    name: str
    found: Found
    said: str = ""


_OF_AN_ERROR: tuple[tuple[type[HomeError], Found], ...] = (
    (DeniedError, Found.UNREADABLE),
    (UnreachableError, Found.UNREACHABLE),
    (UnconditionalError, Found.UNCONDITIONAL),
    (BrokenError, Found.BROKEN),
)


def check(home: Home) -> Check:
    """Read the ledger, then write the same content again and try writes that must be refused."""
    try:
        version = home.read()
    except HomeError as error:
        return Check(home.name, _found(error), str(error))
    if version is None:
        return Check(home.name, Found.ABSENT)
    try:
        home.probe(version)
    except MovedError:  # a deploy wrote in between: the place compares before it swaps
        return check(home)
    except DeniedError as error:
        return Check(home.name, Found.READABLE, str(error))
    except HomeError as error:
        return Check(home.name, _found(error), str(error))
    return Check(home.name, Found.WRITABLE)


def _found(error: HomeError) -> Found:
    return next((found for kind, found in _OF_AN_ERROR if isinstance(error, kind)), Found.FAILED)
