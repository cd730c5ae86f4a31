"""Backends of the engine: which settings name a state, which name its server or account; the identity of a state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


KNOWN, UNKNOWN = "=", "?"  # how a value begins: known, or an expression that only the engine evaluates


@dataclass(frozen=True)
class StateKind:
    """The settings that distinguish the states of a backend.

    `names` are the settings that name a state, with the engine's default, or None if they are required. `place` are
    those that name the server or account; they may come from the environment. `variables` are the environment variables
    that
    the engine reads for missing settings. `own` is the setting that should contain the stack's name. `joined` are the
    names that the engine joins into one path. `beside` is how the names end of what the engine writes beside a state.
    """

    names: Mapping[str, str | None]
    own: str
    place: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    joined: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class StateId:
    """The identity of a state: the kind of its backend, the values that name it, and its server or account.

    A value begins with `=`, or with `?` if it is an expression whose value is not known: then it has the known
    beginning, and the expression with what is known about the values in it.
    """

    kind: str
    names: tuple[str, ...]
    place: tuple[str | None, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """Equal for two states with the same name."""
        return (self.kind, *self.names)

    @property
    def beside(self) -> list[tuple[str, ...]]:
        """The keys of what the engine writes beside it: its backup, its lock."""
        if not self.certain or self.kind not in KINDS:
            return []
        return [(self.kind, *self.names[:-1], self.names[-1] + end) for end in KINDS[self.kind].beside]

    @property
    def file(self) -> str | None:
        """The file that it is, if it is one whose path is known; every link in the path is resolved."""
        known = self.kind == "local" and self.names[0].startswith(KNOWN)
        return self.names[0].removeprefix(KNOWN) if known else None

    @property
    def certain(self) -> bool:
        """Whether every value that names it is known."""
        return all(value.startswith(KNOWN) for value in self.names)

    def same(self, other: StateId) -> bool:
        """Whether both are the same state, as far as is known.

        A place that only one of them names is not a difference: the other may get it from environment variables.
        """
        return self.key == other.key and self.at_one_place(other)

    def at_one_place(self, other: StateId) -> bool:
        """Whether both are in one server or account, as far as is known."""
        pairs = zip(self.place, other.place, strict=False)
        return all(None in pair or pair[0] == pair[1] for pair in pairs)


# https://opentofu.org/docs/language/settings/backends/configuration/ and the pages of each backend below it
_REMOTE = StateKind(
    {"organization": None, "workspaces.name": None}, "workspaces", ("hostname",),
    {"organization": "TF_CLOUD_ORGANIZATION", "hostname": "TF_CLOUD_HOSTNAME"},
)  # fmt: skip
KINDS: dict[str, StateKind] = {
    "local": StateKind({"path": "terraform.tfstate"}, "path", beside=(".backup",)),
    "http": StateKind({"address": None}, "address", variables={"address": "TF_HTTP_ADDRESS"}),
    "pg": StateKind(
        {"schema_name": "terraform_remote_state", "table_name": "states"}, "schema_name", ("conn_str",),
        {"schema_name": "PG_SCHEMA_NAME", "table_name": "PG_TABLE_NAME", "conn_str": "PG_CONN_STR"},
    ),
    "s3": StateKind(
        {"bucket": None, "key": None}, "key", ("endpoints.s3", "endpoint"),
        {"endpoints.s3": "AWS_ENDPOINT_URL_S3", "endpoint": "AWS_S3_ENDPOINT"}, beside=(".tflock",),
    ),
    "gcs": StateKind({"bucket": None, "prefix": ""}, "prefix"),
    "azurerm": StateKind({"storage_account_name": "", "container_name": None, "key": None}, "key"),
    "consul": StateKind({"path": None}, "path", ("address", "datacenter"), {"address": "CONSUL_HTTP_ADDR"}),
    "kubernetes": StateKind(
        {"secret_suffix": None, "namespace": "default"}, "secret_suffix", ("config_path", "config_context", "host"),
        {"namespace": "KUBE_NAMESPACE", "config_path": "KUBE_CONFIG_PATH", "config_context": "KUBE_CTX",
         "host": "KUBE_HOST"},
    ),
    "cos": StateKind(
        {"bucket": None, "prefix": "", "key": "terraform.tfstate"}, "key", ("region",),
        {"region": "TENCENTCLOUD_REGION"}, ("prefix", "key"), (".tflock",),
    ),
    "oss": StateKind(
        {"bucket": None, "prefix": "env:", "key": "terraform.tfstate"}, "key", ("endpoint", "region"),
        {"endpoint": "ALICLOUD_OSS_ENDPOINT", "region": "ALICLOUD_REGION"}, ("prefix", "key"),
    ),
    "remote": _REMOTE,
    "cloud": _REMOTE,
}  # fmt: skip
