"""Proofs that a job with the artifact key made an image.

A tag only says what an image was asked to be made of; whoever may push can set it first. So a job with the key keeps a
proof beside the image: a MAC over its repository, tag and digest. It has a place of its own for each key, so that
environments with keys of their own can share a repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..project.config.signature import fits, sign

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..base.jsonvalue import JsonObject
    from ..project.config.signer import Signer

ANNOTATION = "io.doit-tofu.proof"
_PURPOSE = "image"


class Store(Protocol):
    """Where images and their proofs are."""

    def digest(self, reference: str) -> str | None:
        """The digest of the manifest that a tag, or a digest, refers to; None if it is not there."""

    def proof(self, tag: str, holder: str) -> str | None:
        """The proof of a tag that a key's holder has left; None if there is none that can be read."""

    def prove(self, tag: str, holder: str, proof: str) -> None:
        """Keep a proof of a tag in the place of its key."""


def is_proven(store: Store, keys: Iterable[Signer], repository: str, tag: str, digest: str) -> bool:
    """Whether one of these keys proves that a tag is this image.

    Raises:
        RegistryError: The store cannot be read.
    """
    body = _body(repository, tag, digest)
    return any(fits(body, store.proof(tag, key.fingerprint), key, purpose=_PURPOSE) for key in keys)


def keep(store: Store, key: Signer, repository: str, tag: str, digest: str) -> None:
    """Keep a proof that a tag is this image.

    Raises:
        RegistryError: The store refuses it.
    """
    store.prove(tag, key.fingerprint, sign(_body(repository, tag, digest), key, purpose=_PURPOSE))


def _body(repository: str, tag: str, digest: str) -> JsonObject:
    return {"repository": repository, "tag": tag, "digest": digest}
