"""Keeps files over HTTP: PUT, GET and conditions (RFC 9110, 13.1), a bearer token; and can be made to misbehave."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "publish-token-8841-abc"


@dataclass
class FileServer:
    """The server; `files` is what it has, `log` each request, `faults` the answers that come first.

    Args:
        conditions: Whether If-Match and If-None-Match are heeded.
        readers: Tokens that may only read.
    """

    conditions: bool = True
    readers: set[str] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    faults: list[tuple[int, dict[str, str]] | tuple[int, dict[str, str], bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.guard = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self, None)

            def do_PUT(self) -> None:
                outer.answer(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def do_DELETE(self) -> None:
                outer.answer(self, None)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/store"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, body: bytes | None) -> None:
        """Answer one request."""
        status, headers, content = self._act(request, body)
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _act(self, request: BaseHTTPRequestHandler, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
        with self.guard:
            self.log.append(f"{request.command} {request.path}")
            if self.faults:
                status, headers, *content = self.faults.pop(0)
                return status, headers, content[0] if content else b"<html>garbage</html>"
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if token not in {TOKEN, *self.readers}:
                return 401, {}, b""
            if token != TOKEN and request.command != "GET":
                return 403, {}, b""
            name = request.path.removeprefix("/store/")
            found = self.files.get(name)
            tag = None if found is None else f'"{hashlib.sha256(found).hexdigest()}"'
            if request.command == "DELETE":
                return (204 if self.files.pop(name, None) is not None else 404), {}, b""
            if body is None:
                return (404, {}, b"") if found is None else (200, {"ETag": tag or ""}, found)
            wanted, none = request.headers.get("If-Match"), request.headers.get("If-None-Match")
            if self.conditions and ((wanted and wanted != tag) or (none == "*" and found is not None)):
                return 412, {}, b""
            self.files[name] = body
            return 201, {}, b""
