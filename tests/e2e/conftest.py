"""Fixtures of the end-to-end tests: the engine, found or built once, and repositories in named shapes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import backends
from tests.conftest import KUBERNETES, group
from tests.gomodule import alone
from tests.repository import ENGINE_VERSION, ROOT, Repository, minimal_config, reader, resource
from tests.servers.imageregistry import ImageRegistry
from tests.servers.kubernetes import Kubernetes
from tests.servers.objectstore import ObjectStore
from tests.servers.postgres import Postgres
from tests.servers.receivers import WebReceiver
from tests.servers.stateserver import StateServer
from tests.snapshots import Snapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.backends import Backend

_CLUSTERS: list[Kubernetes] = []
TOOLS = Path(os.environ.get("DOIT_TOFU_CACHE", Path.home() / ".cache/doit-tofu")) / "test-tools"


@pytest.fixture(scope="session")
def tofu() -> Path:
    """The real engine of the pinned version; `doit setup` in this repository has it, and is run when it is not there."""
    cached = (
        Path(os.environ.get("DOIT_TOFU_CACHE", Path.home() / ".cache/doit-tofu"))
        / f"engines/tofu-{ENGINE_VERSION}/tofu"
    )
    with alone("engine"):  # two that set up at once in one checkout: the second is refused
        for candidate in (cached, Path(shutil.which("tofu") or "/nonexistent")):
            if candidate.exists() and f"v{ENGINE_VERSION}" in subprocess.check_output(
                [candidate, "version"], text=True
            ):
                return candidate
        subprocess.run([sys.executable, "-m", "doit", "setup"], cwd=ROOT, check=True)
        assert cached.exists()
        return cached


@pytest.fixture(scope="session")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshots]:
    """What tests of this worker began with."""
    base = tmp_path_factory.getbasetemp()
    Repository.snapshots = Snapshots(base / "snapshots", base / "world")
    yield Repository.snapshots
    Repository.snapshots = None
    Repository.end()


@pytest.fixture
def tmp_path(snapshots: Snapshots, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder that is at the same path for every test, and that has the test's name when the test is over."""
    snapshots.world.mkdir()
    yield snapshots.world
    for process in _processes_of(snapshots.world):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    name = re.sub(r"\W+", "-", request.node.name)[:60]
    number = sum(1 for _ in snapshots.world.parent.iterdir())
    snapshots.world.rename(snapshots.world.parent / f"{name}-{number}")


def _processes_of(folder: Path) -> list[int]:
    """The processes that a test left: they work in its folder, or have their HOME there."""
    found = []
    inside, home = f"{folder}/", f"\0HOME={folder}/".encode()
    for name in os.listdir("/proc"):  # noqa: PTH208 - a hundred processes after each test
        if not name.isdecimal():
            continue
        try:
            works = f"{os.readlink(f'/proc/{name}/cwd')}/".startswith(inside)  # noqa: PTH115
            if not works:
                with open(f"/proc/{name}/environ", "rb", buffering=0) as environ:  # noqa: PTH123
                    works = home in b"\0" + environ.readall()
        except OSError:  # it has ended
            continue
        if works:
            found.append(int(name))
    return found


def unique(request: pytest.FixtureRequest, *more: str) -> str:
    """A name for what a test alone has at a server that other tests share."""
    return "t" + sha256("\0".join((request.node.nodeid, str(os.getpid()), *more)).encode()).hexdigest()[:12]


@pytest.fixture
def build(tmp_path: Path, tofu: Path) -> Callable[..., Repository]:
    """Builds a repository from `path:content` strings."""
    return lambda *files: Repository.create(tmp_path, tofu, *files)


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    """A web server that keeps what it is sent."""
    receiver = WebReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def registry() -> Iterator[ImageRegistry]:
    """A registry of images that wants no login."""
    server = ImageRegistry()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def closed() -> Iterator[ImageRegistry]:
    """A registry of images that wants a login."""
    server = ImageRegistry(closed=True)
    yield server
    server.remove()


@pytest.fixture
def repository_name(registry: ImageRegistry, request: pytest.FixtureRequest) -> str:
    """A repository of the registry for one test alone."""
    return f"{registry.host}/{unique(request)}/server"


@pytest.fixture
def one(build: Callable[..., Repository]) -> Repository:
    """One stack `a` with one resource and one output."""
    return build(minimal_config(), f"stacks/a/main.tf:{resource()}")


@pytest.fixture
def pair(build: Callable[..., Repository]) -> Repository:
    """Two stacks that know nothing of each other, `a` and `b`."""
    return build(minimal_config(), f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{resource()}")


@pytest.fixture
def chain(build: Callable[..., Repository]) -> Repository:
    """`a --> b --> c`: each gives its output `value` to the next one's variable `x`."""
    return build(
        minimal_config("stacks:\n  b: {inputs: {x: a.value}}\n  c: {inputs: {x: b.value}}\n"),
        f"stacks/a/main.tf:{resource()}",
        f"stacks/b/main.tf:{reader('x')}",
        f"stacks/c/main.tf:{reader('x')}",
    )


@pytest.fixture
def example(tmp_path: Path, tofu: Path) -> Iterator[Repository]:
    """A clone of this repository's own configuration, stacks and modules, its services on ports of their own.

    The dashboard is left out, as where there is no Node: building it takes longer than most tests.
    """
    import socket

    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        ports = [probe.getsockname()[1] for probe in (one, other)]
    repository = Repository.create(tmp_path, tofu)
    repository.variables["DEPLOY_STACKS__DASHBOARD__ENABLED"] = "false"
    left_out = shutil.ignore_patterns("__pycache__", "node_modules", "build", ".svelte-kit", ".lock")
    for folder in ("config", "stacks", "modules", "app"):
        shutil.copytree(ROOT / folder, repository.path / folder, ignore=left_out)
    local = repository.path / "config/environments/local.yaml"
    local.write_text(local.read_text().replace("4173", str(ports[0])).replace("4174", str(ports[1])))
    shutil.copy(ROOT / ".gitignore", repository.path / ".gitignore")
    repository.commit("the example")
    yield repository
    for pid in (*repository.path.glob(".state/*/pid"), *repository.path.glob(".run/*/pid")):
        subprocess.run(["kill", pid.read_text()], check=False)


@pytest.fixture(scope="session")
def state_server() -> Iterator[StateServer]:
    """A server of states that speaks GitLab's protocol."""
    server = StateServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server."""
    server = Postgres()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def clusters() -> Iterator[list[Kubernetes]]:
    """The Kubernetes API that tests share, while there is one."""
    yield _CLUSTERS
    while _CLUSTERS:
        _CLUSTERS.pop().remove()


@pytest.fixture
def kubernetes(clusters: list[Kubernetes]) -> Kubernetes:
    """A real Kubernetes API; each test has a namespace of its own."""
    if not clusters:
        clusters.append(Kubernetes())
    return clusters[0]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """End the API with the last of its tests, which come one after the other: it computes as long as it runs."""
    while _CLUSTERS and (nextitem is None or group(nextitem.nodeid) != KUBERNETES):
        _CLUSTERS.pop().remove()


@pytest.fixture
def own_kubernetes() -> Iterator[Kubernetes]:
    """One for a test that ends it."""
    cluster = Kubernetes()
    yield cluster
    cluster.remove()


@pytest.fixture(scope="session")
def gitlab_ci_local() -> Path:
    """The client, installed once from its lock file."""
    source = ROOT / "tests/gitlab-ci-local"
    lock = (source / "package-lock.json").read_bytes()
    folder = TOOLS / f"gitlab-ci-local-{sha256(lock).hexdigest()[:12]}"
    program = folder / "node_modules/.bin/gitlab-ci-local"
    with alone("gitlab-ci-local"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(source, folder)
            headers = {"npm_config_nodedir": "/usr"} if Path("/usr/include/node").is_dir() else {}
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, env=os.environ | headers, check=True)
            (folder / "done").touch()
    return program


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """An S3 server."""
    store = ObjectStore()
    yield store
    store.stop()


@pytest.fixture(params=backends.KINDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """A backend of each kind, for this test alone."""
    return make_backend(request, request.param, tmp_path)


def make_backend(request: pytest.FixtureRequest, kind: str, folder: Path) -> Backend:
    """A backend of one kind; its server is started when the first test needs it."""
    name = unique(request, kind)
    if kind == "local":
        return backends.local(folder / "states")
    if kind == "http":
        return backends.http(request.getfixturevalue("state_server"), name)
    if kind == "pg":
        return backends.pg(request.getfixturevalue("postgres"), name)
    return backends.s3(request.getfixturevalue("object_store"), name)
