"""Decides whether a stack is affected, and why, by comparing its inputs with those in its last receipt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.files import canonical_json, sha256_bytes
from ..base.text import short
from ..project import volatile
from . import inputs, observed, receipt
from . import reasons as why
from .inputs import NOT_RECORDED
from .reasons import Reason, Why
from .receipt import Outcome

if TYPE_CHECKING:
    from ..project.project import Project
    from ..project.stack import Stack
    from .baseline import Baseline
    from .inputs import Inputs
    from .receipt import Receipt


@dataclass(frozen=True)
class Assessment:
    """A stack's inputs, its receipt, and the reasons for a plan; without reasons it is not affected.

    `rekeyed`: only the key for its state has changed. `unverified`: it is deployed, but its current checks have not
    passed since. `unhooked`: nor have the hooks after its deploy.
    """

    inputs: Inputs
    receipt: Receipt | None
    reasons: list[Reason]
    rekeyed: bool = False
    unverified: bool = False
    unhooked: bool = False

    @property
    def affected(self) -> bool:
        """Whether the stack has to be planned and deployed."""
        return bool(self.reasons)

    @property
    def unfinished(self) -> bool:
        """Whether a deploy has to check it, or to run hooks, although nothing has to be applied."""
        return self.unverified or self.unhooked

    @property
    def settled(self) -> bool:
        """Whether a deploy has nothing to do for it: it is as its commit wants it."""
        return not self.affected and not self.unfinished

    @property
    def why(self) -> str:
        """The reasons on one line."""
        return why.summary(self.reasons)

    @property
    def words(self) -> list[str]:
        """The reasons in words."""
        return [why.text(reason) for reason in self.reasons]


def checks_digest(stack: Stack) -> str:
    """Hex SHA-256 over a stack's configured checks; if it changes, the checks run again."""
    checks = [check.model_dump(mode="json", by_alias=True, exclude_unset=True) for check in stack.settings.verify]
    return sha256_bytes(canonical_json(checks))


def _unverified(project: Project, last: Receipt, stack: Stack) -> bool:
    """Whether a deployed stack has checks that have not passed since its last apply."""
    if last.applied and last.failed_checks and project.config.deploy.on_failed_check == "fail":
        return True
    if not stack.settings.verify or not last.applied:
        return False
    return last.verified is not True or last.checks != checks_digest(stack)


def _unhooked(project: Project, last: Receipt, stack: Stack) -> bool:
    """Whether hooks after the deploy of a stack have not passed; one that is no longer configured need not."""
    return last.applied and not last.hooked and has_hooks(project, stack)


def has_hooks(project: Project, stack: Stack) -> bool:
    """Whether hooks run after a deploy of a stack."""
    return any(hook.is_for("deploy", "after", stack.name) for hook in project.config.hooks)


def assess(project: Project, stack: Stack, baseline: Baseline | None) -> Assessment:
    """Compare a stack with its receipt, or with a baseline if it has none; reads files and starts nothing.

    Raises:
        ConfigError: The stack has an error: a var file is missing, a setting cannot be filled in, ...
        RecordError: A receipt or outputs record cannot be read.
    """
    project.require_sound(stack.name)
    last, keyring = receipt.read(project.layout, stack.name), project.keyring
    produced = last.produced if last else ()
    now = inputs.gather(project, stack, produced=produced, key=keyring.current)
    if last is not None:
        now = observed.again(project, now, last.inputs, produced)
    if last is None:
        return Assessment(now, last, _without_receipt(project, stack, now, baseline))
    if last.outcome is Outcome.STARTED:
        return Assessment(now, last, [Reason(Why.CUT_OFF, note=last.started_at)])
    if last.outcome is Outcome.FAILED:
        why_again = Why.STOPPED if last.stopped else Why.FAILED
        return Assessment(now, last, [Reason(why_again, note=last.finished_at or "?")])
    if last.besides:
        others = dict.fromkeys(short(commit) for commit in last.besides if commit and commit != last.commit)
        return Assessment(now, last, [Reason(Why.UNORDERED, note=", ".join(others))])
    compared = now
    if last.inputs.key != now.key:  # replacing a key changes no input
        compared = inputs.gather(project, stack, produced=produced, key=keyring.find(last.inputs.key))
        compared = observed.again(project, compared, last.inputs, produced)
    before = last.inputs.less_variables(volatile.uncounted(project, stack))
    if differing := why.between(before, compared, why_read=project.module(stack.name).why_read):
        return Assessment(now, last, [_if_recorded(reason, last.inputs, compared) for reason in differing])
    rewrite = keyring.rewrite(last.state_key)
    reasons = [Reason(Why.STATE_KEY, note=rewrite)] if rewrite else []
    unverified, unhooked = _unverified(project, last, stack), _unhooked(project, last, stack)
    return Assessment(now, last, reasons, rewrite is not None, unverified, unhooked)


def _if_recorded(reason: Reason, before: Inputs, after: Inputs) -> Reason:
    """A reason, where the ledger has both digests of that input; else that it has none."""
    if reason.input is None or NOT_RECORDED not in (before.digests.get(reason.input), after.digests.get(reason.input)):
        return reason
    return Reason(Why.NOT_RECORDED, reason.input)


def _without_receipt(project: Project, stack: Stack, now: Inputs, baseline: Baseline | None) -> list[Reason]:
    """Why a stack without a readable receipt is affected."""
    if receipt.is_outdated(project.layout, stack.name):
        return [Reason(Why.OLD_RECEIPT)]
    if baseline is None:
        return [Reason(Why.NEVER_DEPLOYED)]
    return baseline.reasons(stack, now)
