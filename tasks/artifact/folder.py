"""The folder of an environment: every file in it that affects a deploy is listed in a signed index.

`verify` is called once, before anything in the folder is used; `keep`, `keep_all` and `drop` write and remove such
files. Without a key there is no index, and only the folder's permissions protect it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import plain
from ..base.errors import FolderRefusedError, RecordError
from ..base.files import json_bytes, sha256_bytes, write_all, write_atomic
from ..base.layout import DEPLOY_DIR
from ..base.text import few, short
from ..base.unseen import visible
from . import index
from .index import BrokenIndexError, Index, OtherKeyError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ..base.layout import Layout
    from ..project.config.signer import Signer
    from .index import Origin

_BUILDS = ".builds"
_BEFORE = "ci/before/"
# Files that do not affect a deploy: made by each run, shown to people, or signed separately.
_FREE = (
    "index/", "drift/", "ledger.json", "ledger.lock", "reports/", "runs/", "ci/gitlab.yml", "ci/github.json",
    "crash.log", "overview.json", "published.json", "review.json", "run.lock", "memory.jsonl", f"{_BEFORE}memory.jsonl",
    "states/",
)  # fmt: skip
_REMEMBERED = ("receipts/", "outputs/")
_LARGEST_INDEX = 1 << 28
_LARGEST_FILE = 1 << 31  # larger than any plan
_SHOWN = 3
_REMOVE = "on your own machine, if nothing was tampered with, remove {folder}: planning then finds what is deployed"
_AGAIN = f"run the pipeline again; {_REMOVE}"
_OTHER_KEY = f"set the key of the run that wrote it, or list it in `encryption.previous`; {_REMOVE}"
_BEGIN = f"if you wrote it before you had a key, set `encryption.migrate: true` for the next deploy; {_REMOVE}"


def keep(layout: Layout, path: Path, value: object, *, durable: bool = True) -> None:
    """Write a file as readable JSON; it is announced in the index first, if there is one.

    Raises:
        RecordError: It cannot be written.
    """
    keep_bytes(layout, path, json_bytes(value), durable=durable)


def keep_bytes(layout: Layout, path: Path, data: bytes, *, durable: bool = True) -> None:
    """`keep` for other files than JSON.

    Raises:
        RecordError: It cannot be written.
    """
    announce(layout, {path: sha256_bytes(data)}, durable=durable)
    write_atomic(path, data, durable=durable)


def keep_all(layout: Layout, contents: Mapping[Path, bytes]) -> None:
    """`keep_bytes` for many files at once: durable together, which takes the time of one.

    Raises:
        RecordError: They cannot be written; some may have been.
    """
    if not contents:
        return
    if layout.watch.listener is not None:
        announce(layout, {path: sha256_bytes(data) for path, data in contents.items()})
    write_all(contents)


def drop(layout: Layout, *paths: Path) -> None:
    """Remove files, if they exist.

    Raises:
        RecordError: The index cannot be written.
        OSError: A file cannot be removed.
    """
    there = [path for path in paths if os.path.lexists(path)]
    if there:
        announce(layout, dict.fromkeys(there))
    for path in there:
        path.unlink(missing_ok=True)


def announce(layout: Layout, files: dict[Path, str | None], *, durable: bool = True) -> None:
    """Announce files in the index; None for one that is about to be removed.

    Raises:
        RecordError: The index cannot be written.
    """
    if layout.watch.listener is not None:  # without a key there is none, and a fresh clone writes thousands of files
        layout.watch.tell({_name(layout, path): digest for path, digest in files.items()}, durable)


def _name(layout: Layout, path: Path) -> str:
    """The path of a file in the index: relative to the environment's folder, or `.builds/...`."""
    base = layout.base if path.is_relative_to(layout.base) else layout.root / DEPLOY_DIR
    return path.relative_to(base).as_posix()


@dataclass
class Verified:
    """A verified folder: the digests of its files, its indexes, whether all of these are complete."""

    files: dict[str, str] = field(default_factory=dict)
    indexes: list[Path] = field(default_factory=list)
    ended: bool = False


def decides(name: str) -> bool:
    """Whether a file has to be listed."""
    return not name.startswith(_FREE) and not name.endswith("/draft.tfplan")


def is_remembered(name: str) -> bool:
    """Whether a cache carries a file to the next pipeline, or to the retry of a job."""
    return name.startswith(_REMEMBERED) or _is_claim(name)


def forget(layout: Layout) -> None:
    """Remove the indexes, because encryption was turned off.

    Raises:
        RecordError: One cannot be removed.
    """
    try:
        for path in (*_indexes(layout), layout.memory):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise RecordError(f"cannot remove {layout.relative(layout.indexes)}: {error.strerror}") from error


def verify(layout: Layout, keys: Collection[Signer], here: Origin, *, unsigned: bool = False) -> Verified:
    """Refuse a folder in which a file does not match an index of this project, commit and pipeline.

    Args:
        layout: The environment's paths.
        keys: The keys that an index may be signed with.
        here: This project, environment, commit and pipeline.
        unsigned: Whether a folder without an index is accepted.

    Raises:
        FolderRefusedError: A file is not listed, was changed or is missing; or an index cannot be trusted. The message
            names everything that is wrong.
    """
    try:
        found = dict(_files(layout, here))
    except OSError as error:  # what cannot be listed could still be opened by its name
        raise _refused(layout, "folder", f"{layout.relative(Path(error.filename))}: {error.strerror}") from None
    paths = _indexes(layout)
    if not paths and (unsigned or not found):
        return Verified({name: digest for name, digest in found.items() if digest is not None})
    indexes = [_read(layout, path, keys) for path in paths]
    for one in indexes:
        _check_origin(layout, one, here)
    _check_one_pipeline(layout, indexes)
    remembered = _remembered(layout, keys, here)
    wrong = [*_wrong(found, indexes, remembered)]
    if wrong and not paths:
        raise _refused(layout, "no-index", f"a key is set, but there is no index: {few(wrong, _SHOWN)}", _BEGIN)
    if wrong:
        raise _refused(layout, "folder", few(wrong, _SHOWN))
    ended = all(one.ended for one in indexes)
    return Verified({name: digest for name, digest in found.items() if digest is not None}, paths, ended)


def remembered(layout: Layout) -> dict[str, str]:
    """The files that a cache carries, with their digests."""
    names = [name for kind in ("receipts/", "outputs/", "plans/") for name in _below(layout.base, kind)]
    found = {name: _digest(layout.base, name) for name in names if is_remembered(name)}
    return {name: digest for name, digest in found.items() if digest}


def _wrong(found: dict[str, str | None], indexes: list[Index], remembered: dict[str, str]) -> Iterator[str]:
    """How the folder differs from its indexes, in words."""
    listed: dict[str, set[str | None]] = {}
    for one in indexes:
        for name, content in one.files.items():
            listed.setdefault(name, set()).add(content)
        for name, former in one.former.items() if not one.ended else ():
            listed.setdefault(name, set()).update(former)
    for name, digest in sorted(found.items()):
        allowed = listed.get(name) or {remembered.get(name)}
        if digest is None:
            yield f"{_shown(name)} is not a plain file"
        elif digest not in allowed:
            yield f"{_shown(name)} {'was changed' if allowed - {None} else 'is not listed'}"
    for name, possible in sorted(listed.items()):
        if name not in found and None not in possible and not _may_be_missing(name):
            yield f"{_shown(name)} is missing"


def _shown(name: str) -> str:
    return visible(name).replace("\n", "\\n").replace("\t", "\\t")


def _may_be_missing(name: str) -> bool:
    """Whether a file may be missing, because its absence is harmless or fails later: results, claims, other builds."""
    return name.startswith(("results/", f"{_BUILDS}/")) or _is_claim(name)


def _is_claim(name: str) -> bool:
    return name.startswith("plans/") and name.endswith("/claim.json")


def _check_origin(layout: Layout, one: Index, here: Origin) -> None:
    theirs = one.origin
    if theirs.environment != here.environment:
        raise _refused(layout, "environment", f"it belongs to environment '{theirs.environment}'")
    if here.project and theirs.project != here.project:
        raise _refused(layout, "project", f"it belongs to project {theirs.project or '?'}, but this is {here.project}")
    if not here.pipeline:
        return
    if theirs.pipeline != here.pipeline:
        message = f"index/{one.name} belongs to pipeline {theirs.pipeline or '?'}, but this is pipeline {here.pipeline}"
        raise _refused(layout, "pipeline", message)
    if theirs.commit != here.commit:
        message = f"index/{one.name} belongs to commit {short(theirs.commit)}, but the tree is at {short(here.commit)}"
        raise _refused(layout, "commit", message)
    if not one.ended:
        raise _refused(
            layout, "unended", f"index/{one.name} is incomplete: the job that wrote it was killed; retry that job"
        )


def _check_one_pipeline(layout: Layout, indexes: list[Index]) -> None:
    pipelines = sorted({one.origin.pipeline or "none" for one in indexes})
    if len(pipelines) > 1:
        raise _refused(layout, "pipeline", f"it contains files of several pipelines: {', '.join(pipelines)}")


def _remembered(layout: Layout, keys: Collection[Signer], here: Origin) -> dict[str, str]:
    """Receipts and outputs of earlier pipelines that a cache carried, for this project and environment."""
    found: dict[str, str] = {}
    for prefix, path in (("", layout.memory), (_BEFORE, layout.before / layout.memory.name)):
        if not os.path.lexists(path):
            continue
        one = _read(layout, path, keys)
        theirs = one.origin
        if theirs.environment != here.environment or (here.project and theirs.project != here.project):
            raise _refused(layout, "project", f"{layout.relative(path)} belongs to another project or environment")
        found |= {prefix + name: digest for name, digest in one.files.items() if is_remembered(name)}
    return found


def _indexes(layout: Layout) -> list[Path]:
    try:
        names = sorted(entry.name for entry in os.scandir(layout.indexes))
    except OSError:
        return []
    return [layout.indexes / name for name in names if name.endswith(".jsonl") and not name.startswith(".")]


def _read(layout: Layout, path: Path, keys: Collection[Signer]) -> Index:
    name = layout.relative(path)
    try:
        with os.fdopen(plain.below(layout.base, *path.relative_to(layout.base).parts), "rb") as stream:
            data = stream.read(_LARGEST_INDEX)
        return index.read(path.name, data, keys)
    except OtherKeyError as error:
        raise _refused(layout, "other-key", f"{name}: {error}", _OTHER_KEY) from None
    except BrokenIndexError as error:
        raise _refused(layout, "index", f"{name}: {error}") from None
    except OSError as error:
        raise _refused(layout, "index", f"{name}: {error.strerror}") from None


def _files(layout: Layout, here: Origin) -> Iterator[tuple[str, str | None]]:
    """The files that have to be listed, each with its digest; None for what is not a plain file."""
    for name in _below(layout.base, ""):
        if decides(name):
            yield name, _digest(layout.base, name)
    if (
        here.pipeline
    ):  # on your own machine, environments share builds, and anyone who can write records can write outputs
        for name in _below(layout.root / DEPLOY_DIR, f"{_BUILDS}/"):
            if name.endswith(".json"):
                yield name, _digest(layout.root / DEPLOY_DIR, name)


def _below(base: Path, prefix: str) -> Iterator[str]:
    """The names of everything below a folder except folders; links are not followed.

    Raises:
        OSError: A folder cannot be listed.
    """
    for name in plain.names_below(base, prefix.rstrip("/")):
        if not name.rpartition("/")[2].startswith("."):  # a temporary file left by a kill; nothing reads it
            yield name


def _digest(base: Path, name: str) -> str | None:
    try:
        with os.fdopen(plain.below(base, *name.split("/")), "rb") as stream:
            if os.fstat(stream.fileno()).st_size > _LARGEST_FILE:  # a file with a hole in it takes no room
                return ""
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (FileNotFoundError, plain.NotPlainError):
        return None
    except OSError:
        return ""


def _refused(layout: Layout, reason: str, message: str, step: str = _AGAIN) -> FolderRefusedError:
    folder = layout.relative(layout.base)
    return FolderRefusedError(
        reason,
        f"{folder} is not what the previous job handed over: {message}",
        where=folder,
        untouched="nothing in it was used; nothing was planned or applied",
        next_step=step.format(folder=folder),
    )
