"""The file index: right digests, read again only when a file changed, and never stopped by its own cache."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base import cachefile
from tasks.project.hcl import fileindex
from tasks.project.hcl.facts import FACTS_VERSION, Facts
from tasks.project.hcl.fileindex import _FORMAT, FileIndex
from tests.unit.conftest import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.base.jsonvalue import Json

OLD = 1_000_000_000 * 10**9


def index(root: Path) -> FileIndex:
    """The index of a folder, its cache beside what it indexes."""
    return FileIndex(root, root / ".deploy/files.json")


def age(path: Path) -> None:
    """Make a file old enough to be kept between runs."""
    os.utime(path, ns=(OLD, OLD))


def test_a_digest_is_the_contents_sha256(tree: Callable[..., Path]) -> None:
    assert index(tree("a/x.txt:hello")).digest("a/x.txt") == sha256(b"hello").hexdigest()


def test_what_is_no_readable_file_has_no_digest_and_says_nothing(tree: Callable[..., Path]) -> None:
    files = index(tree("a/x.txt:hello"))
    for path in ("nowhere", "a", "a/x.txt/below", "a\0b"):
        with_null = "\0" in path
        if not with_null:
            assert files.digest(path) is None
            assert files.facts(path) == Facts()


def test_a_changed_file_is_read_again_in_the_same_run(tree: Callable[..., Path]) -> None:
    root = tree('main.tf:output "a" { value = 1 }\n')
    files = index(root)
    assert files.facts("main.tf").outputs == ["a"]
    write(root, 'main.tf:output "bb" { value = 1 }\n')
    assert files.facts("main.tf").outputs == ["bb"]
    assert files.digest("main.tf") == sha256(b'output "bb" { value = 1 }\n').hexdigest()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caches of this test are saved long after its files were written."""
    now = time.time_ns
    monkeypatch.setattr(fileindex.time, "time_ns", lambda: now() + 60_000_000_000)


@pytest.mark.usefixtures("later")
def test_what_was_read_is_not_read_again(tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree('main.tf:output "a" { value = 1 }\n')
    first = index(root)
    before, facts = first.digest("main.tf"), first.facts("main.tf")
    first.save()
    with monkeypatch.context() as patch:
        patch.setattr(fileindex, "sha256_file", lambda path: pytest.fail(f"{path} was read"))
        second = index(root)
        assert (second.digest("main.tf"), second.facts("main.tf")) == (before, facts)
    os.utime(root / "main.tf", ns=(OLD, OLD + 1))
    assert index(root).digest("main.tf") == before
    write(root, 'main.tf:output "longer" { value = 1 }\n')
    assert index(root).facts("main.tf").outputs == ["longer"]


@pytest.mark.usefixtures("later")
def test_a_file_of_the_same_size_and_mtime_is_read_again(tree: Callable[..., Path]) -> None:
    root = tree("a.txt:one")
    age(root / "a.txt")
    first = index(root)
    first.digest("a.txt")
    first.save()
    assert "a.txt" in (root / ".deploy/files.json").read_text()
    (root / "a.txt").write_text("two")
    age(root / "a.txt")
    assert index(root).digest("a.txt") == sha256(b"two").hexdigest()
    (root / "b.txt").write_text("six")
    age(root / "b.txt")
    (root / "b.txt").replace(root / "a.txt")  # by a rename: another inode
    assert index(root).digest("a.txt") == sha256(b"six").hexdigest()


def test_a_file_just_written_is_not_kept(tree: Callable[..., Path]) -> None:
    root = tree("new.tf:", "touched.tf:")
    age(root / "touched.tf")  # its mtime says nothing of when it was written
    files = index(root)
    files.digest("new.tf")
    files.digest("touched.tf")
    files.save()
    assert json.loads((root / ".deploy/files.json").read_bytes())["files"] == {}


def test_no_sensitive_default_is_kept_on_disk(tree: Callable[..., Path]) -> None:
    root = tree('main.tf:variable "p" {\n  sensitive = true\n  default = "hunter2"\n}\n')
    age(root / "main.tf")
    files = index(root)
    assert files.facts("main.tf").variables[0].default is None
    files.save()
    assert "hunter2" not in (root / ".deploy/files.json").read_text()
    assert files.read_facts("main.tf").variables[0].default == "hunter2"


def test_files_whose_names_and_contents_are_no_utf8_are_kept(tree: Callable[..., Path]) -> None:
    root = tree("x.txt:")
    name = os.fsdecode(b"caf\xe9.tf.json")
    (root / name).write_bytes(b'{"variable": {"a": {"default": "\\ud800"}}}')
    age(root / name)
    files = index(root)
    facts = files.facts(name)
    files.save()
    kept = index(root)
    assert kept.facts(name) == facts
    assert kept.names(".") == sorted(["x.txt", name])


def test_a_save_that_fails_costs_nothing_but_time(tree: Callable[..., Path]) -> None:
    root = tree("a.tf:", ".deploy:a file where the folder should be")
    files = index(root)
    files.digest("a.tf")
    files.save()
    assert (root / ".deploy").read_text() == "a file where the folder should be"


@pytest.mark.parametrize("version", [FACTS_VERSION, [1, FACTS_VERSION], [_FORMAT, FACTS_VERSION + 1], None, "x"])
def test_a_cache_of_another_version_is_not_used(tree: Callable[..., Path], version: Json) -> None:
    root = tree("a.txt:hello")
    age(root / "a.txt")
    status = (root / "a.txt").stat()
    stamp = [status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size]
    cachefile.write(root / ".deploy/files.json", version, {"files": {"a.txt": [stamp, "wrong", None]}})
    assert index(root).digest("a.txt") == sha256(b"hello").hexdigest()
    cachefile.write(root / ".deploy/files.json", [_FORMAT, FACTS_VERSION], {"files": {"a.txt": [stamp, "used", None]}})
    assert index(root).digest("a.txt") == "used"


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("facts", [5, [], {}, {"outputs": 5}, {"paths": [5]}, {"locals": {"x": ["r", 5]}}])
@pytest.mark.parametrize("digest", [None, 5])
def test_a_damaged_cache_is_forgotten(tree: Callable[..., Path], facts: Json, digest: int | None) -> None:
    """An entry of another form ended in an unexpected error: what is in the cache was taken for what was put there."""
    root = tree('main.tf:output "a" { value = local.x }\nlocals { x = 1 }\n')
    first = index(root)
    first.facts("main.tf")
    first.save()
    cache = root / ".deploy/files.json"
    found = json.loads(cache.read_bytes())
    stamp, known, _ = found["files"]["main.tf"]
    found["files"]["main.tf"] = [stamp, digest or known, facts]
    cache.write_text(json.dumps(found, separators=(",", ":")))
    assert index(root).facts("main.tf") == first.facts("main.tf")
    assert index(root).digest("main.tf") == known


@given(
    st.binary(max_size=40)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["version", "files", "x"]), inner),
        max_leaves=4,
    ).map(lambda value: json.dumps(value).encode())
    | st.sampled_from([None, [], 1, "x", {}]).map(
        lambda value: json.dumps({"version": [_FORMAT, FACTS_VERSION], "files": value}).encode()
    )
)
def test_any_cache_is_used_or_is_not_there(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    root = tmp_path_factory.getbasetemp() / "any-cache"
    write(root, "a.txt:hello", ".deploy/files.json:")
    (root / ".deploy/files.json").write_bytes(content)
    assert index(root).digest("a.txt") == sha256(b"hello").hexdigest()


def test_names_and_configuration_are_a_folders_own_files_sorted(tree: Callable[..., Path]) -> None:
    files = index(tree("s/b.tf:", "s/a.tofu:", "s/c.txt:", "s/d.tf/x:", "s/sub/e.tf:"))
    assert files.names("s") == ["a.tofu", "b.tf", "c.txt"]
    assert files.configuration("s") == ["s/a.tofu", "s/b.tf"]
    assert (files.names("no"), files.configuration("no")) == ([], [])
    assert files.is_folder("s")
    assert not files.is_folder("s/b.tf")


def test_all_files_below_a_folder_leave_out_hidden_and_engine_folders(tree: Callable[..., Path]) -> None:
    files = index(
        tree("s/b/x:", "s/a:", "s/.hidden/x:", "s/.terraform/x:", "s/node_modules/x:", "s/__pycache__/x:", "s/b/a/y:")
    )
    assert list(files.below("s")) == ["s/a", "s/b/x", "s/b/a/y"]
    assert list(files.below("nowhere")) == []


def test_for_the_engine_all_files_below_a_folder_count_but_what_engine_and_git_keep(tree: Callable[..., Path]) -> None:
    root = tree(
        "s/b/x:", "s/.hidden/x:", "s/.terraform/x:", "s/.git/x:", "s/.deploy/x:", "s/node_modules/p/x:", "else/y:"
    )
    (root / "s/link").symlink_to("../else")
    (root / "s/circle").symlink_to("../s")
    (root / "s/b/file").symlink_to("../../else/y")
    (root / "s/broken").symlink_to("nowhere")
    assert list(index(root).below("s", everything=True)) == [
        "s/.hidden/x", "s/b/file", "s/b/x", "s/broken", "s/link/y", "s/node_modules/p/x",
    ]  # fmt: skip
    assert "else/y" in list(index(root).below(".", everything=True))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", [".h.txt", "a.txt", "b.json"]),
        ("*.txt", [".h.txt", "a.txt"]),
        ("**", [".d/e.txt", ".h.txt", "a.txt", "b.json", "c/d/e.txt", "c/e.txt"]),
        ("**/*.txt", [".d/e.txt", ".h.txt", "a.txt", "c/d/e.txt", "c/e.txt"]),
        ("c/**", ["c/d/e.txt", "c/e.txt"]),
        ("c/**/e.txt", ["c/d/e.txt", "c/e.txt"]),
        ("*.{txt,json}", [".h.txt", "a.txt", "b.json"]),
        ("[a-b].*", ["a.txt", "b.json"]),
        ("[!a].*", ["b.json"]),
        ("?.txt", ["a.txt"]),
        ("c/?/*", ["c/d/e.txt"]),
        ("a\\.txt", [".d/e.txt", ".h.txt", "a.txt", "b.json", "c/d/e.txt", "c/e.txt"]),
    ],
)
def test_files_match_a_pattern_as_the_engines_fileset_has_it(
    tree: Callable[..., Path], pattern: str, found: list[str]
) -> None:
    files = index(tree("s/a.txt:", "s/.h.txt:", "s/b.json:", "s/c/e.txt:", "s/c/d/e.txt:", "s/.d/e.txt:"))
    assert sorted(files.matching("s", pattern)) == [f"s/{name}" for name in found]


def test_while_a_project_is_loaded_a_folder_of_many_stacks_is_asked_once_whether_it_is_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / "stacks" / name).mkdir(parents=True)
    (tmp_path / "other").symlink_to("stacks")
    found, asked = index(tmp_path), list[str]()
    islink = os.path.islink

    def counting(path: str) -> bool:
        asked.append(os.path.relpath(path, tmp_path))
        return islink(path)

    monkeypatch.setattr(os.path, "islink", counting)
    with found.at_once():
        assert [found.followed(f"stacks/{name}") for name in "abca"] == ["stacks/a", "stacks/b", "stacks/c", "stacks/a"]
        assert found.followed("other/b") == "stacks/b"
    assert [asked.count(name) for name in ("stacks", "stacks/a", "other")] == [1, 1, 1]
    (tmp_path / "stacks/a").rmdir()
    (tmp_path / "stacks/a").symlink_to("b")
    assert found.followed("stacks/a") == "stacks/b"  # what was known is forgotten


def test_facts_are_stored_as_they_were_read(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(
        'variable "key" {\n  default = "x"\n  sensitive = true\n}\nmodule "m" {\n  source = "./m"\n  for_each = var.all\n}\n'
        'data "terraform_remote_state" "r" {\n  backend = "local"\n  config = { path = "${path.module}/a.tfstate" }\n}\n'
        'output "o" {\n  value = file("./b/${var.key}.txt")\n}\n'
    )
    read = index(tmp_path).facts("main.tf")
    assert read.to_json() == dataclasses.asdict(read)
    assert Facts.from_json(json.loads(json.dumps(read.to_json()))) == read
    assert [variable.default for variable in read.variables] == [None]
    assert read.calls[0].repeat is not None
