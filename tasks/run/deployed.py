"""What counts as deployed without receipts: `base=` for reviews, and the tag that complete deploys move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..artifact import receipt
from ..base import git, interpolate
from ..base.errors import ConfigError

if TYPE_CHECKING:
    from ..project.project import Project
    from .run import Run


def tag_name(project: Project) -> str | None:
    """The tag that a complete deploy of this environment moves, if configured."""
    tag = project.config.deploy.tag
    return interpolate.fill(tag, {"environment": project.environment}, key="deploy.tag") if tag else None


def named_base(run: Run) -> str | None:
    """The base from the command line, unless it is the tag of the last complete deploy."""
    ref = run.request.base
    return ref if ref and ref != tag_name(run.project) else None


def choose_base(run: Run) -> None:
    """Set the project's baseline: `base=REF` from the command line, else the tag of the last complete deploy.

    Raises:
        ConfigError: The ref does not exist.
    """
    project, ref = run.project, run.request.base
    if not ref and run.recording is not None:
        return  # the ledger says it better, and the tag is only a label
    tag = tag_name(project)
    if not ref and (tag is None or git.resolve(project.layout.root, tag) is None):
        return
    if ref is None and all(receipt.read(run.layout, name) for name in project.stacks):
        return  # receipts are more precise
    from ..artifact import baseline
    from ..artifact.tagnote import TagNote

    # The tag's own commit is deployed, whatever the merge base is: deploying an older tree reverts changes.
    exact = ref in (None, tag)
    note = TagNote.parse(git.tag_note(project.layout.root, str(tag))) if exact else TagNote()
    revision = run.revision.short if note.begun else ""
    run.baseline = baseline.find(project, ref or str(tag), exact=exact, note=note, revision=revision)


def refuse_for_deploy(run: Run) -> None:
    """Refuse a base that may not be deployed: stacks that a failed pipeline left out would be skipped for good.

    Raises:
        ConfigError: `base=` is not the tag of the last complete deploy.
    """
    base = named_base(run)
    if base is None:
        return
    raise ConfigError(
        f"base={base} is only for plans: it is not known to have been deployed completely",
        untouched="nothing was planned or applied",
        next_step="omit it: receipts decide, or `deploy.tag`, which complete deploys move; else all are affected",
    )
