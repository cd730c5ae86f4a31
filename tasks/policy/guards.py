"""The built-in guards: protected resources, the number of deletions, required tags."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..base.jsonvalue import fields, records, words
from ..base.text import few, plural
from ..base.valuepath import matches
from .finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..base.jsonvalue import Json, JsonObject
    from ..project.model import Policy, Protect, RequiredTags

PROTECT, MAX_DESTROY, REQUIRED_TAGS = "protect", "max-destroy", "required-tags"
# The type in an address, `module.x.TYPE.name["key"]`: names may have any letters, and a key any characters.
_TYPE = re.compile(r'(?:^|\.)([^.\[\]"]+)\.[^.\[\]"]+(?:\[(?:\d+|"(?:[^"\\]|\\.)*")\])?\Z', re.DOTALL)
_DONE = {"delete": "destroy", "create": "create", "update": "change", "forget": "forget"}


def findings(policy: Policy, stack: str, plan: Mapping[str, Json]) -> Iterator[Finding]:
    """The guards' findings in a plan.

    Args:
        policy: The guards.
        stack: The stack's name.
        plan: The engine's own plan (`show -json`), unredacted; none of its values gets into a finding.
    """
    changes = records(plan.get("resource_changes"))
    for guard in policy.protect:
        if any(matches(stack, pattern) for pattern in guard.stacks):
            yield from _protected(guard, changes)
    if policy.max_destroy is not None:
        lost = [str(item.get("address")) for item in changes if "delete" in _actions(item)]
        if len(lost) > policy.max_destroy:
            limit = f"at most {policy.max_destroy} may be"
            message = f"{plural(len(lost), 'resource')} would be destroyed or replaced, {limit}: {few(lost, 5)}"
            yield Finding(MAX_DESTROY, "critical", message)
    for tags in policy.required_tags:
        yield from _untagged(tags, changes)


def _protected(guard: Protect, changes: list[JsonObject]) -> Iterator[Finding]:
    for item in changes:
        actions = _actions(item)
        done = {_DONE.get(action, action) for action in actions}
        if {"destroy", "create"} <= done:
            done = {"replace"}
        hit = sorted(done & set(guard.actions))
        addresses = [str(item[key]) for key in ("address", "previous_address") if item.get(key)]
        kinds = _types(item)
        if (
            hit
            and any(matches(address, guard.address) for address in addresses)
            and any(matches(kind, guard.type) for kind in kinds)
        ):
            message = f"it is protected from {' and '.join(hit)}{_why(guard)}"
            yield Finding(guard.rule, guard.severity, message, addresses[0])
        elif _covers(guard, addresses[-1], kinds[-1]) and not _covers(guard, addresses[0], kinds[0]):
            # If this were allowed, the next plan would not know the former address.
            message = f"moved from {addresses[-1]}, it would no longer be protected{_why(guard)}"
            yield Finding(guard.rule, guard.severity, message, addresses[0])


def _covers(guard: Protect, address: str, kind: str) -> bool:
    return matches(address, guard.address) and matches(kind, guard.type)


def _types(item: JsonObject) -> list[str]:
    """A resource's type and the one at its former address, as a move may change it."""
    former = _TYPE.search(str(item.get("previous_address") or ""))
    return [str(item.get("type")), *([former[1]] if former else [])]


def _why(guard: Protect) -> str:
    return f": {guard.reason}" if guard.reason else ""


def _untagged(tags: RequiredTags, changes: list[JsonObject]) -> Iterator[Finding]:
    for item in changes:
        if not {"create", "update"} & set(_actions(item)) or item.get("mode") == "data":
            continue
        if not any(matches(str(item.get("type")), pattern) for pattern in tags.types):
            continue
        change = fields(item["change"])
        after, unknown = fields(change.get("after")), fields(change.get("after_unknown"))
        name = next((name for name in tags.attributes if name in after or name in unknown), None)
        if name is None:  # this type has no tags
            continue
        address = str(item.get("address"))
        if unknown.get(name) is True:
            yield Finding(REQUIRED_TAGS, "info", f"`{name}` is only known after the apply", address)
            continue
        values, later = (found if isinstance(found := part.get(name), dict) else {} for part in (after, unknown))
        for key, pattern in sorted(tags.tags.items()):
            value = values.get(key)
            if value in (None, "") and not later.get(key):
                yield Finding(REQUIRED_TAGS, tags.severity, f"`{name}` has no '{key}'", address)
            elif value is not None and not re.fullmatch(pattern, str(value)):
                yield Finding(REQUIRED_TAGS, tags.severity, f"`{name}.{key}` does not match '{pattern}'", address)


def _actions(item: JsonObject) -> list[str]:
    return words(fields(item.get("change")).get("actions"))
