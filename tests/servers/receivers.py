"""Receive notifications: web hooks over HTTP, mail over SMTP; the HTTP one can be made to misbehave.

Mattermost's incoming webhooks: https://developers.mattermost.com/integrate/webhooks/incoming/ (POST of JSON with `text`
to `/hooks/KEY`). Signed webhooks: https://www.standardwebhooks.com/.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Whether the signature is right, computed here from the specification's text alone."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        return f"v1,{expected}" in self.headers["webhook-signature"].split(" ")


@dataclass
class WebReceiver:
    """Receives POSTs; `answer` is a status, or `hang`, `garbage`, `redirect`, `drip`."""

    answer: int | str = 200
    received: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append(Received(self.path, headers, body))
                receiver.misbehave(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def misbehave(self, handler: BaseHTTPRequestHandler) -> None:
        if self.answer == "hang":
            self.released.wait()
        elif self.answer == "garbage":
            handler.wfile.write(b"\x00\xff no http at all\r\n\r\n")
        elif self.answer == "drip":
            while not self.released.wait(0.2):
                handler.wfile.write(b"H")
                handler.wfile.flush()
        else:
            handler.send_response(307 if self.answer == "redirect" else int(self.answer))
            if self.answer == "redirect":
                handler.send_header("Location", f"http://{self.address}/elsewhere")
            if self.answer == 429:
                handler.send_header("Retry-After", "never, ever")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

    def take(self) -> list[Received]:
        """What came since the last look."""
        found, self.received[:] = list(self.received), []
        return found

    def stop(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


class MailReceiver:
    """Receives mail."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        with socket.socket() as probe:  # the controller cannot be given port 0
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._controller = Controller(self, hostname="127.0.0.1", port=port)
        self._controller.start()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd asks for this name
        import email
        from email import policy

        self.received.append(email.message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def take(self) -> list[Any]:
        """What came since the last look."""
        found, self.received[:] = list(self.received), []
        return found

    def stop(self) -> None:
        self._controller.stop()
