"""Durable files: whole or not at all, and errors that name the file."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base import files, layout, plain
from tasks.base.errors import ConfigError, RecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_written_with_its_folders_and_leaves_nothing_else(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "a/b/x.json"
    files.write_atomic(path, b"old", durable=durable)
    files.write_atomic(path, b"new", durable=durable)
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_who_has_the_old_file_open_still_reads_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "x"
    files.write_atomic(path, b"old")
    with path.open("rb") as reader:
        files.write_atomic(path, b"new content")
        assert reader.read() == b"old"


def test_others_cannot_read_what_is_written(tmp_path: Path) -> None:
    files.write_atomic(tmp_path / "x", b"")
    assert (tmp_path / "x").stat().st_mode & 0o077 == 0


def test_a_failed_write_leaves_the_old_content_and_no_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / "x"
    (target / "inside").mkdir(parents=True)  # a folder that is not empty cannot be replaced by a file
    with pytest.raises(RecordError) as caught:
        files.write_atomic(target, b"new")
    assert caught.value.problem.text() == (
        f"record error: cannot write {target}: Is a directory\n"
        "  untouched: the file's previous content is intact\n"
        "  next: free disk space or make the folder writable, then run the same command again"
    )
    assert list(tmp_path.iterdir()) == [target]


def _two(folder: Path) -> dict[Path, bytes]:
    return {folder / "a/x": b"new x", folder / "b/y": b"new y"}


def test_many_files_are_written_with_their_folders_and_leave_nothing_else(tmp_path: Path) -> None:
    files.write_atomic(tmp_path / "a/x", b"old")
    files.write_all(_two(tmp_path))
    found = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == _two(tmp_path)
    assert all(path.stat().st_mode & 0o077 == 0 for path in found)


def test_of_many_files_none_is_replaced_before_all_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> bool:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    files.write_atomic(tmp_path / "a/x", b"old")
    monkeypatch.setattr(files, "_flush_all", full)
    with pytest.raises(RecordError, match="No space left on device"):
        files.write_all(_two(tmp_path))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "a/x"]
    assert (tmp_path / "a/x").read_bytes() == b"old"


def test_of_many_files_one_that_cannot_be_replaced_is_named_and_no_temporary_file_is_left(tmp_path: Path) -> None:
    (tmp_path / "b/y/inside").mkdir(parents=True)
    with pytest.raises(RecordError, match=f"cannot write {tmp_path / 'b/y'}: Is a directory"):
        files.write_all(_two(tmp_path))
    assert {path.name for path in tmp_path.rglob("*")} == {"a", "b", "x", "y", "inside"}


def test_where_a_file_system_cannot_be_flushed_at_once_each_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    sync = os.fsync

    def counted(descriptor: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path)))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    files.write_all(_two(tmp_path))
    assert sorted(flushed) == ["a", "b"]
    flushed.clear()
    monkeypatch.setattr(files, "_flush_all", lambda _descriptor: False)
    files.write_all(_two(tmp_path))
    assert sorted(Path(name).parts[0] for name in flushed) == ["a", "a", "b", "b"]


def test_a_folder_that_cannot_be_made_is_a_record_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"cannot write .*/file/x: (Not a directory|File exists)$"):
        files.write_atomic(tmp_path / "file" / "x", b"")


def test_a_value_reads_back_as_it_was_written(tmp_path: Path) -> None:
    value = {"b": [1, None, "é"], "a": {"x": True}, "name": os.fsdecode(b"caf\xe9")}
    files.write_json(tmp_path / "x.json", value)
    assert files.read_json(tmp_path / "x.json") == value
    assert (tmp_path / "x.json").read_bytes().startswith('{\n  "b": [\n    1,\n    null,\n    "é"\n'.encode())
    assert (tmp_path / "x.json").read_bytes().endswith(b"}\n")


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert files.read_json(tmp_path / "nowhere.json") is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"{} {}"])
def test_a_file_that_is_no_json_is_an_error_that_names_it_and_the_way_out(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(RecordError) as caught:
        files.read_json(path)
    assert caught.value.message.startswith(f"cannot read {path}: ")
    assert str(caught.value.problem.where) == str(path)
    assert caught.value.problem.next_text == "if its content is lost, remove the file and run the same command again"


def test_a_folder_in_the_place_of_a_record_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is not a plain file"):
        files.read_json(tmp_path)


@given(VALUES)
def test_the_canonical_text_is_one_for_equal_values_and_reads_back(value: object) -> None:
    text = files.canonical_json(value)
    assert json.loads(text) == value
    assert files.canonical_json(json.loads(json.dumps(value))) == text


def test_the_canonical_text_has_sorted_keys_and_no_spaces() -> None:
    assert files.canonical_json({"b": [1, 2], "a": "é"}) == '{"a":"é","b":[1,2]}'.encode()


def test_a_files_digest_is_that_of_its_bytes(tmp_path: Path) -> None:
    data = b"x" * 3_000_000
    (tmp_path / "x").write_bytes(data)
    assert files.sha256_file(tmp_path / "x") == files.sha256_bytes(data)
    assert files.sha256_bytes(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_plain_file_is_opened_below_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/x").write_bytes(b"content")
    descriptor = plain.below(tmp_path, "a", "b", "x")
    assert os.read(descriptor, 100) == b"content"
    os.close(descriptor)


def _link(folder: Path) -> None:
    (folder / "x").symlink_to("/etc/passwd")


def _linked_folder(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")
    (folder.parent / "elsewhere/x").touch()
    folder.symlink_to("elsewhere")


@pytest.mark.parametrize(
    "make", [_link, _linked_folder, lambda folder: os.mkfifo(folder / "x"), lambda folder: (folder / "x").mkdir()]
)
def test_what_is_no_plain_file_is_not_opened(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    make(tmp_path / "a/b")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(plain.NotPlainError):
        plain.below(tmp_path, "a", "b", "x")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    for parts in (("x",), ("a", "x")):
        with pytest.raises(FileNotFoundError):
            plain.below(tmp_path, *parts)


def other(path: Path, script: str) -> subprocess.Popen[str]:
    """Another process that has `files` and `path`; its standard input ends it."""
    program = (
        f"import sys\nfrom pathlib import Path\nfrom tasks.base import files\npath = Path({str(path)!r})\n{script}"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(files.__file__).parent.parent.parent,
    )  # fmt: skip


HOLD = """with files.locked(path, note="the other one"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(path: Path, script: str = HOLD) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock."""
    with other(path, script) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "held\n"
            yield child
        finally:
            child.stdin.close()
            child.wait(30)


def test_a_held_lock_is_refused_with_what_its_holder_noted(tmp_path: Path) -> None:
    path = tmp_path / "a/lock"
    with held(path):
        with pytest.raises(files.HeldError, match=r"^the other one$"), files.locked(path, wait=False):
            pytest.fail("held twice")
        assert files.holder(path) == "the other one"

    assert files.holder(path) is None
    assert path.read_text() == ""
    with files.locked(path, wait=False, note="mine"):
        assert path.read_text() == "mine"


def test_a_lock_without_a_note_is_held_by_an_unknown_process(tmp_path: Path) -> None:
    with held(tmp_path / "lock", HOLD.replace(', note="the other one"', "")):
        assert files.holder(tmp_path / "lock") == "an unknown process"


def test_a_held_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held(path) as child:
        assert child.stdin is not None
        threading.Timer(0.3, child.stdin.close).start()
        with files.locked(path):
            pass
        assert child.wait(30) == 0


def test_a_shared_lock_is_held_with_others_that_share_it_and_with_no_other(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held(path, HOLD.replace('note="the other one"', "shared=True")):
        with files.locked(path, wait=False, shared=True):
            pass
        with pytest.raises(files.HeldError), files.locked(path, wait=False):
            pytest.fail("held alone")
    with held(path), pytest.raises(files.HeldError), files.locked(path, wait=False, shared=True):
        pytest.fail("shared with who holds it alone")


def test_while_a_lock_is_held_the_waiting_can_give_up(tmp_path: Path) -> None:
    path, waits = tmp_path / "lock", []

    def pause() -> None:
        waits.append(1)
        if len(waits) > 2:
            raise TimeoutError

    with held(path), pytest.raises(TimeoutError), files.locked(path, pause=pause):
        pytest.fail("held twice")

    assert len(waits) == 3


def test_a_child_that_gets_the_descriptor_holds_the_lock_on_and_no_other_does(tmp_path: Path) -> None:
    with files.locked(tmp_path / "mine") as descriptor:
        keeper = subprocess.Popen(["sleep", "60"], pass_fds=[descriptor])
    try:
        assert files.holder(tmp_path / "mine") is not None
    finally:
        keeper.kill()
        keeper.wait()
    with files.locked(tmp_path / "other"):
        keeper = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        assert files.holder(tmp_path / "other") is None
    finally:
        keeper.kill()
        keeper.wait()


def test_a_link_as_a_lock_is_refused_and_its_target_stays_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("content")
    (tmp_path / "lock").symlink_to(target)

    with pytest.raises(OSError, match="lock is a symbolic link"), files.locked(tmp_path / "lock", note="x"):
        pytest.fail("a link was locked")

    assert target.read_text() == "content"
    assert files.holder(tmp_path / "lock") is None


def test_a_link_to_nowhere_as_a_lock_makes_no_file(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "new")

    with pytest.raises(OSError, match="symbolic link"), files.locked(tmp_path / "lock"):
        pytest.fail("a link was locked")

    assert not (tmp_path / "new").exists()


def test_a_named_pipe_as_a_lock_is_refused_without_waiting_for_its_other_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    script = """try:
    with files.locked(path):
        pass
except OSError as error:
    print(error.strerror, files.holder(path))
"""
    with other(tmp_path / "lock", script) as child:
        assert child.communicate(timeout=60)[0] == "lock is not a plain file: remove it None\n"


def test_what_the_system_says_of_a_lock_is_explained_once_and_of_the_work_never(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    def explain(error: OSError) -> RecordError:
        return RecordError(f"no lock: {error.strerror}")

    with (
        pytest.raises(RecordError, match="no lock: File exists"),
        files.locked(tmp_path / "file/lock", explain=explain),
    ):
        pytest.fail("there is no such folder")
    with pytest.raises(FileNotFoundError), files.locked(tmp_path / "lock", explain=explain):
        (tmp_path / "absent").read_text()


def _below_deploy(root: Path) -> Path:
    """A record of an environment, as a job finds it in what another handed over."""
    path = root / ".deploy/local/plans/web/manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"of": "web"}')
    return path


@pytest.mark.parametrize("part", [".deploy", ".deploy/local", ".deploy/local/plans", ".deploy/local/plans/web"])
def test_below_the_deploy_folder_no_part_of_a_path_may_be_a_link(tmp_path: Path, part: str) -> None:
    path = _below_deploy(tmp_path / "repo")
    folder = tmp_path / "repo" / part
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(RecordError, match="symbolic link"):
        files.read_json(path)
    with pytest.raises(RecordError, match="symbolic link"):
        files.write_json(path, {"of": "another"})
    with pytest.raises(OSError, match="symbolic link"), files.locked(path.with_name("lock")):
        pytest.fail("a lock behind a link was taken")
    with pytest.raises(OSError, match="symbolic link"):
        files.append(path.with_name("log"), "text")
    elsewhere = tmp_path / "elsewhere"
    assert [file.read_text() for file in elsewhere.rglob("*.json")] == ['{"of": "web"}']
    assert not list(elsewhere.rglob("l*k"))


def test_nothing_is_made_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/.deploy").symlink_to(tmp_path / "new")
    with pytest.raises(RecordError, match="symbolic link"):
        files.write_json(tmp_path / "repo/.deploy/local/x.json", {})
    assert not (tmp_path / "new").exists()


def test_a_repository_may_itself_be_reached_by_a_link(tmp_path: Path) -> None:
    _below_deploy(tmp_path / "real")
    (tmp_path / "repo").symlink_to(tmp_path / "real")
    path = tmp_path / "repo/.deploy/local/plans/web/manifest.json"
    assert files.read_json(path) == {"of": "web"}
    files.write_json(path, {"of": "it"})
    assert files.read_json(path) == {"of": "it"}


def test_a_record_that_is_replaced_while_it_is_read_is_still_read(tmp_path: Path) -> None:
    path = _below_deploy(tmp_path)
    descriptor = plain.opened(path)
    files.write_json(path, {})
    plain._check_place(descriptor, path)
    os.close(descriptor)


def test_a_device_and_what_is_too_large_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as stream:
        stream.truncate(files.LARGEST_RECORD + 1)
    with pytest.raises(RecordError, match="has more than 268,435,456 bytes"):
        files.read_json(big)
    with pytest.raises(plain.NotPlainError):
        plain.opened(Path("/dev/zero"))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000 + "]" * 5000,
        '{"a":' * 5000 + "1" + "}" * 5000,
        '["' + "]" * 9000 + '",' + "[" * 5000 + "]" * 5000 + "]",  # brackets in a text close nothing
        '["\\"' + "]" * 9000 + '",' + "[" * 5000 + "]" * 5000 + "]",
        "[" * 201 + "]" * 201,
    ],
)
def test_a_value_nested_too_deep_is_refused_before_any_code_walks_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(RecordError, match="nested deeper than 200 levels"):
        files.read_json(tmp_path / "x")


def test_many_brackets_are_not_deep_ones(tmp_path: Path) -> None:
    value = [[["[" * 500, {}]] * 500, "]" * 3]
    files.write_json(tmp_path / "x", value)
    assert files.read_json(tmp_path / "x") == value


def test_files_below_a_folder_are_plain_and_in_order(tmp_path: Path) -> None:
    for name in ("a/b/2", "a/b/1", "a/c", "d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(plain.files_below(tmp_path, "a")) == ["a/b/1", "a/b/2", "a/c"]
    assert list(plain.files_below(tmp_path, "d")) == ["d"]
    assert list(plain.files_below(tmp_path, "nowhere/x")) == []
    assert plain.read_below(tmp_path, "a/c", 1) == b""


@pytest.mark.parametrize("make", [lambda at: at.symlink_to("/etc/passwd"), os.mkfifo, lambda at: at.symlink_to("..")])
def test_what_is_no_plain_file_below_a_folder_is_named(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    make(tmp_path / "a/b/x")
    with pytest.raises(plain.NotPlainError) as caught:
        list(plain.files_below(tmp_path, "a"))
    assert caught.value.filename == str(tmp_path / "a/b/x")


def test_a_folder_that_leads_there_by_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real/b").mkdir(parents=True)
    (tmp_path / "a").symlink_to("real")
    with pytest.raises(plain.NotPlainError):
        list(plain.files_below(tmp_path, "a/b"))


def test_without_a_home_the_cache_has_to_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nowhere(_: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", classmethod(nowhere))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv(layout.CACHE_VARIABLE, raising=False)
    with pytest.raises(ConfigError) as caught:
        layout.cache_dir()
    assert "set HOME, or DOIT_TOFU_CACHE to a folder that can be written" in str(caught.value.problem.text())
    monkeypatch.setenv(layout.CACHE_VARIABLE, str(tmp_path))
    assert layout.cache_dir() == tmp_path
