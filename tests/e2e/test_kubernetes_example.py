"""`examples/kubernetes`, deployed through a real provider into a real Kubernetes API, from a real registry."""

from __future__ import annotations

import platform
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.gomodule import built
from tests.packages import started, watch
from tests.repository import ROOT, Repository, wait_for
from tests.servers.imageregistry import ImageRegistry
from tests.servers.kubernetes import Kubernetes, Namespace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROVIDER = "registry.opentofu.org/hashicorp/kubernetes/1.13.4"


@pytest.fixture
def registry() -> Iterator[ImageRegistry]:
    """A registry with a base image."""
    server = ImageRegistry()
    yield server
    server.remove()


@pytest.fixture
def shop(tmp_path: Path, tofu: Path, kubernetes: Kubernetes, registry: ImageRegistry) -> Repository:
    """A clone of the example, with its provider from a mirror on this machine and a base image in the registry."""
    system = f"linux_{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[platform.machine()] }"
    folder = tmp_path / "mirror" / PROVIDER / system
    folder.mkdir(parents=True)
    binary = (
        built("kubernetes/provider", "github.com/hashicorp/terraform-provider-kubernetes")
        / "terraform-provider-kubernetes"
    )
    (folder / "terraform-provider-kubernetes_v1.13.4").symlink_to(binary)
    mirror = f'provider_installation {{\n  filesystem_mirror {{\n    path = "{tmp_path}/mirror"\n  }}\n}}\n'
    (tmp_path / "tofurc").write_text(mirror)
    repository = Repository.create(tmp_path, tofu)
    shutil.copytree(
        ROOT / "examples/kubernetes", repository.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("dodo.py")
    )
    repository.commit("the example")
    repository.variables |= {
        "TF_CLI_CONFIG_FILE": str(tmp_path / "tofurc"), "KUBECONFIG": str(kubernetes.kubeconfig),
        "KUBE_CONFIG": str(kubernetes.kubeconfig), "REGISTRY": registry.host, "BASE": _base(tmp_path, registry),
    }  # fmt: skip
    watch(repository, "npm", "buildah")
    return repository


def _base(tmp_path: Path, registry: ImageRegistry) -> str:
    """An image to begin with: nothing of it runs here."""
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "Containerfile").write_text("FROM scratch\nCOPY Containerfile /\n")
    name = f"{registry.host}/base:1"
    command = ["buildah", "--root", tmp_path / "store", "--runroot", tmp_path / "run", "--storage-driver", "vfs"]
    subprocess.run([*command, "bud", "--isolation", "chroot", "--tag", name, folder], check=True, capture_output=True)
    subprocess.run([*command, "push", "--tls-verify=false", name, f"docker://{name}"], check=True, capture_output=True)
    return name


class Cluster(threading.Thread):
    """What controllers and kubelets would do for the Deployment `web` in the namespace `web`, for one deploy."""

    def __init__(self, kubernetes: Kubernetes, revision: int) -> None:
        super().__init__()
        self.space = Namespace.__new__(Namespace)  # the stack makes the namespace
        self.space.cluster, self.space.name = kubernetes, "web"
        self._revision = revision
        self.start()

    def deployment(self) -> dict[str, Any] | None:
        """The Deployment, when there is one of the wanted revision."""
        found = self.space.cluster.call("GET", "/apis/apps/v1/deployments")["items"]
        mine = [item for item in found if item["metadata"]["namespace"] == "web"]
        return next((item for item in mine if item["metadata"]["generation"] >= self._revision), None)

    def run(self) -> None:
        """Roll it out."""
        wait_for(self.deployment, "the Deployment")
        found = self.deployment()
        assert found is not None
        owner, wanted = self.space.replica_set(found, self._revision), found["spec"]["replicas"]
        for number in range(wanted):
            name = f"web-{self._revision}-{number}"
            self.space.pod(name, owner, "ReplicaSet", pod_template_hash=f"r{self._revision}")
            self.space.ready(name)
        self.space.cluster.status(f"{self.space.apps}/deployments/web", {
            "observedGeneration": found["metadata"]["generation"], "replicas": wanted, "updatedReplicas": wanted,
            "availableReplicas": wanted, "readyReplicas": wanted,
        })  # fmt: skip

    def image(self) -> str:
        """The image that the Deployment runs."""
        self.join()
        found = self.deployment()
        assert found is not None
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


def test_the_example_deploys_its_image_by_digest_and_a_changed_line_deploys_another(
    shop: Repository, kubernetes: Kubernetes, registry: ImageRegistry, tmp_path: Path
) -> None:
    review = shop.clone(tmp_path / "review")
    shown = review.doit("plan").task("plan", "web")
    assert f"image = {registry.host}/web:" in shown
    assert "(not built yet)" in shown
    assert "deferred until namespace.name is there" in review.doit("plan:web", "mocks=no").task("plan", "web")

    cluster = Cluster(kubernetes, 1)
    done = shop.doit("deploy")
    [tag] = registry.tags("web")
    assert f"{registry.host}/web:{tag} " in shown
    first = cluster.image()
    assert first == f"{registry.host}/web@{registry.manifest('web', tag)[1]}"
    assert "1 check passed" in done.task("deploy", "web")

    started(shop)
    shop.engine_calls()
    assert "nothing to deploy" in shop.doit("deploy").out
    assert started(shop) == []
    assert shop.engine_calls() == []

    source = shop.path / "app/src/server.js"
    source.write_text(source.read_text().replace("Hello", "Good day"))
    shop.commit()
    for pod in ("web-1-0", "web-1-1"):
        kubernetes.call("DELETE", f"{cluster.space.core}/pods/{pod}")
    cluster = Cluster(kubernetes, 2)
    shop.doit("deploy")
    assert shop.planned() == ["web"]
    assert cluster.image() != first
    assert len(registry.tags("web")) == 2
