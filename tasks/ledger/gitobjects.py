"""A version of the ledger as git objects: written by one `git fast-import`, read by `git cat-file`.

    head             the head
    entries/17       the newest entries, among them those that this commit adds; earlier ones are in earlier commits
    shards/3f.json   the blobs

fast-import uses no index, filters, hooks or signatures.
https://git-scm.com/docs/git-fast-import, https://git-scm.com/docs/git-cat-file
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from typing import TYPE_CHECKING

from .home import KEPT, BrokenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..base.process import Ended

    Git = Callable[..., Ended]

HEAD = "head"
ENTRIES = "entries"
README = "README.md"
NEXT = "refs/ledger/next"
WHO = "doit-tofu <doit-tofu@users.noreply.invalid>"
_TITLE = b"# Ledger\n\nWhat was deployed, written by doit-tofu's deploy jobs. An edit by hand would be refused.\n"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_NUMBER = "entries/([1-9][0-9]{0,17})"
_CHANGED = re.compile(rf"^:\d{{6}} \d{{6}} [0-9a-f]+ ([0-9a-f]+) ([AMD])\t{_NUMBER}$", re.MULTILINE)
_LISTED = re.compile(rf"\d{{6}} blob ([0-9a-f]+)\t{_NUMBER}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_AT_ONCE = 500
_SHA1_DIGITS = 40
_OURS = (HEAD, ENTRIES, README)


def commit(
    git: Git, parent: str | None, head: bytes, blobs: Mapping[str, bytes], entries: Sequence[tuple[int, bytes]]
) -> str:
    """Write a commit to the separate repository; returns its id.

    Of its parent's entries, it holds the newest, so that a reader of one commit can verify them.

    No two commits are the same, not even with the same content in the same second: otherwise two writers could both
    believe that they won.

    Raises:
        BrokenError: It cannot be written.
    """
    if wrong := [name for name in blobs if not _NAME.fullmatch(name) or name.partition("/")[0] in _OURS]:
        raise ValueError(f"not a file name of a ledger: {wrong[0]}")
    numbers = [number for number, _ in entries]
    kept = _in_tree(git, parent) if parent and 1 not in numbers else {}  # a ledger that is rebuilt starts over
    earlier = [item for item in kept.items() if item[0] < min(numbers, default=item[0] + 1)]
    kept = dict(earlier[max(0, len(earlier) + len(numbers) - KEPT) :])
    stream = b"".join(_stream(parent, head, blobs, entries, kept))
    ended = git("fast-import", "--quiet", "--force", "--done", given=stream)
    made = ended.output.strip()
    if not ended.ok or not _COMMIT.fullmatch(made):
        raise BrokenError(f"git cannot write the ledger's objects: {ended.errors.strip():.200}")
    return made


def _stream(
    parent: str | None,
    head: bytes,
    blobs: Mapping[str, bytes],
    entries: Sequence[tuple[int, bytes]],
    kept: Mapping[int, str],
) -> Iterator[bytes]:
    subject = f"entry {entries[-1][0]}" if entries else "no new entry"
    message = f"Ledger: {subject} [skip ci]\n\nWrite: {secrets.token_hex(16)}\n".encode()
    yield f"commit {NEXT}\nmark :1\ncommitter {WHO} {int(time.time())} +0000\n".encode()
    yield _data(message)
    if parent:
        yield f"from {parent}\nD {ENTRIES}\n".encode()
    else:
        yield _file(README, _TITLE)
    yield _file(HEAD, head)
    for name, content in blobs.items():
        yield _file(name, content)
    for number, blob in kept.items():
        yield f"M 100644 {blob} {ENTRIES}/{number}\n".encode()
    for number, content in entries:
        yield _file(f"{ENTRIES}/{number}", content)
    yield b"\nget-mark :1\ndone\n"


def _file(name: str, content: bytes) -> bytes:
    return f"M 100644 inline {name}\n".encode() + _data(content)


def _data(content: bytes) -> bytes:
    return f"data {len(content)}\n".encode() + content + b"\n"


def read(git: Git, names: Sequence[str]) -> list[tuple[str, bytes] | None]:
    """The id and content of each named object (`refs/ledger/head:head`); None for one that does not exist.

    Raises:
        BrokenError: Git fails.
    """
    ended = git("cat-file", "--batch", given="".join(f"{name}\n" for name in names).encode())
    if not ended.ok:
        raise BrokenError(f"git cannot read the ledger's objects: {ended.errors.strip():.200}")
    return list(_parsed(ended.output.encode(errors="surrogateescape"), len(names)))


def newest(git: Git, ref: str) -> tuple[str, bytes] | None:
    """The commit that a ref names, and the head in it; None if it has none.

    Git does not compare an object that it reads with its digest. Here that is done for all that leads to the head, as
    whoever may write to a cache could put other content in its place.

    Raises:
        BrokenError: Git fails, or an object does not match its digest.
    """
    names = [f"{ref}^{{commit}}", f"{ref}^{{tree}}", f"{ref}:{HEAD}"]
    commit, tree, head = read(git, names)
    if commit is None or tree is None or head is None:
        return None
    leads = commit[1].startswith(f"tree {tree[0]}\n".encode())
    leads = leads and f" {HEAD}\0".encode() + bytes.fromhex(head[0]) in tree[1]
    kinds = zip(("commit", "tree", "blob"), (commit, tree, head), strict=True)
    if not leads or not all(_matches(kind, *found) for kind, found in kinds):
        raise BrokenError("an object of the ledger does not match its digest")
    return commit[0], head[1]


def _matches(kind: str, name: str, content: bytes) -> bool:
    """Whether an object has the digest that is its name: SHA-1, or SHA-256 in repositories of that format."""
    algorithm = "sha1" if len(name) == _SHA1_DIGITS else "sha256"
    data = f"{kind} {len(content)}\0".encode() + content
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest() == name


def _parsed(data: bytes, count: int) -> Iterator[tuple[str, bytes] | None]:
    position = 0
    for _ in range(count):
        end = data.index(b"\n", position)
        words = data[position:end].split(b" ")
        position = end + 1
        if words[-1] in (b"missing", b"ambiguous"):
            yield None
            continue
        size = int(words[-1])
        yield words[0].decode(), data[position : position + size]
        position += size + 1


def blobs(git: Git, version: str) -> dict[str, bytes]:
    """The blobs of a version, by name.

    Raises:
        BrokenError: Git fails.
    """
    ended = git("ls-tree", "-r", "-z", "--name-only", version)
    if not ended.ok:
        raise BrokenError(f"git cannot list the ledger's files: {ended.errors.strip():.200}")
    names = [name for name in ended.output.split("\0") if name and name.partition("/")[0] not in _OURS]
    found = read(git, [f"{version}:{name}" for name in names]) if names else []
    return {name: item[1] for name, item in zip(names, found, strict=True) if item is not None}


def held(git: Git, version: str, after: int) -> list[tuple[int, bytes]]:
    """The entries with a number above `after` in the tree of a commit, oldest first.

    Raises:
        BrokenError: Git fails, or one is missing.
    """
    return list(_contents(git, {number: blob for number, blob in _in_tree(git, version).items() if number > after}))


def _in_tree(git: Git, version: str) -> dict[int, str]:
    """The ids of the entries in the tree of a commit, by their number, oldest first."""
    ended = git("ls-tree", "-z", version, f"{ENTRIES}/")
    if not ended.ok:
        raise BrokenError(f"git cannot list the ledger's entries: {ended.errors.strip():.200}")
    found = (_LISTED.fullmatch(line) for line in ended.output.split("\0"))
    return dict(sorted((int(item[2]), item[1]) for item in found if item is not None))


def entries(git: Git, version: str, after: int) -> Iterator[tuple[int, bytes]]:
    """The entries with a number above `after` that a commit and its ancestors added, oldest first."""
    listing = ["log", "--reverse", "--topo-order", "--root", "-m", "--first-parent", "--raw", "--no-abbrev"]
    ended = git(*listing, "--no-renames", "--format=tformat:commit", version, "--", ENTRIES)
    if not ended.ok:
        raise BrokenError(f"git cannot read the ledger's history: {ended.errors.strip():.200}")
    known: dict[int, str] = {}
    in_tree: set[int] = set()
    for changed in ended.output.split("commit\n"):
        found = [(int(item[3]), item[1], item[2]) for item in _CHANGED.finditer(changed)]
        new = {number: blob for number, blob, status in found if status != "D"}
        in_tree = {*in_tree.difference(number for number, _, _ in found), *new}
        # A ledger that was rebuilt starts over: nothing else is in the tree.
        known = new if 1 in new and len(in_tree) == len(new) else known | new
    yield from _contents(git, {number: known[number] for number in sorted(known) if number > after})


def _contents(git: Git, wanted: Mapping[int, str]) -> Iterator[tuple[int, bytes]]:
    """The contents of entries, by their numbers and ids, some at a time."""
    numbers = list(wanted)
    for first in range(0, len(numbers), _AT_ONCE):
        some = numbers[first : first + _AT_ONCE]
        for number, found in zip(some, read(git, [wanted[number] for number in some]), strict=True):
            if found is None or not _matches("blob", *found):
                raise BrokenError(f"entry {number} is in the ledger's history, but its content is missing or damaged")
            yield number, found[1]
