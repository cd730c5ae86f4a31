"""Downloads an official release of the engine and verifies its published checksum."""

from __future__ import annotations

import platform
import zipfile
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..base import urls
from ..base.errors import EngineError
from ..base.files import sha256_bytes, write_atomic
from . import trusted

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
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SECONDS, _TRIES = 900.0, 2
_LARGEST = 1 << 30
_TELL = 1 << 23  # bytes
_OK = 200


def download(settings: model.Engine, version: str, target: Path, stop: Stop, say: Callable[[str], None]) -> None:
    """Download this platform's archive and unpack it to `target` if its SHA-256 is the published one.

    Raises:
        EngineError: The download failed, or the checksum is wrong.
    """
    kind = settings.kind
    base = (settings.releases.rstrip("/") if settings.releases else _BASES[kind]).replace("{version}", version)
    _check_encrypted(base)
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    archive = f"{kind}_{version}_{platform.system().lower()}_{machine}.zip"
    known = None if settings.releases else trusted.PUBLISHED.get(archive)
    published = known or _published(f"{base}/{kind}_{version}_SHA256SUMS", stop).get(archive)
    if published is None:
        raise EngineError(f"the release of {kind} {version} has no {archive}")
    say(f"setup: downloading {kind} {version} from {urls.shown(base)}")
    data = _fetch(f"{base}/{archive}", stop, say)
    if (actual := sha256_bytes(data)) != published:
        raise EngineError(
            f"{urls.shown(base)}/{archive} has the wrong checksum: SHA-256 {actual}, published {published}"
        )
    try:
        trusted.unpack(data, kind, target)
    except (zipfile.BadZipFile, KeyError) as error:
        raise EngineError(f"{archive} does not contain {kind}: {error}") from error
    write_atomic(target.with_name(archive), data, durable=False)  # what jobs that share the cache can verify


def _published(url: str, stop: Stop) -> dict[str, str]:
    """The SHA-256 of each archive of a release, as its file of checksums says."""
    lines = (line.split() for line in _fetch(url, stop).decode("ascii", "replace").splitlines())
    return {line[1].lstrip("*"): line[0].lower() for line in lines if len(line) > 1}


def _check_encrypted(url: str) -> None:
    """Refuse a mirror that anybody on the way could change."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise EngineError(f"engine.releases {urls.shown(url)} is not https")


def _fetch(url: str, stop: Stop, say: Callable[[str], None] | None = None) -> bytes:
    from ..base import http

    told = 0

    def seen(received: int) -> None:
        nonlocal told
        stop.check("download")
        if say and received >= told + _TELL:
            told = received
            say(f"setup: {received >> 20} MiB")

    def moved(_: str, old: str, new: str) -> None:
        if old.startswith("https:") and not new.startswith("https:"):
            raise http.NoAnswerError("it leads from https to another scheme")

    client = http.Client(
        stop.wait, seconds=_SECONDS, tries=_TRIES, timeout=_SECONDS, moved=moved, seen=seen, largest=_LARGEST
    )
    try:
        answer = client.request("GET", url)
    except http.NoAnswerError as error:
        raise EngineError(f"cannot download {urls.shown(url)}: {error}") from error
    finally:
        client.close()
    if answer.status != _OK:
        raise EngineError(f"cannot download {urls.shown(url)}: status {answer.status}")
    return answer.content
