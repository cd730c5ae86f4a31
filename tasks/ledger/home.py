"""Where a ledger lives: the few operations that a git remote and an object store both offer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Version:
    """One state of the ledger as its home names it: a commit, or the ETag of the head object."""

    token: str
    head: bytes


class Home(Protocol):
    """A place for one ledger. Bytes only: what they mean, and whether they are to be believed, is not its business.

    Every method raises `HomeError` (below) where the place does not answer as it should; a message never holds a
    credential.
    """

    @property
    def name(self) -> str:
        """The place for people: "refs/heads/... of origin", "s3://bucket/prefix"; no credentials."""
        ...

    def read(self) -> Version | None:
        """The newest version, in one round trip; None where the place answers that there is no ledger."""
        ...

    def blobs(self, version: Version, digests: Mapping[str, str]) -> dict[str, bytes]:
        """The files ("shards/3f.json") that the head of that version lists with these SHA-256, in one go.

        Raises:
            BrokenError: One is missing, or has another digest.
        """
        ...

    def write(
        self, base: Version | None, head: bytes, blobs: Mapping[str, bytes], entries: Sequence[tuple[int, bytes]]
    ) -> Version:
        """Replaces `base` by a version with this head, in one compare-and-swap: all of it is there, or nothing.

        Blobs that are not named stay as they were. Entries are the new links of the chain, by number.

        Raises:
            MovedError: another version is there now. Nothing was written.
            DeniedError: this job may read but not write.
            UnreachableError: no answer; it is unknown whether it was written, so read before the next attempt.
        """
        ...

    def entries(self, version: Version, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """The entries up to that version with a number above `after`, oldest first. Needs the history."""
        ...

    def probe(self, version: Version) -> Version:
        """Whether this job can write and the place compares before it swaps, found out by doing it.

        Writes a version with the content of this one, and tries one that must be refused.

        Raises:
            MovedError: Another version is there now, which answers both questions for whoever wrote it.
            DeniedError, UnreachableError: As `write`.
            UnconditionalError: The place accepted what it had to refuse.
        """
        ...


class HomeError(Exception):
    """The place did not do what it was asked."""


class MovedError(HomeError):
    """Someone else wrote first."""


class DeniedError(HomeError):
    """The credentials of this job do not allow it: 401, 403, a protected branch."""


class UnreachableError(HomeError):
    """No answer, or not the answer of such a place: network, 5xx, timeout, a token that expired half way."""


class BrokenError(HomeError):
    """The place answers, and what it holds cannot be read: a blob that is missing or has another digest."""


class UnconditionalError(HomeError):
    """The place ignores conditions, so that two writers would overwrite each other: it is no place for a ledger."""
