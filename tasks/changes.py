"""What a plan would change: the engine's plan JSON reduced to redacted changes and counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .masking import MASK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .masking import Masker

UNKNOWN = "(known after apply)"
HIDDEN = "(hidden)"
_KINDS = {
    ("create",): "add", ("update",): "change", ("delete",): "destroy", ("forget",): "forget",
    ("delete", "create"): "replace", ("create", "delete"): "replace", ("create", "forget"): "replace",
}  # fmt: skip
_COUNTED = frozenset(_KINDS.values()) - {"change"} | {"move", "import"}  # what we do not know is a change
_SHOWN = ("address", "moved_from", "before", "after")
_SIGNS = (("add", "+"), ("change", "~"), ("replace", "±"), ("destroy", "-"))


@dataclass(frozen=True)
class Counts:
    """How many resources a plan adds, changes, replaces, ...; `outputs` counts changed outputs."""

    add: int = 0
    change: int = 0
    replace: int = 0
    destroy: int = 0
    move: int = 0
    imports: int = 0
    forget: int = 0
    outputs: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing at all would change."""
        return not any(asdict(self).values())

    def text(self) -> str:
        """The counts on one line: `+2 ~1 -0`, with what is rarer behind it."""
        numbers = asdict(self)
        if self.empty:
            return "no changes"
        shown = [f"{sign}{numbers[name]}" for name, sign in _SIGNS if numbers[name] or name != "replace"]
        rare = {"move": self.move, "import": self.imports, "forget": self.forget, "output": self.outputs}
        shown += [f"{count} {name}{'s' if count > 1 else ''}" for name, count in rare.items() if count]
        return " ".join(shown)


@dataclass(frozen=True)
class PlanChanges:
    """The changes of one plan, without anything sensitive.

    `resources`, `drift` and `outputs` hold mappings ready for JSON: an address, an action, the values before and
    after. `drift` is what changed outside of the engine since its last apply.
    """

    counts: Counts
    resources: list[dict[str, Any]] = field(default_factory=list)
    drift: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    failed_checks: list[str] = field(default_factory=list)
    errored: bool = False

    def to_json(self) -> dict[str, Any]:
        """What `plan.json` holds."""
        return {"format": 1, **asdict(self)}


def read(plan: Mapping[str, Any], mask: Masker, *, hidden: bool = False) -> PlanChanges:
    """Reduce the output of `tofu show -json PLAN` (https://opentofu.org/docs/internals/json-format/).

    Everything sensitive is replaced, and learned by the masker: the engine's own output may repeat it, and so may
    values that are not marked.

    Args:
        plan: The plan.
        mask: The known secrets; learns those of the plan.
        hidden: Whether to leave out all values: of each resource the names of its fields, and of those that change
            (`changed`), are kept.
    """
    resources = []
    for item in plan.get("resource_changes") or []:
        change = item.get("change") or {}
        actions = tuple(change.get("actions") or ())
        moved = item.get("previous_address")
        imported = bool(change.get("importing"))
        if actions in ((), ("read",)) or (actions == ("no-op",) and not moved and not imported):
            continue
        kind = _KINDS.get(actions, "move" if moved else "import" if imported else "+".join(actions))
        resources.append(
            _resource(item, kind, mask)
            | ({"moved_from": moved} if moved else {})
            | ({"imported": True} if imported else {})
        )
    drift = [
        _resource(item, _KINDS.get(tuple((item.get("change") or {}).get("actions") or ()), "change"), mask)
        for item in plan.get("resource_drift") or []
        if tuple((item.get("change") or {}).get("actions") or ()) != ("no-op",)
    ]
    outputs = []
    for name, change in sorted((plan.get("output_changes") or {}).items()):
        if change.get("actions") not in (["no-op"], None):
            outputs.append({"name": name, "action": "+".join(change["actions"]), **_values(change, mask)})
    failed = [
        str((check.get("address") or {}).get("to_display", "?"))
        for check in plan.get("checks") or []
        if check.get("status") in ("fail", "error")
    ]
    counts = _count(resources, outputs)
    for item in [*resources, *drift, *outputs]:  # only now is every secret of the plan known
        if hidden:
            _hide(item)
        item.update({key: mask.value(item[key]) for key in _SHOWN if key in item})
    return PlanChanges(counts, resources, drift, outputs, failed, bool(plan.get("errored")))


def _resource(item: Mapping[str, Any], kind: str, mask: Masker) -> dict[str, Any]:
    change = item.get("change") or {}
    return {
        "address": item.get("address"),
        "type": item.get("type"),
        "action": kind,
        "reason": item.get("action_reason"),
        "replace_paths": change.get("replace_paths") or [],
        **_values(change, mask),
    }


def _values(change: Mapping[str, Any], mask: Masker) -> dict[str, Any]:
    before = _redact(change.get("before"), change.get("before_sensitive"), mask)
    after = _redact(change.get("after"), change.get("after_sensitive"), mask)
    return {"before": before, "after": _with_unknown(after, change.get("after_unknown"))}


def _hide(item: dict[str, Any]) -> None:
    before, after = item["before"], item["after"]
    if isinstance(before, dict) and isinstance(after, dict):
        item["changed"] = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    for side in ("before", "after"):
        value = item[side]
        if "address" in item and isinstance(value, dict):
            item[side] = {name: part if part == UNKNOWN else HIDDEN for name, part in value.items()}
        elif value not in (None, UNKNOWN):
            item[side] = HIDDEN


def _redact(value: Any, sensitive: Any, mask: Masker) -> Any:
    """The value without its sensitive parts; `sensitive` is True, or shaped like the value with True where it is."""
    if sensitive is True:
        if value is None:
            return None
        mask.add([value])
        return MASK
    if isinstance(value, dict) and isinstance(sensitive, dict):
        return {key: _redact(item, sensitive.get(key), mask) for key, item in value.items()}
    if isinstance(value, list) and isinstance(sensitive, list):
        marks = [*sensitive, *[None] * (len(value) - len(sensitive))]
        return [_redact(item, mark, mask) for item, mark in zip(value, marks, strict=False)]
    return _redact(value, True, mask) if _any(sensitive) else value  # not shaped alike: all of it, to be safe


def _any(marks: Any) -> bool:
    if isinstance(marks, dict | list):
        return any(_any(mark) for mark in (marks.values() if isinstance(marks, dict) else marks))
    return marks is True


def _with_unknown(value: Any, unknown: Any) -> Any:
    if unknown is True:
        return value if value is not None else UNKNOWN
    if isinstance(unknown, dict) and (value is None or isinstance(value, dict)):
        base = value or {}
        merged = {key: _with_unknown(base.get(key), mark) for key, mark in unknown.items()}
        return {**base, **{key: item for key, item in merged.items() if item is not None}} or value
    if isinstance(unknown, list) and isinstance(value, list):
        marks = [*unknown, *[None] * (len(value) - len(unknown))]
        return [_with_unknown(item, mark) for item, mark in zip(value, marks, strict=False)]
    return value


def _count(resources: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> Counts:
    kinds = [item["action"] for item in resources]
    return Counts(
        add=kinds.count("add"),
        change=sum(kind not in _COUNTED for kind in kinds),
        replace=kinds.count("replace"),
        destroy=kinds.count("destroy"),
        move=sum("moved_from" in item for item in resources),
        imports=sum("imported" in item for item in resources),
        forget=kinds.count("forget"),
        outputs=len(outputs),
    )
