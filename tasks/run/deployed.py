"""What counts as deployed without receipts: `base=` for reviews, and the tag that complete deploys move."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..artifact import receipt
from ..base import ci, git, interpolate
from ..base.errors import ConfigError
from ..base.text import short
from . import commandline

if TYPE_CHECKING:
    from ..artifact.tagnote import TagNote
    from ..project.project import Project
    from .run import Run


_REVIEWING = frozenset({"plan", "ci", "validate", "status"})
_ACTING = frozenset({"deploy", "verify", "drift"})


def tag_name(project: Project) -> str | None:
    """The tag that a complete deploy of this environment moves, if configured."""
    tag = project.config.deploy.tag
    return interpolate.fill(tag, {"environment": project.environment}, key="deploy.tag") if tag else None


def note_at(run: Run, tag: str, commit: str, *, deploying: bool = True) -> TagNote | None:
    """The note of a tag; None where no deploy of the commit that is tagged wrote it.

    A deploy, and each job with an artifact key, believes what its key has signed alone. Others cannot tell, and apply
    nothing: a merge request's job has another key.

    Args:
        run: The run.
        tag: The tag.
        commit: The commit that is tagged.
        deploying: Whether this run may apply something.
    """
    from ..artifact.tagnote import TagNote

    keyring = run.project.keyring
    can_tell = deploying or keyring.artifact is not keyring.current
    return TagNote.parse(git.tag_note(run.layout.root, tag), commit, tag, keyring.artifacts if can_tell else ())


def named_base(run: Run) -> str | None:
    """The base from the command line, unless it is the tag of the last complete deploy."""
    ref = run.request.base
    return ref if ref and ref != tag_name(run.project) else None


def choose_base(run: Run) -> None:
    """Set the project's baseline: `base=REF` from the command line, a merge request's target, or the deploys' tag.

    Raises:
        ConfigError: The ref does not exist.
    """
    if not run.request.base:
        run.request = replace(run.request, base=_of_review(run))
    project, ref = run.project, run.request.base
    if not ref and run.recording is not None:
        return  # the ledger says it better, and the tag is only a label
    tag = tag_name(project)
    tagged = git.tagged(project.layout.root, tag) if tag else None
    if not ref and tagged is None:
        return
    if ref is None and all(receipt.read(run.layout, name) for name in project.stacks):
        return  # receipts are more precise
    from ..artifact import baseline
    from ..artifact.tagnote import TagNote

    # The tag's own commit is deployed, whatever the merge base is: deploying an older tree reverts changes.
    exact = ref in (None, tag)
    deploying = commandline.names({"deploy"}) or run.request.repair is not None
    noted = note_at(run, tag, tagged, deploying=deploying) if tag and tagged else TagNote()
    note = noted if exact else TagNote()
    if note is None and not ref:
        whose = f" with {project.keyring.artifact.variable}" if project.keyring.artifact else ""
        run.say(
            f"no deploy of {short(tagged)}{whose} has put the tag {tag} there, so what is deployed is not known,"
            " and every stack without a receipt is affected. If all of it is deployed, name the tag once:"
            f" {run.typed(f'base={tag}', 'deploy')}"
        )
        return
    note = note or TagNote()
    revision = run.revision.short if note.begun else ""
    run.baseline = baseline.find(project, ref or str(tag), exact=exact, note=note, revision=revision)
    if run.recording is not None:
        run.baseline.same_environment, run.baseline.seen = True, run.recording.by_base.seen
    elif not exact and noted is not None and noted.commit:
        run.baseline.seen = noted.seen
    elif not exact and project.config.inputs.observe:
        _say_unseen(run, str(ref))


def _say_unseen(run: Run, ref: str) -> None:
    """Say that a base says less than receipts where plans are watched: git has nothing of what they read."""
    if all(run.layout.receipt(name).exists() for name in run.project.stacks):
        return
    run.say(
        f"base={ref} has no record of what plans were seen to read (`inputs.observe`): a change of a file that"
        " only watching finds goes unnoticed here; name such files in `watch`, or keep a ledger or `deploy.tag`"
    )


def _of_review(run: Run) -> str | None:
    """What a merge request's plan is compared with; None outside of one.

    Where the forge merged it into its target, that is the target as it was merged; else it is the commit where the
    branch left the target. So a branch that is behind its target shows no revert of others' work.
    """
    job, root = ci.read(), run.layout.root
    if job.request is None or not commandline.names(_REVIEWING) or commandline.names(_ACTING):
        return None
    is_merge = job.merge and git.resolve(root, "HEAD") == job.merge and git.resolve(root, "HEAD^2") is not None
    base = "HEAD^1" if is_merge else job.base
    found = git.resolve(root, base) if base else None
    if found is None and base:
        run.say(
            f"{short(base)}, where this merge request left its target, is not in this clone: what it has changed is"
            " not known, and more is planned; fetch the whole history (GIT_DEPTH: 0)"
        )
    return found


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
