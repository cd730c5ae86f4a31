"""Judges a plan: collects all findings, drops allowed ones, and refuses the plan if one is severe enough."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..base.errors import ConfigError, nearest
from ..base.files import canonical_json, sha256_bytes
from ..base.jsonvalue import records
from ..base.problem import Untouched, doit
from ..base.valuepath import matches
from ..run.allowance import Allowance
from ..run.details import PlanDetails, PolicyRefusedError
from . import checker, guards
from .finding import SEVERITIES, Finding, at_least
from .redacted import redacted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import date

    from ..base.jsonvalue import Json, JsonObject
    from ..project.model import Policy
    from ..project.stack import Stack
    from ..run.run import Run


_DISCARDED = Untouched(
    "nothing in this stack was changed, and its plan was discarded",
    "nothing in these stacks was changed, and their plans were discarded",
)


def digest(run: Run) -> str:
    """The digest of the current rules; a plan that was judged by others is judged again."""
    policy = run.project.config.policy
    body = {
        "policy": policy.model_dump(mode="json"), "allowances": list(run.request.allowances),
        "expired": [item.until < _today() for item in policy.allow],
    }  # fmt: skip
    return sha256_bytes(canonical_json(body))


def allowances(allow: str | None, reason: str | None) -> tuple[Allowance, ...]:
    """The overrides from `allow=RULE[:STACK],...` and `reason=TEXT` on the command line.

    Raises:
        ConfigError: The rule is missing.
    """
    if allow is None:
        return ()
    found = []
    for item in allow.split(","):
        rule, _, stack = item.strip().partition(":")
        if not rule or set(rule) <= set("*?"):
            raise ConfigError(
                f"`allow={allow}` names no rule", next_step="`allow=RULE` or `allow=RULE:STACK`, several with commas"
            )
        found.append(Allowance(rule, stack or "*", (reason or "").strip()))
    return tuple(found)


def check_names(
    allowed: Collection[Allowance], policy: Policy, others: Collection[str], stacks: Collection[str]
) -> None:
    """Refuse an override that can allow nothing, or without a reason: `allow=protct` would end in the very refusal.

    Args:
        allowed: The overrides.
        policy: The rules that judge plans.
        others: The rules that are not about plans, such as `older`.
        stacks: The names of all stacks.

    Raises:
        ConfigError: There is no such rule or stack, or no reason, which is asked for last.
    """
    for rule, stack, _ in allowed:
        if not _is_known(rule, policy, others):
            hint = nearest(rule, [*others, *_candidates(rule, policy)])
            message = f"`allow={rule}`: there is no rule '{rule}'{hint}"
        elif stack != "*" and not any(matches(name, stack) for name in stacks):
            message = f"`allow={rule}:{stack}`: unknown stack '{stack}'{nearest(stack, stacks)}"
        else:
            continue
        raise ConfigError(
            message, untouched="nothing was planned or applied",
            next_step="write `allow=RULE` or `allow=RULE:STACK`, with the rule of the refusal",
        )  # fmt: skip
    if any(not item.reason for item in allowed):
        given = ",".join(rule if stack == "*" else f"{rule}:{stack}" for rule, stack, _ in allowed)
        raise ConfigError(
            f"`allow={given}` needs a reason, which is recorded", untouched="nothing was planned or applied",
            next_step=("add `reason='why this once'`, as in ", doit("plan", f"allow={given}", "reason=why this once")),
        )  # fmt: skip


def _is_known(rule: str, policy: Policy, others: Collection[str]) -> bool:
    """Whether a rule may find something. What a checker's own rules are called is only known once it has run."""
    if rule in others or any(matches(name, rule) for name in _guards(policy)):
        return True
    if set(rule) & set("*?"):
        return bool(policy.checkers)
    return rule.partition("/")[0] in {item.name for item in policy.checkers} and "/" in rule


def _candidates(rule: str, policy: Policy) -> Iterator[str]:
    """The rules that may be meant by one that does not exist."""
    yield from _guards(policy)
    for item in policy.checkers:
        yield f"{item.name}/{rule.partition('/')[2] or '*'}"


def _guards(policy: Policy) -> list[str]:
    """The rules of the built-in guards."""
    return [*({item.rule for item in policy.protect} or {guards.PROTECT}), guards.MAX_DESTROY, guards.REQUIRED_TAGS]


def judge(run: Run, stack: Stack, plan: Mapping[str, Json], changes: JsonObject) -> list[Finding]:
    """Everything the policies find in a plan they do not refuse, the worst first.

    Args:
        run: The run.
        stack: The plan's stack.
        plan: The output of the engine's `show -json`.
        changes: Its redacted changes, for the error.

    Raises:
        PolicyRefusedError: A finding refuses the plan; the error carries the findings and the changes.
        PolicyError: A checker failed; as its verdict is unknown, the plan is refused.
    """
    policy = run.project.config.policy
    found = list(guards.findings(policy, stack.name, plan))
    wanted = [
        (position, item)
        for position, item in enumerate(policy.checkers)
        if any(matches(stack.name, pattern) for pattern in item.stacks)
    ]
    body = redacted(plan, run.mask) if wanted else {}
    for position, item in wanted:
        found += checker.findings(run, stack, position, item, body)
    keys = ("address", "previous_address")
    addresses = {str(item[key]) for item in records(plan.get("resource_changes")) for key in keys if item.get(key)}
    found = [_decided(run, stack, finding, addresses) for finding in found]
    found.sort(key=lambda item: (not item.blocking, SEVERITIES.index(item.severity), item.rule, item.address or ""))
    refusing = [finding for finding in found if finding.blocking]
    if refusing:
        raise _refusal(stack, found, refusing, changes, "deploy" if run.asked.deploying else "plan")
    return found


def let_through(findings: list[Finding]) -> list[str]:
    """The findings that an override allowed, one line each, for the records."""
    return [f"{item.rule} {item.address or '-'}: {item.allowed}" for item in findings if item.allowed]


def _decided(run: Run, stack: Stack, finding: Finding, addresses: Collection[str]) -> Finding:
    """The finding with its verdict: whether it is allowed and whether it refuses the plan. Addresses are not masked."""
    mask = run.mask.text
    shown = replace(finding, message=mask(finding.message), rule=mask(finding.rule))
    if finding.address and finding.address not in addresses:
        shown = replace(shown, address=mask(finding.address))
    if not at_least(finding.severity, run.project.config.policy.fail_on):
        return shown
    reason, expired = _allowed(run, stack, finding)
    if reason or finding.allowed:
        return replace(shown, allowed=mask(reason or finding.allowed or ""))
    return replace(shown, message=shown.message + expired, blocking=True)


def _allowed(run: Run, stack: Stack, finding: Finding) -> tuple[str | None, str]:
    """Why a finding is allowed, if it is; and a remark if an override for it has expired."""
    expired = ""
    for item in run.project.config.policy.allow:
        fits = matches(finding.rule, item.rule) and matches(stack.name, item.stack)
        if fits and matches(finding.address or "", item.address):
            if item.until >= _today():
                return f"{item.reason} (until {item.until})", ""
            expired = f" (an override for it expired on {item.until}: {item.reason})"
    for rule, name, reason in run.request.allowances:
        if matches(finding.rule, rule) and matches(stack.name, name):
            return f"{reason} (allow={rule}{'' if name == '*' else ':' + name})", ""
    return None, expired


def _refusal(
    stack: Stack, found: list[Finding], refusing: list[Finding], changes: JsonObject, stage: str
) -> PolicyRefusedError:
    first = refusing[0]
    more = f" (and {len(refusing) - 1} more)" if len(refusing) > 1 else ""
    place = f"{first.address}: " if first.address else ""
    lines = [f"{item.severity}  {item.rule}  {item.address or '-'}  {item.message}" for item in refusing]
    return PolicyRefusedError(
        f"refused by policy '{first.rule}': {place}{first.message}{more}",
        found=PlanDetails(changes=changes, findings=[finding.to_json() for finding in found]),
        log="\n".join(lines), stack=stack.name,
        untouched=_DISCARDED,
        next_step=(
            "change the plan; or, if it is intended, add an entry to `policy.allow`, or run ",
            doit(f"allow={first.rule}:{stack.name}", "reason=WHY", stage),
            f" (`allow={first.rule}`: in every stack)",
        ),
    )  # fmt: skip


def _today() -> date:
    return datetime.now(UTC).date()
