"""A command that is answered from a snapshot says and leaves exactly what it does without one."""

from __future__ import annotations

import json
import re
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests import inputkinds
from tests.inputkinds import KINDS
from tests.repository import Repository, copy_tree

if TYPE_CHECKING:
    from pathlib import Path

COARSE = 2.2  # seconds: what is younger than the coarsest clock of a file system proves nothing
PARTS = 6
NAMES = sorted(KINDS)
_OF_A_RUN = ("id", "started_at", "ended_at", "seconds", "written_at", "process")


@dataclass
class Answer:
    """What a run said, how it ended, and what it left, without its times."""

    code: int
    said: str
    reports: dict[str, bytes]
    record: dict[str, Any]


def folder(repository: Repository) -> Path:
    return repository.path / ".deploy/.cache/snapshots"


def answer(repository: Repository, *command: str, **variables: str) -> Answer:
    """What a command answers."""
    shutil.rmtree(repository.deploy_dir("reports"), ignore_errors=True)
    runs = repository.deploy_dir("runs")
    known = {path.name for path in runs.glob("*.json")}
    done = repository.doit(*command, code=None, **variables)
    new = [path for path in runs.glob("*.json") if path.name not in known]
    record = {key: value for path in new for key, value in json.loads(path.read_text()).items()}
    reports = repository.deploy_dir("reports")
    return Answer(
        done.code, re.sub(r"\(\d+\.\d s\)", "(TIME)", done.out),
        {path.name: path.read_bytes() for path in reports.glob("*")} if reports.exists() else {},
        {key: "?" if key in _OF_A_RUN else value for key, value in record.items()},
    )  # fmt: skip


def without(repository: Repository, *command: str, **variables: str) -> Answer:
    """What a command answers without any snapshot; those that are there stay."""
    kept = repository.home / "kept-snapshots"
    shutil.rmtree(kept, ignore_errors=True)
    if folder(repository).exists():
        folder(repository).rename(kept)
    found = answer(repository, *command, **variables)
    shutil.rmtree(folder(repository), ignore_errors=True)
    if kept.exists():
        kept.rename(folder(repository))
    return found


def is_replayed(repository: Repository, *command: str, **variables: str) -> bool:
    """Whether a command is answered by its snapshot: then nothing of the model is imported."""
    done = Repository(repository.path, repository.home, repository.tofu, dict(repository.variables), fresh=True)
    process = done.start(*command, **variables, PYTHONPROFILEIMPORTTIME="1")
    out, _ = process.communicate(timeout=60)
    return "pydantic" not in out


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, tofu: Path) -> Repository:
    """A repository with every kind of input, deployed."""
    return inputkinds.create(tmp_path_factory.mktemp("snapshot"), tofu)


@pytest.mark.parametrize("part", range(PARTS))
def test_each_kind_of_input_is_found_with_a_snapshot_as_without(
    deployed: Repository, tmp_path: Path, part: int
) -> None:
    kinds = [name for name in NAMES[part::PARTS] if KINDS[name].only != "base"]
    copies = {}
    for number, kind in enumerate(kinds):
        base = tmp_path / str(number)
        copy = Repository(base / "repo", base / "home", deployed.tofu, dict(deployed.variables))
        copy_tree(deployed.path, copy.path)
        copy_tree(deployed.home, copy.home)
        copies[kind] = copy
    time.sleep(COARSE)
    wrong, replayed = [], 0
    for kind, repository in copies.items():
        first = answer(repository, "status")
        assert (folder(repository) / "status").exists(), kind
        before = (folder(repository) / "status").stat().st_ino
        assert answer(repository, "status") == first
        replayed += (folder(repository) / "status").stat().st_ino == before  # a run of its own would have kept another
        KINDS[kind].change(repository)
        fast, slow = answer(repository, "status"), without(repository, "status")
        if fast != slow:
            wrong.append((kind, fast, slow))
    assert not wrong
    assert replayed == len(copies)
