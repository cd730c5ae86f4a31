"""What counts as deployed without receipts: `base=` for reviews, and the tag that complete deploys move."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from ..artifact import receipt
from ..base import ci, git, interpolate
from ..base.errors import ConfigError, DeployError
from . import commandline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..project.project import Project
    from .run import Run


_REVIEWING = frozenset({"plan", "ci", "validate", "status"})
_ACTING = frozenset({"deploy", "verify", "drift"})
_SHORT = 8


def tag_name(project: Project) -> str | None:
    """The tag that a complete deploy of this environment moves, if configured."""
    tag = project.config.deploy.tag
    return interpolate.fill(tag, {"environment": project.environment}, key="deploy.tag") if tag else None


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
    if not ref and (tag is None or git.resolve(project.layout.root, tag) is None):
        return
    if ref is None and all(receipt.read(run.layout, name) for name in project.stacks):
        return  # receipts are more precise
    from ..artifact import baseline

    # The tag's own commit is deployed, whatever the merge base is: deploying an older tree reverts changes.
    exact = ref in (None, tag)
    environment = _environment(git.tag_note(project.layout.root, str(tag))) if exact else None
    run.baseline = baseline.find(project, ref or str(tag), exact=exact, environment=environment)
    run.baseline.same_environment = run.recording is not None


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
            f"{base[:_SHORT]}, where this merge request left its target, is not in this clone: what it has changed is"
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


def remember(run: Run) -> None:
    """Move the tag if every stack of the environment is now deployed and verified from this clean commit."""
    project = run.project
    tag, commit = tag_name(project), run.revision.commit if project.config.deploy.tag else None
    if tag is None or commit is None or run.revision.dirty:
        return
    from ..artifact import comparable
    from .assessment import assess

    names: dict[str, list[str]] = {}
    for stack in project.stacks.values():
        try:
            found = assess(run, stack)
        except DeployError:  # it was not part of this run, which would have failed otherwise
            return
        if found.affected or found.unverified:
            return
        if from_environment := sorted(comparable.of_environment(project, stack, found.inputs)):
            names[stack.name] = from_environment
    root, note = project.layout.root, _note(names)
    if git.resolve(root, tag) == commit and _environment(git.tag_note(root, tag)) == names:
        return
    if problem := git.move_tag(root, tag, commit, note, push=project.config.deploy.push):
        run.say(f"{problem}; the next deploy without receipts uses the previous commit as its base")


def _note(names: Mapping[str, list[str]]) -> str:
    """What a tag says beside its commit: the variables of the environment that each stack was deployed with."""
    return f"deployed by doit-tofu\n\n{json.dumps({'environment_variables': names}, sort_keys=True)}\n"


def _environment(note: str) -> dict[str, list[str]]:
    """The variables of the environment that a tag lists by stack; none for a tag that somebody made by hand."""
    try:
        found = json.loads(note.rpartition("\n")[2])["environment_variables"]
        return {str(stack): [str(name) for name in names] for stack, names in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
