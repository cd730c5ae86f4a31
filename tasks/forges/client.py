"""The interface of a forge client: what the publisher and the review gate need."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..run.reviewing import Approver

LABEL = "drift"


class State(Enum):
    """A commit status; the value is GitLab's word for it."""

    SUCCESS = "success"
    FAILED = "failed"


@dataclass(frozen=True)
class Comment:
    """A comment on a merge request; `own` is whether the token's user wrote it."""

    id: int
    body: str
    own: bool


@dataclass(frozen=True)
class Issue:
    """An open issue; `own` is whether the token's user wrote it."""

    number: int
    title: str
    body: str
    own: bool


@dataclass(frozen=True)
class Noted:
    """A commit status that was set: the forge's number of it (a later one has a greater one), and its description."""

    id: int
    text: str


@dataclass(frozen=True)
class Proposal:
    """A merge request from a branch of ours.

    Args:
        number: Its number.
        branch: The branch that it brings.
        head: The last commit of that branch, as the forge knows it.
        body: Its text.
        state: `open`, `merged`, or `closed` without a merge.
        own: Whether the token's user opened it.
    """

    number: int
    branch: str
    head: str
    body: str
    state: str
    own: bool


@dataclass(frozen=True)
class Commit:
    """A commit to be made on a branch of its own.

    Args:
        branch: The branch.
        base: The commit that it follows.
        message: Its message.
        files: The new content of each file, by path.
    """

    branch: str
    base: str
    message: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Merged:
    """A merged merge request: its number, and the last commit of its branch."""

    number: int
    head: str


class Client(Protocol):
    """A forge."""

    limit: int
    """The maximum number of bytes of a comment."""

    def comments(self, request: int) -> list[Comment]:
        """All comments on a merge request, in the order of their ids."""

    def create(self, request: int, body: str) -> None:
        """Write a comment; after an error that is not a refusal, it may have been written, even twice."""

    def update(self, request: int, comment: int, body: str) -> None:
        """Replace a comment's text."""

    def delete(self, request: int, comment: int) -> None:
        """Remove a comment; it is not an error if it no longer exists."""

    def issues(self) -> list[Issue]:
        """The open issues that the token's user wrote."""

    def open_issue(self, title: str, body: str) -> None:
        """Open an issue; after an error that is not a refusal, it may have been created, even twice."""

    def update_issue(self, number: int, title: str, body: str) -> None:
        """Replace an issue's title and text."""

    def close_issue(self, number: int) -> None:
        """Close an issue."""

    def proposals(self, branch: str | None = None) -> list[Proposal]:
        """The open merge requests; with a branch all that there ever were from it."""

    def push(self, commit: Commit) -> str:
        """Make a branch that has one commit more than its base, whatever it was before; returns that commit."""

    def head(self, branch: str) -> str | None:
        """The last commit of a branch; None if there is no such branch."""

    def delete_branch(self, branch: str) -> None:
        """Remove a branch; one that is gone already is no error."""

    def propose(self, branch: str, target: str, title: str, body: str) -> None:
        """Open a merge request; that there is one already is no error."""

    def update_proposal(self, number: int, title: str, body: str) -> None:
        """Replace a merge request's title and text."""

    def close_proposal(self, number: int) -> None:
        """Close a merge request."""

    def status(self, commit: str, state: State, name: str, description: str, link: str | None) -> None:
        """Set a commit's status of a name."""

    def statuses(self, commit: str, name: str) -> list[Noted]:
        """All statuses of a name that were ever set on a commit."""

    def deployed(self, environment: str) -> Iterator[str]:
        """The commits of an environment's deployments, the latest first; a commit may appear several times."""

    def commits(self) -> Iterator[str]:
        """The commits of the default branch, the latest first."""

    def has_ended(self, pipeline: str) -> bool:
        """Whether a pipeline of this run's project has ended, and will not continue by itself."""

    def is_running(self, pipeline: str) -> bool:
        """Whether a pipeline of this run's project is at work, or about to be."""

    def approvers(self, request: int) -> list[Approver]:
        """Who approves a merge request as it is."""

    def merged(self, commit: str, branch: str | None) -> Merged | None:
        """The merge request that brought a commit to a branch; None without one."""
