"""Where a ledger is kept: the few operations that a git remote and an object store have in common."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

KEPT = 64  # the newest entries that every version holds itself


@dataclass(frozen=True)
class Version:
    """One version of the ledger; `token` is the home's name for it: a commit, or the ETag of the head object."""

    token: str
    head: bytes


class Home(Protocol):
    """A place for one ledger. It stores bytes, and neither interprets nor verifies them.

    Every method raises `HomeError` (below) if the place does not respond as it should; a message never contains a
    credential.
    """

    @property
    def name(self) -> str:
        """The place, as shown to people: "refs/heads/... of origin", "s3://bucket/prefix"; no credentials."""
        ...

    def read(self) -> Version | None:
        """The newest version, in one round trip; None if the place has no ledger."""
        ...

    def blobs(self, version: Version, digests: Mapping[str, str]) -> dict[str, bytes]:
        """The files ("shards/3f.json") that the version's head lists with these SHA-256, in one go.

        Raises:
            BrokenError: One is missing, or has another digest.
        """
        ...

    def write(
        self, base: Version | None, head: bytes, blobs: Mapping[str, bytes], entries: Sequence[tuple[int, bytes]]
    ) -> Version:
        """Replace `base` by a version with this head in one compare-and-swap: all of it is written, or nothing.

        Blobs that are not named stay unchanged. Entries are the new ones of the chain, by number; with the first one
        among them, a chain starts over. The newest `KEPT` stay at hand, see `recent`.

        Raises:
            MovedError: another version is there now. Nothing was written.
            DeniedError: this job may read but not write.
            UnreachableError: no response; it is unknown whether it was written, so read before the next attempt.
        """
        ...

    def entries(self, version: Version, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """The entries up to that version with a number above `after`, oldest first. Needs the history."""
        ...

    def recent(self, version: Version, after: int) -> Sequence[tuple[int, bytes]]:
        """The entries with a number above `after` that this version holds itself, oldest first; needs no history.

        These are at least the newest `KEPT`. Where an older doit-tofu wrote it, a branch holds fewer; see `Head.kept`.

        Raises:
            BrokenError: One cannot be read.
        """
        ...

    def refreshed(self, version: Version) -> bool:
        """Whether this machine's copy of that version was damaged and was read again: what was read of it may differ.

        False where there is no copy, and where it is whole.
        """
        ...

    def drop(self, version: Version, first: int) -> Version:
        """Remove the entries with a number below `first`, in one compare-and-swap; everything else stays.

        Raises:
            MovedError: Another version is there now. Nothing was removed.
            DeniedError, UnreachableError: As `write`; a branch must also allow a force push.
        """
        ...

    def probe(self, version: Version) -> Version:
        """Test that this job can write, and that the place refuses a write over an older version.

        Writes the content of this version again, and tries a write that must be refused.

        Raises:
            MovedError: Another version is there now: the place compares before it writes.
            DeniedError, UnreachableError: As `write`.
            UnconditionalError: The place accepted a write that it had to refuse.
        """
        ...


class HomeError(Exception):
    """The place did not do what it was asked to do."""


class MovedError(HomeError):
    """Someone else wrote first."""


class DeniedError(HomeError):
    """The job's credentials do not allow it: 401, 403, a protected branch."""


class UnreachableError(HomeError):
    """No usable response: network, 5xx, timeout, a token that expired halfway."""


class NoRemoteError(HomeError):
    """The clone names no such remote, so nothing was asked of it: trying again does not help."""


class BrokenError(HomeError):
    """The content cannot be used: a blob is missing or has another digest."""


class UnconditionalError(HomeError):
    """The place ignores conditions, so two writers would overwrite each other: a ledger cannot be kept there."""
