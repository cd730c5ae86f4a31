"""A state on an HTTP server is read with the engine's own request; what is special is left to the engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tasks.engine import httpstate
from tests.servers.stateserver import PASSWORD, USER, StateServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATE = {"serial": 7, "lineage": "6b1c", "meta": {}, "encrypted_data": "c2VjcmV0", "encryption_version": "v0"}
LOGIN = {"TF_HTTP_USERNAME": USER, "TF_HTTP_PASSWORD": PASSWORD}


def address(server: StateServer, name: str = "a") -> str:
    """Where a state is."""
    return f"{server.url}/projects/p/terraform/state/{name}"


def initialized(folder: Path, kind: str = "http", **settings: Any) -> Path:
    """A data folder as `init` leaves it: settings that come from the environment are null."""
    nothing = dict.fromkeys(("address", "username", "password", "headers", "skip_cert_verification"))
    folder.mkdir(exist_ok=True)
    used = {"version": 3, "backend": {"type": kind, "config": {**nothing, **settings}, "hash": 1}}
    (folder / "terraform.tfstate").write_text(json.dumps(used))
    return folder


def read(folder: Path, **environment: str) -> Any:
    """What is read, without waiting between tries."""
    found = httpstate.read(folder, {**LOGIN, **environment}, lambda _: False)
    assert found is None or json.loads(found.content) == found.state
    return found and found.state


@pytest.fixture
def kept() -> Iterator[StateServer]:
    """A server with a state."""
    server = StateServer(states={"p/a": [json.dumps(STATE).encode()]})
    yield server
    server.stop()


def test_one_request_reads_an_encrypted_state(kept: StateServer, tmp_path: Path) -> None:
    assert read(initialized(tmp_path, address=address(kept))) == STATE
    assert kept.log == ["GET /api/v4/projects/p/terraform/state/a"]


def test_settings_come_before_variables(kept: StateServer, tmp_path: Path) -> None:
    folder = initialized(tmp_path, username=USER, password=PASSWORD)
    given = {"TF_HTTP_ADDRESS": address(kept), "TF_HTTP_USERNAME": "another", "TF_HTTP_PASSWORD": "one"}
    assert read(folder, **given) == STATE
    assert read(initialized(tmp_path, address=address(kept)), **given) is None


@pytest.mark.parametrize(
    ("settings", "environment"),
    [
        ({"headers": {"X-Token": "t"}}, {}),
        ({"skip_cert_verification": True}, {}),
        ({"client_ca_certificate_pem": "pem"}, {}),
        ({}, {"TF_HTTP_CLIENT_CERTIFICATE_PEM": "pem"}),
    ],
)  # fmt: skip
def test_the_engine_is_asked_where_it_would_ask_in_another_way(
    kept: StateServer, tmp_path: Path, settings: dict[str, Any], environment: dict[str, str]
) -> None:
    assert read(initialized(tmp_path, address=address(kept), **settings), **environment) is None
    assert kept.log == []


def test_another_backend_is_the_engine_s(kept: StateServer, tmp_path: Path) -> None:
    assert read(initialized(tmp_path, "s3", address=address(kept))) is None
    assert read(tmp_path / "not-initialized") is None
    (tmp_path / "terraform.tfstate").write_text("[]")
    assert read(tmp_path) is None
    assert kept.log == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"serial": 0, "lineage": ""}', b"<html>"])
def test_what_is_not_a_state_is_the_engine_s_to_explain(kept: StateServer, tmp_path: Path, content: bytes) -> None:
    kept.states["p/a"] = [content]
    assert read(initialized(tmp_path, address=address(kept))) is None


def test_a_server_that_refuses_or_fails_is_left_to_the_engine(kept: StateServer, tmp_path: Path) -> None:
    folder = initialized(tmp_path, address=address(kept))
    assert read(initialized(tmp_path / "other", address=address(kept, "missing"))) is None
    assert read(folder, TF_HTTP_PASSWORD="wrong") is None
    with kept.misbehaving(down=True):
        kept.log.clear()
        assert read(folder) is None
        assert len(kept.log) == 3
    kept.stop()
    assert read(folder) is None
