"""How much memory this machine, or the container that we run in, has left."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROC, _CONTROL_GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_KIB = 1024
_NO_LIMIT = 1 << 60  # version 1 has a number as large as this where there is no limit


def available(proc: Path = _PROC, groups: Path = _CONTROL_GROUPS) -> int | None:
    """The bytes that may still be used before something has to go; None where the system does not say.

    Args:
        proc: The kernel's folder of processes.
        groups: Its folder of control groups, which containers are limited by.
    """
    found = [*_of_machine(proc), *_of_groups(proc, groups)]
    return min(found) if found else None


def _of_machine(proc: Path) -> Iterator[int]:
    with suppress(OSError, ValueError, IndexError):
        for line in (proc / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) * _KIB


def _of_groups(proc: Path, groups: Path) -> Iterator[int]:
    """What is left in our control group and in each around it."""
    with suppress(OSError):
        for line in (proc / "self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                yield from _left(groups, path, "memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
                yield from _left(groups / "memory", path, limit, used, "total_inactive_file")


def _left(root: Path, path: str, limit: str, used: str, cache: str) -> Iterator[int]:
    """What each group on a path leaves; files that it has cached do not count as used.

    In a container the path is often that of the host, and our group is the root of what is mounted.
    """
    folder = root / path.lstrip("/")
    for group in (folder, *folder.parents):
        with suppress(OSError, ValueError):
            most = int((group / limit).read_text())
            if most < _NO_LIMIT:
                yield max(most - int((group / used).read_text()) + _cached(group, cache), 0)
        if group == root:
            return


def _cached(group: Path, name: str) -> int:
    with suppress(OSError, ValueError):
        for line in (group / "memory.stat").read_text().splitlines():
            if line.startswith(f"{name} "):
                return int(line.split()[1])
    return 0
