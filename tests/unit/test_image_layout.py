"""A folder of images that a stranger filled: it is read in bounded time, and whatever is wrong is an error or no image."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest

from tasks.base.errors import RegistryError
from tasks.builds.imagelayout import ImageLayout

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.base.jsonvalue import Json

NAME = "org.opencontainers.image.ref.name"


def layout(folder: Path, index: Json) -> ImageLayout:
    """A layout with an index and no blob yet."""
    (folder / "blobs/sha256").mkdir(parents=True)
    (folder / "index.json").write_text(json.dumps(index))
    return ImageLayout(folder, "oci:images")


def entry(digest: Json) -> Json:
    """The entry of the tag `it`."""
    return {"digest": digest, "annotations": {NAME: "it"}}


@pytest.mark.parametrize(
    "index",
    [
        [], 1, "x", {}, {"manifests": [1]}, {"manifests": {"a": 1}}, {"manifests": [{"annotations": {NAME: "it"}}]},
        {"manifests": [{"digest": 5, "annotations": "x"}]}, {"manifests": [{"digest": "x", "annotations": [1]}]},
    ],
)  # fmt: skip
def test_an_index_of_another_form_is_an_error(tmp_path: Path, index: Json) -> None:
    with pytest.raises(RegistryError, match="the image layout oci:images cannot be read"):
        layout(tmp_path, index).digest("it")


@pytest.mark.parametrize(
    "digest", ["", None, 7, "sha256:", "sha256:../../../../etc/passwd", "sha256:..", "../index.json"]
)
def test_a_digest_that_is_none_leads_nowhere(tmp_path: Path, digest: Json) -> None:
    assert layout(tmp_path, {"manifests": [entry(digest)]}).digest("it") is None


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "other content"])
def test_a_blob_that_is_no_such_file_is_no_image(tmp_path: Path, kind: str) -> None:
    digest = "1" * 64
    images = layout(tmp_path, {"manifests": [entry(f"sha256:{digest}")]})
    blob = tmp_path / "blobs/sha256" / digest
    if kind == "pipe":
        os.mkfifo(blob)
    elif kind == "device":
        blob.symlink_to("/dev/zero")
    elif kind == "folder":
        blob.mkdir()
    else:
        blob.write_text('{"config": {}, "layers": []}')
    assert images.digest("it") is None


def test_a_chain_of_indexes_ends(tmp_path: Path) -> None:
    images = layout(tmp_path, {})
    digest = "0" * 64
    for _ in range(3000):
        content = json.dumps({"manifests": [{"digest": f"sha256:{digest}"}]}).encode()
        digest = hashlib.sha256(content).hexdigest()
        (tmp_path / "blobs/sha256" / digest).write_bytes(content)
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [entry(f"sha256:{digest}")]}))
    with pytest.raises(RegistryError, match="cannot be read"):
        images.digest("it")
