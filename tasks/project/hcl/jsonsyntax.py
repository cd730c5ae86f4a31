"""Reads the facts of a configuration file in JSON (https://opentofu.org/docs/language/syntax/json/)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...base import jsontext
from ...base.files import canonical_json
from . import expressions, references, syntax
from .blocks import archive_of, kept_attributes, leaves, of_locals, reading_of, repeat_of
from .facts import HIDES, Call, PathReference, RemoteState, Variable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ...base.jsonvalue import Json
    from .expressions import Expression
    from .facts import Facts


def read(content: bytes, found: Facts) -> None:
    """The facts of a file; one that is not JSON is `broken`."""

    def several(pairs: list[tuple[str, Json]]) -> Json:
        """An object; blocks of the same name that stand side by side, as a list, which means the same."""
        kept: dict[str, Json] = {}
        for name, value in pairs:
            if name in kept:
                found.broken = True  # of values, the engine accepts no two
            kept[name] = [*_several(kept[name]), *_several(value)] if name in kept else value
        return kept

    try:
        data = jsontext.loads(content, object_pairs_hook=several)
    except (ValueError, RecursionError):
        found.broken = True
        return
    for section in data if isinstance(data, list) else [data]:
        if isinstance(section, dict):
            try:
                _read_section(section, found)
            except RecursionError:
                found.broken = True
    found.reads.extend(of_locals(found))
    paths = dict[PathReference, None]()
    for name, text in _texts(data):
        if "${" in text:
            references.find_paths(expressions.quoted(text), found)
            found.workspace = 0 if references.asks_for_workspace(text) else found.workspace
        else:
            paths |= dict.fromkeys([*references.mentions(text), *references.named(name, text)])
        references.find_state_outputs(text, found)
    found.paths.extend(reference for reference in paths if reference not in found.paths)


def _several(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _read_section(section: dict[str, Any], found: Facts) -> None:
    for name, module in _labelled(section.get("module")).items():
        arguments = _converted(module)
        source = arguments.pop("source", None)
        if "lifecycle" in arguments:
            found.reads.extend(reading_of([arguments.pop("lifecycle")], None))
        found.calls.append(Call(name, source, arguments, repeat_of(arguments)))
    for block in _listed(section.get("locals")):
        found.locals.update(_converted(block))
    for name, variable in _labelled(section.get("variable")).items():
        found.variables.append(_variable(name, variable))
        found.reads.extend(reading_of([expressions.of_json(variable.get("validation"))], None))
    for name, output in _labelled(section.get("output")).items():
        found.outputs.append(name)
        found.attributes[f"output.{name}"] = expressions.of_json(output.get("value"))
        found.reads.extend(reading_of(list(_converted(output).values()), None))
    for settings in _listed(section.get("terraform")):
        _read_settings(settings, found)
    for kind in ("resource", "data", "ephemeral"):
        for kinds in _listed(section.get(kind)):
            for type_name, blocks in kinds.items():
                for name, body in _labelled(blocks).items():
                    _read_block(kind, [type_name, name], body, found)
    others = {name: value for name, value in section.items() if name not in _KNOWN}
    found.reads.extend(reading_of([expressions.of_json(others)], None))


_KNOWN = ("module", "locals", "variable", "output", "terraform", "resource", "data", "ephemeral", "//")


def _read_block(kind: str, labels: list[str], body: dict[str, Any], found: Facts) -> None:
    attributes = _converted(body)
    found.attributes |= kept_attributes(kind, labels, attributes)
    found.archives += archive_of(kind, labels, attributes, ())
    found.reads.extend(reading_of(list(attributes.values()), repeat_of(attributes)))
    if kind == "data" and labels[0] == "terraform_remote_state":
        backend = attributes.get("backend", [expressions.UNKNOWN, []])
        config = attributes.get("config", expressions.literal({}))
        state = RemoteState(labels[1], backend, config, attributes.get("workspace"), repeat_of(attributes))
        found.remote_states.append(state)


def _read_settings(settings: dict[str, Any], found: Facts) -> None:
    for backend, body in _labelled(settings.get("backend")).items():
        found.backend = backend
        found.backend_varies = any(references.VARIES.search(text) for text in _strings(body))
        found.backend_settings = dict(_backend_settings(body))
    for body in _listed(settings.get("cloud")):
        found.backend = "cloud"
        found.backend_settings = dict(_backend_settings(body))


def _backend_settings(body: dict[str, Any]) -> Iterator[tuple[str, Expression]]:
    """A backend's settings, including those in nested blocks, which may be in a list."""
    for name, value in _converted(body).items():
        blocks = value[1] if value[0] == expressions.TUPLE else [value]
        inner = blocks if blocks and all(block[0] == expressions.OBJECT for block in blocks) else [value]
        for each in inner:
            yield from leaves(name, each)


def without_values(content: bytes, left_out: Collection[str]) -> bytes | None:
    """A JSON var file without the values of some variables, see `reader.without_values`."""
    try:
        values = jsontext.loads(content)
    except (ValueError, RecursionError):
        return content
    if not isinstance(values, dict) or not values.keys() & left_out:
        return content
    kept = {name: value for name, value in values.items() if name not in left_out}
    return canonical_json(kept) if kept else None


def _variable(name: str, variable: dict[str, Any]) -> Variable:
    sensitive = any(variable.get(flag) not in (None, False, "false") for flag in HIDES)
    constraint = variable.get("type")
    parsed = syntax.parse(f"x = {constraint}\n".encode(errors="replace")) if isinstance(constraint, str) else None
    pairs = list(syntax.attributes(syntax.body(parsed))) if parsed else []
    return Variable(
        name, sensitive, "default" in variable, variable.get("default"),
        expressions.convert(pairs[0][1]) if pairs else None, variable.get("nullable") not in (False, "false"),
        variable["ephemeral"] in (True, "true") if "ephemeral" in variable else None,
    )  # fmt: skip


def _converted(body: dict[str, Any]) -> dict[str, Expression]:
    return {key: expressions.of_json(value) for key, value in body.items() if key != "//"}


def _listed(value: Any) -> list[dict[str, Any]]:
    """A mapping or a list of mappings, as a list."""
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)]


def _labelled(value: Any) -> dict[str, dict[str, Any]]:
    """`{"a": {...}}` or a list of these, as one mapping of mappings."""
    merged: dict[str, dict[str, Any]] = {}
    for item in _listed(value):
        for label, body in item.items():
            first = body[0] if isinstance(body, list) and body else body
            merged[label] = first if isinstance(first, dict) else {}
    return merged


def _strings(value: Any) -> Iterator[str]:
    """All texts in a JSON value, at any depth."""
    return (text for _, text in _texts(value))


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """All texts in a JSON value, at any depth, each with the name of the attribute that it is or is listed in."""
    pending = [("", value)]
    while pending:
        name, current = pending.pop()
        if isinstance(current, str):
            yield name, current
        elif isinstance(current, dict):
            pending.extend(reversed(current.items()))
        elif isinstance(current, list):
            pending.extend((name, item) for item in reversed(current))
