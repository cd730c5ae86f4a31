"""Encryption of plans and states by the engine: passes keys to it, and explains its refusals.

The engine takes its encryption settings from `TF_ENCRYPTION` (https://opentofu.org/docs/language/state/encryption/), so
that no stack needs a block for it. The settings contain no key: they name a command that prints one, as an external
key provider. The command is `cat` of an in-memory file (Linux), or `printenv` of a variable in the engine's environment
(elsewhere). Everything that the engine runs (providers, provisioners) can read the key, as it can read the state.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base import ci
from ..base.errors import ConfigError, ConfigErrors
from ..base.problem import doit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ..base.jsonvalue import JsonObject
    from ..base.problem import Steps
    from ..project.config.keyring import Key, Keyring
    from ..project.project import Project

VARIABLE = "TF_ENCRYPTION"
SINCE = (1, 10)  # OpenTofu 1.10.0 introduced the external key provider
REMOTE_STATE = "terraform_remote_state"
_CLEAR = "method.unencrypted.clear"
_REMOTE = "remote_state_data_sources"
_ALL = ("state", "plan", _REMOTE)
_TARGETS: dict[str, tuple[str, ...]] = {  # what each command uses; any other may use all
    "fmt": (), "validate": (), "version": (), "init": ("state",), "output": ("state",), "state": ("state",),
    "show": ("plan",),
}  # fmt: skip
_SIGNS = {  # the engine's messages, without line breaks
    "clear": re.compile("encountered unencrypted payload"),
    "encrypted": re.compile("file is encrypted and"),
    "another key": re.compile("decryption failed for all provided methods"),
}
_PACKAGE = str(__package__).rpartition(".")[0]  # `doit_tofu`, or `tasks` in its own repository
_DEPLOY = doit("deploy")


@dataclass(frozen=True)
class Handover:
    """What an engine process needs to encrypt and decrypt: environment variables and file descriptors."""

    environment: Mapping[str, str] = field(repr=False, default_factory=dict)
    descriptors: tuple[int, ...] = ()


class Encryption:
    """Passes the keys of a run to the engine; created once, when the first command needs it.

    Args:
        keyring: The keys.
    """

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self._lock = threading.Lock()
        self._commands: dict[str, list[str]] = {}
        self._carried = Handover()

    def handover(self, command: str, reads_states: Callable[[], bool] = lambda: True) -> Handover:
        """What the process of an engine command gets; nothing if no key is set or the command reads nothing.

        The engine asks for the key once per configured target and again per file that it reads, so a command is only
        configured for what it uses.

        Args:
            command: The command.
            reads_states: Tells whether the stack may read other states.
        """
        targets = _TARGETS.get(command, _ALL)
        if not targets or not self.keyring.is_set:
            return Handover()
        if _REMOTE in targets and not reads_states():
            targets = tuple(target for target in targets if target != _REMOTE)
        with self._lock:
            if not self._commands:
                self._carried = self._carry()
        text = settings_text(self.keyring, lambda key: self._commands[key.fingerprint], targets)
        return Handover({**self._carried.environment, VARIABLE: text}, self._carried.descriptors)

    def explain(self, said: str) -> tuple[str, Steps] | None:
        """What happened and what to do, if a command failed because a state or plan does not match the keys.

        Args:
            said: Everything that the engine printed.
        """
        text = " ".join(said.split())  # the engine may break lines anywhere
        found = next((kind for kind, sign in _SIGNS.items() if sign.search(text)), None)
        if found is None:
            return None
        key, settings = self.keyring.current, self.keyring.settings
        name, foreign = settings.key or "encryption.key", REMOTE_STATE in text
        state = f"a state that it reads by {REMOTE_STATE}" if foreign else "its state"
        if found == "clear":
            happened = f"{state} is not encrypted, but a key is set ({name})"
            other = "; if it belongs to another project: `encryption.remote_state: any`" if foreign else ""
            after = f" encrypts it{other}; if it was encrypted before, it has been replaced"
            step: Steps = ("if it was never encrypted: `encryption.migrate: true`, and the next ", _DEPLOY, after)
        elif key is None:
            happened = f"{state} is encrypted, but no key is set here"
            step = f"set {name} to the passphrase that it was encrypted with"
        elif found == "encrypted":
            happened = f"{state} is encrypted, but `encryption.state` is false"
            step = ("if it should be unencrypted: `encryption.migrate: true`, and the next ", _DEPLOY, " decrypts it")
        else:
            others = "".join(f" and {other.variable} ({other.fingerprint})" for other in self.keyring.all[1:])
            happened = f"{state} is encrypted with another key than {name} ({key.fingerprint}){others}"
            change = (
                f"set {name} to the passphrase that it was encrypted with; if that was changed, name a variable with"
                " the old one in `encryption.previous`, and the next "
            )
            step = (change, _DEPLOY, " encrypts with the new one")
        return happened, step

    def _carry(self) -> Handover:
        """Put each key where its command finds it."""
        environment: dict[str, str] = {}
        descriptors: list[int] = []
        for key in self.keyring.all:
            answer = provided(key)
            if hasattr(os, "memfd_create"):
                descriptor = os.memfd_create("key", 0)
                os.write(descriptor, answer.encode())
                descriptors.append(descriptor)
                self._commands[key.fingerprint] = ["cat", f"/dev/fd/{descriptor}"]
            else:
                variable = f"DOIT_TOFU_KEY_{key.fingerprint}"
                environment[variable] = answer
                self._commands[key.fingerprint] = ["printenv", variable]
        return Handover(environment, tuple(descriptors))


def provided(key: Key) -> str:
    """The output of an external key provider: a header line, then the keys and the metadata to store."""
    header = {"magic": "OpenTofu-External-Key-Provider", "version": 1}
    keys = {"encryption_key": key.encoded, "decryption_key": key.encoded}
    return f"{json.dumps(header)}\n{json.dumps({'keys': keys, 'meta': {'external_data': {}}})}\n"


def settings_text(keyring: Keyring, command: Callable[[Key], Sequence[str]], targets: Collection[str] = _ALL) -> str:
    """The value of `TF_ENCRYPTION`; it contains no key.

    Keys are named by their fingerprint: the engine stores the name with what it encrypts, and cannot tell two keys with
    the same name apart.

    Args:
        keyring: The keys; one is set.
        command: The command that prints a key.
        targets: What is to be encrypted and decrypted.
    """
    keys, settings = keyring.all, keyring.settings
    chain = [f"method.aes_gcm.{provider(key)}" for key in keys]
    state = [*chain, _CLEAR] if settings.migrate else chain
    if not settings.state:
        state = [_CLEAR, *chain] if settings.migrate else []
    remote = state if settings.remote_state == "encrypted" and settings.state else list(dict.fromkeys([*chain, _CLEAR]))
    methods: JsonObject = {
        "aes_gcm": {provider(key): {"keys": f"${{key_provider.external.{provider(key)}}}"} for key in keys}
    }
    if _CLEAR in (*state, *remote):  # the engine prints a warning wherever it is declared
        methods["unencrypted"] = {"clear": {}}
    body: JsonObject = {
        "key_provider": {"external": {provider(key): {"command": list(command(key))} for key in keys}},
        "method": methods,
        "plan": {"method": chain[0], "enforced": True},
        _REMOTE: {"default": _nested(remote)},
    }
    if state:
        body["state"] = {**_nested(state), "enforced": _CLEAR not in state}
    return json.dumps({name: part for name, part in body.items() if name not in _ALL or name in targets})


def require(project: Project, *, plans: bool) -> None:
    """Check, before anything starts, that the required keys are set.

    Args:
        project: The project.
        plans: Whether plans are made or applied.

    Raises:
        ConfigErrors: Everything that is missing or too short.
    """
    errors = list(project.keyring.problems())
    if plans and project.config.plan.require_encryption and not project.keyring.is_named:
        name = project.config.encryption.key
        message = "plans must be encrypted here, but no key is set"
        step = f"set {name} to a passphrase" if name else "set `encryption.key`"
        at = ("plan", "require_encryption")
        errors.append(
            project.loaded.error(message, *at, untouched="nothing was planned or applied", next_step=step)
        )  # fmt: skip
    if errors:
        raise ConfigErrors(errors)


def conflicts(project: Project) -> list[ConfigError]:
    """Errors for settings that cannot be combined with a key."""
    keyring, kind = project.keyring, project.config.engine.kind
    if not keyring.is_named:
        return []
    found = []
    if kind != "tofu":
        found.append(
            project.loaded.error(
                f"{kind} cannot encrypt, but a key is set in {keyring.variable}", "engine", "kind",
                next_step=f"set `engine.kind: tofu`, or unset {keyring.variable} and `encryption.key`",
            )
        )  # fmt: skip
    if os.environ.get(VARIABLE):
        found.append(
            project.loaded.error(
                f"{VARIABLE} and {keyring.variable} are both set; only one is allowed", "encryption", "key",
                next_step=f"unset {VARIABLE}; or set `encryption.key: null`, and the engine gets {VARIABLE} as it is",
            )
        )  # fmt: skip
    return found


def warning_in_ci() -> str | None:
    """A warning that plans are not encrypted, in a CI job; None elsewhere."""
    if ci.kind() == "none":
        return None
    return (
        "warning: the saved plans are not encrypted. A plan file contains every value in plain text, sensitive ones"
        " too, and everyone who can read this job's artifacts can read it.\n"
        "  next: set DEPLOY_ENCRYPTION_KEY, or `encryption.key`; `plan.require_encryption: true` enforces it"
    )


def provider(key: Key) -> str:
    """The name of a key's provider, which the engine stores with what it encrypts."""
    return f"key_{key.fingerprint}"


def _nested(chain: Sequence[str]) -> JsonObject:
    """Methods in order, each one the `fallback` of the one before."""
    return {"method": chain[0], **({"fallback": _nested(chain[1:])} if len(chain) > 1 else {})}


def by_hand(environment: str) -> str:
    """The prefix of a shell command line that passes the keys to an engine, from the repository's root."""
    python = "python" if shutil.which("python") == sys.executable else shlex.quote(sys.executable)
    return f'{VARIABLE}="$({python} -m {_PACKAGE}.keyprovider {shlex.quote(environment)})"'
