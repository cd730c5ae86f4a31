"""GitHub: comments on pull requests (https://docs.github.com/en/rest/issues/comments) and commit statuses."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..run.reviewing import Approver
from .client import LABEL, Comment, Issue, Merged, Noted, Proposal, State
from .http import Api, ForgeError, field_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .client import Commit
    from .place import Place

ACTIONS = "github-actions[bot]"
_LONGEST_DESCRIPTION = 140
_RUNNING = ("queued", "requested", "pending", "in_progress")  # `waiting` waits for someone
_WITHDRAWN = ("changes_requested", "dismissed")  # states of reviews that end an approval; a comment does not


class GitHub:
    """GitHub's REST API, version 2022-11-28.

    Args:
        place: Which one, which repository, with which token.
        seconds: How long all requests together may take.
        wait: Waits so many seconds; true when it was told to stop.
    """

    limit = 65_536

    def __init__(self, place: Place, *, seconds: float, wait: Callable[[float], bool]) -> None:
        self._name = place.token_name
        headers = {
            "Authorization": f"Bearer {place.token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        self._api = Api(place.api, headers, seconds=seconds, wait=wait, explain=self._explanation)
        self._repository = f"repos/{quote(place.project)}"

    def comments(self, request: int) -> list[Comment]:
        """All comments on a pull request, in the order of their ids."""
        found = [
            Comment(item["id"], str(item.get("body") or ""), self._is_own(item))
            for item in self._api.pages(f"{self._repository}/issues/{request}/comments")
            if isinstance(item.get("id"), int)
        ]
        return sorted(found, key=lambda comment: comment.id)

    def create(self, request: int, body: str) -> None:
        """Write a comment."""
        self._api.send("POST", f"{self._repository}/issues/{request}/comments", {"body": body})

    def update(self, request: int, comment: int, body: str) -> None:  # noqa: ARG002 - GitHub's ids are the repository's
        """Replace a comment's text."""
        self._api.send("PATCH", f"{self._repository}/issues/comments/{comment}", {"body": body})

    def delete(self, request: int, comment: int) -> None:  # noqa: ARG002 - the same
        """Remove a comment."""
        try:
            self._api.send("DELETE", f"{self._repository}/issues/comments/{comment}")
        except ForgeError as error:
            if error.status != 404:  # noqa: PLR2004 - another run removed it
                raise

    def issues(self) -> list[Issue]:
        """The open issues that the token's user wrote (https://docs.github.com/en/rest/issues/issues)."""
        found = self._api.pages(f"{self._repository}/issues", state="open", creator=self._me)
        return [
            Issue(item["number"], str(item.get("title") or ""), str(item.get("body") or ""), self._is_own(item))
            for item in found
            if isinstance(item.get("number"), int) and "pull_request" not in item
        ]

    def open_issue(self, title: str, body: str) -> None:
        """Open an issue."""
        self._api.send("POST", f"{self._repository}/issues", {"title": title, "body": body, "labels": [LABEL]})

    def update_issue(self, number: int, title: str, body: str) -> None:
        """Replace an issue's title and text."""
        self._api.send("PATCH", f"{self._repository}/issues/{number}", {"title": title, "body": body})

    def close_issue(self, number: int) -> None:
        """Close an issue."""
        self._api.send(
            "PATCH", f"{self._repository}/issues/{number}", {"state": "closed", "state_reason": "completed"}
        )  # fmt: skip

    def proposals(self, branch: str | None = None) -> list[Proposal]:
        """The open pull requests, or all from a branch (https://docs.github.com/en/rest/pulls/pulls)."""
        owner = self._repository.split("/")[1]
        which = {"state": "open"} if branch is None else {"state": "all", "head": f"{owner}:{branch}"}
        found = []
        for item in self._api.pages(f"{self._repository}/pulls", **which):
            head = item.get("head") or {}
            if not isinstance(item.get("number"), int) or (head.get("repo") or {}).get("fork"):
                continue
            state = "open" if item.get("state") == "open" else "merged" if item.get("merged_at") else "closed"
            found.append(Proposal(
                item["number"], str(head.get("ref") or ""), str(head.get("sha") or ""), str(item.get("body") or ""),
                state, self._is_own(item),
            ))  # fmt: skip
        return found

    def push(self, commit: Commit) -> str:
        """Make a branch with one commit (https://docs.github.com/en/rest/git), whatever it was before."""
        git = f"{self._repository}/git"
        base = self._api.get(f"{git}/commits/{commit.base}")
        tree = self._api.send("POST", f"{git}/trees", {
            "base_tree": field_of(base, "tree", "sha"),
            "tree": [
                {"path": path, "mode": "100644", "type": "blob", "content": content}
                for path, content in commit.files.items()
            ],
        })  # fmt: skip
        record = {"message": commit.message, "tree": field_of(tree, "sha"), "parents": [commit.base]}
        made = self._api.send("POST", f"{git}/commits", record)
        sha = field_of(made, "sha")
        if self.head(commit.branch) is None:
            self._api.send("POST", f"{git}/refs", {"ref": f"refs/heads/{commit.branch}", "sha": sha})
        else:
            self._api.send("PATCH", f"{git}/refs/heads/{quote(commit.branch)}", {"sha": sha, "force": True})
        return sha

    def head(self, branch: str) -> str | None:
        """The last commit of a branch (https://docs.github.com/en/rest/git/refs)."""
        try:
            found = self._api.get(f"{self._repository}/git/ref/heads/{quote(branch)}")
        except ForgeError as error:
            if error.status != 404:  # noqa: PLR2004 - there is none
                raise
            return None
        return field_of(found, "object", "sha")

    def delete_branch(self, branch: str) -> None:
        """Remove a branch."""
        try:
            self._api.send("DELETE", f"{self._repository}/git/refs/heads/{quote(branch)}")
        except ForgeError as error:
            if error.status not in (404, 422):  # another run, or a merge, removed it
                raise

    def propose(self, branch: str, target: str, title: str, body: str) -> None:
        """Open a pull request; GitHub refuses a second one with 422."""
        given = {"head": branch, "base": target, "title": title, "body": body}
        try:
            self._api.send("POST", f"{self._repository}/pulls", given)
        except ForgeError as error:
            if error.status != 422 or not any(one.state == "open" for one in self.proposals(branch)):  # noqa: PLR2004
                raise

    def update_proposal(self, number: int, title: str, body: str) -> None:
        """Replace a pull request's title and text."""
        self._api.send("PATCH", f"{self._repository}/pulls/{number}", {"title": title, "body": body})

    def close_proposal(self, number: int) -> None:
        """Close a pull request."""
        self._api.send("PATCH", f"{self._repository}/pulls/{number}", {"state": "closed"})

    def status(self, commit: str, state: State, name: str, description: str, link: str | None) -> None:
        """Set a commit's status (https://docs.github.com/en/rest/commits/statuses)."""
        word = "success" if state is State.SUCCESS else "failure"
        body = {"state": word, "context": name, "description": description[:_LONGEST_DESCRIPTION]}
        body |= {"target_url": link} if link else {}
        self._api.send("POST", f"{self._repository}/statuses/{quote(commit, safe='')}", body)

    def statuses(self, commit: str, name: str) -> list[Noted]:
        """All statuses of a name on a commit; GitHub keeps every one that was set."""
        found = self._api.pages(f"{self._repository}/commits/{quote(commit, safe='')}/statuses")
        return [
            Noted(item["id"], str(item.get("description") or ""))
            for item in found
            if isinstance(item.get("id"), int) and item.get("context") == name
        ]

    def deployed(self, environment: str) -> Iterator[str]:
        """The commits of an environment's deployments (https://docs.github.com/en/rest/deployments/deployments)."""
        found = self._api.pages(f"{self._repository}/deployments", environment=environment)
        return (str(item["sha"]) for item in found if item.get("sha"))

    def commits(self) -> Iterator[str]:
        """The commits of the default branch."""
        return (str(item["sha"]) for item in self._api.pages(f"{self._repository}/commits") if item.get("sha"))

    def has_ended(self, pipeline: str) -> bool:
        """Whether a workflow run has ended."""
        return self._status(pipeline) == "completed"

    def is_running(self, pipeline: str) -> bool:
        """Whether a workflow run is at work, or about to be."""
        return self._status(pipeline) in _RUNNING

    def _status(self, pipeline: str) -> str:
        """A workflow run's status (https://docs.github.com/en/rest/actions/workflow-runs); empty if it is not told."""
        found = self._api.get(f"{self._repository}/actions/runs/{quote(pipeline, safe='')}")
        return str(found.get("status")) if isinstance(found, dict) and str(found.get("id")) == pipeline else ""

    def approvers(self, request: int) -> list[Approver]:
        """Whose latest review approves a pull request (https://docs.github.com/en/rest/pulls/reviews)."""
        found: dict[int, Approver] = {}
        for item in self._api.pages(f"{self._repository}/pulls/{request}/reviews"):  # in the order of their times
            user = item.get("user")  # null where the account is gone
            if not isinstance(user, dict) or not isinstance(user.get("id"), int):
                continue
            state = str(item.get("state")).lower()
            if state == "approved":
                found[user["id"]] = Approver(str(user["id"]), str(user.get("login") or ""))
            elif state in _WITHDRAWN:
                found.pop(user["id"], None)
        return [found[number] for number in sorted(found)]

    def merged(self, commit: str, branch: str | None) -> Merged | None:
        """The pull request that brought a commit to a branch."""
        found = [
            item
            for item in self._api.pages(f"{self._repository}/commits/{quote(commit, safe='')}/pulls")
            if item.get("merged_at") and branch in (None, (item.get("base") or {}).get("ref"))
        ]
        found.sort(key=lambda item: str(item["merged_at"]))
        return Merged(int(found[-1]["number"]), str((found[-1].get("head") or {}).get("sha") or "")) if found else None

    @cached_property
    def _me(self) -> str:
        """The token's user; the token of a job has none, and writes as GitHub's own bot."""
        try:
            user = self._api.get("user")
        except ForgeError as error:
            if error.status != 403:  # noqa: PLR2004 - "Resource not accessible by integration"
                raise
            return ACTIONS
        return str(user.get("login")) if isinstance(user, dict) else ACTIONS

    def _is_own(self, item: dict[str, Any]) -> bool:
        user = item.get("user")
        return isinstance(user, dict) and user.get("login") == self._me

    def _explanation(self, status: int) -> str | None:
        grant = (
            "the job needs `permissions: {pull-requests: write, statuses: write, issues: write}`, and for pull requests"
            " about drift a token that has `contents: write`, too"
        )
        return {
            401: f"GitHub rejects the token in {self._name}: set it to `${{{{ github.token }}}}` in the step",
            403: f"the token in {self._name} may not do this: {grant}; pull requests from forks never get them",
            404: f"GitHub also returns 404 for what a token may not see: {grant}",
        }.get(status)
