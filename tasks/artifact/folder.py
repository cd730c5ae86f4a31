"""The folder of an environment: every file in it that decides is one that a holder of the key listed in an index.

`verify` is called once, before anything in the folder is used; `keep` and `drop` are how such a file is written and
removed. Without a key there is no index, and the folder is as safe as the rights of those who can write it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base import plain
from ..base.errors import FolderRefusedError, RecordError
from ..base.files import json_bytes, sha256_bytes, write_atomic
from ..base.layout import DEPLOY_DIR
from ..base.text import few, visible
from . import index
from .index import BrokenIndexError, Index, OtherKeyError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from ..base.layout import Layout
    from ..project.config.signer import Signer
    from .index import Origin

_BUILDS = ".builds"
_BEFORE = "ci/before/"
# What decides nothing: it is made again by each run, shown to people, or signed by itself.
_FREE = (
    "index/", "ledger.json", "ledger.lock", "reports/", "runs/", "ci/gitlab.yml", "ci/github.json", "crash.log",
    "overview.json", "published.json", "review.json", "run.lock", "memory.jsonl", f"{_BEFORE}memory.jsonl",
)  # fmt: skip
_REMEMBERED = ("receipts/", "outputs/")
_LARGEST_INDEX = 1 << 28
_SHOWN = 3
_REMOVE = "on your own machine, if nobody tampered with it, remove {folder}: what is deployed is then found by planning"
_AGAIN = f"run the pipeline again; {_REMOVE}"
_OTHER_KEY = f"set the key of the run that wrote it, or name it in `encryption.previous`; {_REMOVE}"
_BEGIN = f"if it is yours, and older than the key, set `encryption.migrate: true` for the next deploy; {_REMOVE}"


def keep(layout: Layout, path: Path, value: object, *, durable: bool = True) -> None:
    """Write a file that decides, as JSON; it is announced in the index first, where there is one.

    Raises:
        RecordError: It cannot be written.
    """
    keep_bytes(layout, path, json_bytes(value), durable=durable)


def keep_bytes(layout: Layout, path: Path, data: bytes, *, durable: bool = True) -> None:
    """`keep` for what is not JSON.

    Raises:
        RecordError: It cannot be written.
    """
    announce(layout, {path: sha256_bytes(data)}, durable=durable)
    write_atomic(path, data, durable=durable)


def drop(layout: Layout, *paths: Path) -> None:
    """Remove files that decide, as far as they are there.

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
    """Say in the index what files are about to be; None for one that is about to be removed.

    Raises:
        RecordError: The index cannot be written.
    """
    layout.watch.tell({_name(layout, path): digest for path, digest in files.items()}, durable)


def _name(layout: Layout, path: Path) -> str:
    """How the index calls a file: relative to the environment's folder, or `.builds/...`."""
    base = layout.base if path.is_relative_to(layout.base) else layout.root / DEPLOY_DIR
    return path.relative_to(base).as_posix()


@dataclass
class Verified:
    """A folder that was verified: its files by content, the indexes that say so, whether all have an end."""

    files: dict[str, str] = field(default_factory=dict)
    indexes: list[Path] = field(default_factory=list)
    ended: bool = False


def decides(name: str) -> bool:
    """Whether a file of the folder has to be listed."""
    return not name.startswith(_FREE) and not name.endswith("/draft.tfplan")


def is_remembered(name: str) -> bool:
    """Whether a cache carries a file from one pipeline, or one try of a job, to the next."""
    return name.startswith(_REMEMBERED) or _is_claim(name)


def forget(layout: Layout) -> None:
    """Remove the indexes: there is to be no key any more.

    Raises:
        RecordError: One cannot be removed.
    """
    try:
        for path in (*_indexes(layout), layout.memory):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise RecordError(f"cannot remove {layout.relative(layout.indexes)}: {error.strerror}") from error


def verify(layout: Layout, keys: Collection[Signer], here: Origin, *, unsigned: bool = False) -> Verified:
    """Refuse a folder in which a file that decides is not as an index of this project, commit and pipeline lists it.

    Args:
        layout: The environment's paths.
        keys: The keys that an index may be signed with.
        here: This project, environment, commit and pipeline.
        unsigned: Whether a folder without any index is believed all the same.

    Raises:
        FolderRefusedError: A file is not listed, was changed, or is missing; or an index cannot be believed. All that
            is wrong is named.
    """
    found = dict(_files(layout, here))
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
        raise _refused(layout, "no-index", f"a key is set, and there is no index: {few(wrong, _SHOWN)}", _BEGIN)
    if wrong:
        raise _refused(layout, "folder", few(wrong, _SHOWN))
    ended = all(one.ended for one in indexes)
    return Verified({name: digest for name, digest in found.items() if digest is not None}, paths, ended)


def remembered(layout: Layout) -> dict[str, str]:
    """The files that a cache carries, by content."""
    names = [name for kind in ("receipts/", "outputs/", "plans/") for name in _below(layout.base, kind)]
    found = {name: _digest(layout.base, name) for name in names if is_remembered(name)}
    return {name: digest for name, digest in found.items() if digest}


def _wrong(found: dict[str, str | None], indexes: list[Index], remembered: dict[str, str]) -> Iterator[str]:
    """What of the folder is not as it was left, in words."""
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
    """Whether what is missing makes no difference but a failure: results that a report needs, claims, other builds."""
    return name.startswith(("results/", f"{_BUILDS}/")) or _is_claim(name)


def _is_claim(name: str) -> bool:
    return name.startswith("plans/") and name.endswith("/claim.json")


def _check_origin(layout: Layout, one: Index, here: Origin) -> None:
    theirs = one.origin
    if theirs.environment != here.environment:
        raise _refused(layout, "environment", f"it is of environment '{theirs.environment}'")
    if here.project and theirs.project != here.project:
        raise _refused(layout, "project", f"it was made in project {theirs.project or '?'}, this is {here.project}")
    if not here.pipeline:
        return
    if theirs.pipeline != here.pipeline:
        message = f"index/{one.name} is of pipeline {theirs.pipeline or '?'}, this is pipeline {here.pipeline}"
        raise _refused(layout, "pipeline", message)
    if theirs.commit != here.commit:
        message = (
            f"index/{one.name} is of commit {(theirs.commit or '?')[:8]}, the tree is at {(here.commit or '?')[:8]}"
        )
        raise _refused(layout, "commit", message)
    if not one.ended:
        raise _refused(layout, "unended", f"index/{one.name} has no end: the job that wrote it was killed; retry it")


def _check_one_pipeline(layout: Layout, indexes: list[Index]) -> None:
    pipelines = sorted({one.origin.pipeline or "none" for one in indexes})
    if len(pipelines) > 1:
        raise _refused(layout, "pipeline", f"it mixes files of several pipelines: {', '.join(pipelines)}")


def _remembered(layout: Layout, keys: Collection[Signer], here: Origin) -> dict[str, str]:
    """What caches carried from earlier pipelines: receipts and outputs, of this project and environment."""
    found: dict[str, str] = {}
    for prefix, path in (("", layout.memory), (_BEFORE, layout.before / layout.memory.name)):
        if not os.path.lexists(path):
            continue
        one = _read(layout, path, keys)
        theirs = one.origin
        if theirs.environment != here.environment or (here.project and theirs.project != here.project):
            raise _refused(layout, "project", f"{layout.relative(path)} is of another project or environment")
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
    """The files that decide, each with its digest; None for what is not a plain file."""
    for name in _below(layout.base, ""):
        if decides(name):
            yield name, _digest(layout.base, name)
    if here.pipeline:  # elsewhere all environments share it, and who can write it can write what was built
        for name in _below(layout.root / DEPLOY_DIR, f"{_BUILDS}/"):
            if name.endswith(".json"):
                yield name, _digest(layout.root / DEPLOY_DIR, name)


def _below(base: Path, prefix: str) -> Iterator[str]:
    """The names of all that lies below a folder and is not a folder; no link is followed."""
    try:
        entries = sorted(os.scandir(base / prefix), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _below(base, f"{name}/")
        elif not entry.name.startswith("."):  # what a kill left of a write; nothing reads it
            yield name


def _digest(base: Path, name: str) -> str | None:
    try:
        with os.fdopen(plain.below(base, *name.split("/")), "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (FileNotFoundError, plain.NotPlainError):
        return None
    except OSError:
        return ""


def _refused(layout: Layout, reason: str, message: str, step: str = _AGAIN) -> FolderRefusedError:
    folder = layout.relative(layout.base)
    return FolderRefusedError(
        reason,
        f"{folder} is not as the job that handed it over left it: {message}",
        where=folder,
        untouched="nothing in it was used; nothing was planned or applied",
        next_step=step.format(folder=folder),
    )
