"""A ledger on a ref of a git remote: read by fetching one commit, written by a push that only one writer can win.

What was fetched is kept as a cache, and a cache proves nothing: where it is damaged, it is forgotten and fetched once
more. Only what the remote then answers is the ledger.
"""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base.files import locked, sha256_bytes
from . import gitobjects, gitrefs, gitsaid
from .gitclone import gives_login
from .home import BrokenError, DeniedError, HomeError, MovedError, UnconditionalError, UnreachableError, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..base.process import Ended
    from .gitclone import Clone, Settings

REF = "refs/heads/doit-tofu/{environment}/ledger"
_HERE = "refs/ledger/head"
_TRIES = 3
_PAUSE = 0.5
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--force")


@dataclass
class GitHome:
    """A ledger on one ref of a clone's remote.

    Args:
        clone: The clone and the remote.
        ref: The full name of the ref.
        wait: Waits that many seconds between two attempts to read; true if the run was asked to stop.
    """

    clone: Clone
    ref: str
    wait: Callable[[float], bool | None] = time.sleep
    _settings: Settings = field(init=False, repr=False, default_factory=list)
    _options: tuple[str, ...] = field(init=False, default=("-o", "ci.skip"))
    _accepted: set[str] = field(init=False, default_factory=set)  # operations that the remote has accepted
    _seen: list[str] = field(init=False, default_factory=list)
    _mended: bool = field(init=False, default=False)  # the cache was examined: once is enough for a run

    @property
    def name(self) -> str:
        """The ref and the remote, without credentials."""
        return f"{self.ref} of {self.clone.plain(self.clone.remote, [])}"

    def read(self) -> Version | None:
        """The newest version, by one fetch of one commit; None if the remote has no such ref.

        A remote that does not respond is tried three times.
        """
        for number in range(1, _TRIES):
            try:
                return self._read()
            except UnreachableError:
                if self.wait(_PAUSE * 2 ** (number - 1) * random.uniform(1, 1.5)):  # noqa: S311 - apart from the others
                    raise
        return self._read()

    def blobs(self, version: Version, digests: Mapping[str, str]) -> dict[str, bytes]:
        """Files of a version, read by one process; each must have its digest."""
        try:
            return self._blobs(version, digests)
        except BrokenError:
            if not self.refreshed(version):
                raise
        return self._blobs(version, digests)

    def _blobs(self, version: Version, digests: Mapping[str, str]) -> dict[str, bytes]:
        names = list(digests)
        found = gitobjects.read(self._git, [f"{version.token}:{name}" for name in names]) if names else []
        for name, item in zip(names, found, strict=True):
            if item is None:
                raise BrokenError(f"{self.name} has no {name} in {version.token[:12]}")
            if sha256_bytes(item[1]) != digests[name]:
                raise BrokenError(f"{name} in {self.name} does not match the digest in its head")
        return {name: item[1] for name, item in zip(names, found, strict=True) if item}

    def write(
        self, base: Version | None, head: bytes, blobs: Mapping[str, bytes], entries: Sequence[tuple[int, bytes]]
    ) -> Version:
        """One commit on top of `base`, and one push that the remote accepts only while `base` is its newest version."""
        with self._alone():
            parent = base.token if base else None
            self._saw(parent)
            try:
                commit = self._added(parent, head, blobs, entries)
            except (BrokenError, UnreachableError):
                if not self._mend(parent):
                    raise
                commit = self._added(parent, head, blobs, entries)
            self._saw(commit)
            return Version(commit, head)

    def _added(
        self, parent: str | None, head: bytes, blobs: Mapping[str, bytes], entries: Sequence[tuple[int, bytes]]
    ) -> str:
        """The commit that was made on top of a parent, and pushed."""
        if parent and gitobjects.read(self._git, [parent]) == [None]:
            self._fetch("--depth=1")  # the separate repository was removed in between
        commit = gitobjects.commit(self._git, parent, head, blobs, entries)
        self._push(commit, parent)
        return commit

    def entries(self, version: Version, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """The entries; fetches the history if it was not fetched before."""
        last = after
        try:
            for last, content in self._history(version, after):
                yield last, content
        except HomeError:
            if not self.refreshed(version):
                raise
            yield from self._history(version, last)

    def recent(self, version: Version, after: int) -> Sequence[tuple[int, bytes]]:
        """The entries above `after` in the tree of this version, which was fetched with it."""
        try:
            return gitobjects.held(self._git, version.token, after)
        except BrokenError:
            if not self.refreshed(version):
                raise
        return gitobjects.held(self._git, version.token, after)

    def _history(self, version: Version, after: int) -> Iterator[tuple[int, bytes]]:
        if (self.clone.folder / "shallow").exists():
            with self._alone():
                self._fetch("--unshallow")
        yield from gitobjects.entries(self._git, version.token, after)

    def refreshed(self, version: Version) -> bool:
        """Whether the cache was damaged, or lacked this version, and was fetched again; looked at once a run."""
        with self._alone():
            return self._mend(version.token)

    def _mend(self, commit: str | None) -> bool:
        if self._mended:
            return False
        self._mended = True
        sound = self.clone.is_sound(self._settings)
        if not sound:
            self.clone.forget()
            self.clone.prepare(self._settings)
        if commit is None or gitobjects.read(self._git, [commit]) != [None]:
            return not sound
        self._fetch("--depth=1")
        if gitobjects.read(self._git, [commit]) == [None]:  # it is no longer the newest
            self._fetch("--unshallow")
        return True

    def drop(self, version: Version, first: int) -> Version:
        """A commit without a parent that has only these entries, pushed over the branch: not a fast-forward."""
        kept = list(self.entries(version, first - 1))
        with self._alone():
            blobs = gitobjects.blobs(self._git, version.token)
            commit = gitobjects.commit(self._git, None, version.head, blobs, kept)
            try:
                self._push(commit, version.token)
            except MovedError as error:
                self._fetch()
                [now] = gitobjects.read(self._git, [f"{_HERE}^{{commit}}"])
                if now is not None and now[0] == version.token:  # it did not move: the remote allows no force
                    raise DeniedError(str(error)) from None
                raise
            self._saw(commit)
            return Version(commit, version.head)

    def probe(self, version: Version) -> Version:
        """A real push of the same content, and one over an older commit, which must be refused."""
        written = self.write(version, version.head, {}, ())
        with self._alone():
            late = gitobjects.commit(self._git, version.token, version.head, {}, ())
            try:
                self._push(late, version.token)
            except MovedError:
                return written
        raise UnconditionalError(f"{self.name} accepted a push over a version that was no longer there")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The separate repository, for one operation at a time across threads and processes."""
        with locked(self.clone.folder.with_suffix(".lock"), explain=self._unusable):
            self._settings = self._settings or self.clone.settings()
            self.clone.prepare(self._settings)
            yield

    def _unusable(self, error: OSError) -> HomeError:
        where = f"{self.clone.folder.parent}: {error.strerror}"
        return HomeError(f"cannot use the folder {where}; it is a cache, which may be removed")

    def _git(self, *arguments: str, given: bytes = b"") -> Ended:
        return self.clone.git(self._settings, *arguments, given=given)

    def _read(self) -> Version | None:
        with self._alone():
            try:
                found = self._newest()
            except HomeError:
                if not self._mend(None):
                    raise
                found = self._newest()
        if found is None and self._seen:
            self._doubt(None, "is gone, or this answer is outdated: it was there a moment ago")
        return found

    def _doubt(self, commit: str | None, what: str) -> None:
        """Take an answer for that of a replica which is behind, unless the server that takes pushes gives it, too.

        Args:
            commit: Where the ref is by that answer; None if it is gone.
            what: The doubt.

        Raises:
            UnreachableError: It may be outdated.
        """
        if "push" in self._accepted:
            where, settings = self.clone.pushing(self._settings)
            lease = f"--force-with-lease={self.ref}:{commit or ''}"
            if self._pushed(settings, where, lease, commit or self._seen[-1], "--dry-run").ok:
                return
        raise UnreachableError(f"{self.name} {what}")

    def _newest(self) -> Version | None:
        [here] = gitobjects.read(self._git, [f"{_HERE}^{{commit}}"])
        if here and self._is_at(here[0]):
            return self._here()
        # What is here is brought up to date: without a depth, git asks for nothing if the branch has not moved.
        if self._fetch() if here else self._fetch("--depth=1"):
            return self._here()
        return None

    def _is_at(self, commit: str) -> bool:
        """Whether the remote's ref is at this commit; asked of a list of all refs, if their number is to be learned."""
        if not gitrefs.to_be_counted(self.clone, self._settings):
            return False
        where, settings = self.clone.fetching(self._settings)
        ended = self.clone.git([*settings, *gitrefs.LISTS_ALL], "ls-remote", "--quiet", "--", where)
        if not ended.ok:
            raise self._failure("fetch", ended, settings)
        self._accepted.add("fetch")
        return gitrefs.count(self.clone.folder, ended).get(self.ref) == commit

    def _fetch(self, *depth: str) -> bool:
        """Fetch the ref; false if the remote does not have it."""
        where, settings = self.clone.fetching(self._settings)
        if not depth:
            settings = [*settings, *gitrefs.fewest_requests(self.clone, self._settings)]
        fetch = [*_FETCH, *depth, "--no-filter", "--", where, f"+{self.ref}:{_HERE}"]
        ended = self.clone.git(settings, *fetch)
        if str(self.clone.folder) in ended.errors:  # it is about our own file, left behind by a killed process
            self.clone.forget()
            self.clone.prepare(self._settings)
            fetch = [part for part in fetch if part != "--unshallow"]  # it is new, so nothing in it is shallow
            ended = self.clone.git(settings, *fetch)
        absent = gitsaid.has_no_ref(ended)
        if not ended.ok and not absent:
            raise self._failure("fetch", ended, settings)
        self._accepted.add("fetch")
        return not absent

    def _here(self) -> Version:
        """The version that was just fetched."""
        found = gitobjects.newest(self._git, _HERE)
        if found is None:
            raise BrokenError(f"{self.name} is not a ledger: it has no file '{gitobjects.HEAD}'")
        commit, head = found
        if commit in self._seen[:-1]:
            self._doubt(
                commit,
                "returned an older version than a moment ago: this answer is outdated, or the branch was rewritten",
            )
        self._saw(commit)
        return Version(commit, head)

    def _saw(self, commit: str | None) -> None:
        if commit and commit not in self._seen:
            self._seen.append(commit)

    def _push(self, commit: str, parent: str | None) -> None:
        where, settings = self.clone.pushing(self._settings)
        lease = f"--force-with-lease={self.ref}:{parent or ''}"
        ended = self._pushed(settings, where, lease, commit)
        if self._options and gitsaid.takes_no_options(ended):
            self._options = ()
            ended = self._pushed(settings, where, lease, commit)
        if not ended.ok:
            raise self._failure("push", ended, settings)
        self._accepted.add("push")

    def _pushed(self, settings: Settings, where: str, lease: str, commit: str, *options: str) -> Ended:
        given = (lease, *self._options, *options)
        push = ("push", "--porcelain", "--no-verify", "--no-signed", "--recurse-submodules=no", *given)
        return self.clone.git(settings, *push, "--", where, f"{commit}:{self.ref}")

    def _failure(self, operation: str, ended: Ended, settings: Settings) -> HomeError:
        # The clone's own credentials were accepted if a fetch was; a token only counts if it was accepted itself.
        trusted = operation in self._accepted or (not self.clone.token and bool(self._accepted))
        if gitsaid.knows_no_settings(ended, self.clone.remote):
            return HomeError("this git is too old for the ledger: version 2.31 or newer is needed")
        way = "from" if operation == "fetch" else "to"
        said = self.clone.plain(ended.errors, settings)
        return gitsaid.failure(
            f"cannot {operation} {way} {self.name}", ended, said, trusted=trusted, given=gives_login(settings)
        )
