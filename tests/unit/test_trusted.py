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

NAME = releases.archive("tofu", "1.12.6")


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


def of_another_platform(archive: Path) -> None:
    """The same release, published too, for machines on which this one cannot run it."""
    name = "tofu_1.12.6_darwin_riscv64.zip"
    releases.ARCHIVES[name] = releases.ARCHIVES.pop(NAME)
    archive.rename(archive.with_name(name))


def unlisted(archive: Path) -> None:
    archive.rename(archive.with_name("tofu_1.12.6_plan9_amd64.zip"))


@pytest.mark.parametrize("tamper", [flipped, linked, of_another_version, of_another_platform, unlisted])
def test_an_archive_that_is_not_the_published_one_of_this_version_proves_nothing(
    cached: Path, monkeypatch: pytest.MonkeyPatch, tamper: Callable[[Path], None]
) -> None:
    tamper(published(monkeypatch, cached, b"another"))
    assert not trusted.is_known(cached, Engine())
    assert cached.read_bytes() == b"engine"


def encrypted(archive: bytearray) -> None:
    for header, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        archive[archive.index(header) + place] |= 1


def packed_in_an_unknown_way(archive: bytearray) -> None:
    for header, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        archive[archive.index(header) + place] = 97


def broken_while_packed(archive: bytearray) -> None:
    archive[archive.index(b"tofu") + len("tofu")] ^= 0xFF


@pytest.mark.parametrize("tamper", [encrypted, packed_in_an_unknown_way, broken_while_packed])
def test_an_archive_that_cannot_be_unpacked_is_said_to_be_no_archive(tamper: Callable[[bytearray], None]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tofu", b"engine" * 100)
    data = bytearray(buffer.getvalue())
    assert trusted.unpacked(bytes(data), "tofu") == b"engine" * 100
    tamper(data)
    with pytest.raises(zipfile.BadZipFile, match=r"^tofu cannot be unpacked: "):
        trusted.unpacked(bytes(data), "tofu")


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
