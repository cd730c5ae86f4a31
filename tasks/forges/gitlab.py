"""GitLab: notes on merge requests (https://docs.gitlab.com/api/notes/) and commit statuses."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..run.reviewing import Approver
from .client import LABEL, Comment, Issue, Merged, Noted, Proposal
from .http import Api, ForgeError, field_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .client import Commit, State
    from .place import Place

_LONGEST_DESCRIPTION = 255
_STATES = {"opened": "open", "locked": "open", "merged": "merged"}
_RUNNING = ("created", "waiting_for_resource", "preparing", "pending", "running", "canceling")
_ENDED = ("success", "failed", "canceled", "skipped")  # `manual` waits for someone, `canceling` for its jobs


class GitLab:
    """GitLab's API, version 4.

    Args:
        place: Which one, which project, with which token.
        seconds: How long all requests together may take.
        wait: Waits so many seconds; true when it was told to stop.
    """

    limit = 1_000_000

    def __init__(self, place: Place, *, seconds: float, wait: Callable[[float], bool]) -> None:
        self._name = place.token_name
        self._api = Api(
            place.api, {"PRIVATE-TOKEN": place.token}, seconds=seconds, wait=wait, explain=self._explanation
        )
        self._project = f"projects/{quote(place.project, safe='')}"
        self._own = f"projects/{quote(place.own, safe='')}"
        self._pipeline = place.order[0]

    def comments(self, request: int) -> list[Comment]:
        """All notes of people and tokens on a merge request, in the order of their ids."""
        found = self._api.pages(f"{self._project}/merge_requests/{request}/notes", sort="asc", order_by="created_at")
        notes = [
            Comment(note["id"], str(note.get("body") or ""), self._is_own(note))
            for note in found
            if isinstance(note.get("id"), int) and not note.get("system")
        ]
        return sorted(notes, key=lambda note: note.id)

    def create(self, request: int, body: str) -> None:
        """Write a note."""
        self._api.send("POST", f"{self._project}/merge_requests/{request}/notes", {"body": body})

    def update(self, request: int, comment: int, body: str) -> None:
        """Replace a note's text."""
        self._api.send("PUT", f"{self._project}/merge_requests/{request}/notes/{comment}", {"body": body})

    def delete(self, request: int, comment: int) -> None:
        """Remove a note."""
        try:
            self._api.send("DELETE", f"{self._project}/merge_requests/{request}/notes/{comment}")
        except ForgeError as error:
            if error.status != 404:  # noqa: PLR2004 - another run removed it
                raise

    def issues(self) -> list[Issue]:
        """The open issues that the token's user wrote (https://docs.gitlab.com/api/issues/)."""
        found = self._api.pages(
            f"{self._project}/issues", state="opened", scope="all", **({"author_id": self._me} if self._me else {})
        )
        return [
            Issue(item["iid"], str(item.get("title") or ""), str(item.get("description") or ""), self._is_own(item))
            for item in found
            if isinstance(item.get("iid"), int)
        ]

    def open_issue(self, title: str, body: str) -> None:
        """Open an issue."""
        self._api.send("POST", f"{self._project}/issues", {"title": title, "description": body, "labels": LABEL})

    def update_issue(self, number: int, title: str, body: str) -> None:
        """Replace an issue's title and text."""
        self._api.send("PUT", f"{self._project}/issues/{number}", {"title": title, "description": body})

    def close_issue(self, number: int) -> None:
        """Close an issue."""
        self._api.send("PUT", f"{self._project}/issues/{number}", {"state_event": "close"})

    def proposals(self, branch: str | None = None) -> list[Proposal]:
        """The open merge requests, or all from a branch (https://docs.gitlab.com/api/merge_requests/)."""
        which = {"state": "opened"} if branch is None else {"state": "all", "source_branch": branch}
        return [
            Proposal(
                item["iid"], str(item.get("source_branch") or ""), str(item.get("sha") or ""),
                str(item.get("description") or ""), _STATES.get(str(item.get("state")), "closed"), self._is_own(item),
            )
            for item in self._api.pages(f"{self._project}/merge_requests", scope="all", **which)
            if isinstance(item.get("iid"), int) and item.get("source_project_id") == item.get("target_project_id")
        ]  # fmt: skip

    def push(self, commit: Commit) -> str:
        """Make a branch with one commit (https://docs.gitlab.com/api/commits/), whatever it was before."""
        actions = [
            {"action": "update", "file_path": path, "content": content} for path, content in commit.files.items()
        ]
        made = self._api.send("POST", f"{self._project}/repository/commits", {
            "branch": commit.branch, "start_sha": commit.base, "force": True, "commit_message": commit.message,
            "actions": actions,
        })  # fmt: skip
        return field_of(made, "id")

    def head(self, branch: str) -> str | None:
        """The last commit of a branch (https://docs.gitlab.com/api/branches/)."""
        try:
            found = self._api.get(self._branch(branch))
        except ForgeError as error:
            if error.status != 404:  # noqa: PLR2004 - there is none
                raise
            return None
        return field_of(found, "commit", "id")

    def delete_branch(self, branch: str) -> None:
        """Remove a branch."""
        try:
            self._api.send("DELETE", self._branch(branch))
        except ForgeError as error:
            if error.status != 404:  # noqa: PLR2004 - another run, or a merge, removed it
                raise

    def _branch(self, branch: str) -> str:
        return f"{self._project}/repository/branches/{quote(branch, safe='')}"

    def propose(self, branch: str, target: str, title: str, body: str) -> None:
        """Open a merge request; GitLab refuses a second one with 409."""
        given = {"source_branch": branch, "target_branch": target, "title": title, "description": body}
        given |= {"labels": LABEL}
        try:
            self._api.send("POST", f"{self._project}/merge_requests", {**given, "remove_source_branch": True})
        except ForgeError as error:
            if error.status != 409:  # noqa: PLR2004 - there is one
                raise

    def update_proposal(self, number: int, title: str, body: str) -> None:
        """Replace a merge request's title and text."""
        self._api.send("PUT", f"{self._project}/merge_requests/{number}", {"title": title, "description": body})

    def close_proposal(self, number: int) -> None:
        """Close a merge request."""
        self._api.send("PUT", f"{self._project}/merge_requests/{number}", {"state_event": "close"})

    def status(self, commit: str, state: State, name: str, description: str, link: str | None) -> None:
        """Set a commit's status (https://docs.gitlab.com/api/commits/#set-commit-pipeline-status)."""
        body: dict[str, Any] = {"state": state.value, "name": name, "description": description[:_LONGEST_DESCRIPTION]}
        if link:
            body["target_url"] = link
        if self._pipeline:
            body["pipeline_id"] = self._pipeline
        self._api.send("POST", f"{self._own}/statuses/{quote(commit, safe='')}", body)

    def statuses(self, commit: str, name: str) -> list[Noted]:
        """All statuses of a name on a commit, those of retries too."""
        path = f"{self._own}/repository/commits/{quote(commit, safe='')}/statuses"
        return [
            Noted(item["id"], str(item.get("description") or ""))
            for item in self._api.pages(path, name=name, all="true")
            if isinstance(item.get("id"), int) and item.get("name") == name
        ]

    def deployed(self, environment: str) -> Iterator[str]:
        """The commits of an environment's deployments (https://docs.gitlab.com/api/deployments/)."""
        found = self._api.pages(f"{self._own}/deployments", environment=environment, order_by="id", sort="desc")
        return (str(item["sha"]) for item in found if item.get("sha"))

    def commits(self) -> Iterator[str]:
        """The commits of the default branch (https://docs.gitlab.com/api/commits/)."""
        return (str(item["id"]) for item in self._api.pages(f"{self._own}/repository/commits") if item.get("id"))

    def has_ended(self, pipeline: str) -> bool:
        """Whether a pipeline has ended."""
        return self._status(pipeline) in _ENDED

    def is_running(self, pipeline: str) -> bool:
        """Whether a pipeline is at work, or about to be."""
        return self._status(pipeline) in _RUNNING

    def _status(self, pipeline: str) -> str:
        """A pipeline's status, empty without one (https://docs.gitlab.com/api/pipelines/#get-a-single-pipeline)."""
        found = self._api.get(f"{self._own}/pipelines/{quote(pipeline, safe='')}")
        return str(found.get("status")) if isinstance(found, dict) and str(found.get("id")) == pipeline else ""

    def approvers(self, request: int) -> list[Approver]:
        """Who approves a merge request (https://docs.gitlab.com/api/merge_request_approvals/)."""
        found = self._api.get(f"{self._project}/merge_requests/{request}/approvals")
        users = [item["user"] for item in found["approved_by"]]
        return [Approver(str(user["id"]), str(user.get("username") or "")) for user in users]

    def merged(self, commit: str, branch: str | None) -> Merged | None:
        """The merge request that brought a commit to a branch."""
        found = [
            item
            for item in self._api.pages(f"{self._project}/repository/commits/{quote(commit, safe='')}/merge_requests")
            if item.get("state") == "merged" and branch in (None, item.get("target_branch"))
        ]
        found.sort(key=lambda item: str(item.get("merged_at") or ""))
        return Merged(int(found[-1]["iid"]), str(found[-1].get("sha") or "")) if found else None

    @cached_property
    def _me(self) -> int | None:
        user = self._api.get("user")
        return user.get("id") if isinstance(user, dict) else None

    def _is_own(self, note: dict[str, Any]) -> bool:
        author = note.get("author")
        return isinstance(author, dict) and author.get("id") is not None and author["id"] == self._me

    def _explanation(self, status: int) -> str | None:
        token = f"a project access token with role Developer and scope `api` in {self._name}"
        return {
            401: f"GitLab rejects the token in {self._name}, which may have expired: set {token}",
            403: f"the token in {self._name} may not do this: set {token}; CI_JOB_TOKEN cannot write notes",
            404: f"GitLab also returns 404 for what a token may not see: set {token} of this project",
        }.get(status)
