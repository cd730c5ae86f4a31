"""The only way to open files that another job, cache or repository may have written: plain files, in their own folders.

A folder that was handed over may contain links, pipes and devices: a link redirects a read or a write, opening a pipe
blocks forever, and `/dev/zero` never ends. So only plain files are opened, every read has a size limit, and below
`.deploy` no part of a path may be a link.
"""

from __future__ import annotations

import errno
import os
import stat
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY_DIR = ".deploy"
_BLOCK = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_DEEPEST, _TOLD = 64, 3  # parts of a path
_WRITING = os.O_WRONLY | os.O_RDWR
_GONE = " (deleted)"
_WITHIN = f"/{DEPLOY_DIR}/"


class NotPlainError(OSError):
    """There is no plain file of acceptable size at the path, but a link, a folder or a device."""


def opened(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a plain file; on a path through `.deploy`, no part below the repository may be a link.

    Raises:
        NotPlainError: It is something else, or is reached through a link; or it has a second name and is to be written.
        OSError: It cannot be opened.
    """
    try:
        # Opening a pipe without a writer would block.
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _not_plain(path, "is a symbolic link: remove it") from None
        if error.errno in (errno.ENXIO, errno.ENODEV):
            raise _not_plain(path, "is not a plain file: remove it") from None
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _not_plain(path, "is not a plain file: remove it")
        if flags & _WRITING and found.st_nlink > 1:
            raise _not_plain(path, "has another hard link, whose content would change too: remove it")
        _check_place(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def below(base: Path, *parts: str) -> int:
    """Open a plain file below a folder for reading, part by part, without following links.

    Raises:
        FileNotFoundError: It does not exist.
        NotPlainError: It is not a plain file, or a part of its path is a link.
        OSError: It cannot be read.
    """
    folder = os.open(base, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        file = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            raise _not_plain(base.joinpath(*parts), "is not a plain file") from error
        raise
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise _not_plain(base.joinpath(*parts), "is not a plain file")
    return file


def read(path: Path, most: int) -> bytes:
    """The content of a plain file, see `opened`.

    Raises:
        NotPlainError: It is something else, is reached through a link, or has more than `most` bytes.
        OSError: It cannot be read.
    """
    return _content(opened(path), path, most)


def regular(path: Path | str) -> int:
    """Open a file for reading, following links; never a pipe, device or folder.

    Raises:
        NotPlainError: It is something else.
        OSError: It cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENODEV):
            raise _not_plain(path, "is not a plain file") from None
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise _not_plain(path, "is not a plain file")
    return descriptor


def read_within(base: Path, path: Path, most: int) -> bytes:
    """The content of a file; links are followed as long as they stay in a folder.

    Raises:
        NotPlainError: It is something else, is reached through a link, or has more than `most` bytes.
        OSError: It cannot be read.
    """
    if not path.resolve().is_relative_to(base.resolve()):
        raise _not_plain(path, "is a link that leads out of the repository")
    return _content(regular(path), path, most)


def read_below(base: Path, path: str, most: int) -> bytes:
    """The content of a plain file below a folder, see `below`.

    Raises:
        NotPlainError: It is something else, or has more than `most` bytes.
        OSError: It cannot be read.
    """
    return _content(below(base, *Path(path).parts), base / path, most)


def files_below(base: Path, part: str) -> Iterator[str]:
    """The plain files at or below a path of a folder, relative to the folder, sorted; empty if nothing is there.

    Raises:
        NotPlainError: Something there is neither a folder nor a plain file, or folders are nested too deeply.
        OSError: A folder cannot be read.
    """
    path = base / part
    for position in range(1, len(Path(part).parts)):  # the path that leads there, too
        if base.joinpath(*Path(part).parts[:position]).is_symlink():
            raise _not_plain(path, "is behind a symbolic link")
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names_below(base, part) if stat.S_ISDIR(mode) else (part,):
        if not stat.S_ISREG((base / name).lstat().st_mode):
            raise _not_plain(base / name, "is not a plain file")
        yield name


def names_below(base: Path, part: str) -> Iterator[str]:
    """The paths of everything below a path of a folder except folders, relative to the folder, sorted.

    Empty if there is no folder. Links below it are not followed.

    Raises:
        NotPlainError: Folders are nested too deeply.
        OSError: A folder cannot be listed.
    """
    if part.count("/") > _DEEPEST:
        raise _not_plain(base.joinpath(*Path(part).parts[:_TOLD]), "contains folders that are nested too deeply")
    try:
        entries = sorted(os.scandir(base / part), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        name = f"{part}/{entry.name}" if part else entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from names_below(base, name)
        else:
            yield name


def make_folder(path: Path) -> None:
    """Create a folder to write in; on a path through `.deploy`, no part may be a link.

    Raises:
        NotPlainError: A part of its path is a link.
        OSError: It cannot be created.
    """
    if DEPLOY_DIR in path.parts:
        inside = path.parts.index(DEPLOY_DIR)
        part = os.fspath(Path(*path.parts[:inside]))  # the repository, which is trusted
        for name in path.parts[inside:]:
            part = os.path.join(part, name)  # noqa: PTH118 - called for every record of every stack
            if os.path.islink(part):  # noqa: PTH114 - before anything is created behind it
                raise _not_plain(Path(part), "is a symbolic link: remove it")
    path.mkdir(parents=True, exist_ok=True)


def _content(descriptor: int, path: Path, most: int) -> bytes:
    with open(descriptor, "rb", buffering=0) as stream:
        left = most - os.fstat(descriptor).st_size
        content = stream.read(most - left + 1) if left >= 0 else b""
        left = most - len(content) if left >= 0 else left
        while left >= 0 and (more := stream.read(_BLOCK)):  # it is growing, or does not report its size
            content, left = content + more, left - len(more)
    if left < 0:
        raise NotPlainError(errno.EFBIG, f"{path.name} has more than {most:,} bytes", str(path))
    return content


def _check_place(descriptor: int, path: Path) -> None:
    """Refuse a file that was reached through a link below the repository; compares strings, as it runs often."""
    text = os.fspath(path)
    at = text.find(_WITHIN)
    if at < 0:
        return
    expected = _real(text[:at]) + text[at:]
    try:
        real = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - see above
    except OSError:  # without /proc, the path itself is almost as good
        real = os.path.realpath(path)
    if real != expected and real.removesuffix(_GONE) != expected:
        raise _not_plain(path, "is behind a symbolic link: remove that link")


@lru_cache(maxsize=64)
def _real(base: str) -> str:
    return os.path.realpath(base).rstrip("/")


def _not_plain(path: Path | str, why: str) -> NotPlainError:
    return NotPlainError(errno.EINVAL, f"{os.path.basename(path)} {why}", str(path))  # noqa: PTH119 - of a text, too
