"""Downloads an official release of the engine, which is used only if its SHA-256 is known or signed."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..base import urls
from ..base.errors import EngineError
from ..base.files import sha256_bytes, write_atomic
from . import published, trusted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..base.stop import Stop
    from ..project import model

# OpenTofu tags are `v1.2.3`; Terraform's release site has bare versions.
_BASES = {
    "tofu": "https://github.com/opentofu/opentofu/releases/download/v{version}",
    "terraform": "https://releases.hashicorp.com/terraform/{version}",
}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SECONDS, _TRIES = 900.0, 2
_LARGEST = 1 << 30
_TELL = 1 << 23  # bytes
_OK = 200
_WAYS = "install doit-tofu[signatures], or put the SHA-256 of the release into engine.sha256"


def download(settings: model.Engine, version: str, target: Path, stop: Stop, say: Callable[[str], None]) -> None:
    """Download this platform's archive, and unpack it to `target` if its SHA-256 proves what it is.

    Raises:
        EngineError: The download failed, nothing proves what the archive is, or it is something else.
    """
    kind = settings.kind
    base = (settings.releases.rstrip("/") if settings.releases else _BASES[kind]).replace("{version}", version)
    _check_encrypted(base)
    archive = published.archive(kind, version)
    say(f"setup: downloading {kind} {version} from {urls.shown(base)}")
    proof = _proof(settings, version, base, archive, stop)
    data = _fetch(f"{base}/{archive}", stop, say)
    actual = sha256_bytes(data)
    try:
        engine = trusted.unpacked(data, kind)
    except (zipfile.BadZipFile, KeyError) as error:
        raise EngineError(f"{archive} does not contain {kind}: {error}") from error
    if actual not in proof.digests and sha256_bytes(engine) not in settings.sha256:
        raise EngineError(
            f"{urls.shown(base)}/{archive} is not the published release: its SHA-256 is {actual}{proof.missing}"
        )
    trusted.install(engine, target)
    for name, content in {archive: data, **proof.files}.items():  # what jobs that share the cache can verify
        write_atomic(target.with_name(name), content, durable=False)


@dataclass(frozen=True)
class _Proof:
    """What an archive may be: SHA-256, the signed files that say so, and in words what could not be verified."""

    digests: frozenset[str]
    files: Mapping[str, bytes] = field(default_factory=dict)
    missing: str = ""


def _proof(settings: model.Engine, version: str, base: str, archive: str, stop: Stop) -> _Proof:
    """What the archive may be, by this product's list, the configuration, or the signed checksums of its release."""
    known = frozenset(settings.sha256)
    if archive in published.ARCHIVES:
        return _Proof(known | {published.ARCHIVES[archive]})
    name = f"{settings.kind} {version}"
    if not published.can_verify():
        missing = f"; {name} is not in this product's list, and without pysequoia its signature cannot be checked"
        if not known:
            raise EngineError(f"{name} was not downloaded{missing}: {_WAYS}")
        return _Proof(known, missing=missing)
    names = published.files(settings.kind, version)
    try:
        signed = {each: _fetch(f"{base}/{each}", stop) for each in names}
        digests = published.signed(settings.kind, signed[names.checksums], signed[names.signature])
    except (EngineError, published.UnprovenError) as error:
        if not known:
            raise EngineError(f"nothing proves what {archive} is: {error}") from error
        return _Proof(known, missing=f"; {error}")
    if archive not in digests:
        raise EngineError(f"the release of {name} has no {archive}")
    return _Proof(known | {digests[archive]}, signed)


def _check_encrypted(url: str) -> None:
    """Refuse a mirror without TLS, whose answers could be changed on the way."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise EngineError(f"engine.releases {urls.shown(url)} is not https")


def _fetch(url: str, stop: Stop, say: Callable[[str], None] | None = None) -> bytes:
    from ..base import http

    told = 0

    def seen(received: int, total: int) -> None:
        nonlocal told
        stop.check("download")
        if say and received >= told + _TELL:
            told = received
            say(f"setup: {received >> 20} MiB" + (f" of {total >> 20} MiB" if total else ""))

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
