"""The tag of `deploy.tag` in a deploy: it says what is about to be applied, and moves when everything is deployed."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from ..artifact import receipt
from ..artifact.inputs import InputKind
from ..artifact.tagnote import TagNote
from ..base import git
from ..base.errors import DeployError, GitError
from ..base.text import short
from .assessment import assess
from .deployed import note_at, tag_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .run import Run

_TRIES = 6  # jobs of one pipeline begin at the same time
_PAUSE = 2.0  # seconds between two tries, at most


class _Announced:
    """Whether the tag says which stacks a run may apply, and those of them that it did not name before.

    `error` is why it could not be written. `lock` is held while it is written.
    """

    def __init__(self, _: Run) -> None:
        self.done = False
        self.stacks: set[str] = set()
        self.error: GitError | None = None
        self.lock = threading.Lock()


def announce(run: Run, stacks: Callable[[], Collection[str]]) -> None:
    """Note in the tag, before the first apply of a run, which stacks it may apply.

    Where the deploy fails, and its commit never becomes an ancestor of what is deployed next, nothing else says that
    these stacks are no longer as they were at the tag. With a ledger, that does.

    Args:
        run: The run.
        stacks: Returns the names of the stacks.

    Raises:
        GitError: The tag cannot be pushed, or another run has deployed since this one started.
    """
    tag = tag_name(run.project)
    if tag is None or run.recording is not None:
        return
    announced = run.once(_Announced)
    with announced.lock:
        if not announced.done and announced.error is None:
            try:
                _announce(run, tag, stacks())
                announced.done = True
            except GitError as error:
                announced.error = error
        if announced.error is not None:
            raise announced.error


def _announce(run: Run, tag: str, stacks: Collection[str]) -> None:
    root, push = run.layout.root, run.project.config.deploy.push
    problem: str | None = None
    for attempt in range(_TRIES):
        if attempt and run.stop.wait(random.uniform(0, _PAUSE)):  # noqa: S311 - apart from the other jobs
            break
        origin = git.fetch_tag(root, tag) if push else None
        commit = git.tagged(root, tag)
        if commit is None:
            return  # nothing counts as deployed
        _require_unmoved(run, tag, commit)
        note = note_at(run, tag, commit)
        if note is None:
            if run.baseline is None or run.baseline.ref != tag:
                return  # the tag does not count, either
            note = run.baseline.note  # it was named on the command line
        begun = {**note.begun, **dict.fromkeys(stacks, run.revision.short)}
        if begun == note.begun:
            return
        run.once(_Announced).stacks = {name for name in stacks if name not in note.begun}
        text = _text(run, tag, replace(note, commit=commit, begun=begun))
        problem = git.move_tag(root, tag, commit, text, origin=(origin or "") if push else None)
        if problem is None:
            return
    raise GitError(
        problem or f"the tag {tag} was not written before this was stopped",
        untouched="nothing was applied",
        next_step="allow this job to push it, or set `deploy.push: false`; then run the same command again. It has to"
        " say which stacks are about to be applied: else a deploy that fails would count as never begun",
    )


def _require_unmoved(run: Run, tag: str, commit: str) -> None:
    """Refuse to apply plans that were made before another run deployed: what is affected may be something else now."""
    if run.baseline is None or run.baseline.ref != tag or run.baseline.commit == commit:
        return
    raise GitError(
        f"the tag {tag} has moved to {short(commit)} since this run started: another one has deployed",
        untouched="nothing was applied", next_step="run the same command again; it plans from what is deployed now",
    )  # fmt: skip


def _text(run: Run, tag: str, note: TagNote) -> str:
    return note.text(tag, run.project.keyring.artifact)


def take_back(run: Run) -> None:
    """After a deploy that is not complete: take out of the tag the stacks whose apply this run did not begin."""
    tag, project = tag_name(run.project), run.project
    announced = run.once(_Announced)
    if tag is None or not announced.done or run.request.part is not None:
        return
    receipts = {name: receipt.read(run.layout, name) for name in announced.stacks}
    left = {name for name, last in receipts.items() if last is None or last.commit != run.revision.commit}
    origin = (git.fetch_tag(run.layout.root, tag) or "") if project.config.deploy.push else None
    commit = git.tagged(run.layout.root, tag)
    note = note_at(run, tag, commit) if commit else None
    if commit is None or note is None:
        return
    begun = {name: label for name, label in note.begun.items() if name not in left or label != run.revision.short}
    if begun != note.begun:  # else they are planned once more than they need to
        git.move_tag(run.layout.root, tag, commit, _text(run, tag, replace(note, begun=begun)), origin=origin)


def remember(run: Run) -> None:
    """Move the tag if every stack of the environment is now deployed and verified from this clean commit."""
    project, root = run.project, run.layout.root
    tag, commit = tag_name(project), run.revision.commit if project.config.deploy.tag else None
    if tag is None or commit is None or run.revision.dirty or (note := _note(run, commit)) is None:
        return
    origin = (git.fetch_tag(root, tag) or "") if project.config.deploy.push else None
    if git.tagged(root, tag) == commit and note_at(run, tag, commit) == note:
        return
    if problem := git.move_tag(root, tag, commit, _text(run, tag, note), origin=origin):
        run.say(f"{problem}; the next deploy without receipts uses the previous commit as its base")


def _note(run: Run, commit: str) -> TagNote | None:
    """What no commit says of the stacks, and no begun deploy; None unless all are deployed and verified."""
    from ..artifact import comparable

    note, known = TagNote(commit), run.baseline.note if run.baseline is not None else TagNote()
    for stack in run.project.stacks.values():
        try:
            found = assess(run, stack)
        except DeployError:  # it was not part of this run, which would have failed otherwise
            return None
        if not found.settled:
            return None
        if names := sorted(comparable.of_environment(run.project, stack, found.inputs)):
            note.environment_variables[stack.name] = names
        seen = {item for item in found.inputs.digests if item.kind is InputKind.OBSERVED}
        if seen := seen if found.receipt else known.seen(stack.name):
            note.observed[stack.name] = sorted((item.name, item.target) for item in seen)
    return note
