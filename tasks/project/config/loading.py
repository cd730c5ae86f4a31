"""Loads YAML files and `DEPLOY_*` variables into one validated Config, or reports errors with their places."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Unpack

from pydantic import ValidationError

from ...base.errors import ConfigError, ConfigErrors, nearest
from ...base.layout import ENVIRONMENTS_DIR, PIPELINE_FILE
from ...base.model import ENVIRONMENT_PATTERN
from ...base.problem import Shell, Where, doit
from ..model import Config
from . import explaining, tightening, yamlfile
from .yamlfile import dotted, merge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ...base.errors import Places
    from .upstream import Base, Resolve
    from .yamlfile import Document

LEDGER_VARIABLE = "DOIT_TOFU_LEDGER"  # `git` in the shipped pipelines: the ledger where the files do not say


class UnknownEnvironmentError(ConfigError):
    """The environment does not exist."""


@dataclass(frozen=True)
class Loaded:
    """A validated configuration for one environment, the places of its keys, and its upstream if it is an overlay."""

    config: Config
    environment: str
    documents: tuple[Document, ...]
    variables: Mapping[str, Any] = field(default_factory=dict)
    base: Base | None = None

    def where(self, *path: str | int) -> Where:
        """The place of a key, or of the nearest key above it, in the file or variable that set it last."""
        return explaining.place(path, self.documents, self.variables)

    def error(self, message: str, *path: str | int, **places: Unpack[Places]) -> ConfigError:
        """A config error with the place of a key."""
        places["where"], places["key"] = self.where(*path), dotted(path)
        return ConfigError(message, **places)


def load(root: Path, environment: str | None = None, resolve: Resolve | None = None) -> Loaded:
    """Read, merge and validate the configuration.

    Args:
        root: The repository's root.
        environment: The environment's name; by default `default_environment` of the pipeline file.
        resolve: Obtains the upstream of an overlay; without it the upstream is ignored.

    Raises:
        ConfigError: A file cannot be read, or the environment does not exist.
        ConfigErrors: All errors in keys and values.
        UpstreamError: The upstream of an overlay cannot be obtained at its pinned commit.
    """
    pipeline_path = root / PIPELINE_FILE
    _refuse_ignored(root, "", PIPELINE_FILE)
    if not pipeline_path.exists():
        raise ConfigError(
            "no configuration was found here",
            where=PIPELINE_FILE,
            next_step=f"create {PIPELINE_FILE}; `version: 1` is enough if the stacks are in stacks/",
        )
    pipeline = yamlfile.load(pipeline_path, PIPELINE_FILE, root)
    base = _base(root, pipeline, resolve)
    layers: list[tuple[Path, str, Document | None]] = [(root, "", pipeline)]
    if base is not None:
        path = base.folder / PIPELINE_FILE
        lower = yamlfile.load(path, explaining.UPSTREAM + PIPELINE_FILE, base.folder) if os.path.lexists(path) else None
        layers.insert(0, (base.folder, explaining.UPSTREAM, lower))
    data: dict[str, Any] = {}
    for _, _, document in layers:
        data = merge(data, document.data if document else {})
    default = data.get("default_environment")
    default = "local" if default is None else str(default)
    name = environment or os.environ.get("DEPLOY_DEFAULT_ENVIRONMENT") or default
    overrides = _environment_documents([(folder, prefix) for folder, prefix, _ in layers], name, default)
    pairs = [(document, found) for (_, _, document), found in zip(layers, overrides, strict=True)]
    documents = tuple(document for pair in pairs for document in pair if document is not None)
    merged: dict[str, Any] = {}
    for document in documents:
        if "upstream" in document.data and document is not pipeline:
            message = f"the upstream can only be set in the overlay's {PIPELINE_FILE}"
            where = Where(document.name, document.lines[("upstream",)])
            raise ConfigError(message, where=where, key="upstream")
        merged = merge(merged, document.data)
    if merged.get("ledger") is None and os.environ.get(LEDGER_VARIABLE) == "git":
        merged["ledger"] = {"kind": "git"}
    variables = _environment_variables(merged)
    written = _without_nulls(merged)
    config = _validate(merge(written, variables), documents, variables)
    if tightening.outdone(written, config):
        del variables["inputs"]  # it has no other key
        config = _validate(merge(written, variables), documents, variables)
    _refuse_looser(written, config, documents, variables)
    return Loaded(config, name, documents, variables, base)


def _refuse_looser(
    written: dict[str, Any], config: Config, documents: tuple[Document, ...], variables: Mapping[str, Any]
) -> None:
    errors = [
        ConfigError(
            f"{found.rule.refusal}; the files say: {found.said}",
            where=explaining.place(found.path, documents, variables),
            key=dotted(found.path),
            next_step="change it in the configuration, by a commit that is reviewed; or unset the variable",
        )
        for found in tightening.loosened(written, variables, config)
    ]
    if errors:
        raise ConfigErrors(errors)


def environments(root: Path) -> list[str]:
    """The environments that have a file in `config/environments/`, sorted."""
    return sorted(path.stem for path in (root / ENVIRONMENTS_DIR).glob("*.y*ml"))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of `config/pipeline.yaml`, for editors."""
    schema = Config.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _base(root: Path, pipeline: Document, resolve: Resolve | None) -> Base | None:
    """The upstream of this repository; without the key, the overlay modules are not even imported."""
    names = explaining.variable_names()
    if pipeline.data.get("upstream") is None and not any(name.startswith("DEPLOY_UPSTREAM") for name in names):
        return None
    variables = {key: value for key, value in _environment_variables({}).items() if key == "upstream"}
    written = {"version": 1, "upstream": pipeline.data.get("upstream")}
    config = _validate(merge(written, variables), (pipeline,), variables)
    settings = config.upstream
    if settings is None or resolve is None:
        return None
    _refuse_looser(written, config, (pipeline,), variables)
    return resolve(root, settings, explaining.place(("upstream",), (pipeline,), variables))


def _environment_documents(layers: list[tuple[Path, str]], name: str, default: str) -> list[Document | None]:
    """The environment's file in each layer (a folder and the prefix of its names in errors); one is enough."""
    known = sorted({found for folder, _ in layers for found in environments(folder)})
    found = [_environment_document(folder, prefix, name) if name in known else None for folder, prefix in layers]
    if any(found) or (name == default and name not in known):
        return found
    if not re.fullmatch(ENVIRONMENT_PATTERN, name):
        raise UnknownEnvironmentError(
            f"unknown environment '{name:.80}': not a valid name{nearest(name, {*known, default})}",
            where=f"{ENVIRONMENTS_DIR}/",
            next_step=("a name has only letters, digits, `_`, `.` and `-`: ", doit("...", environment="NAME")),
        )
    raise UnknownEnvironmentError(
        f"unknown environment '{name:.80}'{nearest(name, {*known, default})}",
        where=f"{ENVIRONMENTS_DIR}/{name:.80}.yaml",
        next_step=(
            f"create {ENVIRONMENTS_DIR}/{name:.80}.yaml (it may be empty), or choose another: ",
            doit("...", environment="NAME"),
        ),
    )


def _environment_document(folder: Path, prefix: str, name: str) -> Document | None:
    if not re.fullmatch(ENVIRONMENT_PATTERN, name):
        return None
    for suffix in ("yaml", "yml"):
        shown = f"{ENVIRONMENTS_DIR}/{name}.{suffix}"
        if os.path.lexists(folder / shown):
            _refuse_ignored(folder, prefix, shown)
            return yamlfile.load(folder / shown, prefix + shown, folder)
    return None


def _refuse_ignored(folder: Path, prefix: str, name: str) -> None:
    """Refuse a `.yml` beside the `.yaml` that is read: its keys would be ignored without a word.

    Raises:
        ConfigError: There is one.
    """
    other = name.removesuffix(".yaml") + ".yml"
    if not name.endswith(".yaml") or not os.path.lexists(folder / other):
        return
    if os.path.lexists(folder / name):
        message = f"{prefix}{name} and {prefix}{other} are both there, and only one can be read"
        raise ConfigError(message, where=prefix + other, next_step=f"move its keys to {name} and remove {other}")
    raise ConfigError(
        f"the configuration is read from {name}, not from {other}", where=prefix + other,
        next_step=("rename it: ", Shell(shlex.join(["git", "mv", other, name]))),
    )  # fmt: skip


def _environment_variables(data: dict[str, Any]) -> dict[str, Any]:
    """The values of the `DEPLOY_*` variables, in the shape of the configuration."""
    fields = {f"DEPLOY_{name.upper()}" for name in Config.model_fields}
    if not any(name.partition("__")[0] in fields for name in explaining.variable_names()):
        return {}  # others are no keys: DEPLOY_LEDGER_TOKEN, which every job has
    from .variables import Variables  # pydantic-settings takes a fifth of the time in which a run starts

    stacks = data.get("stacks")
    return Variables(list(stacks) if isinstance(stacks, dict) else [])()


def _validate(data: dict[str, Any], documents: tuple[Document, ...], variables: Mapping[str, Any]) -> Config:
    stray = [key for key in data if not isinstance(key, str)]
    if stray:
        where = explaining.place((str(stray[0]),), documents, variables)
        raise ConfigError(f"keys must be text, not {stray[0]!r:.80}", where=where)
    try:
        return Config(**data)
    except ValidationError as error:
        found = explaining.relevant([(explaining.path_of(detail, data), detail) for detail in error.errors()])
        raise ConfigErrors(
            [
                explaining.explain(path, detail, documents, variables, explaining.kind_of_check(path, data))
                for path, detail in found
            ]
        ) from None
    except (TypeError, RecursionError) as error:
        raise ConfigError(f"the configuration is malformed: {error}", where=documents[0].name) from None


def _without_nulls(data: dict[str, Any]) -> dict[str, Any]:
    """An empty `stacks:` or `network:` means the defaults, so an environment can undo a key."""
    kept = {key: value for key, value in data.items() if value is not None}
    if isinstance(kept.get("stacks"), dict):
        kept["stacks"] = {name: {} if stack is None else stack for name, stack in kept["stacks"].items()}
    return kept
