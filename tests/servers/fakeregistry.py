"""A registry that answers as registries do on their worse days; the protocol is the OCI distribution specification's."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}).encode()
DIGEST = f"sha256:{sha256(MANIFEST).hexdigest()}"
USER, PASSWORD, TOKEN = "reader", "fake-p4ssword", "token-of-the-fake-registry"


class FakeRegistry:
    """A server on loopback with the tag `here` in every repository; `requests` is what it was asked.

    Args:
        login: `none`, `basic` or `bearer`.
        failures: Answers, as status and headers, that are given before the real one.
        states_digest: Whether it says the digest in a header.
        realm: Where its challenge sends a login to; by default to itself.
        token: What its token endpoint answers.
        answer: An answer to every question about a manifest, as status, headers, body.
    """

    def __init__(
        self, *, login: str = "none", failures: list[tuple[int, dict[str, str]]] | None = None, states_digest: bool = True,
        realm: str | None = None, token: Any = None, answer: tuple[int, dict[str, str], bytes] | None = None,
    ) -> None:  # fmt: skip
        self.requests: list[tuple[str, str, str | None]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._reply(*fake.reply(self.path, self.headers.get("Authorization")))

            do_GET = do_HEAD  # noqa: N815 - http.server's name

            def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
                fake.requests.append((self.command, self.path, self.headers.get("Authorization")))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: the tests look at `requests`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._login, self._failures, self._states_digest = login, list(failures or []), states_digest
        self._realm, self._token, self._answer = realm or f"http://{self.host}/token", token, answer
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def reply(self, path: str, authorization: str | None) -> tuple[int, dict[str, str], bytes]:
        """The answer to a request."""
        if self._failures:
            status, headers = self._failures.pop(0)
            return status, headers, b""
        basic = f"Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        if path.startswith("/token"):
            query = parse_qs(urlsplit(path).query)
            if authorization != basic or query.get("service") != ["fake"] or not query.get("scope"):
                return 401, {}, b"{}"
            return 200, {"Content-Type": "application/json"}, json.dumps(self._token or {"token": TOKEN}).encode()
        wanted = {"none": authorization, "basic": basic, "bearer": f"Bearer {TOKEN}"}[self._login]
        if authorization != wanted:
            scope = f"repository:{path.split('/manifests/', maxsplit=1)[0].removeprefix('/v2/')}:pull"
            bearer = f'Bearer realm="{self._realm}",service="fake",scope="{scope}"'
            return 401, {"WWW-Authenticate": 'Basic realm="fake"' if self._login == "basic" else bearer}, b""
        if self._answer is not None:
            return self._answer
        if not path.endswith("/here"):
            return 404, {}, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}'
        headers = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        return 200, headers | ({"Docker-Content-Digest": DIGEST} if self._states_digest else {}), MANIFEST

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
