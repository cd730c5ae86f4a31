"""The state that a plan carries, as `show -json` shows the prior state.

https://github.com/opentofu/opentofu/blob/v1.12.6/internal/states/statefile/version4.go
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ...base import jsontext
from .packed import DYNAMIC
from .schema import Kind
from .values import sensitive
from .wire import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .packed import CtyType, Packed
    from .plan import Path
    from .schema import Schema

_VERSION = 4
_PROVIDER = 'provider["'


def resources_of(data: bytes, find: Callable[[Kind], Schema]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The resources in a state with their values, and its outputs.

    Args:
        data: The state.
        find: Returns the schema of a kind of resource.

    Raises:
        UnreadableError: It is not written as we know it.
    """
    try:
        state = _state(data)
        found = [
            _resource(resource, instance, find)
            for resource in state.get("resources") or ()
            for instance in resource.get("instances") or ()
        ]
        outputs = {
            name: {"value": item["value"], "sensitive": bool(item.get("sensitive"))}
            for name, item in (state.get("outputs") or {}).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError("not a state") from error
    return found, outputs


def providers_in(data: bytes) -> set[str]:
    """The providers of the resources in a state.

    Raises:
        UnreadableError: It is not written as we know it.
    """
    try:
        return {_provider(resource) for resource in _state(data).get("resources") or ()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError("not a state") from error


def _state(data: bytes) -> dict[str, Any]:
    found = cast("dict[str, Any]", jsontext.loads(data))
    if found["version"] != _VERSION:
        raise UnreadableError(f"version {found['version']} of states is not known")
    return found


def _provider(resource: Mapping[str, Any]) -> str:
    return str(resource["provider"]).partition(_PROVIDER)[2].partition('"]')[0]


def _resource(
    resource: Mapping[str, Any], instance: Mapping[str, Any], find: Callable[[Kind], Schema]
) -> dict[str, Any]:
    schema = find(Kind(_provider(resource), resource["mode"], resource["type"]))
    if schema.version != instance["schema_version"] or "attributes" not in instance:
        raise UnreadableError("a resource is written for another schema")
    values = _plain(instance["attributes"], schema.type)
    paths = [_path(steps) for steps in instance.get("sensitive_attributes") or ()]
    address = ".".join(str(resource[part]) for part in ("module", "type", "name") if resource.get(part))
    return {
        "address": address, "mode": resource["mode"], "type": resource["type"], "name": resource["name"],
        "values": values, "sensitive_values": sensitive(values, schema.marks, paths),
    }  # fmt: skip


def _plain(value: Any, kind: CtyType) -> Packed:
    """A value in a state, without the types that stand beside values where the schema has none."""
    if value is None:
        return None
    if kind == DYNAMIC:
        return _plain(value["value"], value["type"])
    if isinstance(kind, str):
        found: Packed = value
        return found
    name, inside = kind[0], kind[1]  # type: ignore[index] # a list of two or three
    if name == "object" and isinstance(inside, dict):
        return {key: _plain(item, inside[key]) for key, item in value.items()}
    if name == "map":
        return {key: _plain(item, inside) for key, item in value.items()}
    if name == "tuple" and isinstance(inside, list):
        return [_plain(item, each) for item, each in zip(value, inside, strict=True)]
    return [_plain(item, inside) for item in value]


def _path(steps: list[Mapping[str, Any]]) -> Path:
    """A path as a state writes it: attributes by name, elements by a value that has a type."""
    found: list[str | int] = []
    for step in steps:
        key = step["value"] if step["type"] == "get_attr" else step["value"]["value"]
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise UnreadableError("an element of a set is named by itself")
        found.append(key)
    return tuple(found)
