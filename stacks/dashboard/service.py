"""The dashboard as a service: `start` runs it in the background and waits until it answers, `stop` ends it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# In an overlay ROOT is the build tree, .deploy/.cache/tree; the runs are the overlay's.
RECORDS = next((folder for folder in ROOT.parents if folder.name == ".deploy"), ROOT / ".deploy")
RUN = Path(os.environ["RUN"]).resolve()
PID, SPEC, STARTS, LOG = (RUN / name for name in ("pid", "spec", "starts", "log"))
PATIENCE = 20.0


def start() -> None:
    """Start the server in its own session and wait until this very version answers.

    It runs a copy of the build: the next build replaces the files in `app/build` while this one is still running.
    """
    stop()
    RUN.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(RUN / "app", ignore_errors=True)
    shutil.copytree(ROOT / "app/build", RUN / "app/build")
    (RUN / "app/package.json").write_text('{"type": "module"}\n')
    spec = os.environ["SPEC"]
    variables = {
        "PATH": os.environ["PATH"], "HOST": os.environ["HOST"], "PORT": os.environ["PORT"],
        "DASHBOARD_SOURCE": str(RECORDS), "DASHBOARD_VERSION": spec,
        "SHUTDOWN_TIMEOUT": "2",  # seconds; open pages keep a connection
    }  # fmt: skip
    with LOG.open("w") as log:
        child = subprocess.Popen(
            ["node", RUN / "app/build/index.js"], env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    PID.write_text(str(child.pid))
    SPEC.write_text(spec)
    url, end = f"http://{variables['HOST']}:{variables['PORT']}/healthz", time.monotonic() + PATIENCE
    while time.monotonic() < end and child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if json.load(answer)["version"] == spec:
                    STARTS.write_text(os.environ["STARTS"])
                    return
        except (OSError, ValueError, KeyError):
            time.sleep(0.05)
    child.terminate()
    PID.unlink()
    sys.exit(f"the dashboard does not answer at {url}:\n{LOG.read_text()}")


def stop() -> None:
    """End the server if it is running, and wait until it has ended."""
    try:
        pid = int(PID.read_text())
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and _alive(pid):
            time.sleep(0.02)
    except (OSError, ValueError):
        pass
    PID.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]]()
