"""The forge, project, merge request and commit of a run, from the CI's variables and the key `forge`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ..base import ci

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..project.model import Forge


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
        token: The token; empty without one.
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
        return self.named(self.request)

    def named(self, request: int | None) -> str:
        """A merge request as people of that forge write it."""
        return f"!{request}" if self.kind == "gitlab" else f"#{request}"


def find(settings: Forge, environment: Mapping[str, str] = os.environ) -> Place | None:
    """Where this run takes place; None outside of CI, or when the configuration wants no forge.

    Args:
        settings: The key `forge`; what it says wins.
        environment: The environment variables.
    """
    here = ci.read(environment, None if settings.kind == "auto" else settings.kind)
    project = settings.project or here.reviewing
    if here.kind not in ("gitlab", "github") or not project:
        return None
    name = settings.token or f"{here.kind.upper()}_TOKEN"
    return Place(
        kind=here.kind,
        api=(settings.url or here.api).rstrip("/"),
        project=project,
        own=here.project or project,
        request=here.request,
        head=here.head,
        branch=None if here.request is not None else here.branch,
        order=here.order,
        link=here.link,
        token_name=name,
        token=environment.get(name, "").strip(),
    )
