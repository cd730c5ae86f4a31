"""A cache is read exactly as it was written, or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tasks.base import cachefile

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = {"files": {"a.tf": [[1, 2], "digest", {"outputs": ["x"]}], "\udcff": [[3], "other", None]}}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache of version 1."""
    path = tmp_path / "cache.json"
    cachefile.write(path, 1, CONTENT)
    return path


def test_a_cache_is_json_and_is_read_as_it_was_written(cache: Path) -> None:
    assert cachefile.read(cache, 1) == {**json.loads(cache.read_bytes()), **CONTENT}
    assert cachefile.read(cache, 2) == {}
    assert cachefile.read(cache.with_name("missing.json"), 1) == {}


DAMAGES: list[Any] = [
    None, [], 5, {}, {"version": 1}, {"version": 1, "files": CONTENT["files"]}, {"files": {"a.tf": 5}},
    {"files": {"a.tf": [[1, 2], "digest", {"outputs": 5}]}}, {"files": {"a.tf": [[1, 2], 5, None]}}, {"digest": 5},
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_cache_with_another_value_is_missing(cache: Path, damage: Any) -> None:
    found = json.loads(cache.read_bytes())
    if isinstance(damage, dict) and damage.keys() <= {"files", "digest"} and damage:
        damage = {**found, **damage}
    cache.write_text(json.dumps(damage, separators=(",", ":")))
    assert cachefile.read(cache, 1) == {}


def test_a_cache_with_any_other_byte_is_missing(cache: Path) -> None:
    data = cache.read_bytes()
    for place in range(len(data)):
        cache.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert cachefile.read(cache, 1) == {}
        cache.write_bytes(data[:place])
        assert cachefile.read(cache, 1) == {}
