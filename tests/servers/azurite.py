"""Azure's blob storage by its own emulator, Azurite, in memory: https://github.com/Azure/Azurite."""

from __future__ import annotations

import base64
import email.utils
import hashlib
import hmac
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from tests.gomodule import alone

ACCOUNT = "devstoreaccount1"
# The emulator's own, which is no secret: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_TOOLS = Path(os.environ.get("DOIT_TOFU_CACHE", Path.home() / ".cache/doit-tofu")) / "test-tools"
_SOURCE = Path(__file__).parent.parent / "azurite"
_PATIENCE = 60


class Azurite:
    """A server that is running until `stop`; `url` is the endpoint of its one account."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/{ACCOUNT}"
        self._process = subprocess.Popen(
            [_program(), "--inMemoryPersistence", "--blobPort", str(port), "--skipApiVersionCheck", "--silent"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + _PATIENCE
        while True:
            assert self._process.poll() is None, "azurite ended"
            assert time.monotonic() < end, "azurite does not answer"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return

    def create(self, container: str) -> None:
        """A new container."""
        date, version = email.utils.formatdate(usegmt=True), "2021-08-06"
        signed = "PUT" + "\n" * 12
        signed += f"x-ms-date:{date}\nx-ms-version:{version}\n/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
        digest = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
        headers = {
            "x-ms-date": date, "x-ms-version": version, "Content-Length": "0",
            "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}",
        }  # fmt: skip
        request = urllib.request.Request(f"{self.url}/{container}?restype=container", method="PUT", headers=headers)
        urllib.request.urlopen(request, timeout=10).close()

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait()


def _program() -> Path:
    """The emulator, installed once from its lock file."""
    lock = (_SOURCE / "package-lock.json").read_bytes()
    folder = _TOOLS / f"azurite-{hashlib.sha256(lock).hexdigest()[:12]}"
    with alone("azurite"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(_SOURCE, folder)
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=True)
            (folder / "done").touch()
    return folder / "node_modules/.bin/azurite-blob"
