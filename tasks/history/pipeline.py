"""Which pipeline a run belongs to, and which commit and branch: from CI variables and `.git`, without a process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_SHA_LENGTHS = (40, 64)


def pipeline() -> dict[str, Any] | None:
    """The CI pipeline that this process runs in; None outside of one.

    GitLab: https://docs.gitlab.com/ci/variables/predefined_variables/, GitHub:
    https://docs.github.com/en/actions/reference/workflows-and-actions/variables.
    """
    get = os.environ.get
    if get("GITLAB_CI"):
        return {
            "forge": "gitlab",
            "id": get("CI_PIPELINE_ID", ""),
            "url": _web(get("CI_PIPELINE_URL")),
            "job": _web(get("CI_JOB_URL")),
            "project": get("CI_PROJECT_PATH", ""),
            "actor": get("GITLAB_USER_LOGIN", ""),
            "review": get("CI_MERGE_REQUEST_IID") or None,
        }
    if get("GITHUB_ACTIONS"):
        server, project, number = get("GITHUB_SERVER_URL", ""), get("GITHUB_REPOSITORY", ""), get("GITHUB_RUN_ID", "")
        review = get("GITHUB_REF", "").removeprefix("refs/pull/").partition("/")[0] if get("GITHUB_HEAD_REF") else None
        return {
            "forge": "github",
            "id": number,
            "url": _web(f"{server}/{project}/actions/runs/{number}"),
            "job": None,
            "project": project,
            "actor": get("GITHUB_ACTOR", ""),
            "review": review,
        }
    return None


def checkout(root: Path) -> tuple[str | None, str | None]:
    """The commit and branch that are checked out; CI checks out no branch, and names it in a variable.

    Read from git's own files (https://git-scm.com/docs/gitrepository-layout): a run that has nothing to do starts no
    process. What is not found there is None.
    """
    get = os.environ.get
    named = get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or get("CI_COMMIT_BRANCH") if get("GITLAB_CI") else None
    if get("GITHUB_ACTIONS"):
        named = get("GITHUB_HEAD_REF") or get("GITHUB_REF_NAME")
    commit, branch = _head(root)
    return commit, named or branch


def _head(root: Path) -> tuple[str | None, str | None]:
    try:
        folder = next(path / ".git" for path in (root, *root.parents) if (path / ".git").exists())
        if folder.is_file():  # a worktree or a submodule
            folder = folder.parent / folder.read_text().removeprefix("gitdir:").strip()
        head = (folder / "HEAD").read_text().strip()
        if not head.startswith("ref:"):
            return (head if len(head) in _SHA_LENGTHS else None), None
        ref = head.removeprefix("ref:").strip()
        return _resolve(folder, ref), ref.removeprefix("refs/heads/")
    except (OSError, StopIteration, ValueError):
        return None, None


def _resolve(folder: Path, ref: str) -> str | None:
    common = folder / "commondir"
    shared = folder / common.read_text().strip() if common.exists() else folder
    for place in (folder, shared):
        if (place / ref).is_file():
            return (place / ref).read_text().strip()
    packed = shared / "packed-refs"
    lines = packed.read_text().splitlines() if packed.exists() else []
    return next((line.partition(" ")[0] for line in lines if line.endswith(f" {ref}")), None)


def _web(url: str | None) -> str | None:
    """An address that a page may link to; nothing else becomes a link."""
    return url if url and url.startswith(("https://", "http://")) else None
