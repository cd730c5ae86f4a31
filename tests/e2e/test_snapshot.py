"""A command that is answered from a snapshot says and leaves exactly what it does without one."""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import shutil
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests import inputkinds
from tests.inputkinds import KINDS
from tests.repository import Repository, copy_tree, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COARSE = 2.2  # seconds: what is younger than the coarsest clock of a file system proves nothing
PARTS = 6
NAMES = sorted(KINDS)
_MOMENT = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d UTC")
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
        {path.name: _MOMENT.sub(b"MOMENT", path.read_bytes()) for path in reports.glob("*")},
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


@pytest.fixture
def settled(build: Callable[..., Repository]) -> Repository:
    """Two deployed stacks of one module, whose files have become old enough for a snapshot."""
    call = 'module "m" {\n  source = "../../modules/m"\n}\n'
    repository = build(
        minimal_config("stacks:\n  b: {variables: {x: 1}}\n"), 'modules/m/main.tf:output "one" {\n  value = 1\n}\n',
        f"stacks/a/main.tf:{resource(extra=call)}",
        f'stacks/b/main.tf:variable "x" {{\n  type = number\n}}\n\n{resource(extra=call)}',
    )  # fmt: skip
    repository.prepare("deploy")
    time.sleep(COARSE)
    return repository


@pytest.mark.parametrize("command", ["plan", "deploy", "status", "env=local plan"])
def test_a_replayed_answer_is_the_same(settled: Repository, command: str) -> None:
    words = command.split()
    answer(settled, *words)
    assert not is_replayed(settled, *words)  # the environment of that process has one variable more
    assert is_replayed(settled, *words)
    answer(settled, *words)
    fast = answer(settled, *words)
    assert fast == without(settled, *words)
    assert fast.code == 0
    if command != "status":
        assert fast.record["command"] == f"doit {command}"


def test_commands_in_turns_keep_their_snapshots(settled: Repository) -> None:
    commands = ("plan", "deploy", "status")
    for _ in range(2):
        for command in commands:
            is_replayed(settled, command)
    assert [is_replayed(settled, command) for command in commands] == [True] * len(commands)


def _hold(repository: Repository) -> None:
    """Another process holds the environment; it ends with the test."""
    stream = repository.deploy_dir("run.lock").open("w")
    fcntl.flock(stream, fcntl.LOCK_EX)
    stream.write("`doit deploy`, pid 1 on host, since now\n")
    stream.flush()
    _HELD.append(stream)


_HELD: list[Any] = []
CHANGES: dict[str, Callable[[Repository], None]] = {
    "a commit": lambda r: r.write("README.md:about") or (r.commit() and None),
    "an empty commit": lambda r: r.commit() and None,
    "a branch": lambda r: r.git("checkout", "--quiet", "-b", "other") and None,
    "what is staged": lambda r: r.write("README.md:about") or (r.git("add", "README.md") and None),
    "a file with the same size and times": lambda r: _same_stat(r.path / "modules/m/main.tf"),
    "a receipt": lambda r: _edit(r.deploy_dir("receipts/a.json"), '"applied"', '"failed"'),
    "a receipt that is gone": lambda r: r.deploy_dir("receipts/a.json").unlink(),
    "a receipt of a stack that is gone": lambda r: shutil.copy(
        r.deploy_dir("receipts/a.json"), r.deploy_dir("receipts/gone.json")
    ) and None,
    "outputs": lambda r: r.deploy_dir("outputs/a.json").unlink(),
    "a claim": lambda r: shutil.rmtree(r.deploy_dir("plans/a")),
    "a result": lambda r: r.write(".deploy/local/results/drift/a.json:{}"),
    "a signed index": lambda r: r.write(".deploy/local/index/run.jsonl:x"),
    "an environment's records": lambda r: shutil.rmtree(r.deploy_dir()),
    "an ignored task": lambda r: r.doit("ignore", "plan:a") and None,
    "another run": _hold,
    "a variable of the environment": lambda r: r.variables.update(TF_VAR_x="2"),
    "a variable that the engine must not get": lambda r: r.variables.update(TF_CLI_ARGS="-x"),
    "a key": lambda r: r.variables.update(DEPLOY_STATE_KEY="c2VjcmV0" * 8),
    "a setting": lambda r: r.variables.update(DEPLOY_LEDGER="git"),
    "a pipeline": lambda r: r.variables.update(GITHUB_ACTIONS="true"),
    "a setting that is wrong": lambda r: r.write("config/environments/local.yaml:stacks: {c: {}}\n"),
    "a new stack": lambda r: r.write(f"stacks/c/main.tf:{resource()}"),
    "a stack that is gone": lambda r: shutil.rmtree(r.path / "stacks/b"),
    "a state that was not saved": lambda r: r.write("stacks/a/errored.tfstate:{}"),
    "a folder that cannot be read": lambda r: (r.path / "stacks/a").chmod(0),
    "doit's settings": lambda r: r.write("doit.cfg:[GLOBAL]\nverbosity = 0\n"),
    "a task of the repository's own": lambda r: _edit(r.path / "dodo.py", "\n", "\nprint('own')\n"),
    "a link for a file": lambda r: _linked(r.path / "modules/m/main.tf"),
    "the snapshot": lambda r: _flip(folder(r)),
}  # fmt: skip


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _same_stat(path: Path) -> None:
    """Another content of the same size, in place, its times set back."""
    status = path.stat()
    _edit(path, "value = 1", "value = 2")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size


def _linked(path: Path) -> None:
    other = path.with_name("other.txt")
    path.rename(other)
    path.symlink_to(other.name)


def _flip(snapshots: Path) -> None:
    """Whoever can write the cache says something else in every snapshot."""
    for path in snapshots.glob("*"):
        data = path.read_bytes()
        assert b"not affected" in data or b"up to date" in data
        path.write_bytes(data.replace(b"not affected", b"all the same").replace(b"up to date", b"UP TO DATE"))


@pytest.mark.parametrize("change", list(CHANGES))
def test_whatever_changes_the_answer_is_that_of_a_run_without_a_snapshot(
    settled: Repository, tmp_path: Path, change: str
) -> None:
    for command in ("status", "plan"):
        answer(settled, command)
        assert (folder(settled) / command).exists()
    other = Repository(
        tmp_path / "other/repo", settled.home, settled.tofu, dict(settled.variables), commits=settled.commits
    )  # fmt: skip
    copy_tree(settled.path, other.path)
    shutil.rmtree(folder(other))
    for repository in (settled, other):
        CHANGES[change](repository)
    for command in ("status", "plan"):
        fast, slow = answer(settled, command), answer(other, command)
        assert "UP TO DATE" not in fast.said
        assert "all the same" not in fast.said
        fast.said, slow.said = (re.sub(r"\d+\.\d s\b", "TIME", each.said) for each in (fast, slow))
        there = slow.said.replace(str(other.path), str(settled.path))
        assert sorted(fast.said.splitlines()) == sorted(there.splitlines())  # two plans end in any order
        fast.said = slow.said = ""
        fast.reports.pop("junit.xml", None)  # how long each plan took
        slow.reports.pop("junit.xml", None)
        if fast.record.get("tasks"):
            fast.record["tasks"] = slow.record["tasks"] = []
        assert fast == slow
    if (settled.path / "stacks/a").exists():
        (settled.path / "stacks/a").chmod(0o755)


KEPT_NOT: dict[str, Callable[[Repository], None]] = {
    "a file that is as young as the run": lambda r: r.write("README.md:young"),
    "a link that leads out": lambda r: (r.path / "out").symlink_to(r.home),
    "a dodo.py that goes on": lambda r: _edit(r.path / "dodo.py", "import *", "import *\n\nprint('own')"),
    "a key that signs": lambda r: r.variables.update(DEPLOY_STATE_KEY="c2VjcmV0" * 8),
    "a pipeline": lambda r: r.variables.update(GITHUB_ACTIONS="true"),
    "a file outside of the repository": lambda r: r.write('stacks/a/o.tf:output "o" {\n  value = fileexists("../../../outside")\n}\n'),
    "a read of a file that is not known": lambda r: r.write('stacks/a/o.tf:output "o" {\n  value = fileexists(strrev(terraform.workspace))\n}\n'),
    "a hook": lambda r: r.write("config/environments/local.yaml:hooks: [{stage: plan, when: before, command: [\"true\"]}]\n"),
}  # fmt: skip


@pytest.mark.parametrize("why", list(KEPT_NOT))
def test_what_a_stamp_cannot_prove_has_no_snapshot(settled: Repository, why: str) -> None:
    KEPT_NOT[why](settled)
    if why != "a file that is as young as the run":
        time.sleep(COARSE)
    settled.doit("status", code=None)
    assert not (folder(settled) / "status").exists()


SECRET = "correct-horse-battery"


def test_no_secret_of_the_environment_is_in_a_snapshot(settled: Repository) -> None:
    settled.doit("status", AWS_SECRET_ACCESS_KEY=SECRET)
    assert SECRET.encode() not in (folder(settled) / "status").read_bytes()


ROUNDS = 12


def test_random_changes_of_files_and_records_are_found_with_a_snapshot_as_without(settled: Repository) -> None:
    seed = int(os.environ.get("TESTS_SEED", "0")) or random.randrange(1 << 30)  # noqa: S311
    print(f"TESTS_SEED={seed}")
    chance = random.Random(seed)  # noqa: S311
    for _ in range(ROUNDS):
        answer(settled, "status")
        files = [
            path for path in sorted(settled.path.rglob("*"))
            if path.is_file() and ".git/" not in str(path) and not {".cache", "runs"} & set(path.parts)
            and path.name != "dodo.py"  # a program of the user's: Python's own words say what is wrong in it
        ]  # fmt: skip
        done = _mutate(chance, chance.choice(files))
        fast, slow = answer(settled, "status"), without(settled, "status")
        assert fast == slow, done
        time.sleep(chance.choice((0, COARSE)))


def _mutate(chance: random.Random, path: Path) -> str:
    """One random change of a file, with its times kept or not; says which."""
    status, way = path.stat(), chance.choice(("byte", "empty", "gone", "renamed", "mode", "replaced", "beside", "none"))
    data = bytearray(path.read_bytes())
    if way == "byte" and data:
        data[chance.randrange(len(data))] ^= 1
        path.write_bytes(data)
    elif way == "empty":
        path.write_bytes(b"")
    elif way == "gone":
        path.unlink()
        return f"{path} {way}"
    elif way == "renamed":
        path.rename(path.with_name(f"{path.name}.tf"))
        return f"{path} {way}"
    elif way == "mode":
        path.chmod(stat.S_IMODE(status.st_mode) ^ stat.S_IXUSR)
    elif way == "replaced":
        other = path.with_name(f".{path.name}.new")
        other.write_bytes(bytes(data) + b"\n")
        other.rename(path)
    elif way == "beside":
        path.with_name(f"new{chance.randrange(9)}.tf").write_text('output "n" {\n  value = 1\n}\n')
    if chance.random() < 0.5:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return f"{path} {way}"
