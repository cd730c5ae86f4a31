"""The dashboard, built and started as in a deployment."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.repository import ROOT

if TYPE_CHECKING:
    from http.client import HTTPMessage

_PATIENCE = 60.0


@dataclass(frozen=True)
class Answer:
    """A response of the server."""

    status: int
    headers: HTTPMessage
    text: str


@cache
def build() -> None:
    """Build it, unless it is built of these sources."""
    subprocess.run([ROOT / "tools/app", "build"], check=True, capture_output=True)


class Dashboard:
    """A server on a source, with more environment variables, that runs until `stop`."""

    def __init__(self, source: Path | str, **variables: str) -> None:
        build()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            "PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": str(self.port), "DASHBOARD_SOURCE": str(source),
            "DASHBOARD_POLL": "1", **variables,
        }  # fmt: skip
        self.start()

    def start(self, build: Path = ROOT / "app/build", log: Path | None = None) -> None:
        """Start the server, again at the same address after `stop`.

        Args:
            build: The build to serve.
            log: Where its output goes; by default nowhere.
        """
        with Path(log or os.devnull).open("wb") as output:
            self._process = subprocess.Popen(
                ["node", build / "index.js"], env=self._environment, stdout=output, stderr=output
            )
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                assert self.get("/healthz").status == 200
            except OSError:
                assert time.monotonic() < end, "the dashboard does not answer"
                assert self._process.poll() is None, "the dashboard ended"
                time.sleep(0.05)
            else:
                return

    def get(self, path: str, **headers: str) -> Answer:
        """Fetch a page, whatever its status."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, headers=named)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read().decode())

    def visit(self, *paths: str) -> list[dict[str, Any]]:
        """Visit pages with a real browser: desktop and phone, light and dark; see app/tests/browser.mjs."""
        script, browser = ROOT / "app/tests/browser.mjs", "/usr/bin/chromium"
        shots = os.environ.get("DASHBOARD_SHOTS", "-")
        done = subprocess.run(
            ["node", script, browser, self.url, shots, *paths], check=True, capture_output=True, text=True, timeout=600
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    def ended(self) -> int:
        """The exit code of the server, once it has ended by itself."""
        return self._process.wait(_PATIENCE)

    def stop(self) -> None:
        """Stop the server."""
        self._process.terminate()
        self._process.wait()
