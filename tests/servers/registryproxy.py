"""A proxy in front of a real registry that answers some requests itself, as a registry does on a bad day."""

from __future__ import annotations

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_HOP = ("connection", "keep-alive", "transfer-encoding")


class RegistryProxy:
    """A registry of its own `host`; `answered` is what it answered itself, as method and path.

    Args:
        target: The host of the registry behind it.
        answer: Gives a status, a code of the specification and headers for a method and a path; None hands it on.
    """

    def __init__(self, target: str, answer: Callable[[str, str], tuple[int, str, dict[str, str]] | None]) -> None:
        self.answered: list[tuple[str, str]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self._body()
                own = answer(self.command, self.path)
                if own is not None:
                    proxy.answered.append((self.command, self.path))
                    status, code, headers = own
                    errors = json.dumps({"errors": [{"code": code, "message": f"the registry says {code}"}]})
                    self._send(status, {"Content-Type": "application/json", **headers}, errors.encode())
                    return
                behind = http.client.HTTPConnection(target, timeout=30)
                kept = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
                behind.request(self.command, self.path, body, {**kept, "Content-Length": str(len(body))})
                response = behind.getresponse()
                found = {name: value for name, value in response.getheaders() if name.lower() not in _HOP}
                self._send(response.status, found, response.read())
                behind.close()

            do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server's names

            def send_error(self, *_: object, **__: object) -> None:
                """What Go's servers say to a client that begins with TLS; clients know by it that there is none."""
                self.wfile.write(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
                self.close_connection = True

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                content = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    content += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return content

            def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: the tests look at `answered`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
