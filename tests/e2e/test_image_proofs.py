"""A tag that somebody else pushed: with a key, a deploy believes only images that a holder of the key has proven."""

from __future__ import annotations

import base64
import json
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tasks.base.masking import Masker
from tasks.base.stop import Stop
from tasks.builds import proofs
from tasks.builds.proofs import ANNOTATION
from tasks.builds.reference import Repository as Reference
from tasks.builds.registry import Registry
from tasks.project.config import signer
from tests.images import config, make_shop
from tests.packages import started, watch
from tests.servers.imageregistry import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.project.config.signer import Signer
    from tests.repository import Repository
    from tests.servers.imageregistry import ImageRegistry

KEY, OTHER = (base64.b64encode(letter * 32).decode() for letter in (b"a", b"b"))


@pytest.fixture
def shop(build: Callable[..., Repository], repository_name: str) -> Repository:
    """The image `server`, proven with an artifact key, and deployed by the stack `web`."""
    repository = make_shop(build, repository_name)
    repository.variables["DEPLOY_ARTIFACT_KEY"] = KEY
    watch(repository, "buildah")
    return repository


@pytest.fixture
def path(repository_name: str) -> str:
    """The repository within its registry."""
    return repository_name.partition("/")[2]


def elsewhere(shop: Repository, tmp_path: Path, name: str = "elsewhere", key: str = KEY) -> Repository:
    """A clone on a machine that has only the key."""
    clone = shop.clone(tmp_path / name)
    clone.variables["DEPLOY_ARTIFACT_KEY"] = key
    watch(clone, "buildah")
    return clone


def tag_of(registry: ImageRegistry, path: str) -> str:
    """The only tag that is no proof."""
    [tag] = [tag for tag in registry.tags(path) if "." not in tag]
    return tag


def proof_of(registry: ImageRegistry, path: str) -> str:
    """The only tag that is a proof."""
    [tag] = [tag for tag in registry.tags(path) if "." in tag]
    return tag


def forge(registry: ImageRegistry, path: str, tag: str, of: str) -> str:
    """Push another image than the one of a tag under a tag, as all who may push can; returns its digest."""
    manifest, _ = registry.manifest(path, of)
    registry.put(path, tag, json.dumps({**manifest, "annotations": {"by": "somebody else"}}).encode())
    return registry.manifest(path, tag)[1]


def client(registry: ImageRegistry, path: str) -> Registry:
    """The product's own client, without a login."""
    where = Reference.parse(f"{registry.host}/{path}")
    return Registry(where, None, insecure=False, stop=Stop(print), mask=Masker())


def held(text: str) -> Signer:
    """A key as the product reads it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPLOY_ARTIFACT_KEY", text)
        key = signer.read("DEPLOY_ARTIFACT_KEY", "artifact")
    assert key is not None
    return key


def test_a_proven_image_is_found_by_whoever_has_the_key_and_built_by_whoever_has_another(
    shop: Repository, registry: ImageRegistry, path: str, tmp_path: Path
) -> None:
    shop.doit("deploy")
    digest = registry.manifest(path, tag_of(registry, path))[1]
    clone = elsewhere(shop, tmp_path)
    assert "is in the registry already" in clone.doit("deploy").task("build", "image/server")
    assert started(clone) == []
    staging = elsewhere(shop, tmp_path, "staging", OTHER)
    done = staging.doit("build")
    assert "not proven by DEPLOY_ARTIFACT_KEY: building it" in done.out
    assert f"built by buildah, pinned as {digest}" in done.task("build", "image/server")
    assert len([tag for tag in registry.tags(path) if "." in tag]) == 2, "one proof for each key"
    third = elsewhere(shop, tmp_path, "third")
    assert "is in the registry already" in third.doit("build").task("build", "image/server")


def test_a_tag_that_others_pushed_is_built_again_and_what_is_deployed_stays(
    shop: Repository, registry: ImageRegistry, path: str, repository_name: str
) -> None:
    tag = shop.doit("plan").task("plan", "web").partition(f"{repository_name}:")[2].split()[0].rstrip(";")
    client(registry, path).prove("some", "image", "x")
    evil = forge(registry, path, tag, of="some.image")
    done = shop.doit("deploy")
    assert f"{repository_name}:{tag} is in the registry {registry.host}, but not proven" in done.out
    right = registry.manifest(path, tag)[1]
    assert right != evil
    assert shop.state("web")["outputs"]["image"]["value"] == f"{repository_name}@{right}"
    assert client(registry, path).digest(right) == right
    # The tag, and a real proof of what it once was, are put back: this environment knows what it deployed.
    older = forge(registry, path, tag, of=right)
    proofs.keep(client(registry, path), held(KEY), f"{registry.host}/{path}", tag, older)
    done = shop.doit("-a", "build:image/server")
    assert f"pinned as {right}" in done.task("build", "image/server")
    # One that was never deployed here is what the key says.
    registry.remove_manifest(path, right)
    done = shop.doit("-a", "build:image/server")
    assert f"pinned as {older}" in done.task("build", "image/server")


def test_a_proof_is_of_one_image_in_one_place(registry: ImageRegistry, path: str) -> None:
    store, key, name = client(registry, path), held(KEY), f"{registry.host}/{path}"
    digest, other = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    assert store.proof("tag", key.fingerprint) is None
    proofs.keep(store, key, name, "tag", digest)
    proofs.keep(store, key, name, "tag", digest)

    def proven(name: str = name, tag: str = "tag", digest: str = digest, key: Signer = key) -> bool:
        return proofs.is_proven(store, [key], name, tag, digest)

    assert proven()
    assert proofs.is_proven(store, [held(OTHER), key], name, "tag", digest)
    assert not proven(digest=other)
    assert not proven(name=f"{name}/other")
    assert not proven(key=held(OTHER))
    registry.point(path, f"another.{key.fingerprint}", f"tag.{key.fingerprint}")
    assert not proven(tag="another")
    # The proof of another environment, under the name of this key's.
    registry.point(path, f"tag.{held(OTHER).fingerprint}", f"tag.{key.fingerprint}")
    assert not proven(key=held(OTHER))
    manifest, _ = registry.manifest(path, f"tag.{key.fingerprint}")
    for wrong in ({}, {ANNOTATION: "é" * 64}, {ANNOTATION: ""}, {"x": "y"}):
        registry.put(path, f"tag.{key.fingerprint}", json.dumps({**manifest, "annotations": wrong}).encode())
        assert not proven(), wrong


def test_without_a_key_the_tag_is_believed_and_that_is_said_once(
    shop: Repository, registry: ImageRegistry, path: str, tmp_path: Path
) -> None:
    shop.doit("build", DEPLOY_ARTIFACT_KEY="")
    assert [tag for tag in registry.tags(path) if "." in tag] == []
    clone = elsewhere(shop, tmp_path, key="")
    done = clone.doit("build")
    assert done.out.count("no key proves who pushed it") == 1
    assert started(clone) == []


def test_a_closed_registry_gets_the_proof_with_the_login(shop: Repository, closed: ImageRegistry) -> None:
    shop.write(config(f"{closed.host}/proven/server", ", login: {user: MY_USER, password: MY_PASSWORD}"))
    done = shop.doit("build", MY_USER=USER, MY_PASSWORD=PASSWORD)
    assert len(closed.tags("proven/server")) == 2
    assert "its proof is not kept" not in done.out


def test_an_optional_image_is_not_deployed_by_a_tag_that_others_may_push(
    shop: Repository, registry: ImageRegistry, path: str, repository_name: str
) -> None:
    shop.write(config(repository_name, ", optional: true, builder: podman"))
    shop.commit()
    tag = shop.doit("plan").task("plan", "web").partition(f"{repository_name}:")[2].split()[0].rstrip(";")
    client(registry, path).prove("some", "image", "x")
    forge(registry, path, tag, of="some.image")
    few = shop.home / "few"
    few.mkdir()
    for program in ("git", "sh", "basename"):
        (few / program).symlink_to(str(shutil.which(program)))
    (few / "tofu").symlink_to(shop.bin / "tofu")
    done = shop.doit("deploy", code=1, PATH=f"{few}:{shop.python.parent}")
    assert "no image is deployed by its tag" in done.out
    assert "no job with the artifact key has proven it" in done.out
    assert shop.engine_calls("apply") == []


def test_a_folder_of_images_is_believed_with_a_proof_alone(build: Callable[..., Repository], tmp_path: Path) -> None:
    shop = make_shop(build, "oci:images")
    shop.variables["DEPLOY_ARTIFACT_KEY"] = KEY
    watch(shop, "buildah")
    shop.doit("build")
    index = shop.path / "images/index.json"
    value = json.loads(index.read_text())
    [entry] = value["manifests"]
    right = entry["digest"]
    blobs = shop.path / "images/blobs/sha256"
    manifest = json.loads((blobs / right.removeprefix("sha256:")).read_text())
    content = json.dumps({**manifest, "annotations": {"by": "somebody else"}}).encode()
    (blobs / sha256(content).hexdigest()).write_bytes(content)
    evil = f"sha256:{sha256(content).hexdigest()}"
    for forged, starts in ((right, False), (evil, True)):
        entry["digest"] = forged
        clone = elsewhere(shop, tmp_path, f"with-{forged[7:15]}")
        shutil.copytree(shop.path / "images", clone.path / "images")
        (clone.path / "images/index.json").write_text(json.dumps(value))
        done = clone.doit("build")
        assert f"pinned as {right}" in done.task("build", "image/server")
        assert bool(started(clone)) == starts
