"""Images in a folder, an OCI image layout, where there is no registry: the same promises, kept by a real builder."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests import images
from tests.packages import started, watch
from tests.repository import Done, Repository, minimal_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOLDER = "oci:.run/images"


def config(repository: str = FOLDER, more: str = "") -> str:
    """A configuration with the image `server` in a folder, which the stack `web` deploys."""
    return images.config(repository, more)


@pytest.fixture
def shop(build: Callable[..., Repository]) -> Repository:
    """The image `server`; the stack `web` deploys it, `other` knows nothing of it."""
    repository = images.make_shop(build, FOLDER)
    watch(repository, "buildah")
    return repository


def manifests(folder: Path) -> dict[str, dict[str, Any]]:
    """The manifests of a layout, or the indexes, by tag."""
    index = json.loads((folder / "index.json").read_text())
    return {entry["annotations"]["org.opencontainers.image.ref.name"]: entry for entry in index["manifests"]}


def test_an_image_goes_into_the_folder_once_and_is_deployed_by_its_digest(shop: Repository) -> None:
    shown = shop.doit("plan").task("plan", "web")
    assert f"image = {FOLDER}:" in shown
    assert "(not built yet)" in shown
    assert started(shop) == []
    shop.doit("deploy")
    [(tag, entry)] = manifests(shop.path / ".run/images").items()
    assert f"{FOLDER}:{tag} " in shown
    assert shop.state("web")["outputs"]["image"]["value"] == f"{FOLDER}@{entry['digest']}"
    started(shop)
    shop.engine_calls()
    assert "nothing to deploy" in shop.doit("deploy").out
    assert (started(shop), shop.engine_calls()) == ([], [])
    assert shop.git("status", "--porcelain") == ""  # images are no sources


@pytest.mark.parametrize("optional", ["", ", optional: true"])
def test_a_plan_that_was_handed_over_before_the_build_is_made_again_with_the_digest(
    shop: Repository, optional: str
) -> None:
    shop.write(config(more=optional))
    shop.commit()
    shop.doit("plan")
    assert "planned again" in shop.doit("deploy").task("plan", "web")
    [(_, entry)] = manifests(shop.path / ".run/images").items()
    assert shop.state("web")["outputs"]["image"]["value"] == f"{FOLDER}@{entry['digest']}"
    shop.doit("drift")


def test_an_optional_image_that_was_deployed_by_its_tag_and_is_built_later_is_no_drift(shop: Repository) -> None:
    shop.write(config(more=", optional: true, builder: podman"))
    shop.commit()
    (shop.bin / "podman").write_text("#!/bin/sh\necho 'no such thing here' >&2\nexit 1\n")
    (shop.bin / "podman").chmod(0o755)
    shop.doit("plan")
    shop.doit("deploy")  # that very plan, by the tag
    assert len(shop.engine_calls("plan")) == 2
    applied = shop.state("web")["outputs"]["image"]["value"]
    assert applied.startswith(f"{FOLDER}:")
    shop.doit("build", DEPLOY_IMAGES__SERVER__BUILDER="buildah")
    assert manifests(shop.path / ".run/images")
    shop.doit("drift")
    assert "nothing to deploy" in shop.doit("deploy").out


def test_the_folder_is_one_that_others_can_read(shop: Repository, tmp_path: Path) -> None:
    shop.write(config("oci:images"))  # buildah makes a name of the path, which cannot begin with a dot
    shop.doit("build")
    [tag] = manifests(shop.path / "images")
    assert (shop.path / "images/index.json").stat().st_mode & 0o044
    store = ["--root", tmp_path / "store", "--runroot", tmp_path / "r", "--storage-driver", "vfs"]
    name = subprocess.run(
        ["buildah", *store, "from", f"oci:{shop.path}/images:{tag}"], check=True, capture_output=True, text=True
    ).stdout.strip()
    mounted = subprocess.run(["buildah", *store, "mount", name], check=True, capture_output=True, text=True).stdout
    page = subprocess.run(["cat", f"{mounted.strip()}/srv/index.html"], check=True, capture_output=True, text=True)
    assert page.stdout == "first"
    subprocess.run(["buildah", *store, "rm", name], check=True, capture_output=True)


def test_a_clone_with_that_folder_builds_nothing_and_one_without_makes_the_same_image(
    shop: Repository, tmp_path: Path
) -> None:
    shop.doit("build")
    before = manifests(shop.path / ".run/images")
    with_it = shop.clone(tmp_path / "with")
    shutil.copytree(shop.path / ".run", with_it.path / ".run")
    watch(with_it, "buildah")
    started(with_it)
    assert "is in the folder already" in with_it.doit("build").task("build", "image/server")
    assert started(with_it) == []
    without = shop.clone(tmp_path / "without")
    without.doit("build")
    assert manifests(without.path / ".run/images") == before


def test_what_was_there_stays_and_a_broken_image_is_made_again(shop: Repository) -> None:
    shop.doit("build")
    first = manifests(shop.path / ".run/images")
    shop.write("server/page/index.html:second")
    shop.doit("build")
    both = manifests(shop.path / ".run/images")
    assert len(both) == 2
    assert first.items() <= both.items()
    [tag] = set(both) - set(first)
    blob = shop.path / ".run/images/blobs/sha256" / both[tag]["digest"].removeprefix("sha256:")
    manifest = json.loads(blob.read_text())
    (blob.parent / manifest["layers"][0]["digest"].removeprefix("sha256:")).unlink()
    shop.deploy_dir("images", "server.json").unlink()
    assert "built by buildah" in shop.doit("build").task("build", "image/server")
    assert manifests(shop.path / ".run/images") == both


def test_two_environments_that_build_at_once_both_keep_their_image(shop: Repository) -> None:
    shop.write(
        "config/environments/prod.yaml:images: {server: {labels: {for: prod}}}\n",
        "config/environments/dev.yaml:images: {server: {labels: {for: dev}}}\n",
    )
    done: dict[str, Done] = {}

    def run(name: str) -> None:
        done[name] = shop.doit("build", f"env={name}")

    threads = [threading.Thread(target=run, args=(name,)) for name in ("prod", "dev")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: one.code for name, one in done.items()} == {"prod": 0, "dev": 0}
    assert len(manifests(shop.path / ".run/images")) == 2


def test_an_image_waits_for_the_build_that_it_contains_where_a_stack_reads_that_too(
    build: Callable[..., Repository],
) -> None:
    repository = build(
        minimal_config(
            "builds: {app: {kind: command, path: app, command: [sh, make.sh]}}\n"
            f"images: {{server: {{context: app, repository: '{FOLDER}'}}}}\n"
            "stacks: {web: {builds: [app], images: {image: server}}}\n"
        ),
        "app/make.sh:sleep 1\nmkdir build\necho made > build/page\n",
        "app/Containerfile:FROM scratch\nCOPY build /srv\n",
        "app/.gitignore:build\n",
        f"stacks/web/main.tf:{images.TAKES}",
    )
    done = repository.doit("deploy")
    assert "waiting for another build" not in done.out
    assert done.out.count("built app/build") == 1


def test_several_platforms_are_one_index(shop: Repository) -> None:
    shop.write(
        "server/Containerfile:FROM scratch\nCOPY page /srv\n", config(more=", platforms: [linux/amd64, linux/arm64]")
    )
    shop.doit("build")
    folder = shop.path / ".run/images"
    [entry] = manifests(folder).values()
    index = json.loads((folder / "blobs/sha256" / entry["digest"].removeprefix("sha256:")).read_text())
    assert sorted(item["platform"]["architecture"] for item in index["manifests"]) == ["amd64", "arm64"]
    assert shop.json("images", "server.json")["digest"] == entry["digest"]


def test_a_folder_that_is_something_else_is_named_and_left_alone(shop: Repository) -> None:
    shop.write(".run/images/index.json:{}")
    done = shop.doit("build", code=1)
    assert f"the image layout {FOLDER} cannot be read: it is not an image layout" in done.out
    assert (shop.path / ".run/images/index.json").read_text() == "{}"
    (shop.path / ".run/images/index.json").write_text("garbage")
    assert f"the image layout {FOLDER} cannot be read: " in shop.doit("build", code=1).out
    assert started(shop) == []


@pytest.mark.parametrize(
    ("repository", "more", "said"),
    [
        ("oci:.run/images:1", "", "'.run/images:1' is not valid as an image layout's folder"),
        ("oci:.run/images", ", insecure: true", "this only applies to registries"),
        ("oci:.run/images", ", login: {user: A, password: B}", "this only applies to registries"),
    ],
)
def test_a_wrong_folder_is_found_before_anything_starts(
    shop: Repository, repository: str, more: str, said: str
) -> None:
    shop.write(config(repository, more))
    done = shop.doit("plan", code=1)
    assert said in done.out
    assert "config/pipeline.yaml:" in done.out
