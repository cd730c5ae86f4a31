"""What git knows about the tree: its commit, its files, and what differs from a commit."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from . import process
from .errors import GitError
from .layout import DEPLOY_DIR
from .text import short

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_TIMEOUT = 60
_BRANCHES = "refs/heads/"
# Settings by which git trusts something else than a file's content: a program, or fewer of its times.
LOOK = (
    "-c", "core.fsmonitor=false", "-c", "core.trustctime=true", "-c", "core.checkStat=default",
    "-c", "core.untrackedCache=false",
)  # fmt: skip
_SUBMODULES = "--ignore-submodules=none"  # whatever `.gitmodules` and the user's settings say
# Variables that tie git to one repository, set inside hooks and aliases; see `git rev-parse --local-env-vars`. The
# user's settings (GIT_CONFIG_*, GIT_SSH_COMMAND, ...) are kept.
_OF_ANOTHER_REPOSITORY = frozenset({
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_DIR", "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
    "GIT_QUARANTINE_PATH", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE",
})  # fmt: skip
# The user's configuration, and variables that would log what git is called with.
_NOT_ALONE = re.compile(r"^GIT_(CONFIG|TRACE|CURL_VERBOSE|REDIRECT_STD|AUTHOR_|COMMITTER_|PUSH_OPTION)")
_REFUSAL = re.compile(
    "dubious ownership|not a git repository|[Pp]ermission denied|no answer in time|unable to read|bad config"
)
_NO_COMMIT, _NO_BRANCH = "# branch.oid (initial)", "# branch.head (unknown)"
_FAILED = (*range(126), 128, 129)  # git's own exit codes; others are a signal's, or of a shell that could not run it


@dataclass(frozen=True)
class Revision:
    """A commit id (40 or 64 hex digits) and whether tracked or new files differ from it; no id outside of git."""

    commit: str | None
    dirty: bool

    @property
    def short(self) -> str:
        """The first 8 digits, with a `+` if the tree differs, or `no commit`."""
        return short(self.commit) + ("+" if self.commit and self.dirty else "")


def revision(root: Path) -> Revision:
    """The revision of the tree at `root`; without a commit outside of a repository and before its first commit.

    The whole repository counts, because plans also read files outside of `root`; so do submodules, which settings of
    git may ignore.

    Raises:
        GitError: This is a repository, but git does not answer.
    """
    commit = _git(root, "rev-parse", "--verify", "HEAD", may_fail=True)
    if commit is None:
        told = _git(root, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
        if told is not None and (_NO_COMMIT not in told or _NO_BRANCH in told):
            raise _refused(root, "git refuses: HEAD does not name a commit", "`git fsck`")
        return Revision(None, dirty=False)
    found = changed(root)
    return Revision(commit.strip(), dirty=found is None or bool(found))


def changed(root: Path) -> list[str] | None:
    """What git reports as changed or new in the whole repository, relative to its top, sorted; None without git.

    Of a folder that is new only its name, of a submodule only its folder, whatever its settings hide.
    """
    listed = _git(
        root, *LOOK, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal", _SUBMODULES,
        "--", ":/", f":(exclude){DEPLOY_DIR}",
    )  # fmt: skip
    return None if listed is None else sorted(entry[3:] for entry in listed.split("\0") if entry)


def files(root: Path) -> list[str] | None:
    """All tracked and untracked files below `root` except ignored ones, sorted; None without git."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return None if listed is None else sorted({path for path in listed.split("\0") if path})


def tracked(root: Path, paths: list[str]) -> set[str] | None:
    """Which of some paths, relative to `root`, git tracks; None without git."""
    inside = [path for path in paths if not path.startswith("/")]
    listed = (
        _git(root, "ls-files", "-z", "--", *(f":(literal){path}" for path in inside), may_fail=True) if inside else ""
    )
    return None if listed is None else {path for path in listed.split("\0") if path}


def ignored(root: Path, paths: list[str]) -> set[str]:
    """Which of some paths, relative to `root`, git ignores; none without git."""
    given = "\0".join(paths).encode(errors="surrogateescape")
    listed = _git(root, "check-ignore", "-z", "--stdin", may_fail=True, given=given)
    return {path for path in (listed or "").split("\0") if path}


def excludes_file(root: Path) -> str | None:
    """The file of patterns that the user's settings add to what git ignores; None without one."""
    found = _git(root, "config", "--type=path", "--get", "core.excludesFile", may_fail=True)
    return (found or "").rstrip("\n") or None


def merge_base(root: Path, ref: str) -> str | None:
    """The merge base of HEAD and a ref; None without one, or if the ref does not exist."""
    if resolve(root, ref) is None:
        return None
    found = _git(root, "merge-base", ref, "HEAD", may_fail=True)
    return found.strip() if found else None


class Relation(StrEnum):
    """Where one commit stands to another."""

    SAME = "same"
    AFTER = "after"
    BEFORE = "before"
    APART = "apart"
    UNKNOWN = "unknown"


def relation(root: Path, other: str, commit: str) -> Relation:
    """Where a commit stands to another: after it, before it, on a branch apart; unknown where this clone lacks history.

    Raises:
        GitError: This is a repository, and git does not answer.
    """
    if other == commit:
        return Relation.SAME
    if resolve(root, other) is None or resolve(root, commit) is None:
        return Relation.UNKNOWN
    base = (_git(root, "merge-base", other, commit, may_fail=True) or "").strip()
    if base in (other, commit):
        return Relation.AFTER if base == other else Relation.BEFORE
    return Relation.UNKNOWN if is_shallow(root) else Relation.APART


def is_unpushed(root: Path, commit: str) -> bool:
    """Whether a clone with remote branches has a commit in none of them, so that no other clone can fetch it.

    Raises:
        GitError: This is a repository, and git does not answer.
    """
    one = ("for-each-ref", "--count=1", "--format=%(refname)")
    held = _git(root, *one, f"--contains={commit}", "refs/remotes", may_fail=True)
    return not held and bool(_git(root, *one, "refs/remotes"))


def is_shallow(root: Path) -> bool:
    """Whether the clone lacks the beginning of its history."""
    return (_git(root, "rev-parse", "--is-shallow-repository") or "").strip() == "true"


def resolve(root: Path, ref: str) -> str | None:
    """The commit that a ref names; None if the ref does not exist."""
    found = (
        None
        if ref.startswith("-")
        else _git(root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", may_fail=True)
    )
    return found.strip() if found else None


def head(root: Path) -> tuple[str | None, str | None]:
    """The commit and branch that are checked out; no branch on a detached HEAD, neither without git."""
    found = _git(root, "rev-parse", "HEAD", "--symbolic-full-name", "HEAD", may_fail=True)
    commit, _, ref = (found or "").strip().partition("\n")
    return commit or None, ref.removeprefix(_BRANCHES) if ref.startswith(_BRANCHES) else None


def last_change(root: Path, folders: list[str]) -> str | None:
    """The last commit that changed some folders; None without git, or if a shallow clone ends before it."""
    found = _git(root, "log", "-1", "--format=%H %P", "--", *(f":(literal){folder}" for folder in folders))
    commit, _, parents = (found or "").strip().partition(" ")
    if commit and not parents and is_shallow(root):
        return None
    return commit or None


def committed_at(root: Path, commit: str) -> str | None:
    """When a commit was made, ISO 8601; None without git, or if this clone does not have it."""
    return (_git(root, "log", "-1", "--format=%cI", commit, may_fail=True) or "").strip() or None


def passed(root: Path, base: str) -> dict[str, set[str]]:
    """The commits on the ways from an earlier commit to HEAD, HEAD included, with the paths that each has changed.

    Paths are relative to the top of the repository. A commit that does not descend from the earlier one is left out.
    """
    listed = _git(
        root, "log", "--ancestry-path", "--diff-merges=first-parent", "--no-renames", "--no-relative", "--name-only",
        "-z", "--format=%x01%H", f"{base}..HEAD", may_fail=True,
    )  # fmt: skip
    found = {}
    for entry in (listed or "").split("\x01")[1:]:
        commit, *paths = (text.strip("\n") for text in entry.split("\0"))
        found[commit] = {path for path in paths if path}
    return found


def changed_since(root: Path, commit: str) -> set[str]:
    """The paths whose content differs from a commit's, relative to the top of the repository."""
    listed = _git(root, *LOOK, "diff", "--name-only", "-z", "--no-renames", "--no-relative", _SUBMODULES, commit)
    return {path for path in (listed or "").split("\0") if path}


def fetch_tag(root: Path, tag: str) -> str | None:
    """Bring a tag to what it is at origin; returns its object there, empty without one, None without an answer."""
    ref = f"refs/tags/{tag}"
    listed = _git(root, "ls-remote", "--quiet", "origin", ref, may_fail=True)
    if listed is None:
        return None
    there = listed.partition("\t")[0]
    if there and there != _object(root, ref):
        _git(root, "fetch", "--quiet", "--no-tags", "--force", "origin", f"{ref}:{ref}", may_fail=True)
    return there


def _object(root: Path, ref: str) -> str:
    """The object that a ref names, which of a tag with a note is not its commit; empty if it does not exist."""
    return (_git(root, "rev-parse", "--verify", "--quiet", ref, may_fail=True) or "").strip()


def move_tag(root: Path, tag: str, commit: str, note: str, *, origin: str | None) -> str | None:
    """Move a tag to a commit, with a note; returns what went wrong, or None.

    Args:
        root: A folder of the repository.
        tag: The tag.
        commit: The commit.
        note: Its text.
        origin: The tag's object at origin, where it is moved, too, unless it is another one by then; None: only here.
    """
    ref = f"refs/tags/{tag}"
    before = _object(root, ref)
    own = ("-c", "user.name=doit-tofu", "-c", "user.email=doit-tofu@localhost")
    annotated = ("--annotate", "--no-sign", "--cleanup=verbatim", "--message", note)
    if _git(root, *own, "tag", "--force", *annotated, "--", tag, commit, may_fail=True) is None:
        return f"git cannot move the tag {tag}"
    lease = f"--force-with-lease={ref}:{origin}"
    if origin is not None and _git(root, "push", "--quiet", lease, "origin", ref, may_fail=True) is None:
        _git(root, "update-ref", *([ref, before] if before else ["-d", ref]), may_fail=True)
        return f"git cannot push the tag {tag} to origin"
    return None


def tagged(root: Path, tag: str) -> str | None:
    """The commit of a tag; None if there is no such tag, whatever branch has its name."""
    return resolve(root, f"refs/tags/{tag}")


def tag_note(root: Path, tag: str) -> str:
    """The note of a tag; empty if it has none or does not exist."""
    found = _git(root, "for-each-ref", "--format=%(objecttype) %(contents)", f"refs/tags/{tag}", may_fail=True) or ""
    kind, _, note = found.partition(" ")
    return note.strip() if kind == "tag" else ""


def ask(root: Path, *arguments: str, given: bytes = b"") -> str | None:
    """What a git command prints for this input; None outside of a repository, and if it fails.

    Raises:
        GitError: This is a repository, but git is missing or refuses to read it.
    """
    return _git(root, *arguments, may_fail=True, given=given)


def settings(root: Path) -> list[tuple[str, str]]:
    """The configuration that counts in a clone, in git's order, wherever it is written; nothing outside of one."""
    listed = _git(root, "config", "--list", "--null", "--includes", may_fail=True) or ""
    pairs = (entry.partition("\n") for entry in listed.split("\0") if entry)
    return [(key, value if newline else "true") for key, newline, value in pairs]


def alone(
    folder: Path, *arguments: str, configured: Iterable[tuple[str, str]] = (), given: bytes = b"",
    timeout: float = _TIMEOUT,
) -> process.Ended:  # fmt: skip
    """How a git command ends for which no configuration counts but this, and that of the repository it names.

    It asks no one for a password, and runs neither hooks nor helpers of the user that are not among the settings, which
    stand in its environment: a secret may be one of them. What it prints is decoded so that `surrogateescape` encodes
    it back to the same bytes.

    Raises:
        GitError: Git is not there.
    """
    kept = {name: value for name, value in os.environ.items() if not _NOT_ALONE.match(name)}
    kept = {name: value for name, value in kept.items() if name not in _OF_ANOTHER_REPOSITORY}
    kept |= {
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
        "SSH_ASKPASS_REQUIRE": "never", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C",
    }  # fmt: skip
    pairs = list(configured)
    for number, (key, value) in enumerate(pairs):
        kept |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    kept["GIT_CONFIG_COUNT"] = str(len(pairs))
    command = ["git", *arguments]
    try:
        return process.ask(command, cwd=folder, env=kept, timeout=timeout, decoding="surrogateescape", given=given)
    except OSError as error:
        raise _refused(folder, f"cannot run git: {error.strerror or error}", "install git") from error


def _git(root: Path, *arguments: str, may_fail: bool = False, given: bytes = b"") -> str | None:
    """What a git command prints; None outside of a repository, and if it fails although it `may_fail`.

    Raises:
        GitError: This is a repository, but git is missing or refuses to read it.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C"}
    command = ["git", *arguments]
    try:
        said = process.ask(
            command, cwd=root, env=environment, timeout=_TIMEOUT, decoding="surrogateescape", given=given
        )
    except OSError as error:
        if not _is_repository(root):
            return None
        raise _refused(root, f"cannot run git: {error.strerror or error}", "install git") from error
    if said.ok:
        return said.output
    reason = "no answer in time" if said.code is None else _reason(said)
    if not _is_repository(root) or (may_fail and said.code in _FAILED and not _REFUSAL.search(reason)):
        return None
    step = f"`git config --global --add safe.directory {root}`" if "dubious ownership" in reason else "`git status`"
    raise _refused(root, f"git refuses: {reason:.300}", step)


def _reason(said: process.Ended) -> str:
    """Why git failed, in its own words; by its exit code where it had none."""
    return " ".join(said.errors.split()).removeprefix("fatal: ") or f"it ended with {said.code} and said nothing"


def _refused(root: Path, message: str, step: str) -> GitError:
    return GitError(
        message, where=str(root), untouched="nothing was planned or applied",
        next_step=f"{step}, then run the same command again; plans must be tied to a commit",
    )  # fmt: skip


def _is_repository(root: Path) -> bool:
    """Whether a folder is inside a git repository, found out without running git."""
    return any((folder / ".git").exists() or (folder / ".git").is_symlink() for folder in (root, *root.parents))
