"""A state that somebody else holds: named with its holder and the command that releases it, waited for, never broken."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, kill_group, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.backends import Backend
    from tests.servers.postgres import Postgres

# The create waits for a file, so that the lock is held as long as a test wants it. `echo` and not `touch`: it is counted.
HOLDING = """
resource "terraform_data" "it" {{
  triggers_replace = "{value}"

  provisioner "local-exec" {{
    command = "echo {value} >> $WORLD/begun; while [ ! -e $WORLD/go ]; do sleep 0.05; done; echo {value} >> $WORLD/made"
  }}
}}
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Path]:
    """What is outside of every state and every clone."""
    folder = tmp_path / "world"
    folder.mkdir()
    yield folder
    (folder / "go").touch()  # whatever still waits for it ends, when a test failed half-way


@pytest.fixture
def repository(build: Callable[..., Repository], backend: Backend, world: Path) -> Repository:
    """One stack whose apply takes as long as wanted; the lock is waited for one second."""
    backend.lock_timeout = 1
    built = build(backend.config(), f"stacks/a/main.tf:{backend.stack(HOLDING.format(value='1'))}")
    built.variables.update(backend.variables, WORLD=str(world))
    built.fresh = True  # its processes are found by their environment
    return built


def _engines(repository: Repository) -> list[int]:
    """The processes that this repository's doit started and their children: they have its HOME."""
    found = []
    mark = f"HOME={repository.home}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def _kill_all(repository: Repository, process: subprocess.Popen[str]) -> None:
    """What the end of a container does: everything at once, the engine too."""
    for pid in _engines(repository):
        with suppress(ProcessLookupError):  # it may end between the look and the kill
            os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    wait_for(lambda: not _engines(repository), "the end of all processes")


def _command(out: str) -> str:
    """The command that the message gives, on a line of its own."""
    found = re.findall(r"^  next: .*:\n    (.+)$", out, re.MULTILINE)
    assert len(set(found)) == 1, out  # where it failed, and at the end
    return str(found[0])


def _release(repository: Repository, out: str) -> None:
    """Run the printed command as a person would: in a shell, in the repository."""
    subprocess.run(
        _command(out), shell=True, cwd=repository.path, env=repository.environment(), check=True, capture_output=True
    )


def _holding(repository: Repository, world: Path) -> subprocess.Popen[str]:
    process = repository.start("deploy")
    wait_for((world / "begun").exists, "the apply")
    return process


def test_a_held_lock_is_named_and_nothing_is_changed(
    repository: Repository, backend: Backend, world: Path, tmp_path: Path
) -> None:
    process = _holding(repository, world)
    time.sleep(1.1)
    other = repository.clone(tmp_path / "other")
    before = backend.state("a", "local")
    done = other.doit("deploy", code=1)
    assert "its state is locked by" in done.out
    assert "untouched: nothing in this stack was changed" in done.out
    assert backend.state("a", "local") == before
    assert not other.deploy_dir("receipts", "a.json").exists()
    assert not other.deploy_dir("plans", "a", "plan.tfplan").exists()
    command = _command(done.out)
    if backend.kind == "pg":
        assert "its state is locked by another session of the database" in done.out
        assert "psql" in command
        assert "pg_terminate_backend" in command
    else:
        who = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        assert f"its state is locked by {who}@" in done.out
        assert ", for apply" in done.out
        assert re.search(r"for \d+ seconds now \(since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\)", done.out)
    if backend.kind == "local":
        assert re.fullmatch(r"kill -INT \d+", command)
    (world / "go").touch()
    process.communicate(timeout=60)
    assert process.returncode == 0
    # What was not begun can be done now.
    assert "as deployed" in other.doit("drift").out or backend.kind != "local"
    assert (world / "made").read_text() == "1\n"


def test_a_lock_that_is_released_meanwhile_is_waited_for(repository: Repository, world: Path, tmp_path: Path) -> None:
    process = _holding(repository, world)
    other = repository.clone(tmp_path / "other")
    waiting = other.start("plan", DEPLOY_ENGINE__LOCK_TIMEOUT="60")
    wait_for(lambda: other.log.exists() and " plan " in other.log.read_text(), "the other plan")
    time.sleep(1.5)
    assert waiting.poll() is None
    (world / "go").touch()
    out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, out
    assert "no changes" in out
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_after_the_holder_is_gone_the_printed_command_releases_the_lock(
    repository: Repository, backend: Backend, world: Path
) -> None:
    process = _holding(repository, world)
    _kill_all(repository, process)
    (world / "go").touch()
    if backend.kind in ("http", "s3"):
        done = repository.doit("deploy", code=1)
        assert "its state is locked by" in done.out
        _release(repository, done.out)
    done = repository.doit("deploy")
    assert "its last deploy was cut off" in done.task("plan", "a")
    assert "1 deployed" in done.out
    assert (world / "made").read_text() == "1\n"
    repository.engine_calls()
    repository.doit("deploy")
    assert repository.engine_calls() == []


def test_a_database_session_whose_engine_is_gone_is_ended_by_the_printed_command(
    build: Callable[..., Repository], postgres: Postgres, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A session that nobody uses, as a broken network leaves it, holds the very lock that the engine takes."""
    from tests.e2e.conftest import make_backend

    backend = make_backend(request, "pg", tmp_path)
    backend.lock_timeout = 1
    repository = build(backend.config(), f"stacks/a/main.tf:{backend.stack(HOLDING.format(value='1'))}")
    repository.variables.update(backend.variables, WORLD=str(tmp_path))
    (tmp_path / "go").touch()
    repository.doit("deploy")
    lock = 'select pg_advisory_lock(id), pg_sleep(600) from "a-local".states'
    session = subprocess.Popen(["psql", backend.variables["PG_CONN_STR"], "-c", lock], stderr=subprocess.DEVNULL)
    postgres.wait_for("select count(*) from pg_locks where locktype = 'advisory'", "1", backend.place)
    repository.write(f"stacks/a/main.tf:{backend.stack(HOLDING.format(value='2'))}")
    done = repository.doit("deploy", code=1)
    assert "its state is locked by another session of the database" in done.out
    _release(repository, done.out)
    session.wait(timeout=30)
    repository.doit("deploy")
    assert (tmp_path / "made").read_text() == "1\n2\n"


def test_a_reviewed_plan_that_never_got_the_lock_is_applied_later(
    repository: Repository, backend: Backend, world: Path, tmp_path: Path
) -> None:
    (world / "go").touch()
    repository.doit("deploy")
    other = repository.clone(tmp_path / "other")
    (world / "go").unlink()
    (world / "begun").unlink()
    for clone in (repository, other):
        clone.write(f"stacks/a/main.tf:{backend.stack(HOLDING.format(value='2'))}")
    other.doit("plan")
    planned = other.json("plans", "a", "manifest.json")["plan_sha256"]
    process = _holding(repository, world)
    done = other.doit("deploy", code=1)
    assert "its state is locked by" in done.out
    assert not other.deploy_dir("receipts", "a.json").exists()
    _kill_all(repository, process)
    (world / "go").touch()
    if backend.kind in ("http", "s3"):
        _release(other, done.out)
    other.engine_calls()
    other.doit("deploy")
    assert other.engine_calls("plan") == []
    assert other.json("receipts", "a.json")["plan_sha256"] == planned


def test_of_two_clones_that_deploy_at_once_one_fails_and_the_other_applies(
    repository: Repository, world: Path, tmp_path: Path
) -> None:
    """Nothing on this machine keeps them apart: the state's lock and serial do."""
    (world / "go").touch()
    other = repository.clone(tmp_path / "other")
    for clone in (repository, other):
        clone.doit("plan")
    running = [clone.start("deploy", DEPLOY_ENGINE__LOCK_TIMEOUT="30") for clone in (repository, other)]
    outs = [process.communicate(timeout=120)[0] for process in running]
    codes = sorted(process.returncode for process in running)
    assert codes == [0, 1], outs
    refused = next(out for out, process in zip(outs, running, strict=True) if process.returncode == 1)
    assert "the state has changed since this was planned" in refused, refused
    assert (world / "made").read_text() == "1\n"


def test_two_deploys_of_one_clone_at_once_never_both_apply(repository: Repository, world: Path) -> None:
    process = _holding(repository, world)
    done = repository.doit("deploy", code=1)
    assert "another run holds environment 'local'" in done.out
    (world / "go").touch()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert (world / "made").read_text() == "1\n"


def test_a_run_killed_alone_leaves_an_engine_that_the_next_run_waits_for(repository: Repository, world: Path) -> None:
    process = _holding(repository, world)
    kill_group(process, signal.SIGKILL)
    process.communicate(timeout=60)
    waiting = repository.start("deploy", DEPLOY_ENGINE__LOCK_TIMEOUT="60")
    time.sleep(1)
    (world / "go").touch()
    out, _ = waiting.communicate(timeout=120)
    assert waiting.returncode == 0, out
    assert (world / "made").read_text() == "1\n"
