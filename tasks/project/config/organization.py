"""The organization file: the user's own YAML and JSON Schema, usable as `{organization.KEY}`."""

from __future__ import annotations

import datetime as dt
import json
import posixpath
from typing import TYPE_CHECKING, Any

from ...base import interpolate, jsontext, plain
from ...base.errors import ConfigError, ConfigErrors
from ...base.files import LARGEST_RECORD, parse_json
from ...base.problem import Where
from . import yamlfile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .loading import Loaded
    from .yamlfile import Document, KeyPath


def load(root: Path, loaded: Loaded) -> dict[str, Any]:
    """Every value of the organization file, keyed by `organization.KEY`; mappings and lists also as a whole.

    Args:
        root: The folder that paths in the configuration are relative to.
        loaded: The configuration.

    Raises:
        ConfigError: A file is missing, outside of the repository or unreadable, or jsonschema is not installed.
        ConfigErrors: Everything that does not fit the schema, each with its line and key.
    """
    settings = loaded.config.organization
    if settings is None:
        return {}
    name, path = _file(root, loaded, settings.file, "file")
    document = yamlfile.load(path, name, root)
    data = _plain(document.data)
    if settings.schema_file is not None:
        schema_name, schema_path = _file(root, loaded, settings.schema_file, "schema")
        _check(document, data, _schema(schema_path, schema_name), schema_name)
    return dict(_flat(interpolate.ORGANIZATION.rstrip("."), data))


def _file(root: Path, loaded: Loaded, text: str, key: str) -> tuple[str, Path]:
    name = posixpath.normpath(text)
    path = root / name
    if name.startswith(("/", "..")) or not path.resolve().is_relative_to(root.resolve()):
        raise loaded.error(f"{text} is not inside the repository", "organization", key)
    if not path.is_file():
        raise loaded.error(f"the file {name} does not exist", "organization", key)
    return name, path


def _schema(path: Path, name: str) -> Any:
    if not name.endswith(".json"):
        return yamlfile.load(path, name).data
    try:
        return parse_json(plain.read(path, LARGEST_RECORD))
    except json.JSONDecodeError as error:
        raise ConfigError(f"not valid JSON: {error.msg}", where=Where(name, error.lineno)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read {name}: {error}", where=name) from error


def _check(document: Document, data: Any, schema: Any, name: str) -> None:
    try:
        import jsonschema
        import referencing
    except ImportError as error:
        raise ConfigError(
            f"validating the organization file needs a library that is not installed: {error.name}",
            where=document.name,
            key="organization.schema",
            untouched="nothing was planned or applied",
            next_step="pip install 'doit-tofu[organization]'",
        ) from error
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
        # An empty registry: a `$ref` to another document is an error, not a request.
        validator = kind(schema, registry=referencing.Registry(), format_checker=kind.FORMAT_CHECKER)
        rounded = json.loads(jsontext.dumps(data))  # the library computes with floats alone
        found = sorted(validator.iter_errors(rounded), key=lambda error: [str(part) for part in error.absolute_path])
    except jsonschema.SchemaError as error:
        raise ConfigError(f"invalid JSON Schema: {error.message:.300}", where=name, key=error.json_path) from None
    except (referencing.exceptions.Unresolvable, RecursionError) as error:
        raise ConfigError(f"cannot resolve a `$ref`: {error}", where=name) from None
    errors = []
    for problem in found:
        keys: KeyPath = tuple(problem.absolute_path)
        line = next((document.lines[keys[:end]] for end in range(len(keys), -1, -1) if keys[:end] in document.lines), 1)
        key = ".".join(str(part) for part in keys) or None
        errors.append(ConfigError(f"{problem.message:.300}", where=Where(document.name, line), key=key))
    if errors:
        raise ConfigErrors(errors)


def _plain(value: Any) -> Any:
    """YAML in JSON's terms: keys and dates become text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield f"{name}.{key}", item
        yield from _flat(f"{name}.{key}", item)
