"""Where a run takes place: which forge, project, merge request and commit, from the CI's own variables.

GitLab: https://docs.gitlab.com/ci/variables/predefined_variables/. GitHub:
https://docs.github.com/en/actions/reference/workflows-and-actions/variables; the event is a file named by
`GITHUB_EVENT_PATH`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..project.model import Forge

GITLAB_API = "https://gitlab.com/api/v4"
GITHUB_API = "https://api.github.com"


@dataclass(frozen=True)
class Place:
    """Where a run takes place.

    Args:
        kind: The forge.
        api: Its API's base URL, without a slash at the end.
        project: The project that has the merge request: GitLab's id or path, GitHub's `owner/name`.
        own: The project that the pipeline runs in; another one than `project` when it is a fork.
        request: The number of the merge request, when this is a pipeline of one.
        head: The last commit of its branch; of a pipeline without one the commit itself.
        branch: The branch that a pipeline without a merge request is for.
        order: The pipeline's number and attempt: of two, the greater is newer.
        link: The job, for people.
        token_name: The environment variable that holds the token.
        token: The token; empty when there is none.
    """

    kind: Literal["gitlab", "github"]
    api: str
    project: str
    own: str
    request: int | None
    head: str
    branch: str | None
    order: tuple[int, int]
    link: str | None
    token_name: str
    token: str = field(repr=False)

    @property
    def request_text(self) -> str:
        """The merge request as people of that forge write it."""
        return f"!{self.request}" if self.kind == "gitlab" else f"#{self.request}"


def find(settings: Forge, environment: Mapping[str, str] = os.environ) -> Place | None:
    """Where this run takes place; None outside of CI, or when the configuration wants no forge.

    Args:
        settings: The key `forge`; what it says wins.
        environment: The environment variables.
    """
    kind = settings.kind
    if kind == "auto":
        kind = "gitlab" if environment.get("GITLAB_CI") else "github" if environment.get("GITHUB_ACTIONS") else "none"
    if kind == "gitlab":
        return _gitlab(settings, environment)
    return _github(settings, environment) if kind == "github" else None


def _gitlab(settings: Forge, environment: Mapping[str, str]) -> Place | None:
    get = environment.get
    own = get("CI_PROJECT_ID", "")
    project = settings.project or get("CI_MERGE_REQUEST_PROJECT_ID") or own
    if not project:
        return None
    name = settings.token or "GITLAB_TOKEN"
    return Place(
        kind="gitlab",
        api=(settings.url or get("CI_API_V4_URL") or GITLAB_API).rstrip("/"),
        project=project,
        own=own or project,
        request=_number(get("CI_MERGE_REQUEST_IID")),
        # In a pipeline of the merged result CI_COMMIT_SHA is a commit that only this pipeline has.
        head=get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or get("CI_COMMIT_SHA", ""),
        branch=get("CI_COMMIT_BRANCH") or None,
        order=(_number(get("CI_PIPELINE_ID")) or 0, _number(get("CI_JOB_ID")) or 0),
        link=get("CI_JOB_URL") or None,
        token_name=name,
        token=get(name, "").strip(),
    )


def _github(settings: Forge, environment: Mapping[str, str]) -> Place | None:
    get = environment.get
    project = settings.project or get("GITHUB_REPOSITORY", "")
    if not project:
        return None
    pull = _event(get("GITHUB_EVENT_PATH")).get("pull_request")
    pull = pull if isinstance(pull, dict) else {}
    head = pull.get("head")
    name = settings.token or "GITHUB_TOKEN"
    run, server = get("GITHUB_RUN_ID"), get("GITHUB_SERVER_URL")
    return Place(
        kind="github",
        api=(settings.url or get("GITHUB_API_URL") or GITHUB_API).rstrip("/"),
        project=project,
        own=project,
        request=_number(pull.get("number")),
        head=str(head.get("sha") or "") if isinstance(head, dict) else get("GITHUB_SHA", ""),
        branch=None if pull else get("GITHUB_REF_NAME") or None,
        order=(_number(run) or 0, _number(get("GITHUB_RUN_ATTEMPT")) or 0),
        link=f"{server}/{get('GITHUB_REPOSITORY')}/actions/runs/{run}" if server and run else None,
        token_name=name,
        token=get(name, "").strip(),
    )


def _event(path: str | None) -> dict[str, Any]:
    try:
        event = json.loads(Path(path).read_bytes()) if path else {}
    except (OSError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}


def _number(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else None
