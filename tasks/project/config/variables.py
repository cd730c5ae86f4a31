"""Reads the `DEPLOY_*` environment variables as a part of the configuration."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from pydantic_settings import EnvSettingsSource

from ...base import jsontext
from ...base.errors import ConfigError
from ..model import Config

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


class Variables(EnvSettingsSource):
    """`DEPLOY_STACKS__WEB_APP__...` also reaches a stack called `web-app` or `Web.App`: variables have no dashes."""

    def __init__(self, stacks: list[Any]) -> None:
        config: Any = Config  # a plain model: only its fields and their types matter here
        super().__init__(config, env_prefix="DEPLOY_", env_nested_delimiter="__")
        self._stacks = {re.sub(r"[^a-z0-9]", "_", str(name).lower()): name for name in stacks}

    def __call__(self) -> dict[str, Any]:
        """The values, in the shape of the configuration."""
        values = super().__call__()
        if isinstance(values.get("stacks"), dict):
            values["stacks"] = {self._stacks.get(name, name): value for name, value in values["stacks"].items()}
        return values

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ARG002
        """A value that is given as JSON."""
        return jsontext.loads(value)

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        """A value of a key; None leaves it out.

        Raises:
            ConfigError: It is not JSON, and has to be.
        """
        if field_name == "version":  # many pipelines use DEPLOY_VERSION for their own release
            return None
        try:
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        except (ValueError, RecursionError) as error:
            prefix = f"DEPLOY_{field_name.upper()}"
            names = [
                name for name in sorted({name.upper() for name in os.environ}) if f"{name}__".startswith(f"{prefix}__")
            ]
            where = f"environment variable {' or '.join(names)}"
            raise ConfigError(f"expected JSON: {error}", where=where, key=field_name) from None
