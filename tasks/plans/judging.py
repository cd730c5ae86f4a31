"""Has policies judge a plan, and records the plan that this run may apply; no other one is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..base.errors import ArtifactRefusedError, PolicyError
from ..base.problem import NOTHING_CHANGED, doit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..artifact.changes import PlanChanges
    from ..artifact.manifest import Manifest
    from ..base.jsonvalue import Json
    from ..policy.finding import Finding
    from ..project.stack import Stack
    from ..run.run import Run


class _Judged(NamedTuple):
    """A plan that policy accepted: its id and SHA-256, and one line per override."""

    plan_id: str
    plan_sha256: str
    allowed: list[str]


def judged_by(run: Run) -> str | None:
    """The digest of the policies that plans are judged by now; None without policies."""
    policy = run.project.config.policy
    if not (policy.protect or policy.required_tags or policy.checkers or policy.max_destroy is not None):
        return None
    from ..policy import judge

    return judge.digest(run)


def judge(run: Run, stack: Stack, document: Mapping[str, Json], read: PlanChanges) -> list[Finding]:
    """What the policies find in a plan that they let through.

    Raises:
        PolicyRefusedError: It may not be applied; the error carries the changes too, for the report.
        PolicyError: It could not be judged.
    """
    if judged_by(run) is None:
        return []
    from ..policy import judge

    return judge.judge(run, stack, document, read.to_json())


def overridden(findings: list[Finding]) -> list[str]:
    """The findings that were let through although they refuse a plan, a line each."""
    if not findings:
        return []
    from ..policy import judge

    return judge.let_through(findings)


def _judged(_: Run) -> dict[str, _Judged]:
    """The plan of each stack that was verified in this run, and that policy let through."""
    return {}


def let_through(run: Run, manifest: Manifest, findings: list[Finding]) -> None:
    """Remember that a plan was verified in this run, and that no policy refuses it."""
    run.once(_judged)[manifest.stack] = _Judged(manifest.id, manifest.plan_sha256, overridden(findings))


def require(run: Run, manifest: Manifest) -> list[str]:
    """The findings that were overridden of the very plan that is to be applied.

    Raises:
        PolicyError: There are policies, and this run has not judged these very bytes.
        ArtifactRefusedError: It is not the plan that this run has verified.
    """
    known = run.once(_judged).get(manifest.stack)
    if known is not None and (known.plan_id, known.plan_sha256) == (manifest.id, manifest.plan_sha256):
        return known.allowed
    next_step = (doit(f"plan:{manifest.stack}"), ", then ", doit("deploy"))
    if judged_by(run) is not None:
        message = "this plan was not judged by policy in this run"
        raise PolicyError(message, stack=manifest.stack, untouched=NOTHING_CHANGED, next_step=next_step)
    message = "this is not the plan that this run verified: it was replaced"
    raise ArtifactRefusedError("replaced", message, stack=manifest.stack)
