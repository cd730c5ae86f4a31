"""A full disk, a folder that is none, files that are torn: named, nothing lost, and put right by the next run."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MADE = """
resource "terraform_data" "made" {
  provisioner "local-exec" {
    command = "echo x >> $WORLD/made"
  }
}
"""


@pytest.fixture
def repository(build: Callable[..., Repository], tmp_path: Path) -> Repository:
    """`a --> b`; what `a` creates is counted outside."""
    built = build(
        minimal_config("stacks:\n  b: {inputs: {x: a.value}}\n"),
        f"stacks/a/main.tf:{resource(extra=MADE)}",
        f"stacks/b/main.tf:{reader('x')}",
    )
    built.variables["WORLD"] = str(tmp_path)
    return built


@pytest.fixture
def small_disk(repository: Repository) -> Iterator[Path]:
    """`.deploy/local` on a disk of 512 kB."""
    folder = repository.deploy_dir()
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        if os.environ.get("TESTS_MOUNT") == "no":
            pytest.skip("TESTS_MOUNT=no")
        pytest.fail(
            f"no disk can be mounted here: {mounted.stderr.strip()}; as root it can, and TESTS_MOUNT=no skips this"
        )
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("left", [0, 12, 20, 28, 40, 56, 80])
def test_a_full_disk_is_named_and_with_room_everything_converges(
    repository: Repository, small_disk: Path, tmp_path: Path, left: int
) -> None:
    """The disk is full at another moment each time: from the very first file to the last receipt."""
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (512 - left) * 1024)
    done = repository.doit("deploy", code=None)
    assert "Traceback" not in done.out
    assert "unexpected error" not in done.out
    if done.code:
        assert done.code == 1, done.out
        assert "free disk space" in done.out or "No space left" in done.out or "no space left" in done.out
    filler.unlink()
    repository.doit("deploy")
    repository.engine_calls()
    repository.doit("deploy")
    assert repository.engine_calls() == []
    assert (tmp_path / "made").read_text() == "x\n"
    for name in "ab":
        assert repository.json("receipts", f"{name}.json")["serial"] == repository.state(name)["serial"]


def test_files_that_may_not_grow_are_named_and_nothing_is_applied(repository: Repository, tmp_path: Path) -> None:
    """A limit on the size of files, as a quota would set it; needs no right to mount."""
    import sys

    process = subprocess.run(
        ["sh", "-c", 'ulimit -f 2; exec "$0" -m doit deploy', sys.executable], cwd=repository.path, check=False,
        env=repository.environment(), capture_output=True, text=True,
    )  # fmt: skip
    said = process.stdout + process.stderr
    assert process.returncode == 1, said
    assert "Traceback" not in said
    assert "cannot use" in said or "cannot write" in said or "too large" in said
    assert not (tmp_path / "made").exists()
    assert "2 deployed" in repository.doit("deploy").out
    assert (tmp_path / "made").read_text() == "x\n"


@pytest.mark.parametrize("command", ["plan", "deploy", "drift", "status"])
@pytest.mark.parametrize("place", [".deploy", ".deploy/local"])
def test_a_file_in_the_way_of_the_folder_is_named(repository: Repository, place: str, command: str) -> None:
    path = repository.path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("in the way")
    done = repository.doit(command, code=1)
    assert f"{place}/" in done.out or f"{place}:" in done.out or f"cannot use {place}" in done.out, done.out
    assert "unexpected error" not in done.out
    assert "next:" in done.out
    assert repository.engine_calls() == []
    path.unlink()
    repository.doit("deploy")


@pytest.mark.parametrize("folder", ["plans", "receipts", "outputs", "results", "reports"])
def test_a_file_in_the_way_of_a_folder_within_is_named_and_nothing_is_lost(
    repository: Repository, folder: str, tmp_path: Path
) -> None:
    repository.deploy_dir().mkdir(parents=True)
    repository.deploy_dir(folder).write_text("in the way")
    done = repository.doit("deploy", code=None)
    assert "unexpected error" not in done.out
    if folder not in ("results", "reports"):  # those are for people: what is deployed does not hang on them
        assert done.code == 1, done.out
        assert f".deploy/local/{folder}" in done.out
    repository.deploy_dir(folder).unlink()
    repository.doit("deploy")
    assert (tmp_path / "made").read_text() == "x\n"
    repository.doit("drift")


@pytest.mark.parametrize("text", ["", "[]", '{"outputs": 1}'])
@pytest.mark.parametrize("record", ["receipts/a.json", "outputs/a.json", "plans/b/manifest.json", "plans/b/claim.json"])
def test_a_torn_record_is_named_or_made_anew(repository: Repository, record: str, text: str, tmp_path: Path) -> None:
    repository.doit("deploy")
    path = repository.deploy_dir(*record.split("/"))
    path.write_text(text)
    repository.write(f"stacks/b/main.tf:{reader('x')}# changed\n")
    done = repository.doit("deploy", code=None)
    assert "unexpected error" not in done.out
    if done.code:
        assert done.code == 1
        assert f".deploy/local/{record}" in done.out
        assert repository.engine_calls("apply")[2:] == []
        if record.endswith("manifest.json"):  # each message says what to do next
            repository.doit("plan:b")
        else:
            path.unlink()
        repository.doit("deploy")
    assert (tmp_path / "made").read_text() == "x\n"
    repository.engine_calls()
    repository.doit("deploy")
    assert repository.engine_calls() == []
