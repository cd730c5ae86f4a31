"""Which cached engines may run: only those whose hash is known from outside of the cache.

A cache may be shared with jobs that do not deploy, and a program can claim to be any version. So a cached engine is
hashed once per run. Its hash must be in the configuration or in this machine's own record of engines that it verified
or built; or the archive next to it must be a published one, and the engine is unpacked from it again. A stored stat
proves nothing.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import plain
from ..base.errors import RecordError
from ..base.files import read_json, sha256_bytes, write_atomic, write_json

if TYPE_CHECKING:
    from ..project import model

# SHA-256 of archives, from the releases' own SHA256SUMS: https://github.com/opentofu/opentofu/releases
PUBLISHED = {
    "tofu_1.12.6_linux_amd64.zip": "5dc43da4f750f33873dc25e94587128709e819e544b7be9016b255316153c3a8",
    "tofu_1.12.6_linux_arm64.zip": "e573979ba68a17fe7b881752051a694a7efcd970e39521f6a25775197861ed4d",
    "tofu_1.12.6_darwin_arm64.zip": "e083ee43790ab9e19ad66d9933e24a7244a1412e1d5728f37999ae2163fdac95",
}
STATE_VARIABLE = "XDG_STATE_HOME"
_LARGEST = 1 << 30


def record_file() -> Path:
    """This machine's record of engines that it verified or built; not in the cache, which may be shared."""
    base = os.environ.get(STATE_VARIABLE)
    return (Path(base) if base else Path.home() / ".local" / "state") / "doit-tofu" / "engines.json"


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
    return _unpacked(binary, settings.kind)


def digest(binary: Path) -> str:
    """Hex SHA-256 of a plain file.

    Raises:
        OSError: It is not one, or cannot be read.
    """
    with os.fdopen(plain.opened(binary), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def unpack(archive: bytes, kind: str, target: Path) -> None:
    """Unpack the engine from a release's archive.

    Raises:
        KeyError: The archive contains no engine.
        zipfile.BadZipFile: It is not an archive.
        RecordError: It cannot be written.
    """
    write_atomic(target, zipfile.ZipFile(io.BytesIO(archive)).read(kind))
    target.chmod(0o755)


def _unpacked(binary: Path, kind: str) -> bool:
    """Whether the archive next to an engine is a published one; if so, the engine is unpacked from it."""
    for path in sorted(binary.parent.glob(f"{kind}_*.zip")):
        if path.name not in PUBLISHED or not path.name.startswith(f"{binary.parent.name.replace('-', '_', 1)}_"):
            continue
        with suppress(OSError, KeyError, zipfile.BadZipFile, RecordError):
            archive = plain.read(path, _LARGEST)
            if sha256_bytes(archive) == PUBLISHED[path.name]:
                unpack(archive, kind, binary)
                remember(binary, "unpacked from the cache's archive")
                return True
    return False


def _recorded() -> dict[str, object]:
    try:
        known = read_json(record_file())
    except RecordError:
        return {}
    return known if isinstance(known, dict) else {}
