"""A real registry of images: Debian's docker-registry on loopback, with or without a login."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

USER, PASSWORD = "pusher", "registry-p4ssword/+x"
_PATIENCE = 60.0


class ImageRegistry:
    """A registry that is running until `remove`; `host` is its host and port.

    Args:
        closed: Whether it wants a login (`USER`, `PASSWORD`).
    """

    def __init__(self, *, closed: bool = False) -> None:
        program = shutil.which("docker-registry")
        assert program is not None, "docker-registry is not there; Debian: apt-get install docker-registry"
        self._folder = Path(tempfile.mkdtemp(prefix="registry-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{probe.getsockname()[1]}"
        self._closed = closed
        settings = f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {self._folder}/data}}, delete: {{enabled: true}}}}\nhttp: {{addr: {self.host!r}}}\n"
        if closed:
            line = subprocess.check_output(["htpasswd", "-Bbn", USER, PASSWORD], text=True)
            (self._folder / "htpasswd").write_text(line)
            settings += f"auth: {{htpasswd: {{realm: test, path: {self._folder}/htpasswd}}}}\n"
        (self._folder / "config.yml").write_text(settings)
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen([program, "serve", self._folder / "config.yml"], stdout=log, stderr=log)
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                self._get("")
            except OSError:
                assert time.monotonic() < end, "the registry does not answer"
                assert self._process.poll() is None, (self._folder / "log").read_text()
                time.sleep(0.1)
            else:
                return

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository, sorted."""
        try:
            return sorted(json.loads(self._get(f"{repository}/tags/list")[0])["tags"] or [])
        except urllib.error.HTTPError:
            return []

    def manifest(self, repository: str, reference: str) -> tuple[dict[str, Any], str]:
        """A manifest and its digest."""
        body, headers = self._get(f"{repository}/manifests/{reference}")
        return json.loads(body), headers["Docker-Content-Digest"]

    def point(self, repository: str, tag: str, reference: str) -> None:
        """Let a tag refer to what another tag, or a digest, refers to: anybody who may push can."""
        self.put(repository, tag, self._get(f"{repository}/manifests/{reference}")[0])

    def put(self, repository: str, tag: str, manifest: bytes) -> None:
        """Push a manifest as a tag."""
        kind = json.loads(manifest)["mediaType"]
        request = urllib.request.Request(
            f"http://{self.host}/v2/{repository}/manifests/{tag}", manifest, {"Content-Type": kind}, method="PUT"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 201

    def remove_manifest(self, repository: str, digest: str) -> None:
        """Remove a manifest, and all tags that refer to it."""
        request = urllib.request.Request(f"http://{self.host}/v2/{repository}/manifests/{digest}", method="DELETE")
        urllib.request.urlopen(request, timeout=10).close()

    def config(self, repository: str, reference: str) -> dict[str, Any]:
        """An image's configuration."""
        digest = self.manifest(repository, reference)[0]["config"]["digest"]
        value: dict[str, Any] = json.loads(self._get(f"{repository}/blobs/{digest}")[0])
        return value

    def layers(self, repository: str, reference: str) -> list[bytes]:
        """An image's layers, as they are stored."""
        return [
            self._get(f"{repository}/blobs/{layer['digest']}")[0]
            for layer in self.manifest(repository, reference)[0]["layers"]
        ]

    def log(self) -> str:
        """What it has logged."""
        return (self._folder / "log").read_text()

    def remove(self) -> None:
        """End it, and remove all it has."""
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._folder)

    def _get(self, path: str) -> tuple[bytes, Any]:
        accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
        headers = {"Accept": accept}
        if self._closed:
            headers["Authorization"] = f"Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        request = urllib.request.Request(f"http://{self.host}/v2/{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read(), answer.headers
