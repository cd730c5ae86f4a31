"""Placeholders in config strings: `${NAME}` from the environment, `{stack}` and the like from the run."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = re.compile(
    r"\$(?P<escaped>\$)?\{(?P<variable>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}"
    r"|\{(?P<placeholder>[a-z_]+(?:\.[A-Za-z0-9_-]+)?)\}"
)


def expand_environment(value: Any, *, key: str, where: str | None = None) -> Any:
    """A config value with `${NAME}` and `${NAME:-default}` filled in, in every string within; `$${` is a plain `${`.

    Args:
        value: A JSON value.
        key: Its key path, for errors.
        where: The place of the key, for errors.

    Raises:
        ConfigError: A variable is not set and has no default.
    """
    if isinstance(value, dict):
        return {name: expand_environment(item, key=f"{key}.{name}", where=where) for name, item in value.items()}
    if isinstance(value, list):
        return [expand_environment(item, key=f"{key}[{index}]", where=where) for index, item in enumerate(value)]
    return _substitute(value, None, key, where) if isinstance(value, str) else value


def fill(text: str, values: Mapping[str, str], *, key: str, where: str | None = None) -> str:
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


def _substitute(text: str, values: Mapping[str, str] | None, key: str, where: str | None) -> str:
    """Both kinds in one pass, so that what is filled in is never read as a placeholder itself."""

    def replace(match: re.Match[str]) -> str:
        if name := match["placeholder"]:
            if values is None:
                return match[0]
            if name not in values:
                message = f"there is no value for {{{name}}} here{nearest(name, list(values))}"
                raise ConfigError(message, key=key, where=where)
            return values[name]
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
