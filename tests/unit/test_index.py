"""The signed index: what it lists is believed, everything else is named."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tasks.artifact import folder, index
from tasks.artifact.index import BrokenIndexError, Origin
from tasks.base import plain
from tasks.base.errors import FolderRefusedError, RecordError
from tasks.base.layout import Layout
from tasks.project.config.signer import Signer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = Signer("DEPLOY_ARTIFACT_KEY", "aaaaaaaa", b"k" * 32)
OTHER = Signer("DEPLOY_ENCRYPTION_KEY", "bbbbbbbb", b"o" * 32)
HERE = Origin("gitlab.com/1", "prod", "c" * 40, "42")
LOCAL = Origin("", "prod", "c" * 40, "")


def _left(layout: Layout, origin: Origin = HERE, *, name: str = "run", key: Signer = KEY, ended: bool = True) -> None:
    """What a job leaves: a receipt and outputs."""
    writer = index.Writer(layout.indexes / f"{name}.jsonl", key, origin, {})
    layout.watch.listener = lambda files, durable: writer.announce(files, durable=durable)
    folder.keep(layout, layout.receipt("a"), {"outcome": "started"})
    folder.keep(layout, layout.receipt("a"), {"outcome": "applied"})
    folder.keep(layout, layout.outputs("a"), {"outputs": {}})
    layout.watch.listener = None
    if ended:
        writer.end()


def _refusal(layout: Layout, origin: Origin = HERE, key: Signer = KEY) -> FolderRefusedError:
    with pytest.raises(FolderRefusedError) as caught:
        folder.verify(layout, [key], origin)
    return caught.value


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, "prod")


def test_a_folder_as_it_was_left_is_believed(layout: Layout) -> None:
    assert folder.verify(layout, [KEY], HERE).files == {}
    _left(layout)
    found = folder.verify(layout, [OTHER, KEY], HERE)
    assert sorted(found.files) == ["outputs/a.json", "receipts/a.json"]
    assert found.ended


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        ("receipts/a.json", "{}", "receipts/a.json was changed"),
        ("receipts/b.json", "{}", "receipts/b.json is not listed"),
        ("new/thing", "x", "new/thing is not listed"),
        ("receipts/a.json", None, "receipts/a.json is missing"),
        ("plans/a\n/x", "", r"plans/a\n/x is not listed"),
    ],
)
def test_what_is_not_as_it_was_left_is_named(layout: Layout, path: str, content: str | None, said: str) -> None:
    _left(layout)
    target = layout.base / path
    if content is None:
        target.unlink()
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    error = _refusal(layout)
    assert error.reason == "folder"
    assert said in error.message


@pytest.mark.parametrize("hidden", ["images", "plans/a", ".builds", "index", ""])
def test_what_is_in_a_folder_that_cannot_be_listed_is_not_taken_for_nothing(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, hidden: str
) -> None:
    _left(layout)
    place = layout.root / ".deploy" if hidden == ".builds" else layout.base
    (place / hidden).mkdir(parents=True, exist_ok=True)
    (place / hidden / "more.json").write_text("{}")  # whoever knows its name can open it in a folder with the mode 0311
    scandir = os.scandir

    def denied(path: Path) -> Iterator[os.DirEntry[str]]:  # root may list every folder
        if path == place / hidden:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    error = _refusal(layout)
    assert f"{layout.relative(place / hidden)}: Permission denied" in error.message


def test_folders_in_folders_in_folders_end(layout: Layout) -> None:
    _left(layout)
    descriptor = os.open(layout.base, os.O_RDONLY)
    for _ in range(1200):  # deeper than Python calls, and than a path may be long
        os.mkdir("of", dir_fd=descriptor)
        inner = os.open("of", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    try:
        assert "of contains folders that are nested too deeply" in _refusal(layout).message
        with pytest.raises(plain.NotPlainError, match="nested too deeply"):
            list(plain.files_below(layout.root, ".deploy"))
    finally:
        subprocess.run(["rm", "-r", str(layout.base / "of")], check=True)  # Python's own cannot


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "endless"])
def test_only_plain_files_are_read(layout: Layout, kind: str) -> None:
    _left(layout)
    path = layout.receipt("a")
    kept = path.read_bytes()
    path.unlink()
    if kind == "link":
        aside = layout.root / "aside"
        aside.write_bytes(kept)
        path.symlink_to(aside)
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert "receipts/a.json" in _refusal(layout).message


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        ({"project": "gitlab.com/2"}, "project", "belongs to project gitlab.com/2, but this is gitlab.com/1"),
        ({"environment": "dev"}, "environment", "environment 'dev'"),
        ({"pipeline": "41"}, "pipeline", "belongs to pipeline 41, but this is pipeline 42"),
        ({"commit": "d" * 40}, "commit", "belongs to commit dddddddd, but the tree is at cccccccc"),
    ],
)
def test_an_index_of_another_one_is_refused(layout: Layout, change: dict[str, str], reason: str, said: str) -> None:
    _left(layout, replace(HERE, **change))
    error = _refusal(layout)
    assert error.reason == reason
    assert said in error.message


def test_jobs_of_several_pipelines_are_not_mixed(layout: Layout) -> None:
    """On a laptop, which has no pipeline of its own, the files may be of any one pipeline, and of one alone."""
    _left(layout, name="job-1")
    folder.verify(layout, [KEY], LOCAL)
    _left(layout, replace(HERE, pipeline="43"), name="job-2")
    error = _refusal(layout, LOCAL)
    assert error.reason == "pipeline"
    assert "42, 43" in error.message


def test_a_key_that_is_not_the_artifacts_counts_for_nothing(layout: Layout) -> None:
    _left(layout, key=OTHER)
    assert "signed with another key (bbbbbbbb) than DEPLOY_ARTIFACT_KEY (aaaaaaaa)" in _refusal(layout).message
    shutil.rmtree(layout.base)
    _left(layout, key=replace(OTHER, fingerprint=KEY.fingerprint))
    assert "was changed after it was written" in _refusal(layout).message


def test_a_folder_without_an_index_is_refused_unless_that_is_configured(layout: Layout) -> None:
    _left(layout)
    shutil.rmtree(layout.indexes)
    assert (
        "a key is set, but there is no index: outputs/a.json is not listed, receipts/a.json" in _refusal(layout).message
    )
    assert folder.verify(layout, [KEY], HERE, unsigned=True).files


def test_line_ends_that_were_converted_are_no_other_key(layout: Layout) -> None:
    _left(layout)
    path = layout.indexes / "run.jsonl"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    error = _refusal(layout)
    assert error.reason == "index"
    assert "it is not an index of this version" in error.message


def test_an_index_is_not_renamed(layout: Layout) -> None:
    _left(layout)
    (layout.indexes / "run.jsonl").rename(layout.memory)
    assert "it was written as run.jsonl" in _refusal(layout).message


def test_each_moment_of_a_kill_leaves_a_folder_that_the_same_command_goes_on_with(layout: Layout) -> None:
    """Announced and not yet written, written and not yet ended, and a line that was cut."""
    _left(layout, LOCAL, ended=False)
    folder.verify(layout, [KEY], LOCAL)
    layout.receipt("a").write_bytes(b'{\n  "outcome": "started"\n}\n')  # the second write was announced, not done
    folder.verify(layout, [KEY], LOCAL)
    layout.outputs("a").unlink()
    assert not folder.verify(layout, [KEY], LOCAL).ended
    path = layout.indexes / "run.jsonl"
    path.write_bytes(path.read_bytes() + b"0123456789abcdef {")
    folder.verify(layout, [KEY], LOCAL)
    layout.receipt("a").write_text("{}")
    assert "receipts/a.json was changed" in _refusal(layout, LOCAL).message


def test_a_job_that_was_killed_hands_nothing_over(layout: Layout) -> None:
    _left(layout, ended=False)
    assert _refusal(layout).reason == "unended"


def test_lines_are_not_left_out_put_in_or_moved(layout: Layout) -> None:
    _left(layout)
    path = layout.indexes / "run.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for forged in (
        lines[:2] + lines[3:], [*lines[:3], lines[2], *lines[3:]], [lines[0], *reversed(lines[1:])], lines[:1], [b""],
    ):  # fmt: skip
        with pytest.raises(BrokenIndexError):
            index.read("run.jsonl", b"".join(forged), [KEY])


def test_what_a_cache_carries_counts_for_receipts_and_outputs_that_no_job_lists(layout: Layout) -> None:
    earlier = Layout(layout.root / "earlier", "prod")
    _left(earlier, replace(HERE, pipeline="41", commit="b" * 40))
    files = folder.verify(earlier, [KEY], replace(HERE, pipeline="41", commit="b" * 40)).files
    index.Writer(layout.memory, KEY, replace(HERE, pipeline="41"), {**files, "plans/a/plan.tfplan": "0" * 64}).end()
    shutil.copytree(earlier.base / "receipts", layout.base / "receipts")
    assert sorted(folder.verify(layout, [KEY], HERE).files) == ["receipts/a.json"]
    layout.plan("a").parent.mkdir(parents=True)
    layout.plan("a").write_text("x")
    assert "plans/a/plan.tfplan is not listed" in _refusal(layout).message
    shutil.rmtree(layout.base / "plans")
    _left(layout)
    shutil.copyfile(earlier.receipt("a"), layout.receipt("a"))  # the same content
    folder.verify(layout, [KEY], HERE)
    layout.receipt("a").write_text("{}")
    assert "receipts/a.json was changed" in _refusal(layout).message


def test_what_a_cache_carries_is_of_one_project(layout: Layout) -> None:
    layout.base.mkdir(parents=True)
    index.Writer(layout.memory, KEY, replace(HERE, project="gitlab.com/2"), {}).end()
    layout.receipt("a").parent.mkdir()
    layout.receipt("a").write_text("{}")
    assert _refusal(layout).reason == "project"


def test_build_receipts_count_where_a_pipeline_hands_them_over(layout: Layout) -> None:
    layout.build("app").parent.mkdir(parents=True)
    layout.build("app").write_text("{}")
    folder.verify(layout, [KEY], LOCAL)
    assert ".builds/app.json is not listed" in _refusal(layout).message


def test_a_file_is_not_written_where_it_cannot_be_announced(layout: Layout) -> None:
    def full(*_: object) -> None:
        raise RecordError("no room")

    layout.watch.listener = full
    with pytest.raises(RecordError):
        folder.keep(layout, layout.receipt("a"), {})
    assert not layout.receipt("a").exists()
