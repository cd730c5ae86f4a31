"""A saved plan as `show -json` shows it: the parts of that document that are reported and compared.

https://opentofu.org/docs/internals/json-format/; `configuration` has the sensitive variables alone, and
`planned_values` and `prior_state` list the resources of all modules as if they were the root's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...project.hcl import reader
from . import address as addresses
from .packed import decode
from .plan import Action
from .schema import Kind
from .state import providers_in, resources_of
from .values import known, sensitive, unknown
from .wire import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...base.jsonvalue import Json, JsonObject
    from .address import Address
    from .packed import Packed
    from .plan import Change, Check, OutputChange, ResourceChange, SavedPlan
    from .schema import Schema

    Find = Callable[[Kind], Schema]

_PROVIDER = re.compile(r'(?:module\.[^"]*\.)?provider\["([^"]+)"\](?:\.[^"]+)?')
_ACTIONS = {
    Action.NOOP: ["no-op"], Action.CREATE: ["create"], Action.READ: ["read"], Action.UPDATE: ["update"],
    Action.DELETE: ["delete"], Action.DELETE_THEN_CREATE: ["delete", "create"],
    Action.CREATE_THEN_DELETE: ["create", "delete"], Action.FORGET: ["forget"],
    Action.FORGET_THEN_CREATE: ["forget", "create"],
}  # fmt: skip
_REASONS = (
    None, "replace_because_tainted", "replace_by_request", "replace_because_cannot_update",
    "delete_because_no_resource_config", "delete_because_wrong_repetition", "delete_because_count_index",
    "delete_because_each_key", "delete_because_no_module", "replace_by_triggers", "read_because_config_unknown",
    "read_because_dependency_pending", "delete_because_no_move_target", "read_because_check_nested",
    "delete_because_enabled_false", "forgot_because_lifecycle_destroy_in_state",
    "forgot_because_lifecycle_destroy_in_config",
)  # fmt: skip
_STATUSES = ("unknown", "pass", "fail", "error")
_CONFIGURATION = "tfconfig/"


def of(saved: SavedPlan, find: Find) -> JsonObject:
    """The document of a plan.

    Args:
        saved: The plan.
        find: Returns the schema of a kind of resource; raises UnreadableError where it is not known.

    Raises:
        UnreadableError: Only the engine can read it.
    """
    if not saved.normal:
        raise UnreadableError("not an ordinary plan")
    changes = _ordered(saved.resources)
    return {
        "terraform_version": saved.engine_version,
        "errored": saved.errored,
        "variables": {name: {"value": value} for name, value in variables_of(saved).items()},
        "resource_changes": [
            _resource(item, address, find)
            for address, item in changes
            if (address.mode, item.change.action) != ("data", Action.DELETE)
        ],
        "resource_drift": [
            _resource(item, address, find)
            for address, item in _ordered(saved.drift)
            if item.change.action is not Action.NOOP
        ],
        "relevant_attributes": [{"resource": name, "attribute": [*path]} for name, path in saved.relevant],
        "output_changes": {item.name: _output(item) for item in saved.outputs},
        "planned_values": {"root_module": {"resources": [*_planned(changes)]}},
        "prior_state": _prior_state(saved, find),
        "configuration": {"root_module": _sensitive_variables(saved)},
        "checks": [_check(check) for check in saved.checks],
    }


def variables_of(saved: SavedPlan) -> dict[str, Json]:
    """The values of the root module's variables that are given, not its defaults.

    Raises:
        UnreadableError: Only the engine can read them.
    """
    return {name: known(decode(data)) for name, data in saved.variables.items()}


def providers_of(saved: SavedPlan) -> set[str]:
    """The providers of all resources in a plan, and in the state that it carries.

    Raises:
        UnreadableError: Only the engine can read it.
    """
    found = {provider_of(item.provider) for item in (*saved.resources, *saved.drift)}
    return found | providers_in(saved.parts.get("tfstate", b""))


def _ordered(items: list[ResourceChange]) -> list[tuple[Address, ResourceChange]]:
    found = [(addresses.parse(item.address), item) for item in items]
    if any(address.mode == "ephemeral" for address, _ in found):
        raise UnreadableError("it opens ephemeral resources")
    return sorted(found, key=lambda pair: (pair[0].rank, pair[1].deposed))


def _planned(changes: list[tuple[Address, ResourceChange]]) -> Iterator[JsonObject]:
    """What exists after the plan; its values are those of the changes."""
    for address, item in changes:
        if not item.deposed and item.change.action is not Action.DELETE:
            yield {"address": item.address, "mode": address.mode, "type": address.type, "name": address.name}


def _resource(item: ResourceChange, address: Address, find: Find) -> JsonObject:
    schema = find(Kind(provider_of(item.provider), address.mode, address.type))
    change = item.change
    if change.imports == "":
        raise UnreadableError("it is imported by more than an id")  # what that is takes another schema
    before, after = _side(change.before, schema), _side(change.after, schema)
    changed: JsonObject = {
        **_change(change, before, after),
        "after_unknown": unknown(after) or {},
        "before_sensitive": sensitive(before, schema.marks, change.before_sensitive),
        "after_sensitive": sensitive(after, schema.marks, change.after_sensitive),
    }
    if item.replaced_by:
        changed["replace_paths"] = [[*path] for path in sorted(item.replaced_by)]
    found: JsonObject = {
        "address": item.address, "mode": address.mode, "type": address.type, "name": address.name,
        "provider_name": provider_of(item.provider),
        "change": changed,
    }  # fmt: skip
    if item.previous:
        found["previous_address"] = item.previous
    if item.deposed:
        found["deposed"] = item.deposed
    if item.reason >= len(_REASONS):
        raise UnreadableError(f"reason {item.reason} is not known")
    if reason := _REASONS[item.reason]:
        found["action_reason"] = reason
    return found


def _side(data: bytes | None, schema: Schema) -> Packed:
    return None if data is None else decode(data, schema.type)


def _change(change: Change, before: Packed, after: Packed) -> JsonObject:
    found: JsonObject = {"actions": [*_ACTIONS[change.action]], "before": known(before), "after": known(after)}
    if change.imports is not None:
        found["importing"] = {"id": change.imports}
    if change.generated:
        found["generated_config"] = change.generated
    return found


def _output(item: OutputChange) -> JsonObject:
    before, after = (None if data is None else decode(data) for data in (item.change.before, item.change.after))
    return {
        **_change(item.change, before, after), "after_unknown": unknown(after),
        "before_sensitive": item.sensitive, "after_sensitive": item.sensitive,
    }  # fmt: skip


def provider_of(text: str) -> str:
    """The provider in the address of its configuration: `provider["registry.opentofu.org/hashicorp/aws"].alias`.

    Raises:
        UnreadableError: It is not such an address.
    """
    found = _PROVIDER.fullmatch(text)
    if found is None:
        raise UnreadableError("not the address of a provider's configuration")
    return found[1]


def _prior_state(saved: SavedPlan, find: Find) -> JsonObject:
    resources, outputs = resources_of(saved.parts.get("tfstate", b""), find)
    if not resources and not outputs:
        return {}
    root: JsonObject = {"resources": [*resources]} if resources else {}
    return {"values": {"root_module": root, "outputs": outputs}}


def _check(check: Check) -> JsonObject:
    if not all(0 <= status < len(_STATUSES) for status in (check.status, *(item.status for item in check.objects))):
        raise UnreadableError("the status of a check is not known")
    return {
        "address": {"to_display": check.address},
        "status": _STATUSES[check.status],
        "instances": [
            {
                "address": {"to_display": item.address}, "status": _STATUSES[item.status],
                "problems": [{"message": message} for message in item.messages],
            }
            for item in check.objects
        ],
    }  # fmt: skip


def _sensitive_variables(saved: SavedPlan) -> JsonObject:
    """The sensitive variables of all modules, as the plan's own copy of the configuration declares them.

    Modules below the root become calls of it, each by its files' folder.
    """
    modules: dict[str, JsonObject] = {}
    for name, content in saved.parts.items():
        path = name.removeprefix(_CONFIGURATION)
        if path == name or not reader.is_configuration(name):
            continue
        if not any(word in content for word in (b"sensitive", b"ephemeral")):
            continue
        declared = modules.setdefault(path.rpartition("/")[0], {})
        declared |= {
            variable.name: {"sensitive": True, "default": variable.default}
            for variable in reader.read_facts(path, content).variables
            if variable.sensitive
        }
    root = modules.pop("m-", {})
    return {
        "variables": root,
        "module_calls": {folder: {"module": {"variables": found}} for folder, found in modules.items()},
    }
