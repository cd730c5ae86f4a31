"""The stamps of files and folders: what the file system says of each, so that equal stamps prove equal content.

A stamp has the time of the last change of the inode (ctime), which no tool can set, the time of the last change of the
content, the inode's number, its mode and its size. The stamp of a folder changes with each name that comes or goes. A
stamp proves nothing if it is about as young as the run that read the file: see `settled`.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from array import array
from typing import TYPE_CHECKING

from ..base.layout import DEPLOY_DIR

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

SLACK_NS = 2_000_000_000  # the coarsest clock of a file system
MISSING = (0, 0, 0, 0, 0)
_TIMES = 3  # where the two times are in a stamp
_MOST = 400_000  # entries; reading the stamps of more takes longer than it saves
_SIGNED = (1 << 63) - 1
_INSTALLED = frozenset({"node_modules", ".terraform", ".venv", "__pycache__"})
# What a run writes and no later run decides by.
_WRITTEN = frozenset({"runs", "reports", "run.lock", "crash.log", "published.json", "review.json"})
_GIT = ("HEAD", "index", "config.worktree")
_GIT_COMMON = ("config", "packed-refs", "info/exclude", "info/attributes", "reftable/tables.list")
_OF_NO_COMMIT = re.compile(r"/(objects|logs|hooks)(/|$)|/(FETCH_HEAD|ORIG_HEAD|description)$")
_GIT_OF_USER = (".gitconfig", ".config/git/config", ".config/git/ignore", ".config/git/attributes")


class OddError(Exception):
    """There is something whose stamp does not prove enough."""


def read(paths: Iterable[str]) -> array[int]:
    """The stamps of some paths, in their order; links are not followed, and what is missing has a stamp, too."""
    found = array("q")
    add, lstat = found.extend, os.lstat
    for path in paths:
        try:
            status = lstat(path)
        except OSError:
            add(MISSING)
            continue
        add((status.st_mode, status.st_ino & _SIGNED, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return found


def modes(read: array[int]) -> array[int]:
    """The modes in some stamps, in their order; 0 for what is missing."""
    return read[:: len(MISSING)]


def differing(before: array[int], now: array[int]) -> set[int]:
    """The positions of the paths whose stamps differ."""
    size = len(MISSING)
    return {at // size for at in range(0, len(now), size) if before[at : at + size] != now[at : at + size]}


def settled(paths: Sequence[str], stamps: array[int], began: int, written: Collection[str] = ()) -> bool:
    """Whether nothing was changed since shortly before a run began.

    Args:
        paths: The paths.
        stamps: Their stamps, read at the end of the run.
        began: When it began, in nanoseconds.
        written: What the run itself may have written.
    """
    size, youngest = len(MISSING), began - SLACK_NS
    times = (max(stamps[at + _TIMES : at + size]) for at in range(0, len(stamps), size))
    return all(time < youngest or path in written for path, time in zip(paths, times, strict=True))


def tree(skip: Callable[[list[str]], set[str]]) -> list[str]:
    """Every file and folder below the current folder, but those of git and of this program.

    Args:
        skip: Of some folders with installed packages and the like, those that may be left out.

    Raises:
        OddError: A link leads out of what is listed, a folder cannot be read, or there is too much.
    """
    installed: list[str] = []
    links: list[str] = []
    found = [".", *_below("", installed, links)]
    left_out = skip(installed) if installed else set()
    for path in installed:
        if path not in left_out:
            found += _below(f"{path}/", None, links)
    known = set(found)
    for link in links:
        target = os.readlink(link)  # noqa: PTH115 - a text, not a path
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(link), target))
        if target.startswith("/") or inside not in known or inside == ".":
            raise OddError(link)
    return found


def _below(prefix: str, installed: list[str] | None, links: list[str]) -> Iterator[str]:
    pending = [prefix]
    number = 0
    while pending:
        prefix = pending.pop()
        try:
            with os.scandir(prefix or ".") as entries:
                listed = list(entries)
        except OSError as error:
            raise OddError(prefix) from error
        number += len(listed)
        if number > _MOST:
            raise OddError(prefix)
        for entry in listed:
            path = f"{prefix}{entry.name}"
            if not prefix and entry.name in (DEPLOY_DIR, ".git"):
                continue
            yield path
            if entry.is_symlink():
                links.append(path)
            elif entry.is_dir(follow_symlinks=False):
                if installed is not None and entry.name in _INSTALLED:
                    installed.append(path)
                else:
                    pending.append(f"{path}/")


def records(environment: str) -> list[str]:
    """What earlier runs have left in the folder of an environment, as far as a later run decides by it.

    Raises:
        OddError: A link is in it, or a folder cannot be read.
    """
    links: list[str] = []
    base = f"{DEPLOY_DIR}/{environment}"
    found = []
    for name in names(environment):
        path = f"{base}/{name}"
        found.append(path)
        if stat.S_ISDIR(os.lstat(path).st_mode):
            found += _below(f"{path}/", None, links)
    if links:
        raise OddError(links[0])
    return found


def names(environment: str) -> list[str]:
    """The names in the folder of an environment by which a later run decides, sorted.

    The folder's own stamp changes with every report that is written.
    """
    try:
        return sorted(name for name in os.listdir(f"{DEPLOY_DIR}/{environment}") if name not in _WRITTEN)  # noqa: PTH208
    except OSError:
        return []


def of_git() -> list[str]:
    """The files by which git knows the commit, the branch, and which files it tracks or ignores.

    Raises:
        OddError: The repository's top is above this folder, or its files are somewhere else.
    """
    here = os.getcwd()  # noqa: PTH109 - a text, not a path
    found = [f"{here}/.git"]
    while here != posixpath.dirname(here):
        here = posixpath.dirname(here)
        found.append(f"{here.rstrip('/')}/.git")
    if any(map(os.path.lexists, found[1:])):
        raise OddError(found[1])
    home = os.path.expanduser("~")  # noqa: PTH111 - a text, not a path
    found += ["/etc/gitconfig", *(f"{home}/{name}" for name in _GIT_OF_USER)]
    if not os.path.lexists(".git"):
        return found
    if not stat.S_ISDIR(os.lstat(".git").st_mode):
        raise OddError(".git")
    found += [f".git/{name}" for name in (*_GIT, *_GIT_COMMON)]
    if os.path.isdir(".git/modules"):  # noqa: PTH112 - a text
        found += [path for path in _below(".git/modules/", None, []) if not _OF_NO_COMMIT.search(path)]
    try:
        with open(".git/HEAD", "rb") as stream:  # noqa: PTH123 - a text
            head = os.fsdecode(stream.read(4096)).strip()
    except OSError as error:
        raise OddError(".git/HEAD") from error
    if head.startswith("ref: ") and ".." not in head:
        found.append(f".git/{head.removeprefix('ref: ')}")
    return found
