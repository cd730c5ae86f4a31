"""A deploy through a real provider into a real Kubernetes API: it passes when the pod turns ready, and only then."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.repository import Repository, minimal_config, wait_for
from tests.servers.kubernetes import Kubernetes, Namespace, mirrored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STACK = """\
terraform {
  backend "local" {}
  required_providers {
    kubernetes = { source = "hashicorp/kubernetes", version = "1.13.4" }
  }
}

variable "namespace" {
  type = string
}

provider "kubernetes" {}

resource "kubernetes_pod" "web" {
  metadata {
    name      = "web-1"
    namespace = var.namespace
    labels    = { app = "web" }
  }
  spec {
    node_name                       = "n1"
    automount_service_account_token = false
    container {
      name  = "app"
      image = "example.test/app:1"
    }
  }
}
"""


@pytest.fixture
def space(kubernetes: Kubernetes, request: pytest.FixtureRequest) -> Namespace:
    """A namespace for this test alone."""
    return Namespace(kubernetes, f"t{abs(hash(request.node.name)) % 10**12}")


@pytest.fixture
def repository(build: Callable[..., Repository], space: Namespace, tmp_path: Path) -> Repository:
    """A stack with a pod, and a check of it; the provider comes from a mirror on this machine."""
    mirrored(tmp_path)
    made = build(
        minimal_config(f"""\
            stacks:
              web:
                variables: {{namespace: {space.name}}}
                verify:
                  - {{kind: kubernetes_pods, namespace: {space.name}, selector: app=web, timeout: 60, interval: 0.1}}
            """),
        f"stacks/web/main.tf:{STACK}",
    )
    made.variables |= {
        "TF_CLI_CONFIG_FILE": str(tmp_path / "tofurc"),
        "KUBECONFIG": str(space.cluster.kubeconfig), "KUBE_CONFIG": str(space.cluster.kubeconfig),
    }  # fmt: skip
    return made


def kubelet(repository: Repository, space: Namespace, then: Callable[[dict[str, Any]], None]) -> threading.Thread:
    """Runs the pod, not ready yet, once it is there; does something more when the apply has ended."""

    def work() -> None:
        def there() -> list[Any]:
            found: list[Any] = space.cluster.call("GET", f"{space.core}/pods")["items"]
            return found

        wait_for(there, "the pod")
        space.ready("web-1", ready=False)
        wait_for(lambda: _outcome(repository) == "applied", "the apply to end")
        then(there()[0])

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def _outcome(repository: Repository) -> str:
    path = repository.deploy_dir("receipts", "web.json")
    return str(repository.json("receipts", "web.json")["outcome"]) if path.exists() else ""


def test_a_deploy_passes_when_its_pod_turns_ready(repository: Repository, space: Namespace) -> None:
    thread = kubelet(repository, space, lambda _: space.ready("web-1"))
    done = repository.doit("deploy")
    thread.join()
    assert "+1 ~0 -0; 1 check passed" in done.task("deploy", "web")
    [check] = repository.json("results", "deploy", "web.json")["details"]["checks"]
    assert check["observed"] == "1 of 1 pod ready"


def test_a_deploy_fails_with_its_pods_own_event(repository: Repository, space: Namespace) -> None:
    def crash(pod: dict[str, Any]) -> None:
        space.event(pod, "BackOff", "Back-off restarting failed container app in pod web-1")
        space.waiting("web-1", "CrashLoopBackOff", "back-off 10s restarting failed container", exit_code=78)

    thread = kubelet(repository, space, crash)
    done = repository.doit("deploy", code=1)
    thread.join()
    line = done.task("deploy", "web")
    assert "event: BackOff: Back-off restarting failed container app in pod web-1" in line
    assert "it last exited with 78 (Error)" in line
    assert any(f"`kubectl -n {space.name} describe pod web-1`" in text for text in done.out.splitlines())
    assert repository.json("receipts", "web.json")["verified"] is False
    space.ready("web-1")
    repository.engine_calls()
    assert "already applied" in repository.doit("deploy").task("deploy", "web")
    assert repository.engine_calls("apply") == []
