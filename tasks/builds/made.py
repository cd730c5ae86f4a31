"""Receipts of builds, with the digest of their outputs, and the locations of images."""

from __future__ import annotations

import hashlib
import os
import posixpath
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from ..artifact import folder
from ..base import typed
from ..base.errors import RecordError, ShapeError
from ..base.files import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ..base.layout import Layout
    from ..project.hcl.fileindex import FileIndex


@dataclass(frozen=True)
class BuildReceipt:
    """A completed build: the digest of its sources, its toolchain, and the digest of its outputs."""

    name: str
    sources: str
    outputs: str
    toolchain: dict[str, str] = field(default_factory=dict)
    finished_at: str = ""


@dataclass(frozen=True)
class PinnedImage:
    """An image in its registry: its tag, which is the digest of its inputs, and its manifest's digest."""

    name: str
    repository: str
    tag: str
    digest: str
    how: str = ""
    commit: str | None = None

    @property
    def reference(self) -> str:
        """`repository@sha256:...`: exactly this image, even if the tag moves."""
        return f"{self.repository}@{self.digest}"


def read_build(layout: Layout, name: str) -> BuildReceipt | None:
    """The receipt of a build; None if it is missing or unreadable, and the build is made again."""
    try:
        return typed.read(BuildReceipt, read_json(layout.build(name)))
    except (RecordError, ShapeError):
        return None


def write_build(layout: Layout, receipt: BuildReceipt) -> None:
    """Write the receipt of a build durably.

    Raises:
        RecordError: It cannot be written; the build does not count as made.
    """
    folder.keep(layout, layout.build(receipt.name), asdict(receipt))


def forget_build(layout: Layout, name: str) -> None:
    """Remove a receipt before its build begins, so that a half-finished build does not count.

    Raises:
        RecordError: It cannot be removed.
    """
    try:
        folder.drop(layout, layout.build(name))
    except OSError as error:
        raise RecordError(f"cannot remove {layout.relative(layout.build(name))}: {error.strerror}") from error


def read_image(layout: Layout, name: str) -> PinnedImage | None:
    """Where an image was last found; None if that is not recorded."""
    try:
        return typed.read(PinnedImage, read_json(layout.image(name)))
    except (RecordError, ShapeError):
        return None


def write_image(layout: Layout, image: PinnedImage) -> None:
    """Record where an image is.

    Raises:
        RecordError: It cannot be written.
    """
    folder.keep(layout, layout.image(image.name), asdict(image))


def outputs_digest(root: Path, index: FileIndex, outputs: Sequence[str]) -> str | None:
    """The hex SHA-256 over all files and links of some outputs; None if an output is missing.

    Args:
        root: What the paths are relative to.
        index: Digests of files, by their stat.
        outputs: Folders and files.
    """
    digest = hashlib.sha256()
    for output in outputs:
        if not os.path.lexists(root / output):
            return None
        for path in files_of(root, output):
            absolute = root / path
            if absolute.is_symlink():
                entry = f"link {os.readlink(absolute)}"  # noqa: PTH115 - a text, not a path
            else:
                entry = f"{'executable' if os.access(absolute, os.X_OK) else 'file'} {index.digest(path)}"
            digest.update(f"{path}\0{entry}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def files_of(root: Path, output: str) -> Iterator[str]:
    """The paths of all files and links of an output, sorted."""
    if (root / output).is_symlink() or not (root / output).is_dir():
        yield output
        return
    for base, folders, names in os.walk(root / output):
        folders.sort()
        relative = posixpath.normpath(posixpath.join(output, os.path.relpath(base, root / output).replace(os.sep, "/")))
        links = [name for name in folders if os.path.islink(f"{base}/{name}")]  # noqa: PTH114 - called per folder
        yield from (f"{relative}/{name}" for name in sorted([*names, *links]))
