"""What a plan holds secret is known before the job that applies it shows anything of it: from a file, or the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..artifact import plansecrets, secretfile
from . import reading

if TYPE_CHECKING:
    from ..artifact.manifest import Manifest
    from ..artifact.opening import Artifact
    from ..engine.command import Context
    from ..run.run import Run


def _known_plans(_: Run) -> set[str]:
    """The ids of the plans whose secrets are known."""
    return set()


def note(run: Run, manifest: Manifest) -> None:
    """Note that the secrets of a plan are known: it was read in this run."""
    run.once(_known_plans).add(manifest.id)


def is_known(run: Run, manifest: Manifest) -> bool:
    """Whether the secrets of a plan are known by now, with what a file beside it says."""
    if manifest.id in run.once(_known_plans):
        return True
    found = [] if not manifest.sensitive else secretfile.read(run.layout, manifest, run.project.keyring.current)
    if found is None:
        return False
    run.mask.add(found)
    note(run, manifest)
    return True


def learn(run: Run, artifact: Artifact, where: Context) -> None:
    """Make the secrets of a plan known, by having the engine read it where nothing else tells.

    Args:
        run: The run.
        artifact: The plan.
        where: The stack's context, initialized.

    Raises:
        EngineError: It cannot be read.
    """
    if not is_known(run, artifact.manifest):
        run.mask.add(plansecrets.values(reading.of(run, where, artifact.plan)))
        note(run, artifact.manifest)
