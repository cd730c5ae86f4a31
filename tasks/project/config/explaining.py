"""Explains pydantic's errors with their places: the file and line, or the environment variable, and the nearest key."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from ...base import urls
from ...base.errors import ConfigError, nearest
from ...base.problem import Where
from ..model import Config
from .yamlfile import dotted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

    from .yamlfile import Document, KeyPath

UPSTREAM = "upstream:"  # prefix of an upstream file in errors
_CHECK_DEPTH = 4  # `stacks`, its name, `verify`, the position


def relevant(errors: list[tuple[KeyPath, ErrorDetails]]) -> list[tuple[KeyPath, ErrorDetails]]:
    """One error per place, but none for a place that contains another error.

    If a value may have two shapes (`var_files` takes text or mappings), pydantic reports one error per shape: the one
    about a key inside says more than that the whole does not fit the other shape.
    """
    within = {path[:length] for path, _ in errors for length in range(len(path))}
    kept: dict[KeyPath, ErrorDetails] = {}
    for path, detail in errors:
        if path not in within:
            kept.setdefault(path, detail)
    return list(kept.items())


def path_of(detail: ErrorDetails, data: Any) -> KeyPath:
    """The key path of an error, without the union members and key markers that pydantic adds."""
    path: list[str | int] = []
    for position, part in enumerate(detail["loc"]):
        if isinstance(data, dict) and part in data:
            path.append(str(part))
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            path.append(part)
            data = data[part]
        elif detail["type"] == "missing" and position == len(detail["loc"]) - 1:
            path.append(part)
    return tuple(path)


def explain(
    path: KeyPath, detail: ErrorDetails, documents: tuple[Document, ...], variables: Mapping[str, Any], kind: str | None
) -> ConfigError:
    """The error at a place; `kind` is the kind of the check that it is in."""
    variable = _variable_of(path, documents, variables)
    value = detail.get("input")
    if detail["type"] == "extra_forbidden":
        siblings = _known_keys(path[:-1], kind)
        message = f"unknown key '{path[-1]}'{nearest(str(path[-1]), siblings)}"
    elif detail["type"] == "missing":
        message = "this key is required"
    elif detail["type"] in ("secret_value", "check_kind"):
        message = detail["msg"]
    elif detail["type"] == "string_pattern_mismatch":
        found = "this value" if variable else _shown(value)
        message = f"{found} is not a valid name or reference; it must match {detail['ctx']['pattern']}"
    else:
        message = _message(detail)
        if variable is None:  # the value of a variable may be a secret
            message += f"; found {_shown(value)}"
        if detail["type"] == "literal_error" and isinstance(value, str):
            expected = str(detail.get("ctx", {}).get("expected", ""))
            known = re.findall(r"'([^']+)'", expected)
            message += nearest(value, known)
            if not known and variable is None and value in re.split(r", | or ", expected):  # a number as text
                message += f"; write it without quotes: `{path[-1]}: {value}`"
        if detail["type"] == "list_type" and isinstance(value, str) and variable is None and path:
            message += f"; write it in brackets: `{path[-1]}: [{urls.scrub(f'{value:.80}')}]`"
    return ConfigError(message, where=place(path, documents, variables), key=dotted(path) or None)


def _message(detail: ErrorDetails) -> str:
    """What pydantic says, without the names of our classes."""
    if detail["type"].startswith("date_"):
        return "input should be a day such as 2027-01-31"
    if detail["type"] in ("model_type", "dataclass_type"):
        return "input should be a mapping"
    message = detail["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _shown(value: Any) -> str:
    return (
        "a mapping"
        if isinstance(value, dict)
        else "a list"
        if isinstance(value, list)
        else urls.scrub(f"{value!r:.80}")
    )


def kind_of_check(path: KeyPath, data: Any) -> str | None:
    """The kind of the check that a place is in."""
    if len(path) < _CHECK_DEPTH or path[0] != "stacks" or path[2] != "verify":
        return None
    try:
        return str(data["stacks"][path[1]]["verify"][path[3]]["kind"])
    except (LookupError, TypeError):
        return None


def _known_keys(path: KeyPath, kind: str | None) -> list[str]:
    """The keys allowed at a place, according to the schema, or within a check to the model of its kind."""
    if kind is None:
        schema = Config.model_json_schema()
    else:
        from ...checks import registry

        schema, path = registry.find(kind).model_json_schema(), path[_CHECK_DEPTH:]
    definitions = schema.get("$defs", {})
    node: Any = schema
    for part in path:
        node = _resolve(node, definitions)
        if isinstance(part, int):
            node = node.get("items", {})
        elif part in node.get("properties", {}):
            node = node["properties"][part]
        else:
            patterns = list(node.get("patternProperties", {}).values())
            node = patterns[0] if patterns else node.get("additionalProperties") or {}
            node = node if isinstance(node, dict) else {}
    node = node if "properties" in node else _resolve(node, definitions)
    return list(node.get("properties", {}))


def _resolve(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    for option in [node, *node.get("anyOf", []), *node.get("allOf", []), *node.get("oneOf", [])]:
        if "$ref" in option:
            found: dict[str, Any] = definitions[option["$ref"].rsplit("/", 1)[1]]
            return found
    return next((option for option in node.get("anyOf", []) if "properties" in option or "items" in option), node)


def variable_names() -> set[str]:
    """The names of all environment variables, in upper case."""
    return {name.upper() for name in os.environ}


def _variable_of(path: KeyPath, documents: tuple[Document, ...], variables: Mapping[str, Any]) -> str | None:
    """The environment variable that set a key or a part of it; None if a file did."""
    node: Any = variables
    for length, part in enumerate(path):
        if not isinstance(node, dict):
            break  # the variable set everything here
        if part not in node:
            if not node or any(path[:length] in document.lines for document in documents):
                return None
            break  # the key is missing in a part that only variables set
        node = node[part]
    names = variable_names()
    for length in range(len(path), 0, -1):
        name = "DEPLOY_" + "__".join(re.sub(r"[^A-Z0-9]", "_", str(part).upper()) for part in path[:length])
        if name in names:
            return name
        if inner := sorted(found for found in names if found.startswith(f"{name}__")):
            return inner[0]
    return None


def place(path: KeyPath, documents: tuple[Document, ...], variables: Mapping[str, Any]) -> Where:
    """The place of a key: the variable that set it, else the file and line of the key or the nearest key above it."""
    if variable := _variable_of(path, documents, variables):
        return Where(f"environment variable {variable}")
    first = next((document for document in documents if not document.name.startswith(UPSTREAM)), documents[0])
    for length in range(len(path), -1, -1):
        for document in reversed(documents):
            if (length or document is first) and path[:length] in document.lines:
                return Where(document.name, document.lines[path[:length]])
    return Where(first.name)
