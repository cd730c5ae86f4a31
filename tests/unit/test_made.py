"""What was built, and where an image is: read as it was written, or made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tasks.base.files import read_json, write_json
from tasks.base.layout import Layout
from tasks.builds import made
from tasks.builds.made import BuildReceipt, PinnedImage

if TYPE_CHECKING:
    from pathlib import Path

BUILD = BuildReceipt("app", "1" * 64, "2" * 64, {"node": "v20"}, "2026-01-01T00:00:00Z")
IMAGE = PinnedImage("app", "registry/app", "tag", "sha256:3", "pushed", None)


@pytest.mark.parametrize(
    "more", [{"sources": None}, {"outputs": 5}, {"toolchain": []}, {"toolchain": {"node": 20}}, {"odd": 1}]
)
def test_a_damaged_receipt_of_a_build_is_made_again(tmp_path: Path, more: dict[str, Any]) -> None:
    layout = Layout(tmp_path, "prod")
    made.write_build(layout, BUILD)
    assert made.read_build(layout, "app") == BUILD
    write_json(layout.build("app"), {**read_json(layout.build("app")), **more})
    assert made.read_build(layout, "app") is None
    write_json(layout.build("app"), [])
    assert made.read_build(layout, "app") is None


@pytest.mark.parametrize("more", [{"repository": None}, {"digest": 5}, {"commit": []}, {"odd": 1}])
def test_a_damaged_record_of_an_image_is_found_again(tmp_path: Path, more: dict[str, Any]) -> None:
    layout = Layout(tmp_path, "prod")
    made.write_image(layout, IMAGE)
    assert made.read_image(layout, "app") == IMAGE
    write_json(layout.image("app"), {**read_json(layout.image("app")), **more})
    assert made.read_image(layout, "app") is None
