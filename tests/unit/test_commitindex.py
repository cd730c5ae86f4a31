"""The index of a commit says of git's objects what the index of the working tree says of the same files."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tasks.base import gittree
from tasks.project.hcl.commitindex import CommitIndex
from tasks.project.hcl.fileindex import FileIndex
from tests.unit.conftest import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = (
    'stacks/a/main.tf:module "m" { source = "../../modules/m" }\n', "stacks/a/x.auto.tfvars:x = 1\n",
    'modules/m/main.tf:output "x" { value = file("${path.module}/data.txt") }\n', "modules/m/data.txt:1",
    "deep/er/a.json:{}", "deep/er/b.json:[]", "deep/c.json:1", "deep/.hidden/d.json:1", "deep/node_modules/e.json:1",
    ".gitignore:ignored/\n.deploy/\n", "ignored/f.txt:1", "räum/ö.txt:ö", "run.sh:#!/bin/sh\n",
)  # fmt: skip
PATHS = (
    ".", "stacks", "stacks/a", "stacks/a/main.tf", "modules/m", "modules/m/data.txt", "deep", "deep/er", "deep/none",
    "links", "links/data.txt", "links/folder", "links/folder/a.json", "links/twice/b.json", "links/loose",
    "links/round", "links/up/c.json", "räum", "räum/ö.txt", "run.sh", "deep/er/../c.json", "../outside",
)  # fmt: skip
PATTERNS = (
    "*", "stacks/*", "deep/*.json", "deep/**/*.json", "**/*.json", "**", "links/*", "links/*/a.json", "deep/er/[ab].json",
    "none/*", "deep/er/a.json", "links/**/*.json", "deep/../stacks/*",
)  # fmt: skip


def git(root: Path, *arguments: str) -> str:
    """Run git, with an identity of its own."""
    own = ["-c", "user.name=Test", "-c", "user.email=test@example.test", "-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *own, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(root: Path) -> str:
    """Commit everything."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "x")
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with links of every kind."""
    root = write(tmp_path / "repo", *FILES)
    (root / "run.sh").chmod(0o755)
    links = root / "links"
    links.mkdir()
    for name, target in {
        "data.txt": "../modules/m/data.txt", "folder": "../deep/er", "twice": "folder", "loose": "../nowhere",
        "round": "round", "up": "../deep/../deep",
    }.items():  # fmt: skip
        (links / name).symlink_to(target)
    git(root, "init", "--quiet", "--initial-branch=main")
    return root


def at(root: Path, commit: str, *, unread: bool = False) -> CommitIndex:
    """The index of a commit; `unread` has it read every file from git's objects."""
    top = gittree.top(root)
    assert top is not None
    files = gittree.read(top, commit)
    assert files is not None
    if unread:
        files.blobs = {path: replace(blob, same=False) for path, blob in files.blobs.items()}
    return CommitIndex(root, files, now(root))


def now(root: Path) -> FileIndex:
    """The index of the working tree."""
    return FileIndex(root, root / ".deploy/files.json")


@pytest.mark.parametrize("unread", [False, True])
def test_both_indexes_say_the_same_of_the_same_files(root: Path, unread: bool) -> None:
    then, here = at(root, commit(root), unread=unread), now(root)
    for path in PATHS:
        assert then.digest(path) == here.digest(path), path
        assert then.is_file(path) == here.is_file(path), path
        assert then.is_folder(path) == here.is_folder(path), path
        assert then.entry(path) == here.entry(path) or here.is_folder(path), path
        assert then.facts(path) == here.facts(path), path
        without = [name for name in here.names(path) if not path.startswith("ignored")]
        assert then.names(path) == without, path
        if path != "..":
            below = [name for name in here.below(path) if "ignored/" not in name]
            assert list(then.below(path)) == below, path
    for pattern in PATTERNS:
        matching = [path for path in here.glob("", pattern) if here.is_file(path) or here.is_folder(path)]
        found = [path for path in matching if not path.startswith(("ignored", ".git"))]
        assert [path for path in then.glob("", pattern) if not path.startswith(".git")] == found, pattern
    assert then.files() == here.files()


@pytest.mark.parametrize("unread", [False, True])
def test_a_root_in_a_folder_of_the_repository_sees_what_lies_beside_it(root: Path, unread: bool) -> None:
    below = root / "stacks"
    then, here = at(below, commit(root), unread=unread), now(below)
    for path in ("a/main.tf", "../modules/m/main.tf", "../links/folder/a.json", "../../outside", "../modules/m"):
        assert then.digest(path) == here.digest(path)
        assert then.facts(path) == here.facts(path)
        assert then.names(path) == here.names(path)
    assert list(then.below("../deep")) == list(here.below("../deep"))
    assert then.glob("../deep", "**/*.json") == here.glob("../deep", "**/*.json")
    assert then.files() == here.files()
    assert not then.outside("../modules/m/main.tf")
    assert then.outside("../../outside")


def test_what_has_changed_since_is_read_as_it_was(root: Path) -> None:
    before = commit(root)
    write(root, 'stacks/a/main.tf:variable "new" {}\n', "new.txt:1")
    (root / "modules/m/data.txt").unlink()
    (root / "links/folder").unlink()
    (root / "links/folder").symlink_to("../stacks")
    then = at(root, before)
    assert [call.source for call in then.facts("stacks/a/main.tf").calls] == [["=", "../../modules/m"]]
    assert then.digest("modules/m/data.txt") == then.digest("links/data.txt") == sha256(b"1").hexdigest()
    assert then.digest("new.txt") is None
    assert then.is_file("links/folder/a.json")


@pytest.mark.parametrize("target", ["/etc/hostname", "../../elsewhere.txt"])
def test_a_link_that_leads_out_of_the_repository_is_outside(root: Path, target: str) -> None:
    (root / "links/out").symlink_to(target)
    then = at(root, commit(root))
    assert then.outside("links/out")
    assert then.outside("/etc/hostname")
    assert not then.outside("links/data.txt")


def test_a_submodule_is_read_at_its_commit_also_after_it_moved_on(root: Path, tmp_path: Path) -> None:
    library = write(tmp_path / "library", 'main.tf:output "one" { value = 1 }\n')
    git(library, "init", "--quiet", "--initial-branch=main")
    commit(library)
    git(root, "submodule", "add", "--quiet", str(library), "vendor/lib")
    before = commit(root)
    assert at(root, before).facts("vendor/lib/main.tf").outputs == ["one"]
    write(root, 'vendor/lib/main.tf:output "two" { value = 1 }\n')
    assert at(root, before).facts("vendor/lib/main.tf").outputs == ["one"]
    commit(root / "vendor/lib")
    commit(root)
    then = at(root, before)
    assert then.facts("vendor/lib/main.tf").outputs == ["one"]
    assert then.digest("vendor/lib/main.tf") != now(root).digest("vendor/lib/main.tf")
    assert then.unread == []


def test_a_submodule_that_this_clone_does_not_have_is_not_taken_for_unchanged(root: Path, tmp_path: Path) -> None:
    library = write(tmp_path / "library", "main.tf:# one\n")
    git(library, "init", "--quiet", "--initial-branch=main")
    commit(library)
    git(root, "submodule", "add", "--quiet", str(library), "vendor/lib")
    before = commit(root)
    write(root, "vendor/lib/main.tf:# two\n")
    commit(root / "vendor/lib")
    commit(root)
    git(root.parent, "clone", "--quiet", str(root), "clone")
    assert at(root.parent / "clone", before).unread == ["vendor/lib"]
    assert at(root.parent / "clone", "HEAD").unread == []


def test_a_file_that_git_lfs_keeps_has_the_digest_of_its_content(root: Path) -> None:
    oid = sha256(b"big").hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 3\n"
    write(root, f"big.bin:{pointer}")
    before = commit(root)
    write(root, "big.bin:big")
    assert at(root, before).digest("big.bin") == oid == now(root).digest("big.bin")


def test_line_ends_that_git_changes_on_checkout_are_no_change(root: Path) -> None:
    write(root, ".gitattributes:*.txt text eol=crlf\n", "text.txt:one\ntwo\n")
    before = commit(root)
    (root / "text.txt").unlink()
    git(root, "checkout", "--", "text.txt")
    assert b"\r\n" in (root / "text.txt").read_bytes()
    assert at(root, before).digest("text.txt") == now(root).digest("text.txt")


@pytest.mark.parametrize(
    ("folder", "same"), [("", False), ("deep/", False), ("links/", True)]
)  # fmt: skip
def test_attributes_that_change_are_a_change_of_what_they_convert(root: Path, folder: str, same: bool) -> None:
    """Git calls the file unchanged, whatever a checkout makes of it now."""
    write(root, "deep/text.txt:one\ntwo\n", "deep/plain.bin:one\n")
    before = commit(root)
    write(root, f"{folder}.gitattributes:*.txt text eol=crlf\n")
    commit(root)
    (root / "deep/text.txt").unlink()
    git(root, "checkout", "--", "deep/text.txt")
    assert (at(root, before).digest("deep/text.txt") == now(root).digest("deep/text.txt")) is same
    assert at(root, before).digest("deep/plain.bin") == now(root).digest("deep/plain.bin")


def test_an_object_that_is_replaced_in_this_clone_hides_no_change(root: Path) -> None:
    write(root, "text.txt:one\n")
    before = commit(root)
    write(root, "text.txt:two\n")
    git(root, "replace", before, commit(root))
    assert at(root, before).digest("text.txt") != now(root).digest("text.txt")


def test_what_git_calls_unchanged_is_compared_by_its_content(root: Path, tmp_path: Path) -> None:
    """As git would add it, with its line ends, whatever the file is named; also in a submodule."""
    inner = write(tmp_path / "inner", "deep/x.tf:1", "deep/y.tf:1")
    git(inner, "init", "--quiet")
    commit(inner)
    write(
        root, ".gitattributes:*.txt text eol=crlf\n", "deep/crlf.txt:one\r\ntwo\r\n", 'deep/"quoted:1', "deep/li\nne:1"
    )
    git(root, "submodule", "--quiet", "add", str(inner), "sub")
    then = commit(root)
    git(root, "submodule", "--quiet", "update", "--init")
    paths = [".gitattributes", "deep/crlf.txt", 'deep/"quoted', "deep/li\nne", "sub/deep/x.tf", "sub/deep/y.tf", "none"]
    known = gittree.read(root, then)
    assert known is not None
    assert all(known.blobs[path].same for path in paths[:-1])
    for path in (*paths[2:4], "sub/deep/x.tf"):  # after git has looked
        (root / path).write_text("2")
    known.look_again(paths)
    assert [path for path in paths[:-1] if not known.blobs[path].same] == [*paths[2:4], "sub/deep/x.tf"]


def test_a_file_that_a_sparse_checkout_leaves_out_is_at_the_commit_all_the_same(root: Path) -> None:
    before = commit(root)
    git(root, "sparse-checkout", "set", "--no-cone", "/*", "!/deep/")
    assert not (root / "deep/c.json").exists()
    assert at(root, before).digest("deep/c.json") == sha256(b"1").hexdigest()


def test_what_git_ignores_is_found_whether_it_is_there_or_not(tree: Callable[..., Path]) -> None:
    root = tree(".gitignore:dist/\n", "dist/a.txt:1", "b.txt:1")
    git(root, "init", "--quiet")
    assert gittree.ignored(root, ["dist/a.txt", "dist/none.txt", "b.txt", "none.txt"]) == {
        "dist/a.txt",
        "dist/none.txt",
    }


def test_without_git_nothing_is_read(tmp_path: Path) -> None:
    assert gittree.top(tmp_path / "none") is None
    assert gittree.read(tmp_path, "HEAD") is None
