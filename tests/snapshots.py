"""What tests begin with, done once: the outcome of a run is kept, and copied where the same run would begin the same.

Every test of a worker has its temporary folder at the same path, the test's world. So a world can be copied as it
is, with all absolute paths in it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Objects have their content as their names, and HEAD and refs say which ones count; the index holds times.
_OF_GIT = ("HEAD", "refs", "packed-refs", "config", "MERGE_HEAD")


class Snapshots:
    """The worlds that runs of this worker left, by what the runs began with."""

    def __init__(self, kept: Path, world: Path) -> None:
        self.world = world
        self._kept = kept
        self._results: dict[str, object] = {}

    def after(self, act: Callable[[], T], *key: object) -> T:
        """What `act` returns, and the world as it leaves it: copied where it was called with this key in this world.

        Args:
            act: Changes nothing outside of the world, and depends on nothing but the world and the key.
            key: What distinguishes this call from others.
        """
        name = hashlib.sha256(repr((key, digest(self.world))).encode()).hexdigest()
        if name in self._results:
            _empty(self.world)
            copy(self._kept / name, self.world)
            result: T = self._results[name]  # type: ignore[assignment]
            return result
        result = act()
        copy(self.world, self._kept / name)
        self._results[name] = result
        return result


def digest(folder: Path) -> str:
    """A digest of all that a folder holds: names, modes, links, contents; not times."""
    found = hashlib.sha256()
    for path in _paths(folder):
        status = path.lstat()
        content = b""
        if stat.S_ISREG(status.st_mode):
            content = hashlib.sha256(path.read_bytes()).digest()
        elif stat.S_ISLNK(status.st_mode):
            content = os.fsencode(path.readlink())
        found.update(b"%s\0%o\0%s\0" % (os.fsencode(path.relative_to(folder)), status.st_mode, content))
    return found.hexdigest()


def _paths(folder: Path) -> list[Path]:
    """All that is below a folder, in order; of git's own what says what is checked out."""
    found = []
    for path in sorted(folder.iterdir()):
        if folder.name == ".git" and path.name not in _OF_GIT:
            continue
        found.append(path)
        if path.is_dir() and not path.is_symlink():
            found += _paths(path)
    return found


def copy(source: Path, target: Path) -> None:
    """Copy a folder into one that may be there, with modes, times and links; sockets and the like are left out."""
    target.mkdir(parents=True, exist_ok=True)
    _copy(os.fspath(source), os.fspath(target))


def _copy(source: str, target: str) -> None:
    """As `copy`, of paths as strings: a world has a hundred files, and tests copy it a thousand times."""
    with os.scandir(source) as entries:
        for entry in entries:
            path = f"{target}/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), path)  # noqa: PTH115, PTH211
            elif entry.is_dir():
                with suppress(FileExistsError):
                    os.mkdir(path)  # noqa: PTH102
                _copy(entry.path, path)
            elif entry.is_file():
                shutil.copyfile(entry.path, path)
                _keep_status(path, entry.stat())
    _keep_status(target, os.stat(source))  # noqa: PTH116


def _keep_status(path: str, status: os.stat_result) -> None:
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.chmod(path, stat.S_IMODE(status.st_mode))  # noqa: PTH101


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
