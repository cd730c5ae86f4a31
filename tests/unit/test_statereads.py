"""Whether a stack may read other states: only what is certain counts as no."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tasks.engine import statereads

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = 'resource "terraform_data" "x" {}\n'


def stack(base: Path, files: dict[str, str], listed: object = None) -> tuple[Path, Path]:
    """A stack `s` with these files, and the list of modules that the engine wrote."""
    for name, text in {"s/main.tf": PLAIN, **files}.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    data = base / ".deploy/data"
    if listed is not None:
        (data / "modules").mkdir(parents=True)
        (data / "modules/modules.json").write_text(listed if isinstance(listed, str) else json.dumps(listed))
    return base / "s", data


def modules(**sources: str) -> dict[str, object]:
    """What `init` writes."""
    called = [{"Key": key, "Source": source, "Dir": source} for key, source in sources.items()]
    return {"Modules": [{"Key": "", "Source": "", "Dir": "."}, *called]}


@pytest.mark.parametrize(
    ("files", "listed"),
    [
        ({}, None),
        ({}, modules()),
        ({"m/main.tf": PLAIN, "other/main.tf": 'data "terraform_remote_state" "x" {}'}, modules(m="../m")),
        ({"s/notes.md": "terraform_remote_state"}, None),
    ],
)
def test_a_stack_without_such_a_data_source_reads_none(tmp_path: Path, files: dict[str, str], listed: object) -> None:
    assert not statereads.may_read(*stack(tmp_path, files, listed))


DATA = 'data "terraform_remote_state" "x" {}'


@pytest.mark.parametrize(
    ("files", "listed"),
    [
        ({"s/data.tf": DATA}, None),
        ({"s/data.tofu": DATA}, None),
        ({"s/data_override.tf.json": json.dumps({"data": {"terraform_remote_state": {"x": {}}}})}, None),
        ({"s/data.tf.json": '{"data": {"\\u0074erraform_remote_state": {"x": {}}}}'}, None),
        ({"s/data.tf": 'data "\\u0074erraform_remote_state" "x" {}'}, None),
        ({"s/data.tf": 'data "\\U00000074erraform_remote_state" "x" {}'}, None),
        ({"m/main.tf": DATA}, modules(m="../m")),
        ({"m/main.tf": PLAIN, "m/n/main.tf": DATA}, modules(m="../m", n="../m/n")),
        ({}, modules(m="registry.opentofu.org/acme/m/aws")),
        ({}, modules(m="git::https://example.com/m.git")),
        ({}, modules(m="../nowhere")),
        ({}, "{"),
        ({}, "[]"),
        ({}, {"Modules": [{"Key": "m"}]}),
        ({}, {"Modules": [None]}),
    ],
)
def test_one_that_has_it_or_may_have_it_reads_some(tmp_path: Path, files: dict[str, str], listed: object) -> None:
    assert statereads.may_read(*stack(tmp_path, files, listed))


def test_a_list_that_is_a_link_is_not_believed(tmp_path: Path) -> None:
    folder, data = stack(tmp_path, {}, modules())
    path = data / "modules/modules.json"
    path.symlink_to(path.rename(tmp_path / "elsewhere"))
    assert statereads.may_read(folder, data)
