"""Placeholders in config strings: `${NAME}` from the environment, `{stack}` and the like from the run."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .problem import Where

_TOKEN = re.compile(
    r"\$(?P<escaped>\$)?\{(?P<variable>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}"
    r"|\{(?P<placeholder>[a-z_]+(?:\.[A-Za-z0-9_-]+)*)\}"
)
ORGANIZATION = "organization."
_WHOLE = re.compile(r"\{(organization(?:\.[A-Za-z0-9_-]+)+)\}")


def expand_environment(
    value: Any, *, key: str, where: Where | None = None, values: Mapping[str, Any] | None = None
) -> Any:
    """A config value with `${NAME}` and `${NAME:-default}` filled in, in every string within; `$${` is a plain `${`.

    `{environment}`, `{stack}` and `{organization.KEY}` are filled in where `values` has them; a string that is nothing
    but the last becomes that value, of whatever type. Other words in braces are text here.

    Args:
        value: A JSON value.
        values: What placeholders stand for: `environment`, `stack`, and the organization's by `organization.KEY`.
        key: Its key path, for errors.
        where: The place of the key, for errors.

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


def fill(text: str, values: Mapping[str, Any], *, key: str, where: Where | None = None) -> str:
    """A config string with `{stack}`-like placeholders and `${NAME}` filled in.

    Args:
        text: The string.
        values: What the placeholders stand for.
        key: Its key path, for errors.
        where: The place of the key, for errors.

    Raises:
        ConfigError: A placeholder has no value here, or an environment variable is not set.
    """
    return _substitute(text, values, key, where)


def placeholders(text: str) -> list[str]:
    """The names of the `{name}` placeholders in a text, in order."""
    return [match["placeholder"] for match in _TOKEN.finditer(text) if match["placeholder"]]


def variables(value: Any) -> set[str]:
    """The names of the environment variables in every string of a config value that are set: it depends on them."""
    if isinstance(value, dict):
        return set().union(*map(variables, value.values())) if value else set()
    if isinstance(value, list):
        return set().union(*map(variables, value)) if value else set()
    if not isinstance(value, str):
        return set()
    found = {match["variable"] for match in _TOKEN.finditer(value) if match["variable"] and not match["escaped"]}
    return {name for name in found if name in os.environ}


def _substitute(text: str, values: Mapping[str, Any], key: str, where: Where | None, *, lenient: bool = False) -> str:
    """Both kinds in one pass, so that what is filled in is never read as a placeholder itself.

    `lenient` leaves a name that has no value as it is, unless it is one of the organization's.
    """

    def replace(match: re.Match[str]) -> str:
        if name := match["placeholder"]:
            if name not in values and lenient and not name.startswith(ORGANIZATION):
                return match[0]
            if name not in values:
                message = f"there is no value for {{{name}}} here{nearest(name, list(values))}"
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
                next_step=f"set {match['variable']}, or give a default: ${{{match['variable']}:-value}}",
            )
        return found

    return _TOKEN.sub(replace, text)


def _text(value: Any, name: str, key: str, where: Where | None) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, dict | list):
        what = "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else "empty"
        message = f"{{{name}}} is {what}; lists and mappings may only be the whole value of a variable"
        raise ConfigError(message, key=key, where=where)
    return str(value)
