"""Images: known by the digest of what they are made of, built and pushed once by a real builder, pinned by digest."""

from __future__ import annotations

import json
import os
import shutil
import signal
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.images import TAKES, config, files_of, make_shop, reference
from tests.packages import lock, package, started, watch
from tests.repository import Repository, copy_tree, minimal_config, wait_for
from tests.servers.imageregistry import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.imageregistry import ImageRegistry


@pytest.fixture
def shop(build: Callable[..., Repository], repository_name: str) -> Repository:
    """The image `server`; the stack `web` deploys it, `other` knows nothing of it."""
    repository = make_shop(build, repository_name)
    watch(repository, "buildah")
    return repository


def test_an_image_is_built_and_pushed_once_and_deployed_by_its_digest(
    shop: Repository, registry: ImageRegistry, repository_name: str
) -> None:
    done = shop.doit("deploy")
    path = repository_name.partition("/")[2]
    [tag] = registry.tags(path)
    _, digest = registry.manifest(path, tag)
    assert f"{repository_name}:{tag} built by buildah, pinned as {digest}" in done.task("build", "image/server")
    assert shop.state("web")["outputs"]["image"]["value"] == f"{repository_name}@{digest}"
    manifest = shop.json("plans", "web", "manifest.json")
    assert manifest["images"] == {"image": f"{repository_name}@{digest}"}
    assert manifest["unpinned"] == []
    assert started(shop) != []
    shop.engine_calls()
    assert "nothing to deploy" in shop.doit("deploy").out
    assert "no stack is affected" in shop.doit("plan").out
    shop.doit("build")
    assert started(shop) == []
    assert shop.engine_calls() == []


def test_a_review_shows_the_new_reference_without_a_builder_or_a_registry(
    shop: Repository, registry: ImageRegistry, repository_name: str
) -> None:
    shop.write(config(repository_name.replace(registry.host, "registry.example.invalid")))
    done = shop.doit("plan")
    assert started(shop) == []
    shown = reference(done.task("plan", "web"))
    assert shown.startswith("registry.example.invalid/")
    assert len(shown.rpartition(":")[2]) == 32
    assert "(not built yet)" in done.task("plan", "web")
    assert "; `doit deploy` applies exactly this, and plans 1 again once its image is there" in done.out
    assert shown in (shop.deploy_dir("reports/plan.md")).read_text()
    shop.write("server/page/index.html:second")
    assert reference(shop.doit("plan").task("plan", "web")) != shown


def test_what_the_review_showed_is_the_tag_that_the_deploy_pushes(
    shop: Repository, registry: ImageRegistry, repository_name: str
) -> None:
    shown = reference(shop.doit("plan").task("plan", "web"))
    done = shop.doit("deploy")
    assert registry.tags(repository_name.partition("/")[2]) == [shown.rpartition(":")[2]]
    assert "planned again: this plan was made before the image was in its registry: server" in done.task("plan", "web")
    assert "@sha256:" in shop.state("web")["outputs"]["image"]["value"]


def test_a_plan_made_after_the_build_is_applied_as_it_is(shop: Repository) -> None:
    shop.doit("build")
    planned = shop.doit("plan").task("plan", "web")
    assert "@sha256:" in planned
    sha = shop.json("plans", "web", "manifest.json")["plan_sha256"]
    started(shop)
    done = shop.doit("deploy")
    assert "as planned at" in done.task("plan", "web")
    assert shop.json("receipts", "web.json")["plan_sha256"] == sha
    assert started(shop) == []


def test_build_and_plan_in_one_run_plan_with_the_digest(shop: Repository) -> None:
    assert "@sha256:" in shop.doit("build", "plan").task("plan", "web")


def test_a_second_machine_finds_the_tag_and_builds_nothing(shop: Repository, tmp_path: Path) -> None:
    shop.doit("deploy")
    old = os.umask(0o077)
    try:
        clone = shop.clone(tmp_path / "elsewhere")
    finally:
        os.umask(old)
    for path in (clone.path / "server").rglob("*"):
        os.utime(path, (1_000_000, 1_000_000))
    watch(clone, "buildah")
    done = clone.doit("deploy")
    assert "is in the registry already" in done.task("build", "image/server")
    assert started(clone) == []
    assert clone.state("web")["outputs"]["image"] == shop.state("web")["outputs"]["image"]


def test_one_changed_line_makes_a_new_tag_and_affects_the_stack_that_deploys_it_alone(
    shop: Repository, registry: ImageRegistry, repository_name: str
) -> None:
    shop.doit("deploy")
    shop.engine_calls()
    shop.write("server/page/index.html:second")
    shop.commit()
    done = shop.doit("deploy")
    assert shop.planned() == ["web"]
    assert "[image server (variable image) changed]" in done.task("plan", "web")
    assert len(registry.tags(repository_name.partition("/")[2])) == 2


def test_what_is_not_in_the_context_changes_no_tag(shop: Repository) -> None:
    first = reference(shop.doit("plan").task("plan", "web"))
    shop.write("server/.dockerignore:*.md\n.dockerignore\n**/cache\n")
    ignored = reference(shop.doit("plan").task("plan", "web"))
    assert ignored == first
    shop.write("server/README.md:x", "server/page/cache/x:y", "README.md:x")
    assert reference(shop.doit("-a", "plan:web").task("plan", "web")) == first
    shop.write("server/page/.hidden:x")
    assert reference(shop.doit("-a", "plan:web").task("plan", "web")) != first


def test_the_image_holds_the_files_that_count_and_no_other(
    shop: Repository, registry: ImageRegistry, repository_name: str
) -> None:
    shop.write(
        "server/.dockerignore:page/*.md\n!page/kept.md\n",
        "server/page/notes.md:x",
        "server/page/kept.md:x",
        "server/page/junk.tfstate:x",
    )
    shop.doit("build")
    path = repository_name.partition("/")[2]
    names = files_of(registry, path, registry.tags(path)[0])
    assert {"srv/index.html", "srv/kept.md", "greeting"} <= names
    assert not {"srv/notes.md", "srv/junk.tfstate"} & names


def test_a_build_that_the_image_contains_is_made_with_it_and_counts_by_its_sources(
    build: Callable[..., Repository], registry: ImageRegistry, repository_name: str, tmp_path: Path
) -> None:
    head = f"builds: {{app: {{kind: node, path: app}}}}\nimages: {{server: {{context: app, repository: {repository_name}}}}}\n"
    repository = build(
        minimal_config(head + "stacks: {web: {images: {image: server}}}\n"),
        *package(),
        "app/Containerfile:FROM scratch\nCOPY build /srv\n",
        f"stacks/web/main.tf:{TAKES}",
    )
    watch(repository, "npm", "buildah")
    lock(repository)
    repository.commit()
    started(repository)
    shown = reference(repository.doit("plan").task("plan", "web"))
    assert started(repository) == []
    assert "\nbuild     2 ok\n" in repository.doit("deploy").out  # not `1 up to date`: both were made
    path, tag = repository_name.partition("/")[2], shown.rpartition(":")[2]
    assert registry.tags(path) == [tag]
    assert "srv/index.js" in files_of(registry, path, tag)
    assert any(line.startswith("npm run build") for line in started(repository))
    clone = repository.clone(tmp_path / "elsewhere")
    watch(clone, "npm", "buildah")
    clone.doit("deploy")
    assert started(clone) == []  # the image is there: nothing that it contains is made
    repository.write("app/src/text.txt:second")
    assert reference(repository.doit("plan").task("plan", "web")).rpartition(":")[2] != tag


# Logins


@pytest.mark.parametrize("way", ["named", "gitlab", "file"])
def test_a_login_may_come_from_named_variables_from_gitlab_or_from_a_file(
    shop: Repository, closed: ImageRegistry, way: str, tmp_path: Path
) -> None:
    name = f"{closed.host}/{way}/server"
    variables = {}
    if way == "named":
        shop.write(config(name, ", login: {user: MY_USER, password: MY_PASSWORD}"))
        assert "MY_USER and MY_PASSWORD is not set" in shop.doit("build", code=1).out
        variables = {"MY_USER": USER, "MY_PASSWORD": PASSWORD}
    else:
        shop.write(config(name))
    if way == "gitlab":
        variables = {"CI_REGISTRY": closed.host, "CI_REGISTRY_USER": USER, "CI_REGISTRY_PASSWORD": PASSWORD}
    if way == "file":
        auth = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        file = tmp_path / "auth.json"
        file.write_text(f'{{"auths": {{"{closed.host}": {{"auth": "{auth}"}}}}}}')
        variables = {"REGISTRY_AUTH_FILE": str(file)}
    shop.doit("build", **variables)
    assert len(closed.tags(f"{way}/server")) == 1


# Without a builder


@pytest.fixture
def without_builder(shop: Repository) -> dict[str, str]:
    """A PATH without any program that builds images, but a docker whose daemon is not there."""
    folder = shop.home / "few"
    folder.mkdir()
    for program in ("git", "sh", "basename"):
        (folder / program).symlink_to(shutil.which(program))
    docker = folder / "docker"
    docker.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    docker.chmod(0o755)
    (folder / "tofu").symlink_to(shop.bin / "tofu")
    return {"PATH": f"{folder}:{shop.python.parent}"}


def test_without_a_builder_a_deploy_fails_once_and_says_what_to_install(
    shop: Repository, without_builder: dict[str, str]
) -> None:
    done = shop.doit("deploy", code=1, **without_builder)
    assert "no working image builder was found: no buildah on PATH; no podman on PATH; docker does not work" in done.out
    assert done.out.count("apt-get install buildah") == 2, "where it failed, and at the end"
    assert shop.engine_calls("apply") == []


def test_without_a_builder_a_plan_and_a_deploy_of_what_is_in_the_registry_go_on(
    shop: Repository, without_builder: dict[str, str]
) -> None:
    shop.doit("plan", **without_builder)
    shop.doit("build")
    (shop.deploy_dir("images/server.json")).unlink()
    done = shop.doit("deploy", **without_builder)
    assert "is in the registry already" in done.task("build", "image/server")


def test_an_optional_image_is_said_once_and_deployed_by_its_tag(
    shop: Repository, without_builder: dict[str, str], repository_name: str
) -> None:
    shop.write(config(repository_name, ", optional: true"))
    done = shop.doit("deploy", **without_builder)
    assert "not available, but optional: no working image builder was found" in done.task("build", "image/server")
    assert shop.state("web")["outputs"]["image"]["value"].startswith(f"{repository_name}:")
    assert shop.doit("deploy", **without_builder).out.count("optional") == 0


def test_a_registry_that_is_not_there_fails_the_deploy_before_anything_is_applied(shop: Repository) -> None:
    shop.write(config("127.0.0.1:1/server"))
    done = shop.doit("deploy", code=1)
    assert "registry 127.0.0.1:1: connection refused" in done.out
    assert shop.engine_calls("apply") == []


# Hand-over, drift


def test_the_job_that_deploys_needs_neither_builder_nor_registry_when_the_folder_is_handed_over(
    shop: Repository, without_builder: dict[str, str], tmp_path: Path
) -> None:
    shop.doit("build", "plan")
    clone = shop.clone(tmp_path / "elsewhere")
    copy_tree(shop.deploy_dir(), clone.deploy_dir())
    sha = shop.json("plans", "web", "manifest.json")["plan_sha256"]
    # With a proxy that is not there, whoever asked the registry would fail.
    clone.doit(
        "deploy", HTTP_PROXY="http://127.0.0.1:1", HTTPS_PROXY="http://127.0.0.1:1", PATH=without_builder["PATH"]
    )
    assert clone.json("receipts", "web.json")["plan_sha256"] == sha


def test_a_killed_run_leaves_no_login_file_once_the_next_one_builds(shop: Repository, closed: ImageRegistry) -> None:
    login = {"DEPLOY_REGISTRY_USER": USER, "DEPLOY_REGISTRY_PASSWORD": PASSWORD}
    folder = shop.home / "temporary"
    folder.mkdir()
    shop.write(config(f"{closed.host}/killed/server"))
    slow = ["/bin/busybox", "sh", "-c", "/bin/busybox sleep 600"]
    shop.write(f"server/Containerfile:FROM scratch\nCOPY busybox /bin/busybox\nRUN {json.dumps(slow)}\n")
    process = shop.start("build", TMPDIR=str(folder), **login)
    wait_for(lambda: list(folder.glob("*/private/config.json")), "the build to begin")
    process.kill()
    process.communicate()
    for session in {os.getsid(child) for child in _processes_of(folder)}:
        os.killpg(session, signal.SIGKILL)
    assert list(folder.glob("*/private/config.json")) != []
    shop.write("server/Containerfile:FROM scratch\nCOPY page /srv\n")
    shop.doit("build", TMPDIR=str(folder), **login)
    assert len(closed.tags("killed/server")) == 1
    assert list(folder.glob("*/private")) == []


def _processes_of(folder: Path) -> list[int]:
    """The processes whose command line names a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_against_a_base_a_changed_file_of_the_context_affects_the_stack_that_deploys_it(shop: Repository) -> None:
    shop.git("tag", "base")
    shop.write("server/page/index.html:second", "README.md:x")
    shop.commit()
    done = shop.doit("plan", "base=base")
    assert "image server (variable image) changed since base" in done.task("plan", "web")
    assert shop.planned() == ["web"]
    assert "no stack is affected" in shop.doit("plan", "base=HEAD").out


def test_drift_plans_with_the_image_that_is_deployed(shop: Repository) -> None:
    shop.doit("deploy")
    (shop.deploy_dir("images/server.json")).unlink()
    assert "as deployed" in shop.doit("drift").task("drift", "web")
    shop.write("server/page/index.html:second")
    assert "undeployed code" in shop.doit("drift", code=2).task("drift", "web")


def test_an_image_that_the_followed_environment_has_counts_as_arrived_in_whatever_registry(
    shop: Repository, repository_name: str
) -> None:
    images = f"images: {{server: {{repository: {repository_name}-prod}}}}\n"
    shop.write(f"config/environments/prod.yaml:follows: local\n{images}", "config/environments/local.yaml:")
    shop.commit()
    shop.doit("deploy")
    line = shop.doit("env=prod", "plan").task("plan", "web")
    assert f"{repository_name}-prod:" in line
    assert "not in local yet" not in line
    shop.write("server/page/index.html:second")
    assert "not in local yet: image server (variable image) changed" in shop.doit("env=prod", "plan").task(
        "plan", "web"
    )


def test_the_receipt_has_the_digest_and_its_inputs_have_the_tag(shop: Repository, repository_name: str) -> None:
    shop.doit("build", "plan")
    shop.doit("deploy")
    receipt = shop.json("receipts", "web.json")
    assert receipt["images"]["image"].startswith(f"{repository_name}@sha256:")
    assert shop.inputs("receipts", "web.json")["image", "server"].startswith(f"{repository_name}:")
