"""What proves a release: real published checksums and signatures, and what is no proof."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

import pysequoia
import pytest

from tasks.engine import published, trusted
from tasks.project.model import Engine
from tests.repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RELEASES = ROOT / "tests/data/releases"
FOREIGN = pysequoia.Tsk.generate("OpenTofu <core@opentofu.org>")  # anybody can make a key of that name


def release(kind: str, version: str) -> tuple[bytes, bytes]:
    """The checksums of a release and their signature, as they were published."""
    names = published.files(kind, version)
    return (RELEASES / names.checksums).read_bytes(), (RELEASES / names.signature).read_bytes()


TOFU = release("tofu", "1.8.5")
ARCHIVE = published.archive("tofu", "1.11.3")
TERRAFORM = release("terraform", "1.9.8")


@pytest.mark.parametrize(
    ("kind", "files", "archive", "digest"),
    [
        (
            "tofu", TOFU, "tofu_1.8.5_linux_amd64.zip",
            "e2951ba6be8ae9427aabbd5c6f243855e8b526cb2ae6bc33a05dae22d7e82632",
        ),
        (
            "terraform", TERRAFORM, "terraform_1.9.8_linux_amd64.zip",
            "186e0145f5e5f2eb97cbd785bc78f21bae4ef15119349f6ad4fa535b83b10df8",
        ),
    ],
)  # fmt: skip
def test_a_published_signature_is_accepted(kind: str, files: tuple[bytes, bytes], archive: str, digest: str) -> None:
    assert published.signed(kind, *files)[archive] == digest


def _by_foreign_key(data: bytes) -> bytes:
    return pysequoia.sign(FOREIGN.signer(), data, mode=pysequoia.SignatureMode.DETACHED)


@pytest.mark.parametrize(
    ("kind", "checksums", "signature"),
    [
        ("tofu", TOFU[0].replace(b"e2951ba6", b"e2951ba7"), TOFU[1]),
        ("tofu", TOFU[0] + b"\n", TOFU[1]),
        ("tofu", TOFU[0][:-1], TOFU[1]),
        ("tofu", b"", TOFU[1]),
        ("tofu", TERRAFORM[0], TOFU[1]),
        ("tofu", *TERRAFORM),
        ("terraform", *TOFU),
        ("tofu", TOFU[0], _by_foreign_key(TOFU[0])),
        ("tofu", TOFU[0], b""),
        ("tofu", TOFU[0], b"\0" * 600),
        ("tofu", TOFU[0], TOFU[1][:-1]),
        ("tofu", TOFU[0], TOFU[1][:400] + bytes([TOFU[1][400] ^ 1]) + TOFU[1][401:]),
        ("tofu", TOFU[0], b"<html>not found</html>"),
    ],
)
def test_anything_else_is_not(kind: str, checksums: bytes, signature: bytes) -> None:
    with pytest.raises(published.UnprovenError) as caught:
        published.signed(kind, checksums, signature)
    assert "\n" not in str(caught.value)


def test_without_the_library_nothing_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "can_verify", lambda: False)
    with pytest.raises(published.UnprovenError, match="pysequoia is not installed"):
        published.signed("tofu", *TOFU)


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release in the cache with its signed checksums; the publisher's key is made here."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    publisher = pysequoia.Tsk.generate("Publisher <p@example.org>")
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "opentofu.asc").write_bytes(bytes(publisher.extract_certificate()))
    monkeypatch.setattr(published, "_KEYS", keys)
    folder = tmp_path / "cache/engines/tofu-1.11.3"
    folder.mkdir(parents=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tofu", b"the release")
    name, names = ARCHIVE, published.files("tofu", "1.11.3")
    checksums = f"{hashlib.sha256(buffer.getvalue()).hexdigest()}  {name}\n".encode()
    signature = pysequoia.sign(publisher.signer(), checksums, mode=pysequoia.SignatureMode.DETACHED)
    for file, content in ((name, buffer.getvalue()), (names.checksums, checksums), (names.signature, signature)):
        (folder / file).write_bytes(content)
    binary = folder / "tofu"
    binary.write_bytes(b"somebody else's")
    return binary


def test_a_signed_release_in_the_cache_is_unpacked_again(cached: Path) -> None:
    assert trusted.is_known(cached, Engine())
    assert cached.read_bytes() == b"the release"


def other_archive(folder: Path) -> None:
    path = folder / ARCHIVE
    path.write_bytes(path.read_bytes() + b"\0")


def other_checksums(folder: Path) -> None:
    other_archive(folder)
    digest = hashlib.sha256((folder / ARCHIVE).read_bytes()).hexdigest()
    (folder / "tofu_1.11.3_SHA256SUMS").write_text(f"{digest}  {ARCHIVE}\n")


def other_key(folder: Path) -> None:
    other_checksums(folder)
    names = published.files("tofu", "1.11.3")
    (folder / names.signature).write_bytes(_by_foreign_key((folder / names.checksums).read_bytes()))


def no_signature(folder: Path) -> None:
    other_checksums(folder)
    (folder / "tofu_1.11.3_SHA256SUMS.gpgsig").unlink()


def linked_signature(folder: Path) -> None:
    path = folder / "tofu_1.11.3_SHA256SUMS.gpgsig"
    path.symlink_to(path.rename(folder / "elsewhere"))


def older_release(folder: Path) -> None:
    """A whole older release, well signed, under the name of the newer one."""
    folder.rename(folder.with_name("tofu-1.12.0"))


@pytest.mark.parametrize(
    "tamper", [other_archive, other_checksums, other_key, no_signature, linked_signature, older_release]
)
def test_a_release_in_the_cache_that_is_not_the_signed_one_is_not_run(
    cached: Path, tamper: Callable[[Path], None]
) -> None:
    tamper(cached.parent)
    binary = cached if cached.exists() else cached.parent.with_name("tofu-1.12.0") / "tofu"
    assert not trusted.is_known(binary, Engine())
    assert binary.read_bytes() == b"somebody else's"


def test_an_archive_that_never_ends_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trusted, "_LARGEST", 1 << 20)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tofu", bytes(1 << 21))
    with pytest.raises(zipfile.BadZipFile, match="more than"):
        trusted.unpacked(buffer.getvalue(), "tofu")
