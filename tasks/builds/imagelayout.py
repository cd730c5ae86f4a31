"""Stores images in a folder instead of a registry, as an OCI image layout.

The format is https://github.com/opencontainers/image-spec/blob/main/image-layout.md. skopeo, buildah and podman read
it as `oci:FOLDER:TAG`.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..base.errors import RecordError, RegistryError, ShapeError
from ..base.files import locked, read_json, sha256_file, write_json
from ..base.jsonvalue import fields
from .proofs import ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..base.jsonvalue import JsonObject

_INDEX, _MARKER, _BLOBS, _LOCK = "index.json", "oci-layout", "blobs/sha256", ".lock"
_TAG = "org.opencontainers.image.ref.name"
_NEW_INDEX: JsonObject = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"}
_ALGORITHM = "sha256:"


class ImageLayout:
    """The images in a folder.

    Args:
        folder: The folder; it need not exist yet.
        name: The folder as messages show it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name

    def digest(self, reference: str) -> str | None:
        """The digest of the manifest that a tag, or a digest, refers to; None if a part of the image is missing.

        Raises:
            RegistryError: The folder is not an image layout, or cannot be read.
        """
        try:
            found = [entry for entry in self._manifests() if reference in (_tag(entry), entry["digest"])]
            digest = str(found[-1]["digest"]) if found else None
            return digest if digest and self._is_whole(digest) else None
        except (RecordError, ShapeError, OSError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._error(f"cannot be read: {_cause(error)}") from error

    def proof(self, tag: str, holder: str) -> str | None:
        """The proof of a tag that a key's holder has left: an annotation in the index.

        Raises:
            RegistryError: The folder is not an image layout, or cannot be read.
        """
        try:
            found = [fields(entry.get("annotations")) for entry in self._manifests() if _tag(entry) == tag]
        except (RecordError, ShapeError, OSError, KeyError, TypeError, AttributeError) as error:
            raise self._error(f"cannot be read: {_cause(error)}") from error
        proof = found[-1].get(f"{ANNOTATION}.{holder}") if found else None
        return proof if isinstance(proof, str) else None

    def prove(self, tag: str, holder: str, proof: str) -> None:
        """Keep a proof of a tag.

        Raises:
            RegistryError: It cannot be written.
        """
        try:
            with self._held():
                manifests = self._manifests()
                for entry in manifests:
                    if _tag(entry) == tag:
                        entry["annotations"] = {**fields(entry["annotations"]), f"{ANNOTATION}.{holder}": proof}
                self._write(_INDEX, {**_NEW_INDEX, "manifests": [*manifests]})
        except (RecordError, OSError, KeyError, TypeError, ValueError) as error:
            raise self._error(f"the proof of an image cannot be stored there: {_cause(error)}") from error

    def add(self, layout: Path, tag: str) -> str:
        """Copy the only image of another layout here, under a tag; returns its digest.

        The index is replaced as a whole after the content is written, so readers see either the old or the new image.

        Raises:
            RegistryError: The image does not match its digests, or cannot be written.
        """
        try:
            with self._held():
                [entry] = read_json(layout / _INDEX)["manifests"]
                for blob in sorted((layout / _BLOBS).iterdir()):
                    self._add_blob(blob)
                manifests = [other for other in self._manifests() if _tag(other) != tag]
                annotations = {**(entry.get("annotations") or {}), _TAG: tag}
                named: JsonObject = {**entry, "annotations": annotations}
                index: JsonObject = {**_NEW_INDEX, "manifests": [*manifests, named]}
                self._write(_MARKER, {"imageLayoutVersion": "1.0.0"})
                self._write(_INDEX, index)
        except (RecordError, OSError, KeyError, TypeError, ValueError) as error:
            raise self._error(f"the image cannot be stored there: {_cause(error)}") from error
        return str(entry["digest"])

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Lock the folder: if two runs added to the index at once, one image would be lost."""
        is_new = not self._folder.exists()
        self._folder.mkdir(parents=True, exist_ok=True)
        if is_new:
            (self._folder / ".gitignore").write_text("*\n")  # images are not sources
        with locked(self._folder / _LOCK):
            yield

    def _write(self, name: str, value: JsonObject) -> None:
        write_json(self._folder / name, value)
        (self._folder / name).chmod(0o644)  # other users may run the image

    def _add_blob(self, blob: Path) -> None:
        target = self._folder / _BLOBS / blob.name
        if target.exists():
            return
        if sha256_file(blob) != blob.name:
            raise ValueError(f"the builder wrote a blob {blob.name} with the wrong digest")
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f".{blob.name}")
        shutil.copyfile(blob, half)
        half.replace(target)

    def _manifests(self) -> list[JsonObject]:
        index = read_json(self._folder / _INDEX)
        return list(index["manifests"]) if index is not None else []

    def _is_whole(self, digest: str) -> bool:
        """Whether a manifest and everything it refers to are there."""
        path = self._blob(digest)
        if not path.is_file() or sha256_file(path) != path.name:
            return False
        manifest = read_json(path)
        if "manifests" in manifest:
            return all(self._is_whole(str(entry["digest"])) for entry in manifest["manifests"])
        return all(
            self._blob(part["digest"]).is_file() and self._blob(part["digest"]).stat().st_size == part["size"]
            for part in [manifest["config"], *manifest["layers"]]
        )

    def _blob(self, digest: str) -> Path:
        return self._folder / _BLOBS / digest.removeprefix(_ALGORITHM).rpartition("/")[2]

    def _error(self, message: str) -> RegistryError:
        return RegistryError(
            f"the image layout {self._name} {message}",
            untouched="nothing was applied",
            next_step=f"is {self._folder} writable, with free disk space? if you remove it, a new one is created",
        )


def _tag(entry: JsonObject) -> str | None:
    found = fields(entry.get("annotations")).get(_TAG)
    return None if found is None else str(found)


def _cause(error: Exception) -> str:
    if isinstance(error, RecordError):
        return error.message
    if isinstance(error, OSError):
        return str(error.strerror or error)
    return str(error) if isinstance(error, ValueError) else f"it is not an image layout ({error!r})"
