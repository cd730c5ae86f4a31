"""Which cached engines may run: only those whose hash is known from outside of the cache.

A cache may be shared with jobs that do not deploy, and a program can claim to be any version. So a cached engine is
hashed once per run. Its hash must be in the configuration or in this machine's own record of engines that it verified
or built; or the archive next to it must be a published release, and the engine is unpacked from it again. A stored
stat proves nothing.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING

from ..base import plain
from ..base.errors import RecordError
from ..base.files import read_json, sha256_bytes, write_atomic, write_json
from ..base.layout import state_dir
from . import published

if TYPE_CHECKING:
    from pathlib import Path

    from ..base.jsonvalue import JsonObject
    from ..project import model

_LARGEST = 1 << 30


def record_file() -> Path:
    """This machine's record of engines that it verified or built; not in the cache, which may be shared."""
    return state_dir() / "engines.json"


def remember(binary: Path, how: str) -> None:
    """Record an engine that was just verified or built; if that fails, it is obtained again next time."""
    with suppress(RecordError, OSError):
        write_json(record_file(), {**_recorded(), digest(binary): {"file": str(binary), "how": how}})


def is_known(binary: Path, settings: model.Engine) -> bool:
    """Whether a cached engine may run; if only its archive is known, the engine is unpacked from it again."""
    try:
        found = digest(binary)
    except OSError:
        found = ""
    if found and (found in settings.sha256 or found in _recorded()):
        return True
    return _unpacked_again(binary, settings.kind)


def digest(binary: Path) -> str:
    """Hex SHA-256 of a plain file.

    Raises:
        OSError: It is not one, or cannot be read.
    """
    with os.fdopen(plain.opened(binary), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def unpacked(archive: bytes, kind: str) -> bytes:
    """The engine in a release's archive.

    Raises:
        KeyError: The archive contains no engine.
        zipfile.BadZipFile: It is not an archive, the engine in it is larger than any engine, or cannot be unpacked.
    """
    try:
        content = zipfile.ZipFile(io.BytesIO(archive))
        if content.getinfo(kind).file_size > _LARGEST:
            raise zipfile.BadZipFile(f"{kind} has more than {_LARGEST:,} bytes")
        return content.read(kind)
    except (KeyError, zipfile.BadZipFile):
        raise
    except Exception as error:  # it may be encrypted or broken: each way of packing raises something else
        raise zipfile.BadZipFile(f"{kind} cannot be unpacked: {error}") from error


def install(engine: bytes, target: Path) -> None:
    """Write an engine.

    Raises:
        RecordError: It cannot be written.
    """
    write_atomic(target, engine)
    target.chmod(0o755)


def _unpacked_again(binary: Path, kind: str) -> bool:
    """Whether the archive next to an engine is a published one; if so, the engine is unpacked from it."""
    version = binary.parent.name.removeprefix(f"{kind}-")
    path = binary.with_name(published.archive(kind, version))
    with suppress(OSError, KeyError, zipfile.BadZipFile, RecordError, published.UnprovenError):
        archive = plain.read(path, _LARGEST)
        if sha256_bytes(archive) == _published(path, kind, version):
            install(unpacked(archive, kind), binary)
            remember(binary, "unpacked from the cache's archive")
            return True
    return False


def _published(archive: Path, kind: str, version: str) -> str | None:
    """The SHA-256 that an archive in the cache must have: in this product's list, or signed and kept beside it."""
    if archive.name in published.ARCHIVES:
        return published.ARCHIVES[archive.name]
    checksums, signature = (plain.read(archive.with_name(name), _LARGEST) for name in published.files(kind, version))
    return published.signed(kind, checksums, signature).get(archive.name)


def _recorded() -> JsonObject:
    try:
        known = read_json(record_file())
    except RecordError:
        return {}
    return known if isinstance(known, dict) else {}
