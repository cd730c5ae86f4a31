"""Reduces the engine's plan JSON to redacted changes and counts."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from ..base.errors import DeployError
from ..base.jsontext import same
from ..base.masking import MASK
from ..base.text import plural
from ..base.valuepath import differing, overlap
from . import exposed, plansecrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..base.masking import Secrets

UNKNOWN = "(known after apply)"
HIDDEN = "(hidden)"
_KINDS = {
    ("create",): "add", ("update",): "change", ("delete",): "destroy", ("forget",): "forget",
    ("delete", "create"): "replace", ("create", "delete"): "replace", ("create", "forget"): "replace",
}  # fmt: skip
_COUNTED = frozenset(_KINDS.values()) - {"change"} | {"move", "import"}  # unknown actions count as changes
_VALUES = ("import_id", "before", "after")
_LAST_KEY = re.compile(r'\[(?:\d+|"(?:[^"\\]|\\.)*")\]$')
_Relevant = dict[str, list[tuple[str | int, ...]]]
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
        """The counts on one line: `+2 ~1 -0`, followed by rarer kinds."""
        numbers = asdict(self)
        if self.empty:
            return "no changes"
        shown = [f"{sign}{numbers[name]}" for name, sign in _SIGNS if numbers[name] or name != "replace"]
        rare = {"move": self.move, "import": self.imports, "forget": self.forget, "output": self.outputs}
        shown += [plural(count, name) for name, count in rare.items() if count]
        return " ".join(shown)


def counts_text(counts: dict[str, int]) -> str:
    """A manifest's counts in words.

    Raises:
        DeployError: They are not counts.
    """
    try:
        return Counts(**counts).text()
    except TypeError:
        raise DeployError("the manifest's counts cannot be read") from None


@dataclass(frozen=True)
class PlanChanges:
    """The changes of one plan, without sensitive values.

    `resources`, `drift` and `outputs` contain mappings for JSON: address, action, values before and after. `changed`
    names the fields that differ, `masked` the paths whose values differ although both are shown as the same. `drift` is
    what changed outside of the engine since its last apply, `relevant` whether a change of the plan uses that.
    `failed_checks` and `failed_addresses` are the same checks, in words and by address.
    """

    counts: Counts
    resources: list[dict[str, Any]] = field(default_factory=list)
    drift: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    failed_checks: list[str] = field(default_factory=list)
    failed_addresses: list[str] = field(default_factory=list)
    errored: bool = False

    def to_json(self) -> dict[str, Any]:
        """The content of `plan.json`; the changes in it are those of this one, not copies."""
        return {"format": 1, **vars(self), "counts": asdict(self.counts)}


def read(plan: Mapping[str, Any], mask: Secrets, *, hidden: bool = False) -> PlanChanges:
    """Reduce the output of `tofu show -json PLAN` (https://opentofu.org/docs/internals/json-format/).

    Sensitive values are replaced and added to the masker, because the engine's output and values that are not marked
    may repeat them.

    Args:
        plan: The plan.
        mask: The known secrets; those of the plan are added.
        hidden: Whether to leave out all values and keep only the names of fields.

    Raises:
        ExposedError: A secret is in an address or a key, where it cannot be masked.
    """
    mask.add(plansecrets.values(plan))
    exposed.require_hidden(plan, mask)
    relevant = _relevant(plan)
    found = [
        *(_resource(item) for item in plan.get("resource_changes") or []),
        *(_drift(item, relevant) for item in plan.get("resource_drift") or []),
        *(_output(name, change) for name, change in sorted((plan.get("output_changes") or {}).items())),
    ]
    shown = [entry for entry in found if entry is not None]
    for entry in shown:
        _finish(entry, mask, hidden=hidden)
    resources, drift, outputs = (_of(shown, kind) for kind in (_Kind.RESOURCE, _Kind.DRIFT, _Kind.OUTPUT))
    checks = [check for check in plan.get("checks") or [] if check.get("status") in ("fail", "error")]
    return PlanChanges(
        _count(resources, outputs), resources, drift, outputs,
        [_failed_check(check, mask, hidden=hidden) for check in checks],
        [mask.text(_check_address(check)) for check in checks], bool(plan.get("errored")),
    )  # fmt: skip


def _check_address(check: Mapping[str, Any]) -> str:
    return str((check.get("address") or {}).get("to_display", "?"))


def _failed_check(check: Mapping[str, Any], mask: Secrets, *, hidden: bool) -> str:
    """A check that does not hold: its address, and what it says unless that is to be hidden."""
    address = _check_address(check)
    problems = [problem for found in check.get("instances") or [] for problem in found.get("problems") or []]
    said = dict.fromkeys(" ".join(str(problem.get("message", "")).split()) for problem in problems)
    return mask.text(address if hidden or not said else f"{address}: {'; '.join(said)}")


def _of(shown: list[_Entry], kind: _Kind) -> list[dict[str, Any]]:
    return [entry.item for entry in shown if entry.kind is kind]


class _Kind(Enum):
    """Where in the plan a change is."""

    RESOURCE = "resource"
    DRIFT = "drift"
    OUTPUT = "output"


class _Entry(NamedTuple):
    """A change as shown, with the engine's record of it."""

    kind: _Kind
    item: dict[str, Any]
    change: Mapping[str, Any]


def _resource(record: Mapping[str, Any]) -> _Entry | None:
    """A resource that would change; None for one that neither changes nor moves, and for reads."""
    change = record.get("change") or {}
    actions = tuple(change.get("actions") or ())
    moved, importing = record.get("previous_address"), change.get("importing")
    if actions in ((), ("read",)) or (actions == ("no-op",) and not moved and not importing):
        return None
    kind = _KINDS.get(actions, "move" if moved else "import" if importing else "+".join(actions))
    item = _described(record, kind)
    if moved:
        item["moved_from"] = moved
    if importing:
        item["imported"] = True
        if isinstance(importing, dict) and (known := importing.get("id") or importing.get("identity")):
            item["import_id"] = known
    return _Entry(_Kind.RESOURCE, item, change)


def _drift(record: Mapping[str, Any], relevant: _Relevant) -> _Entry | None:
    change = record.get("change") or {}
    actions = tuple(change.get("actions") or ())
    if actions == ("no-op",):
        return None
    address = str(record.get("address"))
    used = [*relevant.get(address, []), *relevant.get(_LAST_KEY.sub("", address), [])]
    paths = list(differing(change.get("before"), change.get("after")))
    item = {
        **_described(record, _KINDS.get(actions, "change")),
        "relevant": any(overlap(one, other) for one in used for other in paths),
    }
    return _Entry(_Kind.DRIFT, item, change)


def _relevant(plan: Mapping[str, Any]) -> _Relevant:
    """The attributes that the changes of a plan may follow from, by the address of a resource or of its instance."""
    found: _Relevant = {}
    for entry in plan.get("relevant_attributes") or []:
        path = [part for part in entry.get("attribute") or [] if isinstance(part, str | int)]
        found.setdefault(str(entry.get("resource")), []).append(tuple(path))
    return found


def _output(name: str, change: Mapping[str, Any]) -> _Entry | None:
    if change.get("actions") in (["no-op"], None):
        return None
    item = {"name": name, "action": "+".join(change["actions"]), **_values(change)}
    return _Entry(_Kind.OUTPUT, item, change)


def _described(record: Mapping[str, Any], kind: str) -> dict[str, Any]:
    change = record.get("change") or {}
    return {
        "address": record.get("address"),
        "type": record.get("type"),
        "action": kind,
        "reason": record.get("action_reason"),
        "replace_paths": change.get("replace_paths") or [],
        **({"deposed": record["deposed"]} if record.get("deposed") else {}),
        **_values(change),
    }


def _values(change: Mapping[str, Any]) -> dict[str, Any]:
    before = redact(change.get("before"), change.get("before_sensitive"))
    after = redact(change.get("after"), change.get("after_sensitive"))
    return {"before": before, "after": _with_unknown(after, change.get("after_unknown"))}


def _finish(entry: _Entry, mask: Secrets, *, hidden: bool) -> None:
    """Mask known secrets, hide values if asked for, and note what differs."""
    item, change = entry.item, entry.change
    before, after = change.get("before"), _with_unknown(change.get("after"), change.get("after_unknown"))
    if hidden:
        _hide(item)
    item.update(_masked(item, mask))
    if entry.kind is not _Kind.OUTPUT:
        old, new = before or {}, after or {}
        names = {*old, *new} if isinstance(old, dict) and isinstance(new, dict) else ()
        item["changed"] = sorted(name for name in names if not same(old.get(name), new.get(name)))
    if before is not None and after is not None:
        masked = [list(path) for path in _covered(before, after, item["before"], item["after"], ())]
        item.update({"masked": masked} if masked else {})


def masked_again(changes: Mapping[str, Any], mask: Secrets) -> dict[str, Any]:
    """Changes as `PlanChanges.to_json` has them, with the values replaced that are secret by now, nothing else."""
    kinds = ("resources", "drift", "outputs")
    return {**changes, **{kind: items_masked(changes[kind], mask) for kind in kinds if changes.get(kind)}}


def items_masked(items: Sequence[Mapping[str, Any]], mask: Secrets) -> list[dict[str, Any]]:
    """Some of those changes, their values masked; an address, an action and a count never are."""
    return [{**item, **_masked(item, mask)} for item in items]


def _masked(item: Mapping[str, Any], mask: Secrets) -> dict[str, Any]:
    return {key: mask.value(item[key]) for key in _VALUES if key in item}


def _covered(before: Any, after: Any, shown: Any, shown_after: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The paths whose values differ although they are shown as the same."""
    if same(before, after):
        return
    values = (before, after, shown, shown_after)
    if all(isinstance(value, dict) for value in values):
        for key in sorted(before.keys() & after.keys() & shown.keys() & shown_after.keys()):
            yield from _covered(before[key], after[key], shown[key], shown_after[key], (*path, key))
    elif all(isinstance(value, list) for value in values):
        for place, parts in enumerate(zip(before, after, shown, shown_after, strict=False)):
            yield from _covered(*parts, (*path, place))
    elif same(shown, shown_after):
        yield path


def _hide(item: dict[str, Any]) -> None:
    if "import_id" in item:
        item["import_id"] = HIDDEN
    for side in ("before", "after"):
        value = item[side]
        if "address" in item and isinstance(value, dict):
            item[side] = {name: part if part == UNKNOWN else HIDDEN for name, part in value.items()}
        elif value not in (None, UNKNOWN):
            item[side] = HIDDEN


def redact(value: Any, sensitive: Any) -> Any:
    """The value without its sensitive parts; `sensitive` is True, or shaped like the value with True where it is."""
    if sensitive is True:
        return None if value is None else MASK
    if isinstance(value, dict) and isinstance(sensitive, dict):
        return {key: redact(item, sensitive.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(sensitive, list):
        marks = [*sensitive, *[None] * (len(value) - len(sensitive))]
        return [redact(item, mark) for item, mark in zip(value, marks, strict=False)]
    return redact(value, True) if plansecrets.any_marked(sensitive) else value  # different shapes: redact everything


def _with_unknown(value: Any, unknown: Any) -> Any:
    if unknown is True:
        return value if value is not None else UNKNOWN
    if isinstance(unknown, dict) and (value is None or isinstance(value, dict)):
        base = value or {}
        merged = {key: _with_unknown(base.get(key), mark) for key, mark in unknown.items()}
        return {**base, **{key: item for key, item in merged.items() if item is not None}} or value
    if isinstance(unknown, list) and unknown and isinstance(value, list | None):
        value = value or []
        marks = [*unknown, *[None] * (len(value) - len(unknown))]
        items = [*value, *[None] * (len(marks) - len(value))]
        return [_with_unknown(item, mark) for item, mark in zip(items, marks, strict=True)]
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
