"""An upstream's files in a cache: those of the commit, or refused, whatever somebody changed there."""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tasks.project.overlay import cachedtree, remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "T", "GIT_AUTHOR_EMAIL": "t@t.test",
    "GIT_COMMITTER_NAME": "T", "GIT_COMMITTER_EMAIL": "t@t.test",
}  # fmt: skip


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        check=True,
        capture_output=True,
        text=True,
        errors="surrogateescape",
    ).stdout.strip()


@pytest.fixture(params=["sha1", "sha256"])
def upstream(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[remote.Remote, str]:
    """A repository with files, folders whose names sort in git's own way, a link, a program, an odd name, a submodule."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main", f"--object-format={request.param}")
    for path, text in {
        "a": "one\n", "a.b": "two\n", "a-b/x": "three\n", "a0": "", "d/e/f/g": "deep\n", "crlf": "one\r\ntwo\r\n",
        ".gitattributes": "* text=auto eol=crlf\ncrlf -text\nident ident\n", "ident": "$Id$\n",
        os.fsdecode(b"caf\xe9"): "odd\n",
    }.items():  # fmt: skip
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("a")
    git(folder, "add", "-A")
    name = hashlib.new(request.param, b"another repository").hexdigest()
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{name},sub")
    git(folder, "commit", "-qm", "all")
    return remote.parse(f"file://{folder}", tmp_path), git(folder, "rev-parse", "HEAD")


@pytest.fixture
def cached(upstream: tuple[remote.Remote, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the commit in the cache."""
    monkeypatch.setenv("DOIT_TOFU_CACHE", str(tmp_path / "cache"))
    return remote.obtain(*upstream, 60)


def relink(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("/etc/passwd")


def file_to_link(folder: Path) -> None:
    (folder / "a0").unlink()
    (folder / "a0").symlink_to("/dev/null")


def pipe(folder: Path) -> None:
    (folder / "a").unlink()
    os.mkfifo(folder / "a")


def consistent_note(folder: Path) -> None:
    """The file and what is noted of it are changed together; the tree's name is then another one."""
    (folder / "a").write_text("EVIL\n")
    note = cachedtree.note(folder)
    for old, new in ((b"one\n", b"EVIL\n"),):
        for form in ("sha1", "sha256"):
            names = [hashlib.new(form, b"blob %d\0" % len(text) + text).hexdigest().encode() for text in (old, new)]
            note.write_bytes(note.read_bytes().replace(*names))


def folder_to_link(folder: Path) -> None:
    (folder / "d").rename(folder.parent / "elsewhere")
    (folder / "d").symlink_to(folder.parent / "elsewhere")


def same_size_and_time(folder: Path) -> None:
    status = (folder / "a").stat()
    (folder / "a").write_text("EVIL"[:4])
    os.utime(folder / "a", ns=(status.st_atime_ns, status.st_mtime_ns))


def deep_note(folder: Path) -> None:
    """What is noted names a folder in a folder in a folder, without end."""
    note = cachedtree.note(folder)
    name = hashlib.sha1(b"", usedforsecurity=False).hexdigest()
    line = f"100644 blob {name}\t{'d/' * 5000}x\0".encode()
    note.write_bytes(note.read_bytes() + line)


TAMPERED: dict[str, Callable[[Path], object]] = {
    "content": lambda folder: (folder / "d/e/f/g").write_text("EVIL"),
    "same size and time": same_size_and_time,
    "mode": lambda folder: (folder / "a").chmod(0o755),
    "no longer a program": lambda folder: (folder / "run").chmod(0o644),
    "one more": lambda folder: (folder / "d/evil_override.tf").write_text("x"),
    "one less": lambda folder: (folder / "a0").unlink(),
    "a renamed one": lambda folder: (folder / "a0").rename(folder / "a1"),
    "in the submodule": lambda folder: ((folder / "sub").mkdir(exist_ok=True), (folder / "sub/x").touch()),
    "a linked folder beside": lambda folder: (folder / "more").symlink_to("/etc"),
    "another target": relink,
    "a file is a link": file_to_link,
    "a folder is a link": folder_to_link,
    "a pipe": pipe,
    "file and note": consistent_note,
    "a note without end": deep_note,
    "no note": lambda folder: cachedtree.note(folder).unlink(),
    "an empty note": lambda folder: cachedtree.note(folder).write_bytes(b""),
    "another commit's text": lambda folder: cachedtree.note(folder).write_bytes(
        cachedtree.note(folder).read_bytes().replace(b"\n\nall\n", b"\n\nevil\n")
    ),
    "a linked note": lambda folder: (
        cachedtree.note(folder).rename(folder.parent / "n"), cachedtree.note(folder).symlink_to(folder.parent / "n"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_what_is_not_the_commit_is_fetched_again(
    upstream: tuple[remote.Remote, str], cached: Path, tamper: Callable[[Path], object]
) -> None:
    tamper(cached)
    assert not cachedtree.holds(cached, upstream[1])
    assert remote.obtain(*upstream, 60) == cached
    assert cachedtree.holds(cached, upstream[1])
    assert (cached / "a").read_text() == "one\n"
    assert os.readlink(cached / "link") == "a"  # noqa: PTH115


def test_what_is_the_commit_is_used_without_git_and_is_byte_for_byte_as_committed(
    upstream: tuple[remote.Remote, str], cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_git", lambda *_, **__: pytest.fail("git was run"))
    assert remote.obtain(*upstream, 60) == cached
    assert (cached / "crlf").read_bytes() == b"one\r\ntwo\r\n"
    assert (cached / "ident").read_bytes() == b"$Id$\n"
    assert [path.name for path in (cached.parent.parent).iterdir() if path.name == "repository.git"] == []


def test_a_folder_that_cannot_be_listed_may_hold_more(
    upstream: tuple[remote.Remote, str], cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cached / "hidden").mkdir()
    (cached / "hidden/evil.tf").write_text("x")  # whoever knows its name can open it in a folder with the mode 0311
    scandir = os.scandir

    def denied(path: bytes) -> Iterator[os.DirEntry[bytes]]:  # root may list every folder
        if path == os.fsencode(cached / "hidden"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert not cachedtree.holds(cached, upstream[1])


def test_another_commit_is_not_taken_for_it(upstream: tuple[remote.Remote, str], cached: Path) -> None:
    other = "0" * len(upstream[1])
    cachedtree.note(cached.with_name(other)).write_bytes(cachedtree.note(cached).read_bytes())
    cached.rename(cached.with_name(other))
    assert not cachedtree.holds(cached.with_name(other), other)
