"""What every builder has to do alike: buildah, podman, and docker's buildx with a buildkitd and no daemon of docker."""

from __future__ import annotations

import json
import os
import shutil
import signal
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.images import config, content_of, files_of, make_shop
from tests.packages import started, watch
from tests.repository import PATIENCE, Done, wait_for
from tests.servers.buildkit import BuildKit
from tests.servers.imageregistry import PASSWORD, USER, ImageRegistry
from tests.servers.registryproxy import RegistryProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.repository import Repository


@pytest.fixture(scope="module")
def buildkit(registry: ImageRegistry) -> Iterator[BuildKit]:
    """A buildkitd for docker's buildx; what it wants of Docker Hub it gets from our registry."""
    server = BuildKit(registry.host)
    yield server
    server.remove()


# podman builds with buildah's code: it has the tests of what is its own, its commands to build, push and log in.
every_builder = pytest.mark.parametrize("builder", ["buildah", "podman", "docker"])


@pytest.fixture(params=["buildah", "docker"])
def builder(request: pytest.FixtureRequest) -> str:
    """Each builder that there is, or those that a test names."""
    name: str = request.param
    return name


@pytest.fixture
def variables(builder: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """What a builder's user has set."""
    if builder != "docker":
        return {}
    found: dict[str, str] = request.getfixturevalue("buildkit").variables
    return found


@pytest.fixture
def forget(builder: str, request: pytest.FixtureRequest) -> Callable[[], None]:
    """Has a builder forget what it built, or its second build would be its first one's layers."""
    return request.getfixturevalue("buildkit").forget if builder == "docker" else lambda: None


@pytest.fixture
def shop(build: Callable[..., Repository], repository_name: str, builder: str, variables: dict[str, str]) -> Repository:
    """The image `server`, which the stack `web` deploys, by that builder."""
    repository = make_shop(build, repository_name, f", builder: {builder}")
    repository.variables |= variables
    watch(repository, builder)
    return repository


@every_builder
def test_an_image_is_built_and_pushed_once_and_found_by_the_next_clone(
    shop: Repository, builder: str, registry: ImageRegistry, repository_name: str, tmp_path: Path
) -> None:
    done = shop.doit("deploy")
    path = repository_name.partition("/")[2]
    [tag] = registry.tags(path)
    _, digest = registry.manifest(path, tag)
    assert f"{repository_name}:{tag} built by {builder}, pinned as {digest}" in done.task("build", "image/server")
    assert shop.state("web")["outputs"]["image"]["value"] == f"{repository_name}@{digest}"
    assert {"bin/busybox", "srv/index.html", "greeting"} <= files_of(registry, path, tag)
    clone = shop.clone(tmp_path / "elsewhere")
    watch(clone, builder)
    assert "is in the registry already" in clone.doit("build").task("build", "image/server")
    assert started(clone) == []


def test_two_builds_of_one_tree_have_one_digest(
    shop: Repository, builder: str, forget: Callable[[], None], registry: ImageRegistry, repository_name: str
) -> None:
    path = repository_name.partition("/")[2]
    shop.doit("build")
    forget()
    old = os.umask(0o077)
    try:
        clone = shop.clone(shop.home / "elsewhere")
        clone.write(config(f"{repository_name}-again", f", builder: {builder}"), "stacks/other/note.md:unrelated")
        clone.commit()
        clone.doit("build")
    finally:
        os.umask(old)
    assert registry.tags(path) == registry.tags(f"{path}-again") != []
    tag = registry.tags(path)[0]
    assert registry.manifest(path, tag)[1] == registry.manifest(f"{path}-again", tag)[1]


def test_a_change_that_keeps_a_files_size_is_in_the_next_image(
    shop: Repository, registry: ImageRegistry, repository_name: str
) -> None:
    """BuildKit takes a file of the same size and time for the one that it was sent before."""
    path, found = repository_name.partition("/")[2], []
    for text in ("first", "third"):
        shop.write(f"server/page/index.html:{text}")
        tag = shop.doit("build").task("build", "image/server").split()[2].rpartition(":")[2]
        found.append(content_of(registry, path, tag)["srv/index.html"])
    assert found == [b"first", b"third"]


def test_arguments_and_labels_are_part_of_the_tag_and_of_the_image(
    shop: Repository, builder: str, registry: ImageRegistry, repository_name: str
) -> None:
    labels = '{org.opencontainers.image.source: "https://git.example.com/shop", org.opencontainers.image.revision: "{revision}"}'
    shop.write(
        config(
            repository_name,
            f', builder: {builder}, args: {{GREETING: "hello ${{WHO}}"}}, labels: {labels}, target: last',
        ),
        "server/Containerfile:FROM scratch AS last\nARG GREETING\nLABEL greeting=$GREETING\nCOPY page /srv\n"
        "FROM scratch\nCOPY nowhere /\n",
    )
    commit = shop.commit()
    done = shop.doit("build", WHO="you")
    path, tag = repository_name.partition("/")[2], done.task("build", "image/server").split()[2].rpartition(":")[2]
    assert registry.config(path, tag)["config"]["Labels"] == {
        "greeting": "hello you",
        "org.opencontainers.image.source": "https://git.example.com/shop",
        "org.opencontainers.image.revision": commit,
    }
    assert registry.config(path, tag)["created"].startswith("1970-01-01")
    shop.write("README.md:not in the context")
    shop.commit()
    assert "1 up to date" in shop.doit("build", WHO="you").out
    assert shop.doit("build", WHO="they").task("build", "image/server").split()[2].rpartition(":")[2] != tag


@every_builder
def test_an_image_of_several_platforms_is_one_index(
    shop: Repository, builder: str, registry: ImageRegistry, repository_name: str
) -> None:
    shop.write(
        "server/Containerfile:FROM scratch\nCOPY page /srv\n",
        config(repository_name, f", builder: {builder}, platforms: [linux/amd64, linux/arm64]"),
    )
    shop.doit("build")
    path = repository_name.partition("/")[2]
    index, digest = registry.manifest(path, registry.tags(path)[0])
    assert sorted(item["platform"]["architecture"] for item in index["manifests"]) == ["amd64", "arm64"]
    assert shop.json("images", "server.json")["digest"] == digest


def test_a_secret_is_mounted_and_is_in_no_command_line_log_or_layer(
    shop: Repository, builder: str, registry: ImageRegistry, repository_name: str
) -> None:
    secret = "build-s3cret-value"
    seen = f"{sha256(secret.encode()).hexdigest()}  /run/secrets/token"
    script = f"/bin/busybox echo '{seen}' | /bin/busybox sha256sum -c > /ok"
    shop.write(
        config(repository_name, f", builder: {builder}, secrets: {{token: SHOP_TOKEN}}"),
        "server/Containerfile:FROM scratch\nCOPY busybox /bin/busybox\n"
        f"RUN --mount=type=secret,id=token {json.dumps(['/bin/busybox', 'sh', '-c', script])}\n",
    )
    assert "SHOP_TOKEN, which are not set here" in shop.doit("build", code=1).out
    done = shop.doit("build", SHOP_TOKEN=secret)
    assert secret not in done.out
    assert secret not in "".join(started(shop))
    path = repository_name.partition("/")[2]
    [tag] = registry.tags(path)
    assert "ok" in files_of(registry, path, tag)
    assert secret not in str(registry.config(path, tag))


def test_a_login_comes_from_the_environment_and_is_in_no_command_line_log_or_file(
    shop: Repository, builder: str, closed: ImageRegistry
) -> None:
    shop.write(config(f"{closed.host}/{builder}/server", f", builder: {builder}"))
    done = shop.doit("deploy", code=1)
    assert f"it requires a login for {builder}/server" in done.out
    assert "nothing was deployed" in done.out
    wrong = shop.doit("deploy", code=1, DEPLOY_REGISTRY_USER=USER, DEPLOY_REGISTRY_PASSWORD="wrong-password")
    assert f"it denies access to {builder}/server for the login in DEPLOY_REGISTRY_USER" in wrong.out
    done = shop.doit("deploy", DEPLOY_REGISTRY_USER=USER, DEPLOY_REGISTRY_PASSWORD=PASSWORD)
    assert len(closed.tags(f"{builder}/server")) == 1
    calls = "".join(started(shop))
    assert "push" in calls
    files = [path.read_bytes() for path in (shop.path / ".deploy").rglob("*") if path.is_file()]
    files += [path.read_bytes() for path in (shop.home / "cache").rglob("*.json") if path.is_file()]
    for text in (done.out, wrong.out, calls, *(content.decode(errors="replace") for content in files)):
        assert PASSWORD not in text
        assert "wrong-password" not in text


def test_a_failing_containerfile_shows_what_the_builder_said(shop: Repository, builder: str) -> None:
    shop.write("server/Containerfile:FROM scratch\nCOPY nowhere /x\n")
    done = shop.doit("deploy", code=1)
    assert f"`{builder} build` exited with" in done.out
    assert "nowhere" in done.out
    assert shop.engine_calls("apply") == []


def test_a_program_of_another_platform_is_said_to_be_the_cause(shop: Repository) -> None:
    content = bytearray((shop.path / "server/busybox").read_bytes())
    content[18:20] = b"\x34\x12"  # a machine that nobody has, so nobody emulates it
    (shop.path / "server/busybox").write_bytes(content)
    done = shop.doit("build", code=1)
    assert "exec format error" in done.out
    assert "next: the Containerfile runs a program for another platform" in done.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_build_says_one_line_ends_what_it_started_and_pushes_nothing(
    shop: Repository, builder: str, number: signal.Signals, registry: ImageRegistry, repository_name: str
) -> None:
    command = f"sleep {os.getpid()}000"  # no other worker's
    shop.write(
        f"server/Containerfile:FROM scratch\nCOPY busybox /bin/busybox\nRUN {json.dumps(['/bin/busybox', *command.split()])}\n"
    )
    process = shop.start("build")
    wait_for(lambda: _running(command), "the build's command to start")
    process.send_signal(number)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, out
    assert Done(process.returncode, out).task("build", "image/server").endswith("stopped: nothing was applied")
    assert "FAILED" not in out
    assert builder not in out  # nothing of what it printed
    assert "Traceback" not in out
    wait_for(lambda: not _running(command), "the build's command to end")
    assert registry.tags(repository_name.partition("/")[2]) == []


def _running(command: str) -> bool:
    """Whether a process of this command line exists."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if path.read_bytes().replace(b"\0", b" ").strip().endswith(command.encode()):
                return True
    return False


# Pushes that do not go well


@pytest.fixture
def behind(registry: ImageRegistry) -> Iterator[Callable[..., RegistryProxy]]:
    """Puts a proxy in front of the registry."""
    proxies: list[RegistryProxy] = []

    def start(answer: Callable[[str, str], tuple[int, str, dict[str, str]] | None]) -> RegistryProxy:
        proxies.append(RegistryProxy(registry.host, answer))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.stop()


@pytest.mark.parametrize("problem", [(429, "TOOMANYREQUESTS"), (503, "UNAVAILABLE")])
def test_a_registry_that_fails_in_the_middle_of_a_push_is_tried_again_or_leaves_nothing_recorded(
    shop: Repository,
    builder: str,
    behind: Callable[..., RegistryProxy],
    repository_name: str,
    problem: tuple[int, str],
) -> None:
    """Whether a builder tries again is up to it; what may never be is a record of an image that is not there."""
    left = [1]

    def answer(method: str, _path: str) -> tuple[int, str, dict[str, str]] | None:
        if method == "PUT" and left[0] > 0:
            left[0] -= 1
            return *problem, {"Retry-After": "1"}
        return None

    proxy = behind(answer)
    shop.write(config(f"{proxy.host}/{repository_name.partition('/')[2]}", f", builder: {builder}"))
    done = shop.doit("deploy", code=None)
    assert len(proxy.answered) == 1
    if done.code != 0:
        assert f"`{builder} {'build' if builder == 'docker' else 'push'}` exited with" in done.out
        assert str(problem[0]) in done.out
        assert not shop.deploy_dir("images/server.json").exists()
        assert shop.engine_calls("apply") == []
        shop.doit("deploy")
    assert "@sha256:" in shop.state("web")["outputs"]["image"]["value"]


def test_a_push_that_is_refused_for_missing_rights_says_whose_and_leaves_nothing_recorded(
    shop: Repository, builder: str, behind: Callable[..., RegistryProxy], repository_name: str
) -> None:
    proxy = behind(lambda method, _: None if method in {"GET", "HEAD"} else (403, "DENIED", {}))
    shop.write(config(f"{proxy.host}/{repository_name.partition('/')[2]}", f", builder: {builder}"))
    done = shop.doit("deploy", code=1, DEPLOY_REGISTRY_USER=USER, DEPLOY_REGISTRY_PASSWORD=PASSWORD)
    assert "check that the user of DEPLOY_REGISTRY_USER and DEPLOY_REGISTRY_PASSWORD may write" in done.out
    assert PASSWORD not in done.out
    assert not shop.deploy_dir("images/server.json").exists()
    assert shop.engine_calls("apply") == []


def test_two_clones_that_push_one_tag_at_once_deploy_one_image(
    shop: Repository, builder: str, registry: ImageRegistry, repository_name: str
) -> None:
    clone = shop.clone(shop.home / "elsewhere")
    processes = [repository.start("deploy") for repository in (shop, clone)]
    for process in processes:
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, out
        assert f"built by {builder}" in out
    path = repository_name.partition("/")[2]
    [tag] = registry.tags(path)
    deployed = [repository.state("web")["outputs"]["image"]["value"] for repository in (shop, clone)]
    assert deployed == [f"{repository_name}@{registry.manifest(path, tag)[1]}"] * 2


# Docker's own


@pytest.mark.parametrize("builder", ["docker"])
def test_attestations_are_in_the_index_that_is_deployed_and_hold_no_secret(
    shop: Repository, buildkit: BuildKit, registry: ImageRegistry, repository_name: str
) -> None:
    secret = "attested-s3cret-value"
    buildkit.push_scanner(registry.host)
    shop.write(
        config(repository_name, ", builder: docker, attest: [sbom, provenance], secrets: {token: SHOP_TOKEN}"),
    )
    shop.doit("deploy", SHOP_TOKEN=secret)
    path = repository_name.partition("/")[2]
    index, digest = registry.manifest(path, registry.tags(path)[0])
    assert shop.state("web")["outputs"]["image"]["value"] == f"{repository_name}@{digest}"
    image, attestation = index["manifests"]
    assert image["platform"]["architecture"] == "amd64"
    assert attestation["annotations"]["vnd.docker.reference.digest"] == image["digest"]
    statements = [json.loads(layer) for layer in registry.layers(path, attestation["digest"])]
    assert sorted(statement["predicateType"].split("/")[2] for statement in statements) == ["slsa.dev", "spdx.dev"]
    assert secret not in json.dumps(statements)


@pytest.mark.parametrize("builder", ["docker"])
def test_a_builder_of_buildx_that_does_not_answer_is_named(shop: Repository, buildkit: BuildKit) -> None:
    buildkit.add("gone", "unix:///nowhere/socket")
    done = shop.doit("build", code=1, BUILDX_BUILDER="gone")
    assert "docker buildx is installed, but its builder gone at unix:///nowhere/socket does not respond" in done.out
    done = shop.doit("build", code=1, BUILDX_BUILDER="default", DOCKER_HOST="unix:///nowhere/docker")
    assert (
        "its builder default does not respond (failed to connect to the docker API at unix:///nowhere/docker"
        in done.out
    )
    done = shop.doit("build", code=1, BUILDX_BUILDER="none")
    assert 'its builder does not respond (ERROR: no builder "none" found)' in done.out


@every_builder
def test_a_login_of_the_environment_wins_over_a_helper_that_keeps_passwords(
    shop: Repository, builder: str, closed: ImageRegistry, tmp_path: Path
) -> None:
    helper = shop.bin / "docker-credential-wrong"
    helper.write_text('#!/bin/sh\necho \'{"Username": "somebody", "Secret": "else"}\'\n')
    helper.chmod(0o755)
    settings = {"credHelpers": {closed.host: "wrong"}, "credsStore": "wrong"}
    folder = Path(shop.variables.get("DOCKER_CONFIG", str(tmp_path / "docker")))
    copy = tmp_path / "docker"
    if builder == "docker":
        shutil.copytree(folder, copy, symlinks=True)
    copy.mkdir(exist_ok=True)
    (copy / "config.json").write_text(json.dumps(settings))
    shop.write(config(f"{closed.host}/helped-{builder}/server", f", builder: {builder}"))
    login = {"DEPLOY_REGISTRY_USER": USER, "DEPLOY_REGISTRY_PASSWORD": PASSWORD}
    shop.doit("build", DOCKER_CONFIG=str(copy), **login)
    assert len(closed.tags(f"helped-{builder}/server")) == 1
