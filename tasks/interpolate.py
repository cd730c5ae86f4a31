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


def expand_environment(value: Any, *, key: str) -> Any:
    """A config value with `${NAME}` and `${NAME:-default}` filled in, in every string within; `$${` is a plain `${`.

    Raises:
        ConfigError: A variable is not set and has no default.
    """
    if isinstance(value, dict):
        return {name: expand_environment(item, key=f"{key}.{name}") for name, item in value.items()}
    if isinstance(value, list):
        return [expand_environment(item, key=f"{key}[{index}]") for index, item in enumerate(value)]
    return _substitute(value, None, key) if isinstance(value, str) else value


def fill(text: str, values: Mapping[str, str], *, key: str) -> str:
    """A config string with `{stack}`-like placeholders and `${NAME}` filled in.

    Raises:
        ConfigError: A placeholder has no value here.
    """
    return _substitute(text, values, key)


def placeholders(text: str) -> list[str]:
    """The names of the `{name}` placeholders in a text, in order."""
    return [match["placeholder"] for match in _TOKEN.finditer(text) if match["placeholder"]]


def _substitute(text: str, values: Mapping[str, str] | None, key: str) -> str:
    """Both kinds in one pass, so that what is filled in is never read as a placeholder itself."""

    def replace(match: re.Match[str]) -> str:
        if name := match["placeholder"]:
            if values is None:
                return match[0]
            if name not in values:
                raise ConfigError(f"there is no value for {{{name}}} here{nearest(name, list(values))}", key=key)
            return values[name]
        if match["escaped"]:
            return match[0][1:]
        found = os.environ.get(match["variable"], match["default"])
        if found is None:
            raise ConfigError(
                f"the environment variable {match['variable']} is not set",
                key=key,
                next_step=f"set {match['variable']}, or give a default: ${{{match['variable']}:-value}}",
            )
        return found

    return _TOKEN.sub(replace, text)
