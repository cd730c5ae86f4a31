"""`overview.json`: the latest facts about every stack of an environment, updated at the end of each run.

Each entry is a fact: `{at, status, since, run, text}`. Of two facts about the same thing the later one counts, so the
overviews of several clones or pipelines can be merged (`merge`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..artifact import receipt
from ..base import jsontext
from ..base.errors import DeployError
from ..base.files import read_json, write_atomic
from ..base.problem import Kind
from ..project.owners import Owners
from ..run.result import Status

if TYPE_CHECKING:
    from ..artifact.receipt import Receipt
    from ..run.result import Result
    from ..run.run import Run

FORMAT = 1
FACTS = ("deployed", "apply", "affected", "drift", "drift_check", "checks", "locked")
_SHAPE = {"at", "status", "since", "text"}
_MOST_REASONS = 5
_LONGEST = 500

_UNVERIFIED = frozenset({"failing", "pending"})
_NOT_OF_CHECKS = frozenset({Kind.STOPPED, Kind.STATE_LOCKED})  # what keeps checks from running, and is told otherwise
_CHECKED = frozenset({Status.OK, Status.DRIFTED, Status.UNDEPLOYED})

Fact = dict[str, Any]


def update(run: Run, head: dict[str, Any]) -> None:
    """Update the environment's overview with a run that ends; it is not written if nothing has changed.

    Args:
        run: The run.
        head: Its record.

    Raises:
        RecordError: It cannot be written, or a receipt cannot be read.
    """
    path = run.layout.overview
    known = _known(run)
    results: dict[str, dict[str, Result]] = {}
    for item in run.results.values():
        if item.stack and item.status not in (Status.UNAFFECTED, Status.NOT_RUN, Status.SKIPPED):
            results.setdefault(item.stack, {})[item.stage] = item
    if not results and known and _still_true(run, known):
        return
    owners = Owners(run.layout.root)
    stacks = {
        name: {
            **_stack(run, head, name, known.get(name) or {}, results.get(name, {})),
            "owners": owners.of(run.project.stacks[name]),
        }
        for name in run.project.graph.order
    }
    if known and stacks == known:
        return
    value = {
        "format": FORMAT, "environment": run.project.environment, "at": head["ended_at"], "run": head["id"],
        "commit": head["commit"], "follows": run.project.config.follows, "rules": _rules(run), "stacks": stacks,
    }  # fmt: skip
    write_atomic(
        path, jsontext.dumps(value, ensure_ascii=False, compact=True).encode(errors="surrogatepass"), durable=False
    )


def _rules(run: Run) -> list[dict[str, str]]:
    """The rules of the configuration that apply up to a last day."""
    config = run.project.config
    return [
        *({"kind": "policy.allow", "name": item.rule, "reason": item.reason, "until": str(item.until)}
          for item in config.policy.allow),
        *({"kind": "drift.ignore", "name": item.address, "reason": item.reason, "until": str(item.until)}
          for item in config.drift.ignore),
    ]  # fmt: skip


def merge(mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Merge two overviews: the stacks of the later one, and for each fact the later one."""
    newer, older = (mine, theirs) if str(mine.get("at")) >= str(theirs.get("at")) else (theirs, mine)
    stacks = {}
    for name, entry in newer.get("stacks", {}).items():
        other = older.get("stacks", {}).get(name) or {}
        facts = {key: _later(entry.get(key), other.get(key)) for key in FACTS}
        stacks[name] = {**entry, **{key: fact for key, fact in facts.items() if fact}}
    return {**newer, "stacks": stacks}


def _later(one: Fact | None, other: Fact | None) -> Fact | None:
    if not one or not other:
        return one or other
    return one if str(one.get("at")) >= str(other.get("at")) else other


def _known(run: Run) -> dict[str, Any]:
    """The overview's entry for each stack; empty if it is lost or in another format, as later runs fill it again."""
    try:
        stacks = (read_json(run.layout.overview) or {})["stacks"]
        facts = [entry[key] for entry in stacks.values() for key in FACTS if key in entry]
        sound = all(fact.keys() >= _SHAPE for fact in facts)
    except (DeployError, TypeError, KeyError, AttributeError):
        return {}
    return dict(stacks) if sound else {}


def _still_true(run: Run, known: dict[str, Any]) -> bool:
    """Whether the overview still holds after a run that did nothing; a quick look even with a thousand stacks."""
    stacks = run.project.stacks
    if known.keys() != stacks.keys() or any(known[name].get("path") != stack.path for name, stack in stacks.items()):
        return False
    return all(
        not assessment.reasons
        and (known[name].get("affected") or {}).get("status") == "unaffected"
        and (not assessment.unverified or (known[name].get("checks") or {}).get("status") in _UNVERIFIED)
        for name, (_, assessment) in run.assessed.items()
        if name in known
    )


def _stack(
    run: Run, head: dict[str, Any], name: str, known: dict[str, Any], results: dict[str, Result]
) -> dict[str, Any]:
    stack, assessed = run.project.stacks[name], run.assessed.get(name)
    entry: dict[str, Any] = {
        **{key: known[key] for key in FACTS if key in known},
        "path": stack.path,
        "needs": sorted(run.project.graph.needs.get(name, ())),
        "has_checks": len(stack.settings.verify),
    }
    if results or assessed is None:
        last = receipt.read(run.layout, name) if results or not known else None
    else:
        last = assessed[1].receipt
    if last is not None:
        _applied(head, entry, last)
    if assessed is not None or name in run.applied:
        reasons = [] if name in run.applied or assessed is None else assessed[1].words
        text = run.mask.text("; ".join(reasons[:_MOST_REASONS]))
        _note(head, entry, "affected", "affected" if reasons else "unaffected", text)
        if assessed is not None and not reasons and name not in run.applied:
            _expect_checks(head, entry, unverified=assessed[1].unverified)
    for stage in ("plan", "drift", "deploy", "verify"):
        if stage in results:
            _learn(head, entry, results[stage], stack.settings.verify != [], name in run.applied)
    return entry


def _applied(head: dict[str, Any], entry: dict[str, Any], last: Receipt) -> None:
    """Add the last apply from the receipt, and the last successful one."""
    if last.deployed and (entry.get("deployed") or {}).get("at") != last.deployed.get("at"):
        at = last.deployed.get("at") or ""
        entry["deployed"] = {
            "at": at, "status": "deployed", "since": at, "text": "", "commit": last.deployed.get("commit"),
            **({"run": head["id"], "pipeline": head["pipeline"]} if at >= head["started_at"][:19] else {"run": None}),
        }  # fmt: skip
    at = last.finished_at or last.started_at
    if (entry.get("apply") or {}).get("at") != at:
        how = "stopped" if last.outcome is receipt.Outcome.FAILED and last.stopped else str(last.outcome)
        entry["apply"] = {
            "at": at, "status": how, "since": at, "text": "",
            "run": head["id"] if at >= head["started_at"][:19] else None,
        }  # fmt: skip


def _learn(head: dict[str, Any], entry: dict[str, Any], result: Result, has_checks: bool, applied: bool) -> None:
    """Add the facts of one result."""
    kind, text = result.kind, result.summary
    if kind is Kind.STATE_LOCKED:
        _note(head, entry, "locked", "locked", text)
    elif not result.failed and result.status is not Status.DEFERRED:
        _note(head, entry, "locked", "free", "")
    if result.stage in ("deploy", "verify") and has_checks:
        unrun = result.stage == "verify" and result.failed and kind not in _NOT_OF_CHECKS
        if kind is Kind.CHECK_FAILED or unrun:
            _note(head, entry, "checks", "failing", text)
        elif not result.failed and result.checks:
            _note(head, entry, "checks", "passed", "")
    if result.stage == "drift" and result.failed:
        _note(head, entry, "drift_check", "failed", text, again=True)
    if result.stage == "drift" and result.status in _CHECKED:
        status = {Status.DRIFTED: "drifted", Status.UNDEPLOYED: "undeployed"}.get(result.status, "none")
        _note(head, entry, "drift", status, text if status != "none" else "", again=True)
        _note(head, entry, "drift_check", "ended", "", again=True)
    elif result.stage == "deploy" and applied and not result.failed:
        if "drift" in entry:
            _note(head, entry, "drift", "none", "")
        if "drift_check" in entry:
            _note(head, entry, "drift_check", "ended", "")


def _expect_checks(head: dict[str, Any], entry: dict[str, Any], *, unverified: bool) -> None:
    """Add that checks have not passed since the last deploy, unless it is known that they fail; or that they have."""
    known = (entry.get("checks") or {}).get("status")
    if unverified and known != "failing":
        _note(head, entry, "checks", "pending", "its checks have not passed")
    elif not unverified and known == "pending":
        _note(head, entry, "checks", "passed", "")


def _note(
    head: dict[str, Any], entry: dict[str, Any], key: str, status: str, text: str, *, again: bool = False
) -> None:
    """Set a fact; if it still holds, it keeps its `since`, and `again` updates when it was last checked."""
    at, since, text = head["ended_at"], head["ended_at"], text[:_LONGEST]
    if (old := entry.get(key)) and old["status"] == status:
        if old["text"] == text and not again:
            return
        since = old["since"]
    entry[key] = {"at": at, "status": status, "since": since, "run": head["id"], "text": text}
