"""Keeps states over HTTP as GitLab does, and can be made to misbehave.

The protocol: https://opentofu.org/docs/language/settings/backends/http/ for the engine's side,
https://docs.gitlab.com/user/infrastructure/iac/terraform_state/ and GitLab's `lib/api/terraform/state.rb` for the
server's: GET, POST and DELETE of a state below `/api/v4/projects/P/terraform/state/NAME`; its lock by POST and DELETE of
`NAME/lock`, or by LOCK and UNLOCK of NAME, as other servers have it; the lock's id as query `ID` of a POST; basic
authentication; a held lock is answered with 409 and its info; a state is saved under its lock only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, PASSWORD = "gitlab-ci-token", "http-password-5512-glcbt"


@dataclass
class Faults:
    """How the server misbehaves.

    Args:
        down: Everything is answered with 500.
        saves_fail: Saving a state is answered with 500, and so is unlocking.
        flaky: The share of requests that are answered with 503 before anything was done.
        delay: Seconds before each answer.
        locked_status: How a held lock is answered; GitLab says 409, the protocol allows 423 too.
    """

    down: bool = False
    saves_fail: bool = False
    flaky: float = 0.0
    delay: float = 0.0
    locked_status: int = 409


@dataclass
class StateServer:
    """The server; `states` has every version that was saved, `locks` the locks that are held, `log` each request."""

    faults: Faults = field(default_factory=Faults)
    states: dict[str, list[bytes]] = field(default_factory=dict)
    locks: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    seed: int = 1

    def __post_init__(self) -> None:
        self.guard = threading.Lock()
        self.random = random.Random(self.seed)  # noqa: S311 - reproducible faults
        handler = type("BoundHandler", (_Handler,), {"owner": self})
        self._server = _Quiet(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The base of GitLab's API."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/api/v4"

    def state(self, name: str) -> dict[str, Any] | None:
        """The latest version of a state, by the last two parts of its path: `project/name`."""
        versions = self.states.get(name)
        return json.loads(versions[-1]) if versions else None

    @contextmanager
    def misbehaving(self, **faults: Any) -> Iterator[None]:
        """Faults for a while."""
        before, self.faults = self.faults, Faults(**faults)
        try:
            yield
        finally:
            self.faults = before

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Quiet(ThreadingHTTPServer):
    """A client that is killed in mid-request is what tests do, and no news."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """Nothing."""


class _Handler(BaseHTTPRequestHandler):
    """One request; what it may do to a state is decided under the server's guard, as GitLab does in a transaction."""

    owner: StateServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nothing on standard error."""

    def _handle(self) -> None:
        owner, faults = self.owner, self.owner.faults
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        parts = address.path.strip("/").split("/")
        if faults.delay:
            time.sleep(faults.delay)
        with owner.guard:
            owner.log.append(f"{self.command} {self.path}")
            if faults.down or (faults.flaky and owner.random.random() < faults.flaky):
                return self._answer(500 if faults.down else 503)
            if not self._authorized():
                return self._answer(401)
            # api v4 projects P terraform state NAME [lock]
            if (
                parts[:3] != ["api", "v4", "projects"]
                or parts[4:6] != ["terraform", "state"]
                or len(parts) not in (7, 8)
            ):
                return self._answer(404)
            name, locking = f"{parts[3]}/{parts[6]}", parts[7:] == ["lock"]
            query = parse_qs(address.query)
            if locking or self.command in ("LOCK", "UNLOCK"):
                return self._lock(name, body, query)
            return self._state(name, body, query)

    do_GET = do_POST = do_DELETE = do_LOCK = do_UNLOCK = do_PUT = _handle  # noqa: N815 - the base class's names

    def _lock(self, name: str, body: bytes, query: dict[str, list[str]]) -> None:
        owner = self.owner
        held = owner.locks.get(name)
        if self.command in ("POST", "LOCK"):
            if held is not None:
                return self._answer(owner.faults.locked_status, held)
            owner.locks[name] = json.loads(body)
            return self._answer(200, owner.locks[name])
        if self.command not in ("DELETE", "UNLOCK"):
            return self._answer(405)
        if owner.faults.saves_fail:
            return self._answer(500)
        given = query.get("ID", [None])[0] or (json.loads(body).get("ID") if body else None)
        if held is not None and given is not None and given != held["ID"]:
            return self._answer(409, held)
        owner.locks.pop(name, None)
        return self._answer(200)

    def _state(self, name: str, body: bytes, query: dict[str, list[str]]) -> None:
        owner = self.owner
        if self.command == "GET":
            versions = owner.states.get(name)
            return self._answer(200, versions[-1]) if versions else self._answer(404)
        held = owner.locks.get(name)
        if (held or {}).get("ID") != query.get("ID", [None])[0]:
            return self._answer(423 if held else 409, held or {})
        if self.command == "DELETE":
            owner.states.pop(name, None)
            return self._answer(200)
        if owner.faults.saves_fail:
            return self._answer(500)
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        if self.headers.get("Content-MD5") != digest:
            return self._answer(400)
        owner.states.setdefault(name, []).append(body)
        return self._answer(200)

    def _authorized(self) -> bool:
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def _answer(self, status: int, content: Any = b"") -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if status == 401:
            self.send_header("WWW-Authenticate", "Basic")
        if data:
            digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
            self.send_header("Content-MD5", digest)
        self.end_headers()
        self.wfile.write(data)
