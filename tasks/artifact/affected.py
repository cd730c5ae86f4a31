"""Whether a stack is affected, and why: its inputs now against those of its last receipt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.files import canonical_json, sha256_bytes
from . import inputs, receipt
from .receipt import Outcome

if TYPE_CHECKING:
    from ..project.project import Project
    from ..project.stack import Stack
    from .baseline import Baseline
    from .inputs import Inputs
    from .receipt import Receipt


@dataclass(frozen=True)
class Assessment:
    """What a stack's inputs are, what its receipt says, and why the two call for a plan; no reasons, no plan.

    `rekeyed`: nothing has changed but the key that its state is to be written with. `unverified`: it is deployed, and
    the checks that it has now have not passed since.
    """

    inputs: Inputs
    receipt: Receipt | None
    reasons: list[str]
    rekeyed: bool = False
    unverified: bool = False

    @property
    def affected(self) -> bool:
        """Whether the stack has to be planned and deployed."""
        return bool(self.reasons)

    @property
    def why(self) -> str:
        """The reasons on one line."""
        return inputs.summary(self.reasons)


def _affected_since_base(project: Project, name: str, baseline: Baseline) -> bool:
    """Whether a stack without a receipt is affected; remembered, as each of its dependents asks."""
    known = baseline.known
    if name not in known:
        last = receipt.read(project.layout, name)
        known[name] = last is None and assess(project, project.stacks[name], baseline).affected
    return known[name]


def checks_digest(stack: Stack) -> str:
    """Hex SHA-256 of what the configuration says of a stack's checks; another one calls for checking again."""
    checks = [check.model_dump(mode="json", by_alias=True, exclude_unset=True) for check in stack.settings.verify]
    return sha256_bytes(canonical_json(checks))


def _unverified(last: Receipt, stack: Stack) -> bool:
    """Whether a deployed stack has checks that have not passed since its last apply."""
    if not stack.settings.verify or not last.applied:
        return False
    return last.verified is not True or last.checks != checks_digest(stack)


def assess(project: Project, stack: Stack, baseline: Baseline | None) -> Assessment:
    """Compare a stack with its receipt, or with a baseline where it has none; reads files, starts nothing.

    Raises:
        ConfigError: A var file is missing, or a setting cannot be filled in.
        RecordError: A receipt or outputs record cannot be read.
    """
    last = receipt.read(project.layout, stack.name)
    now = inputs.gather(project, stack, produced=last.produced if last else ())
    if last is None and baseline is not None:
        reasons = baseline.reasons(project, stack, now)
        reasons += [
            f"its upstream {name} is affected"
            for name in project.graph.needs[stack.name]
            if _affected_since_base(project, name, baseline)
        ]
    elif last is None:
        reasons = ["never deployed from here"]
    elif last.outcome is Outcome.STARTED:
        reasons = [f"its last apply was cut off (begun {last.started_at})"]
    elif last.outcome is Outcome.FAILED:
        reasons = [f"its last apply failed ({last.finished_at})"]
    elif last.inputs_digest == now.digest:
        rewrite = project.keyring.rewrite(last.state_key)
        unverified = _unverified(last, stack)
        return Assessment(now, last, [rewrite] if rewrite else [], rewrite is not None, unverified)
    else:
        reasons = inputs.reasons(last.inputs, now.labels, project.module(stack.name).why_read)
    return Assessment(now, last, reasons)
