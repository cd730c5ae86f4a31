"""Keeps one open merge request for each drifted stack whose drift the code can take over.

A merge request is recognized by a marker in its text and by its author. The marker has a digest of the drafted change
and the commit that we pushed: a branch to which somebody has pushed since is left alone, as is one that is not ours. A
draft that was declined, by closing its merge request, is not offered again. Forges refuse a second merge request of the
same branch, so there is never more than one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .client import Commit
from .issues import Done

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from .client import Client, Proposal

_MARKER = re.compile(
    r"<!-- doit-tofu adoption (?P<environment>\S+) (?P<stack>\S+) (?P<print>[0-9a-f]+) (?P<head>[0-9a-f]*) -->"
)


@dataclass(frozen=True)
class Draft:
    """A merge request as it is to be.

    Args:
        title: Its title, and the first line of its commit.
        body: Makes its text within that many bytes.
        files: The new content of each file, by path.
        print: Equal for the same change of the same files.
    """

    title: str
    body: Callable[[int], str]
    files: Mapping[str, str]
    print: str


@dataclass(frozen=True)
class Where:
    """What merge requests are for: the environment, the commit that was checked, and the branch to merge into."""

    environment: str
    commit: str
    target: str

    def branch(self, stack: str) -> str:
        """The branch of a stack's merge request."""
        return f"drift/{self.environment}/{stack}"


def sync(client: Client, where: Where, drafts: Mapping[str, Draft], kept: Collection[str]) -> Done:
    """Make the open merge requests of an environment those of its drafts.

    Args:
        client: The forge.
        where: What they are for.
        drafts: The drafts, by stack.
        kept: The stacks that were not checked, or have drifted without a draft: theirs stay. All others are closed.

    Raises:
        ForgeError: The forge did not do it.
    """
    done = Done()
    known = {
        marker["stack"]: proposal
        for proposal in client.proposals()
        if (marker := _mark(proposal)) and marker["environment"] == where.environment
    }
    for stack, draft in drafts.items():
        _offer(client, where, stack, draft, done)
    for stack in sorted(set(known) - set(drafts) - set(kept)):
        client.close_proposal(known[stack].number)
        if _is_untouched(known[stack]):
            client.delete_branch(known[stack].branch)
        done.closed.append(stack)
    return done


def _offer(client: Client, where: Where, stack: str, draft: Draft, done: Done) -> None:
    """Open or update the merge request of a stack, unless somebody else has a hand in it."""
    branch = where.branch(stack)
    ours = sorted((one for one in client.proposals(branch) if _mark(one)), key=lambda one: one.number)
    now = next((one for one in ours if one.state == "open"), None)
    same = [one for one in ours if (marker := _mark(one)) and marker["print"] == draft.print]
    if now is not None and now in same and _is_untouched(now):
        return
    if now is not None and not _is_untouched(now):
        done.left.append(f"the merge request for {stack} was left as it is: somebody has pushed to {branch}")
        return
    if now is None and any(one.state == "closed" for one in same):
        done.left.append(f"none for {stack}: the same change was declined")
        return
    head = client.head(branch)
    if now is None and head is not None and not any(_is_untouched(one) and one.head == head for one in ours):
        done.left.append(f"none for {stack}: the branch {branch} is not ours; remove or rename it")
        return
    pushed = client.push(Commit(branch, where.commit, draft.title, draft.files))
    head_line = f"<!-- doit-tofu adoption {where.environment} {stack} {draft.print} {pushed} -->"
    body = f"{head_line}\n{draft.body(client.limit - len(head_line) - 1)}"
    if now is not None:
        client.update_proposal(now.number, draft.title, body)
        done.updated.append(stack)
    else:
        client.propose(branch, where.target, draft.title, body)
        done.opened.append(stack)


def _mark(proposal: Proposal) -> re.Match[str] | None:
    """The marker of a merge request of ours."""
    return _MARKER.search(proposal.body) if proposal.own else None


def _is_untouched(proposal: Proposal) -> bool:
    """Whether its branch ends with the commit that we pushed."""
    marker = _mark(proposal)
    return marker is not None and marker["head"] == proposal.head
