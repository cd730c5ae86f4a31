"""A host that `init` could not reach, from what OpenTofu 1.12 and git have really said."""

from __future__ import annotations

import pytest

from tasks.engine import unreachable

REGISTRY = """\
Error: Failed to resolve provider packages

Could not resolve provider registry.example.invalid/a/b: could not connect to
registry.example.invalid: failed to request discovery document: Get
"https://registry.example.invalid/.well-known/terraform.json": dial tcp:
lookup registry.example.invalid on 10.255.255.53:53: no such host
"""
MODULE = """\
Error: Failed to download module

Could not download module "net" (main.tf:1) source code from
"git::https://git.example.invalid/a.git": error downloading
'https://git.example.invalid/a.git': /usr/bin/git exited with 128: Cloning into
'.terraform/modules/net'...
fatal: unable to access 'https://robot:s3cret@git.example.invalid/a.git/': Could not resolve
host: git.example.invalid
"""
ARCHIVE = (
    'Error: Failed to install provider\n\nGet "https://mirror.example/a.zip": dial tcp 192.0.2.1:443: i/o timeout\n'
)
CHECKSUM = "Error: Failed to install provider\n\nthe cached package does not match any of the checksums\n"


@pytest.mark.parametrize(
    ("output", "host", "cause"),
    [
        (REGISTRY, "registry.example.invalid", "no such host"),
        (MODULE, "git.example.invalid", "Could not resolve host"),
        (ARCHIVE, "mirror.example", "i/o timeout"),
    ],
)
def test_the_host_and_the_cause_are_found_in_wrapped_output(output: str, host: str, cause: str) -> None:
    found = unreachable.read(output)
    assert found == unreachable.Unreachable(host, cause)
    assert f"check the name {host}, " in found.next_step


def test_a_failure_of_another_kind_has_no_host() -> None:
    assert unreachable.read(CHECKSUM) is None
    assert unreachable.read("a certificate signed by unknown authority") is None
