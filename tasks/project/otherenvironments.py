"""What the files of other environments say of a stack's backend: two environments must not keep one state."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from ..base.errors import ConfigError
from ..base.files import canonical_json
from ..base.layout import ENVIRONMENTS_DIR
from .config import yamlfile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .sources import Sources
    from .stack import Stack

# Settings of the engine's backends that make no other state: where locks are, how it is encrypted, other workspaces.
_INDIFFERENT = frozenset({
    "dynamodb_endpoint", "dynamodb_table", "encrypt", "kms_encryption_key", "kms_key_id", "labels", "lock_address",
    "lock_method", "retry_max", "tablestore_endpoint", "tablestore_table", "unlock_address", "unlock_method",
    "update_method", "use_lockfile", "workspace_dir", "workspace_key_prefix",
})  # fmt: skip


def deciding(settings: Mapping[str, Any]) -> str:
    """The settings of a backend that may decide which state it is, as text."""
    return canonical_json({name: value for name, value in settings.items() if name not in _INDIFFERENT}).decode()


class OtherEnvironments:
    """The environments besides the current one; their files are read once, if at all."""

    def __init__(self, project: Sources) -> None:
        self._project = project

    def sharing(self, stack: Stack) -> str | None:
        """An environment that keeps the state of a stack that the current one keeps; None if no file says so."""
        if stack.backend is None:
            return None
        own = deciding(stack.backend.settings)
        for environment, data in self._data.items():
            of_stack = _mapping(_mapping(data, "stacks"), stack.name)
            backend = _mapping(of_stack, "backend") or _mapping(data, "backend")
            text = deciding(_mapping(backend, "settings")).replace("{environment}", environment)
            same = backend.get("kind") == stack.backend.kind and text == own
            if same and of_stack.get("enabled") is not False:
                return environment
        return None

    @cached_property
    def _data(self) -> dict[str, dict[str, Any]]:
        """The configuration of each other environment, without those that cannot be read: their own runs say so."""
        loaded, home = self._project.loaded, self._project.home
        below: dict[str, Any] = {}
        for document in loaded.documents:
            if ENVIRONMENTS_DIR not in document.name:
                below = yamlfile.merge(below, document.data)
        found = {loaded.config.default_environment: below}
        for path in sorted((home / ENVIRONMENTS_DIR).glob("*.y*ml")):
            with suppress(ConfigError):
                document = yamlfile.load(path, path.relative_to(home).as_posix(), home)
                found[path.stem] = yamlfile.merge(below, document.data)
        found.pop(loaded.environment, None)
        return found


def _mapping(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}
