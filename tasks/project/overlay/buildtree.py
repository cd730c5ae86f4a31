"""Merges upstream and overlay into one tree below `.deploy/.cache/`, on which everything else runs.

    upstream  stacks/a/main.tf   stacks/a/page.tftpl   modules/m/main.tf
    overlay                      stacks/a/page.tftpl                      stacks/b/main.tf
    tree      from the upstream  from the overlay      from the upstream  from the overlay

A file is only written if its content differs, with its source's mtime and mode, so that cached facts about it stay
valid. The tree can be recreated; files that the engine or a stack put there are left alone.
"""

from __future__ import annotations

import os
import posixpath
import shlex
import shutil
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from ...base import cachefile, plain
from ...base.errors import ConfigError, ConfigErrors, RecordError
from ...base.files import locked, write_atomic
from ...base.layout import DEPLOY_DIR, ENGINE_LOCK_FILE, prepare
from ...base.problem import Shell
from . import listing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ...base.layout import Layout
    from ..config.upstream import Base

OVERLAY, UPSTREAM = "overlay", "upstream"
_FORMAT = 2
_BLOCK = 1 << 20
_RACY_NS = 2_000_000_000  # a source this recent may change again without a new mtime


@dataclass(frozen=True)
class Source:
    """The source of a file in the tree; `origin` is the overlay, or the upstream and its commit."""

    origin: str
    path: str
    mtime: int
    size: int
    mode: int
    link: str | None = None


@dataclass(frozen=True)
class Tree:
    """The merged tree, and the origin of its files.

    `root` is the overlay's repository, `upstream` the folder of the upstream's files; `exact` is that of the upstream.
    `files` maps each path to `overlay` or `upstream`; `replaced` maps each path in both to whether they are equal.
    """

    folder: Path
    root: Path
    upstream: Path
    exact: bool
    files: Mapping[str, str]
    replaced: Mapping[str, bool] = field(default_factory=dict)

    def own(self, path: str) -> bool:
        """Whether a file comes from the overlay."""
        return self.files.get(path) == OVERLAY

    def take_lock_file(self, stack_path: str) -> str | None:
        """Copy a lock file that the engine wrote or changed into the overlay's repository, where git sees it.

        Returns its path if it is new there. In the tree alone it would be lost with the cache, and the next clone
        would select providers again.
        """
        path = f"{stack_path}/{ENGINE_LOCK_FILE}"
        kept = self.root / path
        known = kept if kept.exists() else self.upstream / path
        try:
            content = (self.folder / path).read_bytes()
            if known.exists() and known.read_bytes() == content:
                return None
        except OSError:
            return None
        write_atomic(kept, content)
        return path


def merge(layout: Layout, base: Base) -> Tree:
    """Bring the build tree up to date.

    Raises:
        ConfigError: The tree cannot be at its path.
        ConfigErrors: Links leave the tree, or paths are a file in one layer and a folder in the other.
        RecordError: A file cannot be read or written.
    """
    root, folder = layout.root, layout.tree
    _check_place(layout)
    try:
        with locked(layout.cache / "tree.lock"):  # two runs at once must not write the same tree
            mine = listing.listing(root, without=[base.folder])
            theirs = listing.listing(base.folder, exact=base.exact, without=[root.resolve()])
            label = f"{UPSTREAM} {base.folder}"
            sources = _stat(base.folder, theirs, label)
            overlay = _stat(root, mine, OVERLAY)
            both = sorted(sources.keys() & overlay.keys())
            sources.update(overlay)
            _check(sources)
            folders = {label: base.folder, OVERLAY: root}
            _write(folder, layout.cache / "tree.json", sources, folders)
            replaced = {path: _same(root / path, base.folder / path) for path in both}
    except OSError as error:
        raise RecordError(
            f"cannot create the build tree: {error.strerror}: {error.filename}",
            untouched="nothing was planned or applied",
            next_step=(
                "fix that, then run the same command again; ",
                Shell(f"rm -r {shlex.quote(layout.relative(folder))}"),
                " is safe",
            ),
        ) from error
    owners = {path: OVERLAY if source.origin == OVERLAY else UPSTREAM for path, source in sources.items()}
    return Tree(folder, root, base.folder, base.exact, owners, replaced)


def _check_place(layout: Layout) -> None:
    """Refuse a tree that a link moves elsewhere: relative paths in it would lead to other places."""
    place = layout.relative(layout.tree)
    try:
        prepare(layout, layout.tree)
    except plain.NotPlainError:
        raise ConfigError(
            f"{place} is reached through a symbolic link, so `{{root}}` in a backend would lead out of this repository",
            where=place,
            untouched="nothing was planned or applied",
            next_step=f"make {DEPLOY_DIR} and {DEPLOY_DIR}/.cache plain folders",
        ) from None


def _stat(folder: Path, paths: list[str], origin: str) -> dict[str, Source]:
    found = {}
    base = str(folder)
    for path in paths:
        full = f"{base}/{path}"
        try:
            status = os.lstat(full)
        except OSError:
            continue  # git still knows it, but the folder no longer has it
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            found[path] = Source(origin, path, 0, 0, 0, os.readlink(full))  # noqa: PTH115 - as `lstat`, called per file
        elif stat.S_ISREG(status.st_mode):
            found[path] = Source(origin, path, status.st_mtime_ns, status.st_size, mode)
    return found


def _check(sources: Mapping[str, Source]) -> None:
    """Refuse paths that are ambiguous or lead out of the tree."""
    errors = []
    folders: dict[str, str] = {}
    for path, source in sources.items():
        above = posixpath.dirname(path)
        while above and above not in folders:
            folders[above] = source.origin
            above = posixpath.dirname(above)
    for path, source in sorted(sources.items()):
        if path in folders:
            here, there = (source.origin.split(" ")[0], folders[path].split(" ")[0])
            message = f"{path} is a file or link in the {here}, and a folder in the {there}"
            errors.append(ConfigError(message, where=f"{here}:{path}", next_step="rename it in the overlay"))
        if source.link is not None and _leaves(path, source.link):
            here = source.origin.split(" ")[0]
            message = f"the link {path} points to {source.link}, which may be outside of the repository"
            errors.append(
                ConfigError(message, where=f"{here}:{path}", next_step="link to a path inside, or copy the file")
            )
    if errors:
        raise ConfigErrors(errors)


def _leaves(path: str, target: str) -> bool:
    """Whether a link may lead out: absolute, too far up, or up again after going down (maybe through another link)."""
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    return target.startswith("/") or ".." in parts[ups:] or ups > path.count("/")


def _write(folder: Path, index_path: Path, sources: Mapping[str, Source], folders: Mapping[str, Path]) -> None:
    """Update the tree to the sources; files of ours that are no longer in the sources are removed."""
    known = _read_index(index_path)
    if known is None:
        shutil.rmtree(folder, ignore_errors=True)  # unknown which of its files no longer have a source
        folder.mkdir()
    made_at, index = known or (0, {})
    trusted = made_at - _RACY_NS
    changed = [path for path, source in sources.items() if not _current(folder, source, index.get(path), trusted)]
    gone = [path for path in index if path not in sources]
    if changed or gone:
        # Write the index first: if this run is cut off, the next one still knows all files to remove.
        _write_index(index_path, 0, {**{path: ["", 0, 0, 0, 0] for path in changed}, **index})
        for path in gone:
            _remove(folder, path)
        kept = {path: entry for path, entry in index.items() if path in sources}
        for path in changed:
            source = sources[path]
            kept[path] = _place(folder, source, folders[source.origin], index.get(path))
        _write_index(index_path, time.time_ns(), kept)
    for parent in {posixpath.dirname(path) for path in sources}:
        stray = posixpath.join(parent, ENGINE_LOCK_FILE)
        if stray not in sources:
            with suppress(FileNotFoundError):
                (folder / stray).unlink()  # else it would only take effect here


def _current(folder: Path, source: Source, entry: list[Any] | None, trusted: int) -> bool:
    """Whether a file in the tree is current; an entry is the source's origin, mtime, size, mode; the tree's mtime."""
    if entry is None or entry[:4] != [source.origin, source.mtime, source.size, source.mode] or entry[1] >= trusted:
        return False
    full = f"{folder}/{source.path}"
    try:
        status = os.lstat(full)
        if source.link is not None:
            return stat.S_ISLNK(status.st_mode) and os.readlink(full) == source.link  # noqa: PTH115 - see `_stat`
    except OSError:
        return False
    there = (stat.S_ISREG(status.st_mode), status.st_mtime_ns, status.st_size, stat.S_IMODE(status.st_mode))
    return there == (True, entry[4], source.size, source.mode)


def _place(folder: Path, source: Source, origin: Path, entry: list[Any] | None) -> list[Any]:
    """Put one file or link into the tree, unless its content is already there; returns its index entry."""
    target = folder / source.path
    _make_parents(folder, source.path)
    if target.is_dir() and not target.is_symlink():
        raise IsADirectoryError(0, "a stack made a folder where this file belongs", str(target))
    new = folder.with_name("tree.new")  # not in the tree, so that leftovers of a killed run do no harm
    new.unlink(missing_ok=True)
    try:
        if source.link is not None:
            if not (target.is_symlink() and os.readlink(target) == source.link):  # noqa: PTH115 - a text, not a path
                new.symlink_to(source.link)
                new.replace(target)
            return [source.origin, 0, 0, 0, 0]
        old = target.lstat() if target.exists() and not target.is_symlink() else None
        if old is not None and _same(origin / source.path, target):
            if stat.S_IMODE(old.st_mode) != source.mode:
                target.chmod(source.mode)
            mtime = old.st_mtime_ns
        else:
            shutil.copyfile(origin / source.path, new)
            new.chmod(source.mode)
            known = (old.st_mtime_ns, old.st_size) if old else (entry[4], entry[2]) if entry else None
            if known != (source.mtime, source.size):  # else other content would look like the content read before
                os.utime(new, ns=(source.mtime, source.mtime))
            mtime = new.stat().st_mtime_ns
            new.replace(target)
    finally:
        new.unlink(missing_ok=True)
    return [source.origin, source.mtime, source.size, source.mode, mtime]


def _make_parents(folder: Path, path: str) -> None:
    """Make the folders above a path real ones: a link among them would lead the file elsewhere."""
    current = folder
    for part in path.split("/")[:-1]:
        current /= part
        if current.is_symlink() or (current.exists() and not current.is_dir()):
            current.unlink()
        current.mkdir(exist_ok=True)


def _remove(folder: Path, path: str) -> None:
    """Remove a file and the folders that it leaves empty."""
    target = folder / path
    if any(parent.is_symlink() for parent in list(target.parents)[: path.count("/")]):
        return
    with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        target.unlink()
    for parent in list(target.parents)[: path.count("/")]:
        try:
            parent.rmdir()
        except OSError:
            return


def _same(one: Path, other: Path) -> bool:
    """Whether two files have the same content, or two links the same target."""
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and os.readlink(one) == os.readlink(other)  # noqa: PTH115 - texts
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while block := left.read(_BLOCK):
            if right.read(_BLOCK) != block:
                return False
    return True


def _read_index(path: Path) -> tuple[int, dict[str, list[Any]]] | None:
    """When the index was written (ns), and its entries; None if it cannot be read."""
    stored = cachefile.read(path, _FORMAT)
    return cast("tuple[int, dict[str, list[Any]]]", (stored["made_at"], stored["files"])) if stored else None


def _write_index(path: Path, made_at: int, files: Mapping[str, list[Any]]) -> None:
    cachefile.write(path, _FORMAT, {"made_at": made_at, "files": dict(files)})
