"""The engine's plan JSON for other programs: the same format, with sensitive values replaced.

The format: https://opentofu.org/docs/internals/json-format/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..artifact.changes import redact
from ..base.masking import MASK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..base.masking import Masker


def redacted(plan: Mapping[str, Any], mask: Masker) -> dict[str, Any]:
    """A plan without anything sensitive; what is known to be secret is replaced wherever it stands.

    Args:
        plan: What `show -json` gives for a saved plan; it is not changed.
        mask: The known secrets; learns those of the plan.
    """
    found = dict(plan)
    for key in ("resource_changes", "resource_drift"):
        if found.get(key):
            found[key] = [{**item, "change": _change(item.get("change") or {}, mask)} for item in found[key]]
    if found.get("output_changes"):
        found["output_changes"] = {name: _change(change, mask) for name, change in found["output_changes"].items()}
    if found.get("planned_values"):
        found["planned_values"] = _values(found["planned_values"], mask)
    if (found.get("prior_state") or {}).get("values"):
        found["prior_state"] = {**found["prior_state"], "values": _values(found["prior_state"]["values"], mask)}
    _variables(found, mask)
    value: dict[str, Any] = mask.value(found)
    return value


def _change(change: Mapping[str, Any], mask: Masker) -> dict[str, Any]:
    sides = {side: redact(change.get(side), change.get(f"{side}_sensitive"), mask) for side in ("before", "after")}
    return {**change, **{side: value for side, value in sides.items() if side in change}}


def _values(values: Mapping[str, Any], mask: Masker) -> dict[str, Any]:
    found = dict(values)
    if found.get("outputs"):
        found["outputs"] = {
            name: {**output, "value": redact(output.get("value"), output.get("sensitive"), mask)}
            for name, output in found["outputs"].items()
        }
    if found.get("root_module"):
        found["root_module"] = _module(found["root_module"], mask)
    return found


def _module(module: Mapping[str, Any], mask: Masker) -> dict[str, Any]:
    found = dict(module)
    if found.get("resources"):
        found["resources"] = [
            {**item, "values": redact(item.get("values"), item.get("sensitive_values"), mask)}
            for item in found["resources"]
        ]
    if found.get("child_modules"):
        found["child_modules"] = [_module(child, mask) for child in found["child_modules"]]
    return found


def _variables(plan: dict[str, Any], mask: Masker) -> None:
    """Sensitive variables, of the root and as modules declare them, with their defaults."""
    configuration = plan.get("configuration") or {}
    root = configuration.get("root_module") or {}
    sensitive = set(_sensitive(root))
    given = plan.get("variables") or {}
    for name in sensitive & given.keys():
        mask.add([(given[name] or {}).get("value")])
    for module in _modules(root):
        for name in _sensitive(module):
            mask.add([module["variables"][name].get("default")])
    if given:
        plan["variables"] = {name: {"value": MASK} if name in sensitive else item for name, item in given.items()}
    if configuration:
        plan["configuration"] = {**configuration, "root_module": _declared(root)}


def _declared(module: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(module)
    if found.get("variables"):
        found["variables"] = {
            name: {**item, "default": MASK} if item.get("sensitive") and "default" in item else item
            for name, item in found["variables"].items()
        }
    if found.get("module_calls"):
        found["module_calls"] = {
            name: {**call, "module": _declared(call.get("module") or {})}
            for name, call in found["module_calls"].items()
        }
    return found


def _modules(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield module
    for call in (module.get("module_calls") or {}).values():
        yield from _modules(call.get("module") or {})


def _sensitive(module: Mapping[str, Any]) -> list[str]:
    return [name for name, item in (module.get("variables") or {}).items() if item.get("sensitive")]
