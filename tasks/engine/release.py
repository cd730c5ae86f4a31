"""Downloads an official release of the engine and verifies its published checksum."""

from __future__ import annotations

import hashlib
import io
import platform
import zipfile
from typing import TYPE_CHECKING

from ..base.errors import EngineError
from ..base.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..base.stop import Stop
    from ..project import model

# OpenTofu tags are `v1.2.3`; Terraform's release site has bare versions.
_BASES = {
    "tofu": "https://github.com/opentofu/opentofu/releases/download/v{version}",
    "terraform": "https://releases.hashicorp.com/terraform/{version}",
}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_CONNECT, _READ = 5, 60
_BLOCK = 1 << 20
_LARGEST = 1 << 30


def download(settings: model.Engine, version: str, target: Path, stop: Stop, say: Callable[[str], None]) -> None:
    """Download this platform's archive and unpack it to `target` if its SHA-256 is the published one.

    Raises:
        EngineError: The download failed, or the checksum is wrong.
    """
    kind = settings.kind
    base = (settings.releases.rstrip("/") if settings.releases else _BASES[kind]).replace("{version}", version)
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    archive = f"{kind}_{version}_{platform.system().lower()}_{machine}.zip"
    sums = _fetch(f"{base}/{kind}_{version}_SHA256SUMS", stop).decode("ascii", "replace")
    published = {line.split()[1].lstrip("*"): line.split()[0] for line in sums.splitlines() if len(line.split()) > 1}
    if archive not in published:
        raise EngineError(f"the release of {kind} {version} has no {archive}")
    say(f"setup: downloading {kind} {version} from {base}")
    data = _fetch(f"{base}/{archive}", stop, say)
    actual = hashlib.sha256(data).hexdigest()
    if actual != published[archive].lower():
        raise EngineError(f"{base}/{archive} has the wrong checksum: SHA-256 {actual}, published {published[archive]}")
    try:
        binary = zipfile.ZipFile(io.BytesIO(data)).read(kind)
    except (zipfile.BadZipFile, KeyError) as error:
        raise EngineError(f"{archive} does not contain {kind}: {error}") from error
    write_atomic(target, binary)
    target.chmod(0o755)


def _fetch(url: str, stop: Stop, say: Callable[[str], None] | None = None) -> bytes:
    import requests

    try:
        with requests.get(url, timeout=(_CONNECT, _READ), stream=True) as response:
            response.raise_for_status()
            total, blocks, told = int(response.headers.get("Content-Length") or 0), bytearray(), 0
            for block in response.iter_content(_BLOCK):
                stop.check("download")
                blocks += block
                if len(blocks) > _LARGEST:
                    raise EngineError(f"{url} is too large for an engine")
                percent = 100 * len(blocks) // total if total else 0
                if say and percent >= told + 25:
                    say(f"setup: {percent}% of {total >> 20} MiB")
                    told = percent
            return bytes(blocks)
    except (requests.RequestException, ValueError) as error:
        raise EngineError(f"cannot download {url}: {_short(error)}") from error


def _short(error: Exception) -> str:
    """The innermost cause in the long messages of requests."""
    text = str(error)
    return text.rpartition("] ")[2].rstrip("'\")") if "NameResolution" in text or "Connection" in text else text
