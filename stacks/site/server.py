"""The example's service: `start` runs it in the background and waits until it answers, `stop` ends it."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

RUN = Path(os.environ["RUN"]).resolve()
PID, PAGE, SPEC, STARTS, LOG = (RUN / name for name in ("pid", "page.html", "spec", "starts", "log"))
PATIENCE = 10.0


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the page as it is on disk, and the version of its specification at /healthz."""

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/healthz":
            body, kind = json.dumps({"status": "ok", "version": SPEC.read_text()}).encode(), "application/json"
        elif self.path == "/":
            body, kind = PAGE.read_bytes(), "text/html; charset=utf-8"
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve() -> None:
    """Listen until stopped; the pid file is removed with the process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server = http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
        PID.write_text(str(os.getpid()))
        server.serve_forever()
    finally:
        if PID.exists() and PID.read_text() == str(os.getpid()):
            PID.unlink()


def start() -> None:
    """Start the service in its own session and wait until this very version answers."""
    stop()
    RUN.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(os.environ["PAGE"])
    SPEC.write_text(os.environ["SPEC"])
    with LOG.open("w") as log:
        child = subprocess.Popen(
            [sys.executable, __file__, "serve"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    url, end = f"http://{os.environ['HOST']}:{os.environ['PORT']}/healthz", time.monotonic() + PATIENCE
    while time.monotonic() < end and child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if json.load(answer)["version"] == os.environ["SPEC"]:
                    STARTS.write_text(os.environ["STARTS"])
                    return
        except (OSError, ValueError, KeyError):
            time.sleep(0.05)
    child.terminate()
    sys.exit(f"the service does not answer at {url}:\n{LOG.read_text()}")


def stop() -> None:
    """End the service if it is running."""
    try:
        pid = int(PID.read_text())
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        PID.unlink(missing_ok=True)
        return
    end = time.monotonic() + PATIENCE
    while PID.exists() and time.monotonic() < end:
        time.sleep(0.02)


if __name__ == "__main__":
    {"serve": serve, "start": start, "stop": stop}[sys.argv[1]]()
