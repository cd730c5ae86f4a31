"""The four kinds of backend, each on a real server: what the configuration says, what the environment gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.servers import objectstore, postgres, stateserver

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.objectstore import ObjectStore
    from tests.servers.postgres import Postgres
    from tests.servers.stateserver import StateServer

KINDS = ("local", "http", "pg", "s3")


@dataclass
class Backend:
    """Where the states of one test are kept, apart from those of all others.

    Args:
        kind: Its type.
        settings: What the configuration says of it, as a YAML mapping on one line.
        variables: What the environment gives: credentials, and what keeps tests short.
        secrets: The credentials among them, which must be found nowhere.
        state: The content of a stack's state in an environment; None when there is none.
        put: Puts bytes in the place of a stack's state, whatever they are; None removes it.
    """

    kind: str
    settings: str
    variables: dict[str, str]
    secrets: list[str]
    state: Callable[[str, str], dict[str, Any] | None]
    put: Callable[[str, str, bytes | None], None]
    server: Any = None
    place: str = ""
    lock_timeout: float = 60

    def config(self, stacks: str = "") -> str:
        """The pipeline file, as the repository builder takes it."""
        return (
            f"config/pipeline.yaml:version: 1\nengine: {{lock_timeout: {self.lock_timeout}}}\n"
            f"backend: {{kind: {self.kind}, settings: {self.settings}}}\n{stacks}"
        )

    def stack(self, body: str) -> str:
        """A root module with this backend."""
        return f'terraform {{\n  backend "{self.kind}" {{}}\n}}\n\n{body}'


def local(folder: Path) -> Backend:
    """States in files of one folder, wherever a clone stands."""

    def state(stack: str, environment: str) -> dict[str, Any] | None:
        path = folder / f"{stack}-{environment}.tfstate"
        value: dict[str, Any] | None = json.loads(path.read_bytes()) if path.exists() and path.stat().st_size else None
        return value

    def put(stack: str, environment: str, content: bytes | None) -> None:
        path = folder / f"{stack}-{environment}.tfstate"
        path.unlink() if content is None else path.write_bytes(content)

    settings = '{path: "${STATES}/{stack}-{environment}.tfstate"}'
    return Backend("local", settings, {"STATES": str(folder)}, [], state, put, place=str(folder))


def http(server: StateServer, project: str) -> Backend:
    """GitLab's protocol, one project per test."""
    address = f"{server.url}/projects/{project}/terraform/state/{{stack}}-{{environment}}"
    settings = (
        f'{{address: "{address}", lock_address: "{address}/lock", unlock_address: "{address}/lock",'
        " lock_method: POST, unlock_method: DELETE, retry_wait_min: 1, retry_max: 4}"
    )
    variables = {"TF_HTTP_USERNAME": stateserver.USER, "TF_HTTP_PASSWORD": stateserver.PASSWORD}

    def put(stack: str, environment: str, content: bytes | None) -> None:
        if content is None:
            server.states.pop(f"{project}/{stack}-{environment}")
        else:
            server.states.setdefault(f"{project}/{stack}-{environment}", []).append(content)

    return Backend(
        "http", settings, variables, [stateserver.PASSWORD],
        lambda stack, environment: server.state(f"{project}/{stack}-{environment}"), put, server, project,
    )  # fmt: skip


def pg(server: Postgres, database: str) -> Backend:
    """One database per test, one schema per state."""
    connection = server.create(database)

    def state(stack: str, environment: str) -> dict[str, Any] | None:
        schema = f"{stack}-{environment}"
        if server.sql(f"select to_regclass('\"{schema}\".states') is null", database) == "t":
            return None
        found = server.sql(f"select data from \"{schema}\".states where name = 'default'", database)  # noqa: S608 - our own
        return json.loads(found) if found else None

    def put(stack: str, environment: str, content: bytes | None) -> None:
        table = f'"{stack}-{environment}".states'
        server.sql(f"delete from {table}", database)  # noqa: S608 - our own
        if content is not None:
            text = content.decode().replace("'", "''")
            server.sql(f"insert into {table} (name, data) values ('default', '{text}')", database)  # noqa: S608 - our own

    return Backend(
        "pg", '{schema_name: "{stack}-{environment}"}', {"PG_CONN_STR": connection}, [postgres.PASSWORD, connection],
        state, put, server, database,
    )  # fmt: skip


def s3(store: ObjectStore, bucket: str) -> Backend:
    """One bucket per test, locks as objects beside the states."""
    store.create(bucket)
    settings = (
        f'{{bucket: {bucket}, key: "{{environment}}/{{stack}}.tfstate", region: us-east-1, use_lockfile: true,'
        f' use_path_style: true, endpoints: {{s3: "{store.url}"}}, skip_credentials_validation: true,'
        " skip_metadata_api_check: true, skip_requesting_account_id: true}"
    )
    variables = {"AWS_ACCESS_KEY_ID": objectstore.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": objectstore.SECRET_KEY}
    return Backend(
        "s3", settings, variables, [objectstore.SECRET_KEY],
        lambda stack, environment: store.state(bucket, f"{environment}/{stack}.tfstate"),
        lambda stack, environment, content: store.put(bucket, f"{environment}/{stack}.tfstate", content), store, bucket,
    )  # fmt: skip
