"""Finds what a plan reads that the commit does not have like that; `git status` alone does not show it.

Status leaves out files that git ignores or is asked not to look at (`assume-unchanged`, `skip-worktree`), and knows
nothing of what is outside of the repository. So the inputs are compared with the commit's own objects.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..base import git, gittree
from ..base.errors import GitError
from ..base.files import sha256_file
from ..base.layout import UPSTREAM_LOCK_FILE
from ..base.text import short
from ..project.hcl.commitindex import CommitIndex
from .inputs import FILES, InputKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..project.project import Project
    from .inputs import Inputs

_DIFFERS, _NEW = "differs from the commit", "not in the commit"
_IGNORED, _OUTSIDE = "ignored by git", "outside of the repository"
_UPSTREAM = "upstream"


class Uncommitted:
    """What is not as the commit that is checked out has it.

    `anywhere` are the files that no stack's inputs are needed to find, each with the reason; it may be empty.

    Args:
        project: The project.
        commit: The commit.

    Raises:
        GitError: Git does not answer.
    """

    def __init__(self, project: Project, commit: str) -> None:
        self._project = project
        top = gittree.top(project.home)
        files = gittree.read(top, commit) if top else None
        if files is None:
            raise GitError(
                f"git cannot read the files of {short(commit)}", where=str(project.home),
                untouched="nothing was planned or applied", next_step="`git fsck`, then run the same command again",
            )  # fmt: skip
        self._index = CommitIndex(project.home, files, project.index)
        unseen = self._unlike([*self._index.hidden, *self._configuration()], own=True)
        self.anywhere = {**unseen, **dict.fromkeys(git.changed(project.home) or (), "")}

    def among(self, inputs: Inputs) -> dict[str, str]:
        """The files of some inputs that are not as the commit has them, each with the reason."""
        read = {item.name for item in inputs.digests if item.kind in (*FILES, InputKind.OBSERVED)}
        locks = {item.name for item in inputs.digests if item.kind is InputKind.LOCK_FILE}
        read -= {path for path in locks if not self._index.is_file(path)}  # what `init` wrote; a plan says so itself
        base = self._project.loaded.base
        upstream = {} if base is None or base.exact else {_UPSTREAM: "a folder, not pinned to a commit"}
        return {**upstream, **self._unlike(read)}

    def _configuration(self) -> Iterator[str]:
        """The files of the configuration of this repository itself, not its upstream's."""
        loaded = self._project.loaded
        yield from (document.name for document in loaded.documents if not document.name.startswith(_UPSTREAM + ":"))
        if (self._project.home / UPSTREAM_LOCK_FILE).exists():
            yield UPSTREAM_LOCK_FILE
        if (organization := loaded.config.organization) is not None:
            yield from (file for file in (organization.file, organization.schema_file) if file is not None)

    def _unlike(self, paths: Iterable[str], *, own: bool = False) -> dict[str, str]:
        """Those of some paths that are not as in the commit; of an overlay, without the files of its upstream."""
        tree, paths = self._project.tree, set(paths)
        if tree is not None and not own:
            paths = {path for path in paths if tree.own(path) or path not in tree.files}
        self._index.look_again(paths)
        outside = {path for path in paths if self._index.outside(path)}
        found = {path for path in paths if path not in outside and self._differs(path)}
        new = {path for path in found if not self._index.is_file(path)}
        ignored = gittree.ignored(self._project.home, new)
        why = {path: _IGNORED if path in ignored else _NEW if path in new else _DIFFERS for path in found}
        return dict(sorted({**why, **dict.fromkeys(outside, _OUTSIDE)}.items()))

    def _differs(self, path: str) -> bool:
        """Whether a file's content is not the commit's; also if only one of the two has it."""
        return self._digest(path) != self._index.digest(path)

    def _digest(self, path: str) -> str | None:
        """The digest of a file as it is now, in this repository even if an overlay's build tree does not have it."""
        tree = self._project.tree
        if tree is None or path in tree.files:
            return self._project.index.digest(path)
        with suppress(OSError):
            return sha256_file(self._project.home / path)
        return None
