"""What proves that an archive is a published release: this product's list, or its publisher's signature.

A release comes with a file of checksums, and that file with a signature by the publisher's OpenPGP key. The keys are
part of this package: OpenTofu's is https://get.opentofu.org/opentofu.asc, HashiCorp's https://www.hashicorp.com/.well-known/pgp-key.txt.
The signature is checked by Sequoia, the extra `signatures`.
"""

from __future__ import annotations

import platform
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

# SHA-256 of archives, from the releases' own SHA256SUMS: https://github.com/opentofu/opentofu/releases
ARCHIVES = {
    "tofu_1.12.6_linux_amd64.zip": "5dc43da4f750f33873dc25e94587128709e819e544b7be9016b255316153c3a8",
    "tofu_1.12.6_linux_arm64.zip": "e573979ba68a17fe7b881752051a694a7efcd970e39521f6a25775197861ed4d",
    "tofu_1.12.6_darwin_arm64.zip": "e083ee43790ab9e19ad66d9933e24a7244a1412e1d5728f37999ae2163fdac95",
}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_KEYS = Path(__file__).parent / "keys"
_PUBLISHERS = {"tofu": ("opentofu.asc", ".gpgsig"), "terraform": ("hashicorp.asc", ".sig")}


class UnprovenError(ValueError):
    """A signature is not the publisher's; the message says why."""


class Files(NamedTuple):
    """The names of a release's file of checksums and of its signature."""

    checksums: str
    signature: str


def files(kind: str, version: str) -> Files:
    """The names of the files that prove what a release is."""
    checksums = f"{kind}_{version}_SHA256SUMS"
    return Files(checksums, checksums + _PUBLISHERS[kind][1])


def archive(kind: str, version: str) -> str:
    """The name of a release's archive for this platform: one for another is published, too, and does not run here."""
    machine = platform.machine().lower()
    return f"{kind}_{version}_{platform.system().lower()}_{_MACHINES.get(machine, machine)}.zip"


def can_verify() -> bool:
    """Whether the library that checks signatures is installed."""
    return find_spec("pysequoia") is not None


def signed(kind: str, checksums: bytes, signature: bytes) -> dict[str, str]:
    """The SHA-256 of each archive of a release, by its name, once the signature of its file of checksums is checked.

    Raises:
        UnprovenError: The publisher did not sign it, or nothing can check that.
    """
    if not can_verify():
        raise UnprovenError("its signature cannot be checked: pysequoia is not installed")
    import pysequoia

    key = pysequoia.Cert.from_file(str(_KEYS / _PUBLISHERS[kind][0]))
    try:
        found = pysequoia.verify(bytes=checksums, store=lambda _: [key], signature=pysequoia.Sig.from_bytes(signature))
    except RuntimeError as error:  # its message continues with a stack of calls
        why = str(error).partition("\n")[0]
        raise UnprovenError(f"its checksums are not signed by the publisher's key: {why}") from None
    if not any(each.certificate == key.fingerprint for each in found.valid_sigs):
        raise UnprovenError("its checksums are not signed by the publisher's key")
    lines = (line.split() for line in checksums.decode("ascii", "replace").splitlines())
    return {line[1].lstrip("*"): line[0].lower() for line in lines if len(line) > 1}
