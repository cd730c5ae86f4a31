"""Reads a state that an HTTP server keeps with the one request that the engine itself would make.

The engine takes longer to start than to read a state. An encrypted state has its lineage and its serial in plain text
(https://github.com/opentofu/opentofu/blob/v1.12.6/internal/encryption/state.go). What is done here is what the backend
does with plain settings (internal/backend/remote-state/http); anything else is left to the engine, which then says what
is wrong, too.
"""

from __future__ import annotations

import base64
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from ..base import jsontext, plain
from ..base.files import LARGEST_RECORD, parse_json
from ..base.jsonvalue import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..base.jsonvalue import Json

_IN_USE = "terraform.tfstate"  # in the data directory, and no state: the settings of the last init
_VARIABLES = {"address": "TF_HTTP_ADDRESS", "username": "TF_HTTP_USERNAME", "password": "TF_HTTP_PASSWORD"}
_OWN_CLIENT = {  # the settings that change whom the engine trusts and what it sends
    "skip_cert_verification": "",
    "client_ca_certificate_pem": "TF_HTTP_CLIENT_CA_CERTIFICATE_PEM",
    "client_certificate_pem": "TF_HTTP_CLIENT_CERTIFICATE_PEM",
    "client_private_key_pem": "TF_HTTP_CLIENT_PRIVATE_KEY_PEM",
    "headers": "",
}
_OK = 200
_TRIES, _SECONDS, _PAUSE = 3, 30.0, 0.5


class Kept(NamedTuple):
    """A state: as it is kept, and what it says."""

    content: bytes
    state: Mapping[str, Json]


def read(
    data_dir: Path, environment: Mapping[str, str], wait: Callable[[float], bool | None], seconds: float = _SECONDS
) -> Kept | None:
    """The state of an initialized stack as it is kept, encrypted or not.

    None where the stack has another backend, where the engine would make another request than we do, where there is
    no state, or where it could not be read: then only the engine knows.

    Args:
        data_dir: The engine's data folder of the stack.
        environment: The engine's environment.
        wait: Waits for the given seconds; returns true if the run was asked to stop.
        seconds: How long this may take.
    """
    address, login = _request(data_dir, environment)
    if not address:
        return None
    from ..base import http  # slow to import

    try:
        with closing(http.Client(wait, seconds=seconds, tries=_TRIES, pause=_PAUSE)) as client:
            answer = client.request("GET", address, secret=login)
        state = jsontext.loads(answer.content) if answer.status == _OK else None
    except (http.NoAnswerError, ValueError, RecursionError):
        return None
    return Kept(answer.content, state) if isinstance(state, dict) and state.get("lineage") else None


def _request(data_dir: Path, environment: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """The address of a state and the header of its login; no address where the engine has to be asked."""
    try:
        used = fields(fields(parse_json(plain.read(data_dir / _IN_USE, LARGEST_RECORD))).get("backend"))
        given = fields(used.get("config"))
    except (OSError, ValueError, RecursionError):
        return "", {}
    own = any(given.get(name) or environment.get(variable) for name, variable in _OWN_CLIENT.items())
    if used.get("type") != "http" or own:
        return "", {}
    address, user, password = (
        environment.get(variable, "") if given.get(name) is None else str(given[name])
        for name, variable in _VARIABLES.items()
    )
    if not user:
        return address, {}
    return address, {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
