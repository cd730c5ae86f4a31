"""The values in a plan that the engine marks as sensitive: all of them, wherever in the plan they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.jsonvalue import fields, named, records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..base.jsonvalue import Json, JsonObject

_SIDES = ("before", "after")


def values(plan: Mapping[str, Json]) -> Iterator[Json]:
    """Each sensitive value of a plan, as `show -json` has it; some more than once, and whole where they are structured.

    https://opentofu.org/docs/internals/json-format/
    """
    for change in _changes(plan):
        for side in _SIDES:
            yield from marked(change.get(side), change.get(f"{side}_sensitive"))
    for state in (plan.get("planned_values"), fields(plan.get("prior_state")).get("values")):
        yield from _of_state(fields(state))
    root = fields(fields(plan.get("configuration")).get("root_module"))
    given = named(plan.get("variables"))
    for name in sensitive_variables(root):
        yield given.get(name, {}).get("value")
    for module in _modules(root):
        variables = named(module.get("variables"))
        for name in sensitive_variables(module):
            yield variables[name].get("default")


def marked(value: Json, marks: Json) -> Iterator[Json]:
    """The parts of a value that are marked; all of it where the marks are not shaped like it, to be safe."""
    if marks is True:
        yield value
    elif isinstance(value, dict) and isinstance(marks, dict):
        for key in value.keys() & marks.keys():
            yield from marked(value[key], marks[key])
    elif isinstance(value, list) and isinstance(marks, list):
        for item, mark in zip(value, marks, strict=False):
            yield from marked(item, mark)
    elif any_marked(marks):
        yield value


def any_marked(marks: Json) -> bool:
    """Whether anything is marked at all."""
    if isinstance(marks, dict | list):
        return any(any_marked(mark) for mark in (marks.values() if isinstance(marks, dict) else marks))
    return marks is True


def sensitive_variables(module: Mapping[str, Json]) -> list[str]:
    """The names of the variables that a module of a plan's configuration declares sensitive."""
    return [name for name, item in named(module.get("variables")).items() if item.get("sensitive")]


def _changes(plan: Mapping[str, Json]) -> Iterator[JsonObject]:
    for kind in ("resource_changes", "resource_drift"):
        yield from (fields(item.get("change")) for item in records(plan.get(kind)))
    yield from named(plan.get("output_changes")).values()


def _of_state(state: JsonObject) -> Iterator[Json]:
    for output in named(state.get("outputs")).values():
        yield from marked(output.get("value"), output.get("sensitive"))
    modules = [fields(state.get("root_module"))]
    while modules:
        module = modules.pop()
        modules += records(module.get("child_modules"))
        for item in records(module.get("resources")):
            yield from marked(item.get("values"), item.get("sensitive_values"))


def _modules(module: JsonObject) -> Iterator[JsonObject]:
    yield module
    for call in named(module.get("module_calls")).values():
        yield from _modules(fields(call.get("module")))
