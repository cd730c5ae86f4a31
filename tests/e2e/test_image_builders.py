"""What every builder has to do alike: buildah, podman, and docker's buildx with a buildkitd and no daemon of docker."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tests.images import config, files_of, make_shop
from tests.packages import started, watch
from tests.servers.buildkit import BuildKit
from tests.servers.imageregistry import PASSWORD, USER, ImageRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.repository import Repository


@pytest.fixture(scope="module")
def buildkit(registry: ImageRegistry) -> Iterator[BuildKit]:
    """A buildkitd for docker's buildx; what it wants of Docker Hub it gets from our registry."""
    server = BuildKit(registry.host)
    yield server
    server.remove()


@pytest.fixture(params=["buildah", "podman", "docker"])
def builder(request: pytest.FixtureRequest) -> str:
    """Each builder that there is."""
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
    assert "SHOP_TOKEN, not set here" in shop.doit("build", code=1).out
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
    assert f"it wants a login for {builder}/server" in done.out
    assert "nothing was deployed" in done.out
    wrong = shop.doit("deploy", code=1, DEPLOY_REGISTRY_USER=USER, DEPLOY_REGISTRY_PASSWORD="wrong-password")
    assert f"refuses {builder}/server for the login in DEPLOY_REGISTRY_USER" in wrong.out
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
    assert f"`{builder} build` ended with" in done.out
    assert "nowhere" in done.out
    assert shop.engine_calls("apply") == []
