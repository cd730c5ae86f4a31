"""Whether the files of an upstream in the user's cache are those of its commit, told by the names of git's objects.

Anything in a cache may have been written by somebody else: files, and a repository whose configuration runs programs.
So nothing there is believed, and git is not run in it. A commit's name is the hash of its text, which names a tree,
whose name is the hash of its entries, down to each file. What was noted at the checkout is hashed again: it leads to
the pinned name, or it is not that commit.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from ...base import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LINK, _SUBMODULE, _FILE, _EXECUTABLE = b"120000", b"160000", b"100644", b"100755"
_FOLDER = b"40000"
_SHA1_DIGITS = 40
_LARGEST = 1 << 28
_Entries = dict[bytes, tuple[bytes, str]]  # path: mode and object's name
_END = b"\0\0"  # between the commit's text and the entries of its tree; there is none in a commit


@dataclass
class _Tree:
    """A folder of a commit: its entries by name, each a mode and the object's name, or another folder."""

    entries: dict[bytes, tuple[bytes, str] | _Tree] = field(default_factory=dict)


def note(path: Path) -> Path:
    """Where it is noted of which objects the files in a folder are made."""
    return path.with_name(f"{path.name}.objects")


def noted(commit: bytes, listing: bytes) -> bytes:
    """What to note: the commit's text, and what `git ls-tree -r -z` lists."""
    return commit + _END + listing


def holds(folder: Path, commit: str) -> bool:
    """Whether a folder holds the files of a commit, all of them and nothing else."""
    try:
        text, end, listing = plain.read(note(folder), _LARGEST).partition(_END)
        entries = dict(_entries(listing))
        if not end or _named(commit, b"commit", text) != commit:
            return False
        tree = text.split(b"\n", 1)[0].removeprefix(b"tree ").decode()
        return _tree_name(commit, _nested(entries)) == tree and dict(_found(folder, commit, entries)) == {
            path: entry for path, entry in entries.items() if entry[0] != _SUBMODULE
        }
    except (OSError, ValueError, RecursionError):  # the last of folders in folders without end
        return False


def _entries(listing: bytes) -> Iterator[tuple[bytes, tuple[bytes, str]]]:
    """Path, mode and object of each line: `100644 blob 1234...<tab>path`."""
    for line in listing.split(b"\0"):
        if line:
            about, _, path = line.partition(b"\t")
            mode, _, name = about.split(b" ")
            yield path, (mode, name.decode())


def _nested(entries: _Entries) -> _Tree:
    root = _Tree()
    for path, entry in entries.items():
        *folders, name = path.split(b"/")
        at = root
        for part in folders:
            inner = at.entries.setdefault(part, _Tree())
            if not isinstance(inner, _Tree):
                raise ValueError("a file is a folder too")  # noqa: TRY004 - the listing is wrong
            at = inner
        at.entries[name] = entry
    return root


def _tree_name(commit: str, tree: _Tree) -> str:
    """A tree's name: the hash of its entries, in git's order, in which a folder's name ends with `/`."""
    lines = []
    for name, entry in tree.entries.items():
        mode, object_name = (_FOLDER, _tree_name(commit, entry)) if isinstance(entry, _Tree) else entry
        lines.append((name + b"/" * isinstance(entry, _Tree), mode + b" " + name + b"\0" + bytes.fromhex(object_name)))
    return _named(commit, b"tree", b"".join(line for _, line in sorted(lines)))


def _found(folder: Path, commit: str, entries: _Entries) -> Iterator[tuple[bytes, tuple[bytes, str]]]:
    """Path, mode and object's name of all that is there; the last is empty of what cannot be git's.

    Raises:
        OSError: A folder cannot be listed: files in it could still be opened by their names.
    """
    base = os.fsencode(folder)
    for where, folders, names in os.walk(base, onerror=_raise):
        linked = [name for name in folders if os.path.islink(os.path.join(where, name))]  # noqa: PTH114, PTH118 - bytes
        for name in (*names, *linked):
            full = os.path.join(where, name)  # noqa: PTH118 - bytes
            path = os.path.relpath(full, base)
            status = os.lstat(full)
            if stat.S_ISLNK(status.st_mode):
                yield path, (_LINK, _named(commit, b"blob", os.readlink(full)))  # noqa: PTH115 - bytes
            elif stat.S_ISREG(status.st_mode) and path in entries:
                content = plain.read_below(folder, os.fsdecode(path), _LARGEST)
                yield path, (_EXECUTABLE if status.st_mode & stat.S_IXUSR else _FILE, _named(commit, b"blob", content))
            else:
                yield path, (b"", "")


def _raise(error: OSError) -> NoReturn:
    raise error


def _named(commit: str, kind: bytes, content: bytes) -> str:
    """An object's name, by the hash that its repository uses: SHA-1 or SHA-256."""
    digest = hashlib.sha1(usedforsecurity=False) if len(commit) == _SHA1_DIGITS else hashlib.sha256()
    digest.update(b"%s %d\0" % (kind, len(content)))
    digest.update(content)
    return digest.hexdigest()
