"""The files of a commit, submodules included, read from git's objects; nothing is checked out.

Files that git reports as unchanged in the working tree are not read from the objects, unless it is asked not to look.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import git, plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_LARGEST = 1 << 30  # bytes of a file outside of git
_LINK, _SUBMODULE, _EXECUTABLE = "120000", "160000", "100755"
_ATTRIBUTES = ".gitattributes"


@dataclass(frozen=True)
class Blob:
    """A file or link in a commit: its object in the repository at `home`.

    `same` is whether the working tree has the same content. `file` is its path if it is a file outside of git.
    """

    home: Path
    oid: str
    mode: str
    same: bool
    file: Path | None = None

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link; its content is the target."""
        return self.mode == _LINK

    @property
    def is_executable(self) -> bool:
        """Whether git records it as executable."""
        return self.mode == _EXECUTABLE


@dataclass
class Commit:
    """A commit's files by path, relative to the top of its repository.

    `unread` are the folders of submodules whose commit has changed and whose old commit is missing from this clone.
    `hidden` are the files that are there and that git is asked not to look at: `assume-unchanged`, `skip-worktree`.
    `contents` are the objects read so far, by id.
    """

    top: Path
    blobs: dict[str, Blob] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    contents: dict[str, bytes] = field(default_factory=dict, repr=False)
    _certain: set[str] = field(default_factory=set, init=False, repr=False)  # looked at again

    def content(self, path: str) -> bytes:
        """The bytes of a blob.

        Raises:
            OSError: Git does not have it.
        """
        blob = self.blobs[path]
        if blob.file is not None:
            return os.fsencode(blob.file.readlink()) if blob.is_link else plain.read(blob.file, _LARGEST)
        if blob.oid not in self.contents:
            self.fetch([path])
        try:
            return self.contents[blob.oid]
        except KeyError:
            raise OSError(f"git cannot read {path} at {blob.oid}") from None

    def fetch(self, paths: Iterable[str]) -> None:
        """Read several blobs at once and keep them."""
        wanted: dict[Path, set[str]] = {}
        for path in paths:
            blob = self.blobs[path]
            if blob.file is None and blob.oid not in self.contents:
                wanted.setdefault(blob.home, set()).add(blob.oid)
        for home, oids in wanted.items():
            self.contents.update(_objects(home, sorted(oids)))

    def look_again(self, paths: Iterable[str]) -> None:
        """Compare files that git called unchanged by their content; by their times alone it may be wrong.

        An edit in the second in which git noted a file's times may leave all of them as they were.
        """
        wanted: dict[Path, list[str]] = {}
        for path in paths:
            blob = self.blobs.get(path)
            if blob is not None and blob.same and not blob.is_link and blob.file is None and path not in self._certain:
                self._certain.add(path)
                if (self.top / path).is_file():
                    wanted.setdefault(blob.home, []).append(path)
        for home, found in wanted.items():
            for path, oid in zip(
                found, _hashed(home, [(self.top / path).relative_to(home) for path in found]), strict=True
            ):
                if oid != self.blobs[path].oid:
                    self.blobs[path] = replace(self.blobs[path], same=False)


def top(root: Path) -> Path | None:
    """The top folder of the repository around a folder; None without git."""
    found = git.ask(root, "rev-parse", "--show-toplevel")
    return Path(found.rstrip("\n")) if found else None


def read(folder: Path, commit: str) -> Commit | None:
    """The files of a commit in the repository whose top is `folder`; None if git fails."""
    found = Commit(folder)
    return found if _add(found, folder, commit, "") else None


def ignored(root: Path, paths: Collection[str]) -> set[str]:
    """Which of some paths, relative to `root`, git ignores, whether they exist or not."""
    if not paths:
        return set()
    told = _run(root, "check-ignore", "-z", "--stdin", given="\0".join(sorted(paths)).encode(errors="surrogateescape"))
    return {name.decode(errors="surrogateescape") for name in told.split(b"\0") if name}


def _add(found: Commit, folder: Path, commit: str, prefix: str) -> bool:
    """Add the files of a commit below a prefix.

    Where attributes have changed, git may call a file unchanged that a checkout now writes in another way.
    """
    listed = git.ask(folder, "ls-tree", "-r", "-z", "--full-tree", commit)
    differ = git.ask(
        folder,
        *git.LOOK,
        "diff",
        "--name-only",
        "-z",
        "--no-renames",
        "--no-relative",
        "--ignore-submodules=none",
        commit,
    )
    flagged = git.ask(folder, "ls-files", "-v", "-z")
    if listed is None or differ is None or flagged is None:
        return False
    changed = set(differ.split("\0"))
    hidden = {entry[2:] for entry in flagged.split("\0") if entry[:1] == "S" or entry[:1].islower()}
    hidden = {path for path in hidden if os.path.lexists(folder / path)}  # a sparse tree does not have them
    converted = tuple(path.removesuffix(_ATTRIBUTES) for path in changed if f"/{path}".endswith(f"/{_ATTRIBUTES}"))
    found.hidden |= {prefix + path for path in hidden}
    for entry in listed.split("\0"):
        if not entry:
            continue
        about, _, path = entry.partition("\t")
        mode, _, oid = about.split(" ")
        if mode == _SUBMODULE:
            inner, name = folder / path, prefix + path
            there = (inner / ".git").exists() and git.ask(inner, "cat-file", "-e", f"{oid}^{{commit}}") is not None
            if not (there and _add(found, inner, oid, f"{name}/")) and path in changed:
                found.unread.add(name)
        else:
            same = path not in changed and path not in hidden and not path.startswith(converted)
            found.blobs[prefix + path] = Blob(folder, oid, mode, same)
    return True


def _objects(home: Path, oids: list[str]) -> dict[str, bytes]:
    """The content of those of some objects that exist."""
    told = _run(home, "cat-file", "--batch", given="".join(f"{oid}\n" for oid in oids).encode())
    found, at = {}, 0
    while at < len(told):
        end = told.index(b"\n", at)
        head = told[at:end].decode().split(" ")
        at = end + 1
        if len(head) == 3:  # noqa: PLR2004 - id, type, size; `missing` has two
            found[head[0]] = told[at : at + int(head[2])]
            at += int(head[2]) + 1
    return found


def _hashed(home: Path, files: list[Path]) -> list[str]:
    """The objects that files below `home` would be if git added them; empty texts if it cannot read one of them.

    Paths are relative, as `.gitattributes`, which may ask for other line ends, is only looked up for such.
    """
    named = "".join(f"{_quoted(file)}\n" for file in files).encode(errors="surrogateescape")
    found = _run(home, "hash-object", "--stdin-paths", given=named).decode().split()
    return found if len(found) == len(files) else [""] * len(files)


def _quoted(file: Path) -> str:
    """A path on a line of its own, as git reads it."""
    text = str(file)
    if "\n" not in text and not text.startswith('"'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _run(folder: Path, *arguments: str, given: bytes) -> bytes:
    """What git prints for this input; nothing if it fails."""
    found = git.ask(folder, *arguments, given=given)
    return b"" if found is None else found.encode(errors="surrogateescape")
