"""Placeholders in config strings: `${NAME}` from the environment, `{stack}` and the like from the run."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .jsonvalue import Json
    from .problem import Where

_TOKEN = re.compile(
    r"\$(?P<escaped>\$)?\{(?P<variable>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}"
    r"|\{(?P<placeholder>[a-z_]+(?:\.[A-Za-z0-9_-]+)*)\}"
)
ORGANIZATION = "organization."
_WHOLE = re.compile(r"\{(organization(?:\.[A-Za-z0-9_-]+)+)\}")


def expand_environment(
    value: Json, *, key: str, where: Where | None = None, values: Mapping[str, Json] | None = None
) -> Json:
    """A config value with `${NAME}` and `${NAME:-default}` filled in, in every string within; `$${` is a plain `${`.

    `{environment}`, `{stack}` and `{organization.KEY}` are filled in if `values` has them; a string that is only
    `{organization.KEY}` becomes that value, of whatever type. Other words in braces are plain text here.

    Args:
        value: A JSON value.
        values: The values of placeholders: `environment`, `stack`, and those of the organization as `organization.KEY`.
        key: Its key path, for errors.
        where: Where the key is defined, for errors.

    Raises:
        ConfigError: A variable is not set and has no default.
    """
    if isinstance(value, dict):
        return {
            name: expand_environment(item, key=f"{key}.{name}", where=where, values=values)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [
            expand_environment(item, key=f"{key}[{index}]", where=where, values=values)
            for index, item in enumerate(value)
        ]
    if not isinstance(value, str):
        return value
    whole = _WHOLE.fullmatch(value)
    if whole and values and whole[1] in values:
        return values[whole[1]]
    return _substitute(value, values or {}, key, where, lenient=True)


def fill(text: str, values: Mapping[str, Json], *, key: str, where: Where | None = None) -> str:
    """A config string with `{stack}`-like placeholders and `${NAME}` filled in.

    Args:
        text: The string.
        values: The values of the placeholders.
        key: Its key path, for errors.
        where: Where the key is defined, for errors.

    Raises:
        ConfigError: A placeholder has no value here, or an environment variable is not set.
    """
    return _substitute(text, values, key, where)


def placeholders(text: str) -> list[str]:
    """The names of the `{name}` placeholders in a text, in order."""
    return [match["placeholder"] for match in _TOKEN.finditer(text) if match["placeholder"]]


def variables(value: Any) -> set[str]:
    """The set environment variables that a config value refers to, in any string within: it depends on them."""
    if isinstance(value, dict):
        return set().union(*map(variables, value.values())) if value else set()
    if isinstance(value, list):
        return set().union(*map(variables, value)) if value else set()
    if not isinstance(value, str):
        return set()
    found = {match["variable"] for match in _TOKEN.finditer(value) if match["variable"] and not match["escaped"]}
    return {name for name in found if name in os.environ}


def unset(text: str) -> list[str]:
    """The variables that a text refers to and that have no value: not set, and no default is written."""
    found = (match for match in _TOKEN.finditer(text) if match["variable"] and not match["escaped"])
    return [match["variable"] for match in found if match["default"] is None and match["variable"] not in os.environ]


def _substitute(text: str, values: Mapping[str, Json], key: str, where: Where | None, *, lenient: bool = False) -> str:
    """Fill in both kinds in one pass, so that a filled-in value is never read as a placeholder itself.

    With `lenient`, a name without a value is left as it is, unless it starts with `organization.`.
    """

    def replace(match: re.Match[str]) -> str:
        if name := match["placeholder"]:
            if name not in values and lenient and not name.startswith(ORGANIZATION):
                return match[0]
            if name not in values:
                message = f"{{{name}}} has no value here{nearest(name, list(values))}"
                raise ConfigError(message, key=key, where=where)
            return _text(values[name], name, key, where)
        if match["escaped"]:
            return match[0][1:]
        found = os.environ.get(match["variable"], match["default"])
        if found is None:
            raise ConfigError(
                f"the environment variable {match['variable']} is not set",
                key=key,
                where=where,
                next_step=f"set {match['variable']}, or add a default: ${{{match['variable']}:-value}}",
            )
        return found

    return _TOKEN.sub(replace, text)


def _text(value: Json, name: str, key: str, where: Where | None) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, dict | list):
        what = "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else "empty"
        message = f"{{{name}}} is {what}; lists and mappings may only be the whole value of a variable"
        raise ConfigError(message, key=key, where=where)
    return str(value)
