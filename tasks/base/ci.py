"""The CI job that this runs in, read from the environment variables of GitLab or GitHub.

GitLab: https://docs.gitlab.com/ci/variables/predefined_variables/. GitHub:
https://docs.github.com/en/actions/reference/workflows-and-actions/variables; the event is a file named by
`GITHUB_EVENT_PATH`.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .jsonvalue import Json, JsonObject

    Kind = Literal["gitlab", "github", "other", "none"]

PARENT_VARIABLE = "DOIT_TOFU_PIPELINE"  # in a generated pipeline: the pipeline that it is a part of
GITLAB_API = "https://gitlab.com/api/v4"
GITHUB_API = "https://api.github.com"
_MERGED = ("merged_result", "merge_train")  # values of CI_MERGE_REQUEST_EVENT_TYPE
_LONGEST_NUMBER = 20  # digits
_NOT_SET = ("", "0", "false", "no")


@dataclass(frozen=True)
class CI:
    """A CI job; unknown values are empty or None.

    Args:
        kind: The system; `other` for one that only sets `CI`, `none` outside of CI.
        api: The forge's API.
        name: The project's path, for people.
        project: The project that the pipeline runs in: GitLab's id, GitHub's `owner/name`.
        reviewing: The project that the merge request belongs to; differs from `project` if that is a fork.
        request: The merge request's number, if the pipeline runs for one.
        base: The commit that the merge request is compared with: where its branch left the target; empty if unknown.
        merge: The commit that merges it into its target, if the pipeline is for that one; its first parent is the base.
        head: The last commit of its source branch; without a merge request, the pipeline's commit.
        branch: The pipeline's branch; for a merge request, the source branch.
        pipeline: The pipeline's id.
        order: The pipeline's number and attempt; the greater pair is the newer pipeline.
        pipeline_url: The pipeline's page.
        job_url: The job's page.
        actor: Who started it.
        page: The project's page.
    """

    kind: Kind
    api: str = ""
    name: str = ""
    project: str = ""
    reviewing: str = ""
    request: int | None = None
    base: str = ""
    merge: str = ""
    head: str = ""
    branch: str | None = None
    pipeline: str = ""
    order: tuple[int, int] = (0, 0)
    pipeline_url: str | None = None
    job_url: str | None = None
    actor: str = ""
    page: str | None = None

    def commit_page(self, commit: str) -> str:
        """The page of a commit of the project; empty if its forge is not known."""
        between = {"gitlab": "/-/commit/", "github": "/commit/"}.get(self.kind)
        return f"{self.page}{between}{commit}" if self.page and between else ""

    @property
    def link(self) -> str | None:
        """The page to look at: the job's, else the pipeline's."""
        return self.job_url or self.pipeline_url


def kind(environment: Mapping[str, str] = os.environ) -> Kind:
    """The CI system."""
    if _is_set(environment, "GITLAB_CI"):
        return "gitlab"
    if _is_set(environment, "GITHUB_ACTIONS"):
        return "github"
    return "other" if _is_set(environment, "CI") else "none"


def repository(environment: Mapping[str, str] = os.environ) -> str:
    """Which repository of which forge this job works on, for comparing; empty where no forge says so."""
    get = environment.get
    if number := get("CI_PROJECT_ID", ""):
        return f"{_host(get('CI_API_V4_URL') or GITLAB_API)}/{number}"
    if name := get("GITHUB_REPOSITORY_ID") or get("GITHUB_REPOSITORY", ""):
        return f"{_host(get('GITHUB_SERVER_URL') or GITHUB_API)}/{name}"
    return ""


def pipeline(environment: Mapping[str, str] = os.environ) -> str:
    """The id of the pipeline that this job is a part of, which a retry keeps; empty outside of one."""
    return environment.get("CI_PIPELINE_ID") or environment.get("GITHUB_RUN_ID") or ""


def outermost(found: CI, environment: Mapping[str, str] = os.environ) -> str:
    """The id of the pipeline that started all others of this commit: what `doit ci` generates belongs to it.

    Only a pipeline that another one started has such a parent: whoever starts one could name any as its own.
    """
    parent, source = environment.get(PARENT_VARIABLE, ""), environment.get("CI_PIPELINE_SOURCE")
    is_part = found.kind == "gitlab" and source == "parent_pipeline" and parent.isdigit()
    return parent if is_part else found.pipeline


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0] or url


def read(environment: Mapping[str, str] = os.environ, given: Kind | None = None) -> CI:
    """The job that the environment describes.

    Args:
        environment: The environment variables.
        given: The system whose variables are read; detected by default.
    """
    found = given or kind(environment)
    if found == "gitlab":
        return _gitlab(environment)
    if found == "github":
        return _github(environment)
    get = environment.get
    return CI(found, pipeline_url=_web(get("CI_PIPELINE_URL")), job_url=_web(get("CI_JOB_URL")))


def job_login(environment: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """With what this job may read its repository: the forge's origin and `user:token`; None if nothing says it.

    GitHub: https://docs.github.com/en/actions/tutorials/authenticate-with-github_token. GitLab:
    https://docs.gitlab.com/ci/jobs/ci_job_token/.
    """
    server, user, token = {
        "github": ("GITHUB_SERVER_URL", "x-access-token", "GITHUB_TOKEN"),
        "gitlab": ("CI_SERVER_URL", "gitlab-ci-token", "CI_JOB_TOKEN"),
    }.get(kind(environment), ("", "", ""))
    origin, secret = environment.get(server, "").rstrip("/"), environment.get(token, "")
    return (origin, f"{user}:{secret}") if origin.startswith("https://") and secret else None


def _gitlab(environment: Mapping[str, str]) -> CI:
    get = environment.get
    own, pipeline = get("CI_PROJECT_ID", ""), get("CI_PIPELINE_ID", "")
    return CI(
        "gitlab",
        api=get("CI_API_V4_URL") or GITLAB_API,
        name=get("CI_PROJECT_PATH", ""),
        project=own,
        reviewing=get("CI_MERGE_REQUEST_PROJECT_ID") or own,
        request=_number(get("CI_MERGE_REQUEST_IID")),
        base=get("CI_MERGE_REQUEST_DIFF_BASE_SHA", ""),
        # In a merged results pipeline, CI_COMMIT_SHA is a commit that exists only there.
        merge=get("CI_COMMIT_SHA", "") if get("CI_MERGE_REQUEST_EVENT_TYPE") in _MERGED else "",
        head=get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or get("CI_COMMIT_SHA", ""),
        branch=get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or get("CI_COMMIT_BRANCH") or None,
        pipeline=pipeline,
        order=(_number(pipeline) or 0, _number(get("CI_JOB_ID")) or 0),
        pipeline_url=_web(get("CI_PIPELINE_URL")),
        job_url=_web(get("CI_JOB_URL")),
        actor=get("GITLAB_USER_LOGIN", ""),
        page=_web(get("CI_PROJECT_URL")),
    )


def _github(environment: Mapping[str, str]) -> CI:
    get = environment.get
    project, run, server = get("GITHUB_REPOSITORY", ""), get("GITHUB_RUN_ID", ""), get("GITHUB_SERVER_URL")
    pull = _event(get("GITHUB_EVENT_PATH")).get("pull_request")
    pull = pull if isinstance(pull, dict) else {}
    head, base = pull.get("head"), pull.get("base")
    is_merge = re.fullmatch(r"refs/pull/\d+/merge", get("GITHUB_REF", ""))
    return CI(
        "github",
        api=get("GITHUB_API_URL") or GITHUB_API,
        name=project,
        project=project,
        reviewing=project,
        request=_number(pull.get("number")),
        base=str(base.get("sha") or "") if isinstance(base, dict) else "",
        merge=get("GITHUB_SHA", "") if is_merge else "",
        head=str(head.get("sha") or "") if isinstance(head, dict) else get("GITHUB_SHA", ""),
        branch=get("GITHUB_HEAD_REF") or get("GITHUB_REF_NAME") or None,
        pipeline=run,
        order=(_number(run) or 0, _number(get("GITHUB_RUN_ATTEMPT")) or 0),
        pipeline_url=_web(f"{server}/{project}/actions/runs/{run}") if server and project and run else None,
        actor=get("GITHUB_ACTOR", ""),
        page=_web(f"{server}/{project}") if server and project else None,
    )


def _is_set(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").strip().lower() not in _NOT_SET


def _event(path: str | None) -> JsonObject:
    try:
        event = json.loads(Path(path).read_bytes()) if path else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _number(value: Json) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else None


def _web(url: str | None) -> str | None:
    """The address if a page may link to it, else an empty string."""
    return url if url and url.startswith(("https://", "http://")) else None
