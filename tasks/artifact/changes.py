"""Reduces the engine's plan JSON to redacted changes and counts."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from ..base.errors import DeployError
from ..base.jsontext import same
from ..base.jsonvalue import fields, named, records, words
from ..base.masking import MASK
from ..base.text import plural
from ..base.valuepath import differing, overlap, path_of
from . import exposed, plansecrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..base.jsonvalue import Json, JsonObject
    from ..base.masking import Secrets
    from ..base.valuepath import Path

UNKNOWN = "(known after apply)"
HIDDEN = "(hidden)"
_KINDS = {
    ("create",): "add", ("update",): "change", ("delete",): "destroy", ("forget",): "forget",
    ("delete", "create"): "replace", ("create", "delete"): "replace", ("create", "forget"): "replace",
}  # fmt: skip
_COUNTED = frozenset(_KINDS.values()) - {"change"} | {"move", "import"}  # unknown actions count as changes
_VALUES = ("import_id", "before", "after")
_LAST_KEY = re.compile(r'\[(?:\d+|"(?:[^"\\]|\\.)*")\]$')
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


def counts_of(value: Json) -> Counts:
    """The counts that a record of changes has; none at all if they are not counts."""
    numbers = {name: number for name, number in fields(value).items() if isinstance(number, int)}
    return Counts(**numbers) if set(fields(value)) == set(numbers) <= set(asdict(Counts())) else Counts()


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
    resources: list[JsonObject] = field(default_factory=list)
    drift: list[JsonObject] = field(default_factory=list)
    outputs: list[JsonObject] = field(default_factory=list)
    failed_checks: list[str] = field(default_factory=list)
    failed_addresses: list[str] = field(default_factory=list)
    errored: bool = False

    def to_json(self) -> JsonObject:
        """The content of `plan.json`; the changes in it are those of this one, not copies."""
        return {"format": 1, **vars(self), "counts": asdict(self.counts)}


def read(plan: Mapping[str, Json], mask: Secrets, *, hidden: bool = False) -> PlanChanges:
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
        *(_resource(item) for item in records(plan.get("resource_changes"))),
        *(_drift(item, relevant) for item in records(plan.get("resource_drift"))),
        *(_output(name, change) for name, change in sorted(named(plan.get("output_changes")).items())),
    ]
    shown = [entry for entry in found if entry is not None]
    for entry in shown:
        _finish(entry, mask, hidden=hidden)
    resources, drift, outputs = (_of(shown, kind) for kind in (_Kind.RESOURCE, _Kind.DRIFT, _Kind.OUTPUT))
    checks = [check for check in records(plan.get("checks")) if check.get("status") in ("fail", "error")]
    return PlanChanges(
        _count(resources, outputs), resources, drift, outputs,
        [_failed_check(check, mask, hidden=hidden) for check in checks],
        [mask.text(_check_address(check)) for check in checks], bool(plan.get("errored")),
    )  # fmt: skip


def _check_address(check: JsonObject) -> str:
    return str(fields(check.get("address")).get("to_display", "?"))


def _failed_check(check: JsonObject, mask: Secrets, *, hidden: bool) -> str:
    """A check that does not hold: its address, and what it says unless that is to be hidden."""
    address = _check_address(check)
    problems = [problem for found in records(check.get("instances")) for problem in records(found.get("problems"))]
    said = dict.fromkeys(" ".join(str(problem.get("message", "")).split()) for problem in problems)
    return mask.text(address if hidden or not said else f"{address}: {'; '.join(said)}")


def _of(shown: list[_Entry], kind: _Kind) -> list[JsonObject]:
    return [entry.item for entry in shown if entry.kind is kind]


class _Kind(Enum):
    """Where in the plan a change is."""

    RESOURCE = "resource"
    DRIFT = "drift"
    OUTPUT = "output"


class _Entry(NamedTuple):
    """A change as shown, with the engine's record of it."""

    kind: _Kind
    item: JsonObject
    change: JsonObject


def _resource(record: JsonObject) -> _Entry | None:
    """A resource that would change; None for one that neither changes nor moves, and for reads."""
    change = fields(record.get("change"))
    actions = tuple(words(change.get("actions")))
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


def _drift(record: JsonObject, relevant: Mapping[str, Sequence[Path]]) -> _Entry | None:
    change = fields(record.get("change"))
    actions = tuple(words(change.get("actions")))
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


def _relevant(plan: Mapping[str, Json]) -> dict[str, list[Path]]:
    """The attributes that the changes of a plan may follow from, by the address of a resource or of its instance."""
    found: dict[str, list[Path]] = {}
    for entry in records(plan.get("relevant_attributes")):
        found.setdefault(str(entry.get("resource")), []).append(path_of(entry.get("attribute")))
    return found


def _output(name: str, change: JsonObject) -> _Entry | None:
    if change.get("actions") in (["no-op"], None):
        return None
    item = {"name": name, "action": "+".join(words(change["actions"])), **_values(change)}
    return _Entry(_Kind.OUTPUT, item, change)


def _described(record: JsonObject, kind: str) -> JsonObject:
    change = fields(record.get("change"))
    return {
        "address": record.get("address"),
        "type": record.get("type"),
        "action": kind,
        "reason": record.get("action_reason"),
        "replace_paths": change.get("replace_paths") or [],
        **({"deposed": record["deposed"]} if record.get("deposed") else {}),
        **_values(change),
    }


def sides(change: JsonObject, *, redacted: bool) -> tuple[Json, Json]:
    """The values before and after a change in the engine's form; what is not known yet is `UNKNOWN`.

    Args:
        change: The change.
        redacted: Whether to replace what the engine marks as sensitive.
    """
    before, after = change.get("before"), change.get("after")
    if redacted:
        before, after = redact(before, change.get("before_sensitive")), redact(after, change.get("after_sensitive"))
    return before, _with_unknown(after, change.get("after_unknown"))


def _values(change: JsonObject) -> JsonObject:
    before, after = sides(change, redacted=True)
    return {"before": before, "after": after}


def _finish(entry: _Entry, mask: Secrets, *, hidden: bool) -> None:
    """Mask known secrets, hide values if asked for, and note what differs."""
    item, change = entry.item, entry.change
    before, after = change.get("before"), _with_unknown(change.get("after"), change.get("after_unknown"))
    if hidden:
        _hide(item)
    item.update(_masked(item, mask))
    if entry.kind is not _Kind.OUTPUT:
        item["changed"] = [*_changed(before or {}, after or {})]
    if before is not None and after is not None:
        masked: list[Json] = [[*path] for path in _covered(before, after, item["before"], item["after"], ())]
        item.update({"masked": masked} if masked else {})


def _changed(before: Json, after: Json) -> list[str]:
    """The names of the fields that differ."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return []
    return sorted(name for name in {*before, *after} if not same(before.get(name), after.get(name)))


def masked_again(changes: JsonObject, mask: Secrets) -> JsonObject:
    """Changes as `PlanChanges.to_json` has them, with the values replaced that are secret by now, nothing else."""
    kinds = ("resources", "drift", "outputs")
    return {**changes, **{kind: [*items_masked(records(changes[kind]), mask)] for kind in kinds if changes.get(kind)}}


def items_masked(items: Sequence[JsonObject], mask: Secrets) -> list[JsonObject]:
    """Some of those changes, their values masked; an address, an action and a count never are."""
    return [{**item, **_masked(item, mask)} for item in items]


def _masked(item: JsonObject, mask: Secrets) -> JsonObject:
    return {key: mask.value(item[key]) for key in _VALUES if key in item}


def _covered(before: Json, after: Json, shown: Json, shown_after: Json, path: Path) -> Iterator[Path]:
    """The paths whose values differ although they are shown as the same."""
    if same(before, after):
        return
    values = (before, after, shown, shown_after)
    mappings = [value for value in values if isinstance(value, dict)]
    lists = [value for value in values if isinstance(value, list)]
    if len(mappings) == len(values):
        for key in sorted(set.intersection(*map(set, mappings))):
            old, new, old_shown, new_shown = (value[key] for value in mappings)
            yield from _covered(old, new, old_shown, new_shown, (*path, key))
    elif len(lists) == len(values):
        for place, (old, new, old_shown, new_shown) in enumerate(zip(*lists, strict=False)):
            yield from _covered(old, new, old_shown, new_shown, (*path, place))
    elif same(shown, shown_after):
        yield path


def _hide(item: JsonObject) -> None:
    if "import_id" in item:
        item["import_id"] = HIDDEN
    for side in ("before", "after"):
        value = item[side]
        if "address" in item and isinstance(value, dict):
            item[side] = {name: part if part == UNKNOWN else HIDDEN for name, part in value.items()}
        elif value not in (None, UNKNOWN):
            item[side] = HIDDEN


def redact(value: Json, sensitive: Json) -> Json:
    """The value without its sensitive parts; `sensitive` is True, or shaped like the value with True where it is."""
    if sensitive is True:
        return None if value is None else MASK
    if isinstance(value, dict) and isinstance(sensitive, dict):
        return {key: redact(item, sensitive.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(sensitive, list):
        marks = [*sensitive, *[None] * (len(value) - len(sensitive))]
        return [redact(item, mark) for item, mark in zip(value, marks, strict=False)]
    return redact(value, True) if plansecrets.any_marked(sensitive) else value  # different shapes: redact everything


def _with_unknown(value: Json, unknown: Json) -> Json:
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


def _count(resources: list[JsonObject], outputs: list[JsonObject]) -> Counts:
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
