"""A real Kubernetes API with its etcd on the loopback, built once from their modules; tests write what kubelets would."""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import requests
import urllib3
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.gomodule import built

TOKEN = "admin-token-5b1e-kubernetes"
_PATIENCE = 90.0
_PROVIDER = "registry.opentofu.org/hashicorp/kubernetes/1.13.4"


def mirrored(folder: Path) -> None:
    """Write a `tofurc` into a folder, with a mirror of the Kubernetes provider beside it."""
    system = f"linux_{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[platform.machine()] }"
    packages = folder / "mirror" / _PROVIDER / system
    packages.mkdir(parents=True)
    name = "terraform-provider-kubernetes"
    binary = built("kubernetes/provider", f"github.com/hashicorp/{name}") / name
    (packages / f"{name}_v1.13.4").symlink_to(binary)
    mirror = f'provider_installation {{\n  filesystem_mirror {{\n    path = "{folder}/mirror"\n  }}\n}}\n'
    (folder / "tofurc").write_text(mirror)


def _free_ports(number: int) -> list[int]:
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Kubernetes:
    """An API that is running; `stop` and `start` may follow each other, what it holds stays until `remove`."""

    def __init__(self) -> None:
        self._bin = built("kubernetes/api", "go.etcd.io/etcd/server/v3", "k8s.io/kubernetes/cmd/kube-apiserver")
        self._base = Path(tempfile.mkdtemp(prefix="k8s-"))
        self._etcd_port, self._peer_port, self.port = _free_ports(3)
        (self._base / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\nnobody-token-9c2d,nobody,nobody\n")
        key = self._base / "sa.key"
        key.write_bytes(
            rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        self.kubeconfig = self.write_kubeconfig(self._base / "kubeconfig", TOKEN)
        self._http = requests.Session()
        self._http.trust_env = False  # a bundle of the environment would win over the next line
        self._http.verify = False
        self._http.headers["Authorization"] = f"Bearer {TOKEN}"
        self._etcd = self._start(
            "server", "--data-dir", str(self._base / "etcd"), "--unsafe-no-fsync", "--log-level", "error",
            f"--listen-client-urls=http://127.0.0.1:{self._etcd_port}",
            f"--advertise-client-urls=http://127.0.0.1:{self._etcd_port}",
            f"--listen-peer-urls=http://127.0.0.1:{self._peer_port}",
        )  # fmt: skip
        self._api: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"https://127.0.0.1:{self.port}"

    def write_kubeconfig(self, path: Path, token: str, url: str | None = None) -> Path:
        """A kubeconfig with a token; it trusts the API's own certificate."""
        certificate = self._base / "certs/apiserver.crt"
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": url or self.url, "certificate-authority": str(certificate)}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }))  # fmt: skip
        return path

    def start(self) -> None:
        """Start the API and wait until it is ready."""
        key = str(self._base / "sa.key")
        self._api = self._start(
            "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self._etcd_port}", f"--cert-dir={self._base}/certs",
            f"--secure-port={self.port}", "--bind-address=127.0.0.1", "--service-account-issuer=https://kubernetes.test",
            f"--service-account-signing-key-file={key}", f"--service-account-key-file={key}",
            f"--token-auth-file={self._base}/tokens.csv", "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/16", "--disable-admission-plugins=ServiceAccount",
            "--shutdown-delay-duration=0s",
        )  # fmt: skip
        end = time.monotonic() + _PATIENCE
        while not self._is_ready():
            log = (self._base / "log").read_text()[-3000:]
            assert self._api.poll() is None, f"the API ended:\n{log}"
            assert time.monotonic() < end, f"the API did not become ready:\n{log}"
            time.sleep(0.1)

    def stop(self) -> None:
        """End the API at once, as a machine that is lost; its data stays."""
        assert self._api is not None
        self._api.kill()
        self._api.wait()

    def remove(self) -> None:
        """End all, and remove the data."""
        self.stop()
        self._etcd.kill()
        self._etcd.wait()
        shutil.rmtree(self._base, ignore_errors=True)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Ask the API; it must answer well."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
            response = self._http.request(method, self.url + path, json=body, headers=headers, timeout=30)
        assert response.ok, f"{method} {path}: {response.status_code} {response.text[:500]}"
        return response.json()

    def create(self, path: str, name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
        """Make an object; gives it as the API keeps it."""
        made: dict[str, Any] = self.call("POST", path, {"metadata": {"name": name, **metadata}, "spec": spec})
        return made

    def status(self, path: str, status: dict[str, Any]) -> None:
        """Patch the status of an object, as its controller or kubelet would."""
        content = {"Content-Type": "application/merge-patch+json"}
        self.call("PATCH", f"{path}/status", {"status": status}, **content)

    def _is_ready(self) -> bool:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
                return self._http.get(f"{self.url}/readyz", timeout=5).ok
        except requests.RequestException:
            return False

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._base / "log").open("ab") as log:
            return subprocess.Popen([str(self._bin / name), *arguments], stdout=log, stderr=log, cwd=self._base)


class Namespace:
    """A namespace for one test, and what it makes in it."""

    def __init__(self, cluster: Kubernetes, name: str) -> None:
        self.cluster, self.name = cluster, name
        cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    @property
    def core(self) -> str:
        """Where its pods and events are."""
        return f"/api/v1/namespaces/{self.name}"

    @property
    def apps(self) -> str:
        """Where its Deployments and the like are."""
        return f"/apis/apps/v1/namespaces/{self.name}"

    def pod(
        self,
        name: str = "web-1",
        owner: dict[str, Any] | None = None,
        kind: str = "",
        finalizer: bool = False,
        **labels: str,
    ) -> dict[str, Any]:
        """A pod that is pending, as it is before a kubelet has it."""
        metadata: dict[str, Any] = {
            "labels": {"app": "web", **{key.replace("_", "-"): text for key, text in labels.items()}}
        }
        if owner is not None:
            metadata["ownerReferences"] = [_reference(owner, kind)]
        if finalizer:
            metadata["finalizers"] = ["example.test/kept"]
        return self.cluster.create(f"{self.core}/pods", name, POD, **metadata)

    def ready(self, name: str = "web-1", *, ready: bool = True) -> None:
        """A kubelet says that a pod runs."""
        word = "True" if ready else "False"
        self.cluster.status(f"{self.core}/pods/{name}", {
            "phase": "Running", "conditions": [{"type": "Ready", "status": word}],
            "containerStatuses": [_container(ready, {"running": {"startedAt": "2026-01-01T00:00:00Z"}})],
        })  # fmt: skip

    def waiting(self, name: str, reason: str, message: str = "", exit_code: int | None = None) -> None:
        """A kubelet says why a container does not run."""
        ended = {} if exit_code is None else {"terminated": {"exitCode": exit_code, "reason": "Error"}}
        self.cluster.status(f"{self.core}/pods/{name}", {
            "phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": [_container(False, {"waiting": {"reason": reason, "message": message}}, ended)],
        })  # fmt: skip

    def phase(self, name: str, phase: str) -> None:
        """A kubelet says that a pod has ended."""
        self.cluster.status(
            f"{self.core}/pods/{name}", {"phase": phase, "conditions": [{"type": "Ready", "status": "False"}]}
        )

    def event(self, pod: dict[str, Any], reason: str, message: str, kind: str = "Warning") -> None:
        """An event about a pod."""
        metadata = pod["metadata"]
        self.cluster.call("POST", f"{self.core}/events", {
            "metadata": {"generateName": "e-"}, "reason": reason, "message": message, "type": kind,
            "involvedObject": {"kind": "Pod", "name": metadata["name"], "namespace": self.name, "uid": metadata["uid"]},
            "lastTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        })  # fmt: skip

    def deployment(self, replicas: int = 1, name: str = "web") -> dict[str, Any]:
        """A Deployment that no controller has seen yet."""
        return self.cluster.create(f"{self.apps}/deployments", name, {**_workload(), "replicas": replicas})

    def replica_set(self, deployment: dict[str, Any], revision: int, **labels: str) -> dict[str, Any]:
        """One of its ReplicaSets."""
        spec = _workload(pod_template_hash=f"r{revision}", **labels)
        return self.cluster.create(
            f"{self.apps}/replicasets", f"web-r{revision}", spec, labels=spec["template"]["metadata"]["labels"],
            annotations={"deployment.kubernetes.io/revision": str(revision)},
            ownerReferences=[_reference(deployment, "Deployment")],
        )  # fmt: skip


POD = {"containers": [{"name": "app", "image": "example.test/app:1"}], "terminationGracePeriodSeconds": 0}


def _workload(**labels: str) -> dict[str, Any]:
    every = {"app": "web", **{key.replace("_", "-"): text for key, text in labels.items()}}
    return {"selector": {"matchLabels": every}, "template": {"metadata": {"labels": every}, "spec": POD}}


def _container(ready: bool, state: dict[str, Any], last: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": "app", "image": "example.test/app:1", "imageID": "", "ready": ready, "restartCount": 0, "state": state,
            "lastState": last or {}}  # fmt: skip


def _reference(owner: dict[str, Any], kind: str) -> dict[str, Any]:
    metadata = owner["metadata"]
    version = "batch/v1" if kind == "Job" else "apps/v1"
    return {"apiVersion": version, "kind": kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True}
