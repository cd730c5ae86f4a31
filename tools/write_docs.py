"""Writes what is generated from types: `docs/configuration.md` and both schemas.

They come from `tasks/project/model/` and `tasks/run/documents.py` and `tasks/run/documentparts.py`.
"""

from __future__ import annotations

import json
import re
import sys
import types
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

ROOT = Path(__file__).parent.parent
if __package__ in (None, ""):  # run as a script: the package stands beside its folder
    sys.path.insert(0, str(ROOT))

from pydantic import BaseModel, StringConstraints  # noqa: E402 - only now can `tasks` be found
from pydantic_core import PydanticUndefined  # noqa: E402

from tasks.base import layout  # noqa: E402
from tasks.checks import registry  # noqa: E402
from tasks.checks.check import Check  # noqa: E402
from tasks.project import model  # noqa: E402
from tasks.project.config import loading, tightening  # noqa: E402
from tasks.run import documents  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOUN = re.compile(
    r"^(whole number|number|mapping|list|environment variable|[a-z]+ name)\b"
)  # that a list has several of
CONFIGURATION = "docs/configuration.md"
DOCUMENTS = "docs/json.schema.json"
EXAMPLE = """\
version: 1
default_environment: dev
engine: {kind: tofu, version: "~> 1.12.0"}
backend: {kind: pg, settings: {schema_name: "{stack}_{environment}"}}  # PG_CONN_STR comes from the environment
stacks:
  network: {}                                  # the folder stacks/network, as it is
  runners:
    inputs: {subnet_id: network.subnet_id}     # an output of `network` becomes a variable of `runners`
    mocks: {subnet_id: subnet-mock}            # for a review before `network` exists; never applied
    variables: {size: 3}
    var_files:
      - "{environment}.tfvars"
      - {path: local.tfvars, optional: true}
    watch: ["../../shared/**/*.json"]
    verify:
      - {kind: http, url: "{outputs.url}/healthz", contains: "{outputs.version}", timeout: 120}
plan: {max_age: 24}
drift: {undeployed: report}
"""

_HEAD = f"""\
# Configuration

<!-- Written by `python tools/write_docs.py` from `tasks/project/model/`. Change it there. -->

What doit-tofu reads, the later over the earlier:

1. `{layout.PIPELINE_FILE}`. Only `version` is required.
2. `{layout.ENVIRONMENTS_DIR}/<environment>.yaml`, with the same keys. It may be empty, but it must exist for every
   environment other than the default one. In an overlay the upstream's file comes before the overlay's own, in 1 and 2.
3. Environment variables: `DEPLOY_` and the key path, with `__` between its parts. `DEPLOY_ENGINE__LOCK_TIMEOUT=300`
   sets `engine.lock_timeout`. Lists and mappings are given as JSON. A stack named `web-app` is `WEB_APP` there.
   `DEPLOY_VERSION` is not read: many pipelines use that name for their own release.

Mappings are merged key by key. Lists and plain values replace what was there before. A top-level key or a stack with
nothing behind it means the default. An unknown key is an error, and so is a key that stands twice. Errors name the
file, the line and the nearest key that exists.

For completion in an editor, put this line first:

```yaml
# yaml-language-server: $schema=pipeline.schema.json
```

## Example

```yaml
{EXAMPLE}```

## What is filled in

| written | becomes | where |
| --- | --- | --- |
| `{{stack}}` | the stack's name | `backend.settings`, `var_files`, `verify`, `hooks[].command` |
| `{{environment}}` | the environment's name | the same, and `deploy.tag` |
| `{{root}}` | the way from where it is used to the repository's root | as `{{stack}}` |
| `{{path}}`, `{{stage}}` | the stack's folder, the stage | `hooks[].command` |
| `{{outputs.NAME}}` | an output of the stack as of its last apply; not a sensitive one | `verify` |
| `{{organization.KEY}}` | a value of the organization's file | as `{{stack}}`, and `variables` |
| `${{NAME}}` | an environment variable; an error when it is not set | all of the above, and `upstream.git` |
| `${{NAME:-text}}` | the same, or the text when it is not set | as `${{NAME}}` |
| `$${{` | a plain `${{` | as `${{NAME}}` |

"""
_VARIABLES = """\
## What variables may change

Anyone who can start a pipeline may be able to set its variables, and they were not reviewed. So a `DEPLOY_*` variable
tightens what the files say, and never loosens it. A looser one is an error before anything else is done. What holds for
a key holds for all keys below it that are not named themselves.

| a variable may | keys |
| --- | --- |
"""


def configuration() -> str:
    """`docs/configuration.md`: a section per part of the configuration, a row per key."""
    parts = [_HEAD, _VARIABLES + _variables()]
    for path, part in sections(model.Config, ()):
        title = _code(_dotted(path)) if path else "Top level"
        title += f" of kind {_code(get_args(_hints(part)['kind'])[0])}" if issubclass(part, Check) else ""
        rows = [_row((*path, field.alias or name), part, name) for name, field in part.model_fields.items()]
        table = "\n".join(["| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows])
        parts.append(f"## {title}\n\n{' '.join((part.__doc__ or '').split())}\n\n{table}\n\n")
    names = [f"| {_words(name)} | {_code(pattern)} |" for name, pattern in _named_patterns()]
    parts.append("\n".join(["## Names", "", "| type | must match |", "| --- | --- |", *names, ""]))
    return "".join(parts)


def schema() -> str:
    """`config/pipeline.schema.json`."""
    return json.dumps(loading.json_schema(), indent=2) + "\n"


def documents_schema() -> str:
    """`docs/json.schema.json`."""
    return json.dumps(documents.schema(), indent=2) + "\n"


def sections(part: type[BaseModel], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """A model with its key path, then those below it, in the order of the fields."""
    yield path, part
    for name, hint in _hints(part).items():
        for below, inner in _models(hint):
            yield from sections(inner, (*path, part.model_fields[name].alias or name, *below))


def _hints(part: type[BaseModel]) -> dict[str, Any]:
    hints = get_type_hints(part, include_extras=True)
    return {name: hints[name] for name in part.model_fields}


def _models(hint: Any) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """The models within a type, each with the parts of the key path that lead into it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield (), hint
    elif origin is Annotated and any(isinstance(mark, registry.OfItsKind) for mark in arguments):
        yield from (((), kind) for kind in registry.built_in())
    elif origin is Annotated:
        yield from _models(arguments[0])
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _models(argument)
    elif origin is list:
        for below, inner in _models(arguments[0]):
            yield ("[]", *below), inner
    elif origin is dict:
        for below, inner in _models(arguments[1]):
            yield ("<name>", *below), inner


def _row(path: tuple[str, ...], part: type[BaseModel], name: str) -> str:
    field = part.model_fields[name]
    cells = [
        _code(_dotted(path)),
        _type(_hints(part)[name], field.metadata),
        _default(field),
        field.description or "The kind of check.",
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(hint: Any, metadata: list[Any]) -> str:
    """A type in words; limits and patterns stand beside it."""
    origin, arguments = get_origin(hint), get_args(hint)
    alias = next((name for name, value in _aliases() if value == hint), None)
    if alias and _pattern(hint):
        return _words(alias)
    if origin is Annotated and any(isinstance(mark, registry.OfItsKind) for mark in arguments):
        return "mapping, see below"
    if origin is Annotated:
        return _type(arguments[0], list(hint.__metadata__))
    if origin is Literal:
        return " or ".join(_code(json.dumps(item) if not isinstance(item, str) else item) for item in arguments)
    if origin in (Union, types.UnionType):
        named = dict.fromkeys(_type(item, []) + _limits(metadata) for item in arguments if item is not type(None))
        return " or ".join(name for name in named if name != "whole number" or "number" not in named)
    if origin is list:
        inner = _type(arguments[0], [])
        return "list" if inner == "any value" else "list of " + _NOUN.sub(r"\1s", inner)
    if origin is dict:
        key, value = (_type(argument, []) for argument in arguments)
        head = "mapping" if key == "text" else f"mapping of {key}"
        return head if (head, value) == ("mapping", "any value") else f"{head} to {value}"
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return "mapping, see below"
    words = {
        str: "text",
        int: "whole number",
        float: "number",
        Decimal: "number",
        bool: "true or false",
        date: "date",
        Any: "any value",
    }[hint]
    return words + _limits(metadata)


def _limits(metadata: list[Any]) -> str:
    flat = [item for entry in metadata for item in (getattr(entry, "metadata", None) or [entry])]
    found = {
        sign: getattr(item, name)
        for item in flat
        for name, sign in (("gt", "above"), ("ge", "from"), ("lt", "below"), ("le", "to"))
        if getattr(item, name, None) is not None
    }
    text = "".join(f" {sign} {value:g}" for sign, value in found.items())
    patterns = [item.pattern for item in flat if isinstance(item, StringConstraints) and item.pattern]
    return text + "".join(f" that matches {_code(str(pattern))}" for pattern in patterns)


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        made = field.default_factory()
        return "see below" if isinstance(made, BaseModel) else _code(json.dumps(made))
    assert field.default is not PydanticUndefined  # noqa: S101 - neither required nor without a value
    return "none" if field.default is None else _code(json.dumps(field.default).strip('"'))


def _aliases() -> list[tuple[str, Any]]:
    return [(name, value) for name, value in vars(model).items() if get_origin(value) is Annotated]


def _variables() -> str:
    """What variables may change, a row per rule."""
    rows: dict[str, list[str]] = {}
    for key, rule in tightening.RULES.items():
        rows.setdefault(rule.may, []).append(_code(key))
    return "".join(f"| {may} | {', '.join(keys)} |\n" for may, keys in rows.items()) + "\n"


def _named_patterns() -> list[tuple[str, str]]:
    return [(name, pattern) for name, value in _aliases() if (pattern := _pattern(value))]


def _pattern(hint: Any) -> str | None:
    found = (item.pattern for item in getattr(hint, "__metadata__", ()) if isinstance(item, StringConstraints))
    return next((str(pattern) for pattern in found if pattern), None)


def _words(name: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(path).replace(".[]", "[]")


def _code(text: str) -> str:
    return f"`{text}`"


def main() -> None:
    """Write all files."""
    (ROOT / CONFIGURATION).write_text(configuration())
    (ROOT / layout.SCHEMA_FILE).write_text(schema())
    (ROOT / DOCUMENTS).write_text(documents_schema())


if __name__ == "__main__":
    main()
