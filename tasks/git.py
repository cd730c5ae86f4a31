"""What git says of the tree: the commit that is checked out, and whether anything differs from it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .layout import DEPLOY_DIR

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT = 60


@dataclass(frozen=True)
class Revision:
    """A commit id (40 or 64 hex digits) and whether tracked or new files differ from it; no id outside of git."""

    commit: str | None
    dirty: bool

    @property
    def short(self) -> str:
        """The first 8 digits, with a `+` when the tree differs, or `no commit`."""
        return (self.commit[:8] + ("+" if self.dirty else "")) if self.commit else "no commit"


def revision(root: Path) -> Revision:
    """The revision of the tree at `root`; without git, or outside of a repository, no commit and not dirty."""
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return Revision(None, dirty=False)
    status = _git(root, "status", "--porcelain", "--untracked-files=normal", "--", ".", f":(exclude){DEPLOY_DIR}")
    return Revision(commit.strip(), dirty=bool(status is None or status.strip()))


def files(root: Path) -> list[str] | None:
    """All files below `root` that are tracked or new, not those that are ignored; sorted; None without git."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return None if listed is None else sorted({path for path in listed.split("\0") if path})


def tracked(root: Path, paths: list[str]) -> set[str] | None:
    """Those of some paths, relative to `root`, that git tracks; None without git."""
    listed = _git(root, "ls-files", "-z", "--", *(f":(literal){path}" for path in paths))
    return None if listed is None else {path for path in listed.split("\0") if path}


def _git(root: Path, *arguments: str) -> str | None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=root, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT,
            check=False, start_new_session=True,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
