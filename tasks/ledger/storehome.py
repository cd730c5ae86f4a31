"""A ledger in a store of files: each is stored under its digest, except the head, which is replaced conditionally.

    head          one line (see `_Link`), then the head
    objects/...   blobs, entries and pages of entries by SHA-256, written before the head that names them

Objects written by the loser of a race stay there unreferenced.
"""

from __future__ import annotations

import json
import secrets
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base.files import sha256_bytes
from ..base.objects.place import ChangedError, ConditionError, PlaceError, RefusedError
from .home import KEPT, BrokenError, DeniedError, HomeError, MovedError, UnconditionalError, UnreachableError, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ..base.objects.place import Place

HEAD = "head"
_PAGE = KEPT  # entries of a page; the head lists as many itself, and those that do not fill another page
_AT_ONCE = 16
_AHEAD = 2 * _AT_ONCE  # files that are read before they are asked for
_WRONG_TAG = '"0000000000000000"'


@dataclass(frozen=True)
class _Link:
    """How a head leads to the entries: the latest by number and digest, and the page of earlier ones.

    Args:
        entries: The latest entries, oldest first.
        before: The digest of the page of earlier entries; empty if there are none.
    """

    entries: tuple[tuple[int, str], ...] = ()
    before: str = ""

    @property
    def latest(self) -> int:
        """The number of the latest entry; 0 without one."""
        return self.entries[-1][0] if self.entries else 0

    def line(self, mark: str) -> bytes:
        """The link as a line. The mark makes two writes of the same content two versions: an ETag may be a digest."""
        return json.dumps({"entries": self.entries, "before": self.before, "write": mark}).encode() + b"\n"

    def extended(self, new: Sequence[tuple[int, str]]) -> tuple[_Link, list[bytes]]:
        """The link with more entries, and the pages that it then needs."""
        named, before, pages = [*self.entries, *new], self.before, list[bytes]()
        while len(named) >= KEPT + _PAGE:
            page = _Link(tuple(named[:_PAGE]), before).line("")
            pages.append(page)
            named, before = named[_PAGE:], sha256_bytes(page)
        return _Link(tuple(named), before), pages

    @classmethod
    def parsed(cls, line: bytes) -> _Link:
        """Read a link from a line.

        Raises:
            BrokenError: It is not one.
        """
        try:
            found = json.loads(line)
            return cls(tuple((int(number), str(digest)) for number, digest in found["entries"]), str(found["before"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BrokenError("it is not a ledger") from None


@dataclass
class StoreHome:
    """A ledger in a store of files.

    Args:
        place: The store, whose conditional writes are tried once.
    """

    place: Place
    _sent: set[str] = field(init=False, repr=False, default_factory=set)  # digests that were written
    _latest: int = field(init=False, repr=False, default=0)  # the number of the latest entry that was read or written

    @property
    def name(self) -> str:
        """The place, without credentials."""
        return self.place.name

    def read(self) -> Version | None:
        """The newest version, by one request for the head.

        What cannot be after what was read or written before - no head, none that is one, an older one - is asked for
        once more: a proxy or a replica may answer so for a moment, and a deploy would take its lease for lost.
        """
        try:
            found = self._read()
            if self._latest == 0 or (found is not None and _link(found).latest >= self._latest):
                return self._noted(found)
        except (BrokenError, UnconditionalError):
            if self._latest == 0:
                raise
        return self._noted(self._read())

    def _read(self) -> Version | None:
        """The head as the store answers now."""
        with self._translated("read the ledger"):
            content, tag = self.place.read(HEAD)
        if content is None:
            return None
        if tag is None:
            raise UnconditionalError(f"{self.name} answers without a strong ETag")
        line, newline, head = content.partition(b"\n")
        if not newline:
            raise BrokenError(f"{self.name}: it is not a ledger")
        _Link.parsed(line)
        return Version(f"{tag}\n{line.decode(errors='replace')}", head)

    def _noted(self, found: Version | None) -> Version | None:
        self._latest = _link(found).latest
        return found

    def blobs(self, version: Version, digests: Mapping[str, str]) -> dict[str, bytes]:
        """Files of a version, several at a time; files of older versions still exist too."""
        del version
        return dict(zip(digests, self._objects([(name, digest) for name, digest in digests.items()]), strict=True))

    def write(
        self, base: Version | None, head: bytes, blobs: Mapping[str, bytes], entries: Sequence[tuple[int, bytes]]
    ) -> Version:
        """Write everything that the head names, then the head over that of `base`."""
        link, numbers = _link(base), [number for number, _ in entries]
        if 1 in numbers:  # a ledger that is rebuilt starts over
            link = _Link()
        following, pages = link.extended([(number, sha256_bytes(content)) for number, content in entries])
        self._send([*blobs.values(), *(content for _, content in entries), *pages])
        return self._swap(base, following, head)

    def entries(self, version: Version, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """The entries of a version, oldest first; pages are read back to the first one needed."""
        try:
            named = (item for page in reversed(self._pages(version, after)) for item in page.entries)
            wanted = [(number, digest) for number, digest in named if number > after]
            found = self._in_turn((f"entry {number}", digest) for number, digest in wanted)
            yield from zip((number for number, _ in wanted), found, strict=True)
        except BrokenError:
            now = self.read()
            if now is not None and now.token != version.token:  # old entries may have been dropped since
                raise UnreachableError(f"{self.name} was written while it was read") from None
            raise

    def recent(self, version: Version, after: int) -> Sequence[tuple[int, bytes]]:
        """The entries above `after`, each asked for: a copy here would hide that a file is gone."""
        return list(self.entries(version, after))

    def refreshed(self, version: Version) -> bool:
        """Nothing of a store is kept here but shards, whose digests are compared."""
        del version
        return False

    def drop(self, version: Version, first: int) -> Version:
        """A head that no longer leads to them; then their files are deleted."""
        pages = self._pages(version, 0)
        named = [item for page in reversed(pages) for item in page.entries]
        link, new = _Link().extended([item for item in named if item[0] >= first])
        self._send(new)
        written = self._swap(version, link, version.head)
        gone = {digest for number, digest in named if number < first} | {page.before for page in pages if page.before}
        gone -= {digest for number, digest in named if number >= first} | {sha256_bytes(page) for page in new}
        with self._translated("delete old entries"), ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda digest: self.place.remove(_object(digest)), sorted(gone)))
        self._sent -= gone
        return written

    def _pages(self, version: Version, after: int) -> list[_Link]:
        """The pages with entries above `after`, newest first; the head's own list is the first."""
        pages = [_link(version)]
        while pages[-1].before and not (pages[-1].entries and pages[-1].entries[0][0] <= after + 1):
            [page] = self._objects([("a page of entries", pages[-1].before)])
            pages.append(_Link.parsed(page))
        return pages

    def probe(self, version: Version) -> Version:
        """A real write of the same head, and three that must be refused: with an old ETag, a wrong one, and none."""
        link = _link(version)
        written = self._swap(version, link, version.head)
        for late in (version, Version(f"{_WRONG_TAG}\n{version.token.partition(chr(10))[2]}", version.head), None):
            try:
                self._swap(late, link, version.head)
            except MovedError:
                continue
            raise UnconditionalError(f"{self.name} accepted a write over a version that was no longer there")
        return written

    def _swap(self, base: Version | None, link: _Link, head: bytes) -> Version:
        line = link.line(secrets.token_hex(8))
        content = line + head
        with self._translated("write the ledger"):
            tag = self.place.write(HEAD, content, tag=base.token.partition("\n")[0] if base else None, new=base is None)
            if tag is None:  # the server does not return the new ETag
                found, tag = self.place.read(HEAD)
                if found != content:
                    raise UnreachableError(f"{self.name}: it is unknown whether the head was written")
        if tag is None:
            raise UnconditionalError(f"{self.name} answers without a strong ETag")
        self._latest = link.latest
        return Version(f"{tag}\n{line[:-1].decode()}", head)

    def _send(self, contents: Iterable[bytes]) -> None:
        """Write objects that were not written yet, several at a time, each under its digest."""
        new = {sha256_bytes(content): content for content in contents}
        new = {digest: content for digest, content in new.items() if digest not in self._sent}
        with self._translated("write the ledger"), ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda item: self.place.write(_object(item[0]), item[1]), new.items()))
        self._sent |= set(new)

    def _objects(self, wanted: Iterable[tuple[str, str]]) -> list[bytes]:
        """The contents of these digests; see `_in_turn`."""
        return list(self._in_turn(wanted))

    def _in_turn(self, wanted: Iterable[tuple[str, str]]) -> Iterator[bytes]:
        """The contents of these names and digests in their order, several at a time; some are read ahead.

        Raises:
            BrokenError: One is missing or has another digest; the message names it.
        """
        ahead = deque[tuple[str, str, Future[tuple[bytes | None, str | None]]]]()
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            for name, digest in wanted:
                ahead.append((name, digest, pool.submit(self.place.read, _object(digest))))
                if len(ahead) > _AHEAD:
                    yield self._content(*ahead.popleft())
            while ahead:
                yield self._content(*ahead.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _content(self, name: str, digest: str, reading: Future[tuple[bytes | None, str | None]]) -> bytes:
        with self._translated("read the ledger"):
            content, _ = reading.result()
        if content is None:
            raise BrokenError(f"{self.name} has no {name}, which its head names")
        if sha256_bytes(content) != digest:
            raise BrokenError(f"{name} in {self.name} does not match the digest in its head")
        return content

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Turn a store's errors into a home's errors."""
        try:
            yield
        except PlaceError as error:
            raise _error(error)(f"cannot {what} at {self.name}: {error}") from None


def _link(version: Version | None) -> _Link:
    return _Link.parsed(version.token.partition("\n")[2].encode()) if version else _Link()


def _object(digest: str) -> str:
    return f"objects/{digest[:2]}/{digest[2:]}"


def _error(error: PlaceError) -> type[HomeError]:
    if isinstance(error, ChangedError):
        return MovedError
    if isinstance(error, ConditionError):
        return UnconditionalError
    return DeniedError if isinstance(error, RefusedError) else UnreachableError
