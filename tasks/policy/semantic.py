"""The meaning of a plan without its values: which resources and outputs change, how, and in which fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base.errors import ShapeError
from ..base.files import canonical_json, sha256_bytes
from ..base.jsonvalue import fields, records
from ..base.jsonvalue import words as listed
from ..base.text import few

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..base.jsonvalue import Json, JsonObject

FORMAT = 1
Meaning = dict[str, list[str]]
"""Addresses with what happens there: the action, then the sorted names of the fields that change."""


def meaning(changes: JsonObject) -> Meaning:
    """The meaning of `changes.PlanChanges.to_json`, or of the same record read from `plan.json`.

    Raises:
        KeyError, ShapeError: It is not such a record.
    """
    found: Meaning = {}
    for item in records(changes.get("resources")):
        action = str(item["action"]) + (f" from {item['moved_from']}" if item.get("moved_from") else "")
        address = str(item["address"]) + (f" (deposed {item['deposed']})" if item.get("deposed") else "")
        found[address] = [action, *sorted(listed(item.get("changed")))]
    for item in records(changes.get("outputs")):
        found[f"output {item['name']}"] = [str(item["action"])]
    return found


def digest(of: Meaning) -> str:
    """One digest of a meaning, 64 hex digits."""
    return sha256_bytes(canonical_json(of))


def words(entry: list[str] | None) -> str:
    """What happens at an address, in words."""
    if not entry:
        return "nothing"
    action, *fields = entry
    return f"{action} ({', '.join(fields[:8])}{', …' if len(fields) > 8 else ''})" if fields else action  # noqa: PLR2004


@dataclass(frozen=True)
class Reviewed:
    """What a reviewer saw for one environment.

    Args:
        environment: The environment.
        head: The planned commit, the last of its branch.
        stacks: Each planned stack's meaning, or only its digest where there was no room.
        deferred: The stacks that could not be planned yet.
        complete: Whether all affected stacks were planned; false if a plan failed.
    """

    environment: str
    head: str
    stacks: dict[str, Meaning | str] = field(default_factory=dict)
    deferred: list[str] = field(default_factory=list)
    complete: bool = True

    def to_json(self) -> JsonObject:
        """The record to be stored and signed."""
        return {
            "format": FORMAT, "environment": self.environment, "head": self.head,
            "stacks": {name: _packed(item) for name, item in self.stacks.items()},
            "deferred": [*self.deferred], "complete": self.complete,
        }  # fmt: skip

    @classmethod
    def from_json(cls, found: Json) -> Reviewed:
        """Read the record.

        Raises:
            ValueError: It is not such a record.
        """
        try:
            record = fields(found)
            if record["format"] != FORMAT:
                raise ValueError("format")
            stacks = {str(name): _checked(item) for name, item in fields(record["stacks"]).items()}
            deferred = listed(record["deferred"])
            return cls(str(record["environment"]), str(record["head"]), stacks, deferred, record["complete"] is True)
        except (KeyError, ShapeError) as error:
            raise ValueError(str(error)) from None

    def shorter(self) -> Reviewed:
        """The same with digests only."""
        stacks: dict[str, Meaning | str] = {
            name: item if isinstance(item, str) else digest(item) for name, item in self.stacks.items()
        }
        return Reviewed(self.environment, self.head, stacks, self.deferred, self.complete)


def _checked(item: Json) -> Meaning | str:
    return item if isinstance(item, str) else {address: listed(entry) for address, entry in fields(item).items()}


def _packed(item: Meaning | str) -> Json:
    return item if isinstance(item, str) else {address: [*entry] for address, entry in item.items()}


@dataclass(frozen=True)
class Difference:
    """A difference between the reviewed and the fresh plan; `unreviewed` if no reviewer saw the change."""

    stack: str
    text: str
    unreviewed: bool = True


def compare(reviewed: Reviewed, fresh: Mapping[str, Meaning | None]) -> list[Difference]:
    """The differences, sorted by stack and then by address.

    Args:
        reviewed: What was reviewed.
        fresh: The meaning of each stack planned now; None if it is not known.
    """
    found: list[Difference] = []
    for stack, now in fresh.items():
        before = reviewed.stacks.get(stack)
        if now is None:
            found.append(Difference(stack, "the changes of its plan are not known"))
        elif before is None:
            if now:
                why = "it was deferred in the review" if stack in reviewed.deferred else "not reviewed at all"
                found.append(Difference(stack, f"{_summary(now)}: {why}"))
        elif isinstance(before, str):
            if digest(now) != before:
                found.append(Difference(stack, "differs from the review, of which only a digest was kept"))
        else:
            found += _compare(stack, before, now)
    found += [
        Difference(stack, "was reviewed, but now has nothing to deploy", unreviewed=False)
        for stack in reviewed.stacks
        if stack not in fresh and reviewed.stacks[stack]
    ]
    return found


def _compare(stack: str, before: Meaning, now: Meaning) -> Iterable[Difference]:
    for address in sorted({*before, *now}):
        old, new = before.get(address), now.get(address)
        if old != new:
            text = f"{address}: reviewed {words(old)}, now {words(new)}"
            yield Difference(stack, text, unreviewed=new is not None)


def _summary(now: Meaning) -> str:
    return few([f"{address} {words(entry)}" for address, entry in sorted(now.items())], 1)
