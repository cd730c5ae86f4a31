"""An S3 server: moto's, in a process of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any
from xml.etree import ElementTree as ET

ACCESS_KEY, SECRET_KEY = "AKIAOBJECTSTORE1234", "s3-secret-key-9923/slash+plus"
_PATIENCE = 60.0


class ObjectStore:
    """A server that is running until `stop`; `url` is its endpoint. moto keeps signatures unchecked."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                self._request("GET", "moto-api/")
            except OSError:
                assert time.monotonic() < end, "moto's server does not answer"
                assert self._process.poll() is None, "moto's server ended"
                time.sleep(0.1)
            else:
                return

    def create(self, bucket: str) -> None:
        """A new bucket."""
        self._request("PUT", bucket)

    def keys(self, bucket: str) -> list[str]:
        """The names of all objects in a bucket."""
        listing = ET.fromstring(self._request("GET", f"{bucket}?list-type=2"))
        return sorted(str(item.text) for item in listing.iter() if item.tag.endswith("}Key") or item.tag == "Key")

    def state(self, bucket: str, key: str) -> dict[str, Any] | None:
        """The content of an object; None when there is no such."""
        try:
            value: dict[str, Any] = json.loads(self._request("GET", f"{bucket}/{key}"))
        except urllib.error.HTTPError:
            return None
        return value

    def put(self, bucket: str, key: str, content: bytes | None) -> None:
        """Store an object; None removes it."""
        self._request("DELETE" if content is None else "PUT", f"{bucket}/{key}", content)

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait()

    def _request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        credential = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        headers = {"Authorization": credential, "Content-Type": "application/octet-stream"}
        request = urllib.request.Request(f"{self.url}/{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            content: bytes = answer.read()
            return content
