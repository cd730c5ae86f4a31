"""The engine's backends: which settings name a state, and which name its server or account."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class StateKind:
    """The settings that distinguish the states of a backend.

    `names` are the settings that name a state, with the engine's default, or None if they are required. `place` are
    those that name the server or account; they may come from the environment. `variables` are the environment variables
    that
    the engine reads for missing settings. `own` is the setting that should contain the stack's name.
    """

    names: Mapping[str, str | None]
    own: str
    place: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


# https://opentofu.org/docs/language/settings/backends/configuration/ and the pages of each backend below it
_REMOTE = StateKind(
    {"organization": None, "workspaces.name": None}, "workspaces", ("hostname",),
    {"organization": "TF_CLOUD_ORGANIZATION", "hostname": "TF_CLOUD_HOSTNAME"},
)  # fmt: skip
KINDS: dict[str, StateKind] = {
    "local": StateKind({"path": "terraform.tfstate"}, "path"),
    "http": StateKind({"address": None}, "address", variables={"address": "TF_HTTP_ADDRESS"}),
    "pg": StateKind(
        {"schema_name": "terraform_remote_state", "table_name": "states"}, "schema_name", ("conn_str",),
        {"schema_name": "PG_SCHEMA_NAME", "table_name": "PG_TABLE_NAME", "conn_str": "PG_CONN_STR"},
    ),
    "s3": StateKind(
        {"bucket": None, "key": None}, "key", ("endpoints.s3", "endpoint"),
        {"endpoints.s3": "AWS_ENDPOINT_URL_S3", "endpoint": "AWS_S3_ENDPOINT"},
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
        {"region": "TENCENTCLOUD_REGION"},
    ),
    "oss": StateKind(
        {"bucket": None, "prefix": "env:", "key": "terraform.tfstate"}, "key", ("endpoint", "region"),
        {"endpoint": "ALICLOUD_OSS_ENDPOINT", "region": "ALICLOUD_REGION"},
    ),
    "remote": _REMOTE,
    "cloud": _REMOTE,
}  # fmt: skip
