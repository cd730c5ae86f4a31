"""Facts of a configuration file in JSON (https://opentofu.org/docs/language/syntax/json/)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import references, syntax
from .facts import HIDES, Call, RemoteState, Variable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

    from .facts import Found, Parts


def read(content: bytes, found: Found) -> None:
    """Find the facts of a file; one that is no JSON is `broken`."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        found.broken = True
        return
    for section in data if isinstance(data, list) else [data]:
        if isinstance(section, dict):
            _read_section(section, found)
    for text in _strings(data):
        if "${" in text:
            references.find_paths(_parsed(text), found)
        else:
            found.paths.extend(references.mentions(text))


def _parsed(text: str) -> Node:
    """A JSON text as the template that it is, in native syntax: the tree of `x = "..."`."""
    quoted = json.dumps(text, ensure_ascii=False).replace('\\"', '"') if '\\"' in text else f'"{text}"'
    return syntax.parse(f"x = {quoted}\n".encode(errors="replace"))


def _parts(value: Any) -> Parts:
    """What a JSON value is put together from, see `hclsyntax.parts`."""
    if not isinstance(value, str):
        return (syntax.ANYTHING,)
    if "${" not in value and "%{" not in value:
        return (syntax.TEXT + value,)
    pairs = list(syntax.attributes(syntax.body(_parsed(value))))
    return syntax.parts(pairs[0][1]) if pairs else (syntax.ANYTHING,)


def _read_section(section: dict[str, Any], found: Found) -> None:
    for module in _labelled(section.get("module")).values():
        source = module.get("source")
        references.add_module(source, None, found)
        if isinstance(source, str):
            found.calls.append(
                Call(source, {name: _parts(value) for name, value in module.items() if name != "source"})
            )
    for block in _listed(section.get("locals")):
        found.locals.update({name: _parts(value) for name, value in block.items()})
    for name, variable in _labelled(section.get("variable")).items():
        sensitive = any(variable.get(flag) not in (None, False, "false") for flag in HIDES)
        found.variables.append(Variable(name, sensitive, "default" in variable, variable.get("default")))
    found.outputs.extend(_labelled(section.get("output")))
    for kinds in _listed(section.get("data")):
        for name, body in _labelled(kinds.get("terraform_remote_state")).items():
            _read_remote_state(name, body, section, found)
    for settings in _listed(section.get("terraform")):
        for backend, body in _labelled(settings.get("backend")).items():
            found.backend = backend
            found.backend_varies = any(references.VARIES.search(text) for text in _strings(body))
            _read_backend(body, found)
        for body in _listed(settings.get("cloud")):
            found.backend = "cloud"
            _read_backend(body, found)


def _read_backend(body: dict[str, Any], found: Found) -> None:
    """Note what a backend is set to, also in blocks within it."""
    pairs = list(body.items())
    for name, value in body.items():
        pairs += [(f"{name}.{key}", item) for inner in _listed(value) for key, item in inner.items()]
    plain = {key: value for key, value in pairs if not isinstance(value, dict | list)}
    found.backend_settings = {key: _parts(value) for key, value in plain.items()}
    found.backend_texts = {key: str(value) for key, value in plain.items()}


def _read_remote_state(name: str, body: dict[str, Any], section: dict[str, Any], found: Found) -> None:
    backend, config = body.get("backend"), body.get("config")
    if not isinstance(backend, str) or "${" in backend:
        return
    settings = {key: _parts(value) for key, value in config.items()} if isinstance(config, dict) else {}
    outputs = references.outputs_read(name, "\n".join(_strings(section)))
    found.remote_states.append(RemoteState(name, backend, settings, outputs))


def _listed(value: Any) -> list[dict[str, Any]]:
    """A mapping, or a list of such, as a list."""
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)]


def _labelled(value: Any) -> dict[str, dict[str, Any]]:
    """`{"a": {...}}`, or a list of such, as one mapping of mappings."""
    merged: dict[str, dict[str, Any]] = {}
    for item in _listed(value):
        for label, body in item.items():
            first = body[0] if isinstance(body, list) and body else body
            merged[label] = first if isinstance(first, dict) else {}
    return merged


def _strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value, however deep it is."""
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, str):
            yield current
        elif isinstance(current, dict):
            pending.extend(reversed(current.values()))
        elif isinstance(current, list):
            pending.extend(reversed(current))
