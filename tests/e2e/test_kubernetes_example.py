"""`examples/kubernetes`, deployed through a real provider into a real Kubernetes API, from a real registry."""

from __future__ import annotations

import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.images import files_of
from tests.packages import started, watch, with_built_dashboard
from tests.repository import ROOT, Repository, wait_for
from tests.servers.kubernetes import Kubernetes, Namespace, mirrored

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.imageregistry import ImageRegistry


@pytest.fixture
def shop(tmp_path: Path, tofu: Path, kubernetes: Kubernetes, registry: ImageRegistry) -> Repository:
    """A clone of the example, with its provider from a mirror on this machine and a base image in the registry."""
    mirrored(tmp_path)
    repository = Repository.create(tmp_path, tofu)
    left_out = shutil.ignore_patterns("__pycache__", "node_modules", "build", ".svelte-kit", ".lock", "root")
    for folder in ("config", "examples", "app"):
        shutil.copytree(ROOT / folder, repository.path / folder, ignore=left_out, dirs_exist_ok=True)
    shutil.copy(ROOT / ".gitignore", repository.path / ".gitignore")
    repository.commit("the example")
    repository.variables |= {
        "TF_CLI_CONFIG_FILE": str(tmp_path / "tofurc"), "KUBECONFIG": str(kubernetes.kubeconfig),
        "KUBE_CONFIG": str(kubernetes.kubeconfig), "REGISTRY": registry.host, "BASE": _base(tmp_path, registry),
        "DEPLOY_ENV": "kubernetes", "RECORDS": "https://records.example.com/doit",
    }  # fmt: skip
    with_built_dashboard(repository)
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
    """What controllers and kubelets would do for the Deployment `dashboard` in the namespace `dashboard`, for one deploy."""

    def __init__(self, kubernetes: Kubernetes, revision: int) -> None:
        super().__init__()
        self.space = Namespace.__new__(Namespace)  # the stack makes the namespace
        self.space.cluster, self.space.name = kubernetes, "dashboard"
        self._revision = revision
        self.start()

    def deployment(self) -> dict[str, Any] | None:
        """The Deployment, when there is one of the wanted revision."""
        found = self.space.cluster.call("GET", "/apis/apps/v1/deployments")["items"]
        mine = [item for item in found if item["metadata"]["namespace"] == "dashboard"]
        return next((item for item in mine if item["metadata"]["generation"] >= self._revision), None)

    def run(self) -> None:
        """Roll it out."""
        wait_for(self.deployment, "the Deployment")
        found = self.deployment()
        assert found is not None
        owner, wanted = self.space.replica_set(found, self._revision, app="dashboard"), found["spec"]["replicas"]
        for number in range(wanted):
            name = f"dashboard-{self._revision}-{number}"
            self.space.pod(name, owner, "ReplicaSet", pod_template_hash=f"r{self._revision}", app="dashboard")
            self.space.ready(name)
        self.space.cluster.status(f"{self.space.apps}/deployments/dashboard", {
            "observedGeneration": found["metadata"]["generation"], "replicas": wanted, "updatedReplicas": wanted,
            "availableReplicas": wanted, "readyReplicas": wanted,
        })  # fmt: skip

    def container(self) -> dict[str, Any]:
        """The container that the Deployment runs."""
        self.join()
        found = self.deployment()
        assert found is not None
        container: dict[str, Any] = found["spec"]["template"]["spec"]["containers"][0]
        return container


def test_the_example_deploys_its_image_by_digest_and_a_changed_line_deploys_another(
    shop: Repository, kubernetes: Kubernetes, registry: ImageRegistry, tmp_path: Path
) -> None:
    review = shop.clone(tmp_path / "review")
    shown = review.doit("plan").task("plan", "dashboard")
    assert f"image = {registry.host}/dashboard:" in shown
    assert "(not built yet)" in shown
    assert "deferred until namespace.name exists" in review.doit("plan:dashboard", "mocks=no").task("plan", "dashboard")

    cluster = Cluster(kubernetes, 1)
    done = shop.doit("deploy")
    [tag] = registry.tags("dashboard")
    assert f"{registry.host}/dashboard:{tag} " in shown
    first = cluster.container()["image"]
    assert first == f"{registry.host}/dashboard@{registry.manifest('dashboard', tag)[1]}"
    assert "1 check passed" in done.task("deploy", "dashboard")
    assert cluster.container()["env"] == [{"name": "DASHBOARD_SOURCE", "value": "https://records.example.com/doit"}]
    assert "srv/build/index.js" in files_of(registry, "dashboard", tag)

    started(shop)
    shop.engine_calls()
    assert "nothing to deploy" in shop.doit("deploy").out
    assert started(shop) == []
    assert shop.engine_calls() == []

    source = shop.path / "app/src/routes/+page.svelte"
    source.write_text(source.read_text().replace("<h1>Environments</h1>", "<h1>Every environment</h1>"))
    shop.commit()
    for pod in ("dashboard-1-0", "dashboard-1-1"):
        kubernetes.call("DELETE", f"{cluster.space.core}/pods/{pod}")
    cluster = Cluster(kubernetes, 2)
    shop.doit("deploy")
    assert shop.planned() == ["dashboard"]
    assert cluster.container()["image"] != first
    assert len(registry.tags("dashboard")) == 2
