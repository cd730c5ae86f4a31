"""The values in a plan that the engine marks as sensitive: all of them, wherever in the plan they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SIDES = ("before", "after")


def values(plan: Mapping[str, Any]) -> Iterator[Any]:
    """Each sensitive value of a plan, as `show -json` has it; some more than once, and whole where they are structured.

    https://opentofu.org/docs/internals/json-format/
    """
    for change in _changes(plan):
        for side in _SIDES:
            yield from marked(change.get(side), change.get(f"{side}_sensitive"))
    for state in (plan.get("planned_values"), (plan.get("prior_state") or {}).get("values")):
        yield from _of_state(state or {})
    root = (plan.get("configuration") or {}).get("root_module") or {}
    given = plan.get("variables") or {}
    for name in sensitive_variables(root):
        yield (given.get(name) or {}).get("value")
    for module in _modules(root):
        for name in sensitive_variables(module):
            yield module["variables"][name].get("default")


def marked(value: Any, marks: Any) -> Iterator[Any]:
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


def any_marked(marks: Any) -> bool:
    """Whether anything is marked at all."""
    if isinstance(marks, dict | list):
        return any(any_marked(mark) for mark in (marks.values() if isinstance(marks, dict) else marks))
    return marks is True


def sensitive_variables(module: Mapping[str, Any]) -> list[str]:
    """The names of the variables that a module of a plan's configuration declares sensitive."""
    return [name for name, item in (module.get("variables") or {}).items() if item.get("sensitive")]


def _changes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for kind in ("resource_changes", "resource_drift"):
        yield from (item.get("change") or {} for item in plan.get(kind) or [])
    yield from (plan.get("output_changes") or {}).values()


def _of_state(state: Mapping[str, Any]) -> Iterator[Any]:
    for output in (state.get("outputs") or {}).values():
        yield from marked(output.get("value"), output.get("sensitive"))
    modules = [state.get("root_module") or {}]
    while modules:
        module = modules.pop()
        modules += module.get("child_modules") or []
        for item in module.get("resources") or []:
            yield from marked(item.get("values"), item.get("sensitive_values"))


def _modules(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield module
    for call in (module.get("module_calls") or {}).values():
        yield from _modules(call.get("module") or {})
