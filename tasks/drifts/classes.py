"""The classes of what differs from the deployed state, each finding identified by its address and its change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from ..artifact import statecheck
from ..artifact.changes import UNKNOWN
from ..base.files import canonical_json, sha256_bytes
from ..base.jsonvalue import Json, JsonObject, elements, fields, named, records
from ..base.valuepath import at, differing, dotted, overlap, path_of
from . import author as authors
from .looks import Looks, only_looks, settled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..artifact.changes import PlanChanges
    from ..artifact.receipt import Receipt
    from ..artifact.statecheck import Seen
    from ..base.jsonvalue import Json
    from ..base.valuepath import Path

STATE = "state"
_DIGITS = 16
_OF_STATE = frozenset({"replace_because_tainted", "delete_because_no_resource_config", "delete_because_no_module"})
_OF_CODE = frozenset({"move", "import", "forget"})  # only the code can ask for these


class DriftClass(StrEnum):
    """How something came to differ.

    `changed` and `deleted` outside of the code; `appeared` is in the state although no deploy put it there; `outputs`
    are changed outputs without a changed resource; `check` is a `check` block that fails; `state` is a state that was
    written by something else; `undeployed` is code that was not deployed.
    """

    CHANGED = "changed"
    DELETED = "deleted"
    APPEARED = "appeared"
    OUTPUTS = "outputs"
    CHECK = "check"
    STATE = "state"
    UNDEPLOYED = "undeployed"


class Severity(StrEnum):
    """How bad a finding is, worst first. `info` is reported, but is no alert."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Delta(StrEnum):
    """A finding compared with the previous check; `unknown` if that one's findings are not known."""

    NEW = "new"
    CHANGED = "changed again"
    KNOWN = "known"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Ignored:
    """The rule that a finding is ignored by: its place in `drift.ignore`, its reason and last day."""

    rule: int
    reason: str
    until: str


@dataclass(frozen=True)
class Finding:
    """One thing that differs.

    Args:
        kind: Its class.
        address: The resource with its deposed key if any, `output NAME`, the check, or `state`.
        type: The resource's type.
        action: What a deploy would do.
        print: Equal for the same difference at the same address, so that a further change is seen.
        shape: The same without values: equal if the same attributes differ.
        item: The change, as `PlanChanges` has it: `before` is what exists, `after` what the code says.
        paths: The attributes that differ.
        looks: How the values only look different, if they do.
        causes: What changed outside that this may follow from, by address.
        code_too: Whether undeployed code changes the same resource.
        author: Who changed it last, if its provider says so.
        severity: How bad it is.
        ignored: The rule that it is ignored by.
        delta: What it is compared with the previous check.
        since: When a check first found it, ISO 8601.
    """

    kind: DriftClass
    address: str
    type: str = ""
    action: str = ""
    print: str = ""
    shape: str = ""
    item: JsonObject | None = None
    paths: list[str] = field(default_factory=list)
    looks: Looks | None = None
    causes: list[str] = field(default_factory=list)
    code_too: bool = False
    author: authors.Author | None = None
    severity: Severity = Severity.WARNING
    ignored: Ignored | None = None
    delta: Delta = Delta.UNKNOWN
    since: str | None = None

    @property
    def alerting(self) -> bool:
        """Whether it is an alert: neither ignored nor only for information."""
        return self.ignored is None and self.severity is not Severity.INFO

    @property
    def outside(self) -> bool:
        """Whether it came from outside of the code."""
        return self.kind is not DriftClass.UNDEPLOYED

    @property
    def moved_from(self) -> str:
        """The address that the resource had before it moved; empty if it did not."""
        return str((self.item or {}).get("moved_from") or "")

    @property
    def fresh(self) -> bool:
        """Whether it is a new alert: new, changed again, or not comparable."""
        return self.delta is not Delta.KNOWN


def classify(
    found: PlanChanges, seen: Seen, last: Receipt | None, *, as_deployed: bool, names: authors.Names = authors.USUAL
) -> list[Finding]:  # fmt: skip
    """What a plan says that differs, in the order of the plan.

    The engine's `resource_drift` alone misses what functions and data sources find. If the code and all other inputs
    are as deployed, everything that the plan would change was therefore caused outside. Otherwise only that is drift
    which the engine found changed outside, and which the plan would change back or uses.

    Args:
        found: The changes.
        seen: The state that they were planned for.
        last: The last receipt.
        as_deployed: Whether the inputs are those of the last receipt.
        names: Attributes that say who changed a resource, besides the usual ones.
    """
    drifts = {key_of(item): item for item in found.drift}
    causes = sorted(key for key, item in drifts.items() if item.get("relevant"))
    known = set(last.exists) if last is not None else set()
    taken_over = statecheck.ahead(last, seen) is not None  # a refresh may have written what was done outside
    resources = [
        _resource(item, drifts.get(key_of(item)), causes, known, as_deployed=as_deployed, taken_over=taken_over)
        for item in found.resources
    ]
    planned = {key_of(item) for item in found.resources}
    if not as_deployed and (resources or found.outputs):
        resources += [_used(drifts[key]) for key in causes if key not in planned]
    outputs = [item for item in found.outputs if not as_deployed or not planned or _is_known(item.get("after"))]
    of_outputs = DriftClass.OUTPUTS if as_deployed else DriftClass.UNDEPLOYED
    said = {key: authors.read(item, names) for key, item in drifts.items()}
    resources = [replace(item, author=said.get(item.address)) if item.outside else item for item in resources]
    return [
        *resources,
        *(_finding(of_outputs, f"output {item['name']}", item, causes=causes) for item in outputs),
        *(
            Finding(DriftClass.CHECK, address, print=_digest([address]), shape=DriftClass.CHECK)
            for address in dict.fromkeys(found.failed_addresses)
        ),
        *_of_state(last, seen),
    ]


def _resource(
    item: JsonObject, drift: JsonObject | None, causes: list[str], known: set[str], *, as_deployed: bool,
    taken_over: bool,
) -> Finding:  # fmt: skip
    """The finding of a change that the plan would make."""
    address, action = key_of(item), str(item.get("action"))
    if action in _OF_CODE:
        return _finding(DriftClass.UNDEPLOYED, address, item)
    if drift is not None and (as_deployed or _undoes(item, drift)):
        kind = DriftClass.DELETED if drift.get("action") == "destroy" else DriftClass.CHANGED
        return _finding(kind, address, item, code_too=not as_deployed and not _restores(item, drift))
    others = [] if _of_state_alone(item) else [cause for cause in causes if cause != address]
    if not as_deployed:
        return _finding(DriftClass.UNDEPLOYED, address, item, causes=others)
    if action == "destroy" and known and statecheck.digest(str(item.get("address"))) not in known:
        return _finding(DriftClass.APPEARED, address, item)
    return _finding(DriftClass.CHANGED, address, item, causes=others, both=not taken_over)


def _of_state_alone(item: JsonObject) -> bool:
    """Whether a change follows from what the state says, so not from another resource."""
    return bool(item.get("deposed")) or item.get("reason") in _OF_STATE


def _is_known(value: Json) -> bool:
    """Whether a planned value is known: one that is not follows from what the plan changes."""
    if isinstance(value, dict):
        return all(map(_is_known, value.values()))
    return all(map(_is_known, value)) if isinstance(value, list) else value != UNKNOWN


def _undoes(item: JsonObject, drift: JsonObject) -> bool:
    """Whether a planned change concerns what changed outside, rather than other attributes of the same resource."""
    if drift.get("action") == "destroy":
        return item.get("action") == "add"
    if item.get("action") == "destroy":
        return False
    return any(overlap(one, other) for one in paths_of(item) for other in paths_of(drift))


def _restores(item: JsonObject, drift: JsonObject) -> bool:
    """Whether a planned change makes a resource what the last apply left, as far as that is known before it runs."""
    after, left, planned = item.get("after"), drift.get("before"), paths_of(item)
    others = (path for path in differing(left, after) if any(overlap(path, changed) for changed in planned))
    return all(at(after, path) == UNKNOWN for path in others)


def _used(drift: JsonObject) -> Finding:
    """The finding of a resource that the plan leaves as it is now, but whose changed attributes it uses."""
    item = {**drift, "before": drift.get("after"), "after": drift.get("before"), "action": "read"}
    kind = DriftClass.DELETED if drift.get("action") == "destroy" else DriftClass.CHANGED
    return _finding(kind, key_of(drift), item, code_too=True)


def _finding(
    kind: DriftClass, address: str, item: JsonObject, *, causes: list[str] | None = None, code_too: bool = False,
    both: bool = False,
) -> Finding:  # fmt: skip
    """A finding of a change; its print covers the side that is not the code's, or both."""
    paths = paths_of(item)
    sides = ("before", "after") if both or kind not in (DriftClass.CHANGED, DriftClass.DELETED) else ("before",)
    values: list[Json] = [[dotted(path), *(settled(at(item.get(side), path)) for side in sides)] for path in paths]
    return Finding(
        kind, address, str(item.get("type") or ""), str(item.get("action")),
        _digest([kind, address, item.get("action"), values]),
        _digest([kind, item.get("action"), [dotted(path) for path in paths]]), item,
        [dotted(path) for path in paths if path], only_looks(item.get("before"), item.get("after"), paths),
        causes or [], code_too,
    )  # fmt: skip


def addresses(plan: Mapping[str, Json]) -> list[str]:
    """Everything that can drift, by address, of a plan in `show -json` form."""
    changes = [*records(plan.get("resource_changes")), *records(plan.get("resource_drift"))]
    resources = [key_of(item) for item in changes]
    outputs = [f"output {name}" for name in named(plan.get("output_changes"))]
    return list(dict.fromkeys([*resources, *outputs, *checks(plan), STATE]))


def checks(plan: Mapping[str, Json]) -> list[str]:
    """The addresses of what a plan in `show -json` form checks."""
    return [str(fields(check.get("address")).get("to_display")) for check in records(plan.get("checks"))]


def _of_state(last: Receipt | None, seen: Seen) -> Iterator[Finding]:
    serials = statecheck.ahead(last, seen)
    if serials:
        digest = _digest([seen.lineage, serials[1]])
        yield Finding(DriftClass.STATE, STATE, print=digest, shape=digest)


def paths_of(item: JsonObject) -> list[Path]:
    """Where a change differs, what is masked included; not where only the marks of sensitive values do.

    What the provider computes follows from the rest, and is left out unless nothing else differs.
    """
    before, after = item.get("before"), item.get("after")
    changed = None if item.get("changed") is None else elements(item["changed"])
    found = [path for path in differing(before, after) if not path or changed is None or path[0] in changed]
    found += [path_of(path) for path in elements(item.get("masked"))]
    return [path for path in found if at(after, path) != UNKNOWN] or found


def key_of(item: JsonObject) -> str:
    """The address of a resource, with the key of an object left over from a replacement."""
    deposed = item.get("deposed")
    return f"{item.get('address')} (deposed {deposed})" if deposed else str(item.get("address"))


def _digest(value: Json) -> str:
    return sha256_bytes(canonical_json(value))[:_DIGITS]
