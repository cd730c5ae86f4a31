"""A real buildkitd on a socket, and docker's plugin buildx that knows it: no daemon of docker is anywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.gomodule import built
from tests.repository import wait_for

_BUILDX, _BUILDKITD = "github.com/docker/buildx/cmd/buildx", "github.com/moby/buildkit/cmd/buildkitd"

_SCANNER_NAME = "docker/buildkit-syft-scanner:stable-1"
_STATEMENT = (
    '{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document", "predicate": {}}'
)
_SCANNER = f"""\
FROM scratch
COPY busybox /bin/busybox
CMD ["/bin/busybox", "sh", "-c", "echo '{_STATEMENT.replace('"', chr(92) + '"')}' > $BUILDKIT_SCAN_DESTINATION/sbom.spdx.json"]
"""


class BuildKit:
    """A buildkitd that is running until `remove`; it wants root and runc.

    `variables` have docker find buildx, and buildx find it.

    Args:
        mirror: The host of a registry that it asks in place of Docker Hub.
    """

    def __init__(self, mirror: str) -> None:
        assert os.geteuid() == 0, "buildkitd wants root"
        for program, package in (("docker", "docker.io"), ("runc", "runc")):
            assert shutil.which(program, path=_path()), f"{program} is not there; Debian: apt-get install {package}"
        programs = built("buildkit", _BUILDX, _BUILDKITD)
        self._folder = Path(tempfile.mkdtemp(prefix="buildkit-"))
        socket = self._folder / "socket"
        settings = self._folder / "buildkitd.toml"
        settings.write_text(f'[registry."docker.io"]\n  mirrors = ["{mirror}"]\n[registry."{mirror}"]\n  http = true\n')
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    programs / "buildkitd", "--config", settings, "--addr", f"unix://{socket}",
                    "--root", self._folder / "root", "--containerd-worker=false", "--oci-worker=true",
                    "--oci-worker-snapshotter=native", "--oci-worker-binary=runc",
                ],
                stdout=log, stderr=log, env={**os.environ, "PATH": _path()},
            )  # fmt: skip
        docker = self._folder / "docker"
        (docker / "cli-plugins").mkdir(parents=True)
        (docker / "cli-plugins/docker-buildx").symlink_to(programs / "buildx")
        self.variables = {"DOCKER_CONFIG": str(docker)}
        self._buildx("create", "--name", "tests", "--driver", "remote", "--use", f"unix://{socket}")
        wait_for(self._is_ready, "buildkitd")

    def forget(self) -> None:
        """Have the next build begin with nothing."""
        self._buildx("prune", "--all", "--force")

    def add(self, name: str, endpoint: str) -> None:
        """Have buildx know another builder."""
        self._buildx("create", "--name", name, "--driver", "remote", endpoint)

    def push_scanner(self, host: str) -> None:
        """Put a scanner that finds nothing where buildkitd looks for the one that makes SBOMs.

        https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md
        """
        folder = self._folder / "scanner"
        folder.mkdir()
        shutil.copy2("/bin/busybox", folder)
        (folder / "Containerfile").write_text(_SCANNER)
        self._buildx(
            "build", f"--output=type=image,name={host}/{_SCANNER_NAME},push=true,registry.insecure=true",
            "--provenance=false", "--file", str(folder / "Containerfile"), str(folder),
        )  # fmt: skip

    def remove(self) -> None:
        """End it, and remove all it has."""
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._folder)

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log").read_text()
        return "running" in self._buildx("inspect")

    def _buildx(self, *arguments: str) -> str:
        return subprocess.check_output(
            ["docker", "buildx", *arguments], env={**os.environ, **self.variables}, text=True, stderr=subprocess.STDOUT
        )


def _path() -> str:
    """PATH with where Debian has runc, which is not on everybody's."""
    return f"{os.environ['PATH']}:/usr/sbin"
