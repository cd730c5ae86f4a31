"""Engines in a cache: known by their bytes or not run; where the published archive lies beside, unpacked from it."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from tasks.engine import published as releases
from tasks.engine import trusted
from tasks.project.model import Engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "tofu_1.12.6_linux_amd64.zip"


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine in the cache of a machine that has recorded nothing yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    binary = tmp_path / "cache/engines/tofu-1.12.6/tofu"
    binary.parent.mkdir(parents=True)
    binary.write_bytes(b"engine")
    return binary


def published(monkeypatch: pytest.MonkeyPatch, cached: Path, content: bytes = b"engine") -> Path:
    """The archive of a release, kept beside."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tofu", content)
    path = cached.with_name(NAME)
    path.write_bytes(buffer.getvalue())
    monkeypatch.setattr(releases, "ARCHIVES", {NAME: hashlib.sha256(buffer.getvalue()).hexdigest()})
    return path


def test_an_engine_that_was_verified_here_is_known_as_long_as_its_bytes_are_the_same(cached: Path) -> None:
    assert not trusted.is_known(cached, Engine())
    trusted.remember(cached, "built")
    assert trusted.is_known(cached, Engine())
    assert trusted.record_file().stat().st_mode & 0o077 == 0
    cached.write_bytes(b"evil!!")
    assert not trusted.is_known(cached, Engine())


def test_an_engine_that_the_configuration_names_is_known(cached: Path) -> None:
    assert trusted.is_known(cached, Engine(sha256=[hashlib.sha256(b"engine").hexdigest()]))
    assert not trusted.is_known(cached, Engine(sha256=[hashlib.sha256(b"other").hexdigest()]))


def test_from_a_published_archive_the_engine_is_unpacked_again(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch, cached)
    cached.write_bytes(b"evil")
    assert trusted.is_known(cached, Engine())
    assert cached.read_bytes() == b"engine"
    assert cached.stat().st_mode & 0o111


def flipped(archive: Path) -> None:
    data = bytearray(archive.read_bytes())
    data[40] ^= 1
    archive.write_bytes(data)


def linked(archive: Path) -> None:
    archive.symlink_to(archive.rename(archive.with_name("elsewhere")))


def of_another_version(archive: Path) -> None:
    """An older release, published too, under the folder of the newer one."""
    releases.ARCHIVES["tofu_1.11.0_linux_amd64.zip"] = releases.ARCHIVES.pop(NAME)
    archive.rename(archive.with_name("tofu_1.11.0_linux_amd64.zip"))


def unlisted(archive: Path) -> None:
    archive.rename(archive.with_name("tofu_1.12.6_plan9_amd64.zip"))


@pytest.mark.parametrize("tamper", [flipped, linked, of_another_version, unlisted])
def test_an_archive_that_is_not_the_published_one_of_this_version_proves_nothing(
    cached: Path, monkeypatch: pytest.MonkeyPatch, tamper: Callable[[Path], None]
) -> None:
    tamper(published(monkeypatch, cached, b"another"))
    assert not trusted.is_known(cached, Engine())
    assert cached.read_bytes() == b"engine"


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 5000, '{"x": 1}'])
def test_a_record_that_cannot_be_read_knows_nothing_and_is_written_again(cached: Path, content: str) -> None:
    trusted.record_file().parent.mkdir(parents=True)
    trusted.record_file().write_text(content)
    assert not trusted.is_known(cached, Engine())
    trusted.remember(cached, "built")
    assert hashlib.sha256(b"engine").hexdigest() in json.loads(trusted.record_file().read_text())
    assert trusted.is_known(cached, Engine())


def test_a_link_in_the_cache_is_not_followed(cached: Path) -> None:
    trusted.remember(cached, "built")
    cached.rename(cached.with_name("real"))
    cached.symlink_to("real")
    assert not trusted.is_known(cached, Engine())
