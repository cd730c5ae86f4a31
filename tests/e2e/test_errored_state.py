"""The backend goes away in mid-apply: the state is kept, nothing goes on without it, and with it everything converges."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import make_backend
from tests.repository import Repository, minimal_config, resource, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.backends import Backend
    from tests.servers.postgres import Postgres
    from tests.servers.stateserver import StateServer

# Its create waits for a file, so that the backend can be taken away meanwhile.
STACK = """
resource "terraform_data" "first" {
  input = "quick"

  provisioner "local-exec" {
    command = "echo first >> $WORLD/made"
  }
}

resource "terraform_data" "it" {
  input = terraform_data.first.output

  provisioner "local-exec" {
    command = "echo x >> $WORLD/begun; while [ ! -e $WORLD/go ]; do sleep 0.05; done; echo it >> $WORLD/made"
  }
}

output "value" {
  value = terraform_data.it.output
}
"""
READER = """
variable "x" {
  type = string
}

resource "terraform_data" "it" {
  input = var.x
}
"""


@pytest.fixture(params=["http", "pg"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """The two backends that can be taken away here."""
    made = make_backend(request, request.param, tmp_path)
    made.lock_timeout = 1
    return made


@pytest.fixture
def repository(build: Callable[..., Repository], backend: Backend, tmp_path: Path) -> Repository:
    """`a --> b`, and a second environment."""
    built = build(
        backend.config("stacks:\n  b: {inputs: {x: a.value}}\n"),
        "config/environments/dev.yaml:",
        f"stacks/a/main.tf:{backend.stack(STACK)}",
        f"stacks/b/main.tf:{backend.stack(READER)}",
    )
    built.variables.update(backend.variables, WORLD=str(tmp_path), TF_HTTP_RETRY_MAX="0")
    # One retry in the settings of this backend is enough here: what is tested is what comes after the last one.
    pipeline = built.path / "config/pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("retry_max: 4", "retry_max: 0"))
    built.commit()
    return built


@pytest.fixture
def gone(backend: Backend) -> Callable[[], AbstractContextManager[None]]:
    """Takes the backend away for a while."""
    from contextlib import contextmanager

    @contextmanager
    def away() -> Iterator[None]:
        if backend.kind == "http":
            server: StateServer = backend.server
            with server.misbehaving(down=True):
                yield
            return
        database: Postgres = backend.server
        database.stop()
        try:
            yield
        finally:
            database.start()

    return away


def _lose_the_backend(repository: Repository, gone: Callable[[], AbstractContextManager[None]], world: Path) -> str:
    process = repository.start("deploy")
    wait_for((world / "begun").exists, "the apply")
    with gone():
        (world / "go").touch()
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 1, out
    return str(out)


def _commands(out: str) -> str:
    """The one command that saves the state; a failure is shown where it happened and at the end."""
    (command,) = set(re.findall(r"^ +(TF_DATA_DIR=.* state push .*)$", out, re.MULTILINE))
    return str(command)


def _run(repository: Repository, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, shell=True, cwd=repository.path, env=repository.environment(), check=False, capture_output=True,
        text=True,
    )  # fmt: skip


def test_the_state_is_kept_and_stops_everything_until_it_is_saved(
    repository: Repository, backend: Backend, gone: Callable[[], AbstractContextManager[None]], tmp_path: Path
) -> None:
    left = repository.path / "stacks/a/errored.tfstate"
    out = _lose_the_backend(repository, gone, tmp_path)
    assert left.exists()
    assert "the state could not be saved; it is in stacks/a/errored.tfstate" in out
    assert "the applied resources exist, and only that file records them" in out
    assert "not run: deploy:a failed" in out
    assert repository.json("receipts", "a.json")["outcome"] == "failed"
    kept = left.read_bytes()

    repository.engine_calls()
    for command in ("plan", "deploy", "drift"):
        done = repository.doit(command, code=1)
        assert (
            "stacks/a/errored.tfstate contains the state of an earlier apply that could not be saved (lineage"
            in done.out
        )
        assert "nothing in this stack was planned or applied" in done.out
    shown = repository.doit("status").out
    assert "stacks/a/errored.tfstate" in shown
    assert "1 with an unsaved state" in shown
    assert "all up to date" not in shown
    assert (
        json.loads(repository.doit("status", "--json").out)["stacks"][0]["unsaved_state"] == "stacks/a/errored.tfstate"
    )
    assert [line for line in repository.engine_calls() if line.split()[:2] == ["a", "plan"]] == []
    assert repository.engine_calls("apply") == []
    assert left.read_bytes() == kept

    # The other environment shares the folder, not the state: it must neither overwrite the file nor be sent it.
    other = repository.doit("env=dev", "plan:a", code=1)
    assert (
        "it belongs to environment local, whose last apply failed: `doit env=local plan:a` shows how to save it"
        in other.out
    )
    assert "state push" not in other.out.replace("could not", "")

    command = _commands(repository.doit("plan", code=1).out)
    recovered = _run(repository, command)
    if recovered.returncode:  # the server was gone for the unlocking too: GitLab still has the lock
        assert backend.kind == "http"
        assert left.exists()
        lock = re.search(r"ID:\s+(\S+)", recovered.stdout + recovered.stderr)
        assert lock
        unlock = re.search(r"^    (TF_DATA_DIR=.* force-unlock -force) ID$", out, re.MULTILINE)
        assert unlock
        assert _run(repository, f"{unlock[1]} {lock[1]}").returncode == 0
        recovered = _run(repository, command)
    assert recovered.returncode == 0, recovered.stdout + recovered.stderr
    assert not left.exists()
    done = repository.doit("deploy")
    assert "2 deployed" in done.out
    repository.doit("drift")
    assert (tmp_path / "made").read_text() == "first\nit\n"
    state = backend.state("a", "local")
    assert state is not None
    assert {item["name"] for item in state["resources"]} == {"first", "it"}


def test_a_backend_that_is_gone_before_the_apply_is_an_error_and_nothing_more(
    repository: Repository, gone: Callable[[], AbstractContextManager[None]], tmp_path: Path
) -> None:
    (tmp_path / "go").touch()
    with gone():
        done = repository.doit("deploy", code=1)
    assert "its state is locked" not in done.out
    assert not (tmp_path / "made").exists()
    assert not repository.deploy_dir("receipts", "a.json").exists()
    assert "2 deployed" in repository.doit("deploy").out


def test_a_state_that_could_not_even_be_written_to_a_file_is_kept_and_not_printed(
    repository: Repository, gone: Callable[[], AbstractContextManager[None]], tmp_path: Path
) -> None:
    """Where the engine cannot write the file either, it prints the state, secrets included."""
    script = repository.bin / "tofu"
    # A folder in the way, from the moment the apply begins.
    script.write_text(
        script.read_text().replace(
            "exec '", '[ "$1" = apply ] && [ ! -e errored.tfstate ] && mkdir errored.tfstate\nexec \''
        )
    )
    out = _lose_the_backend(repository, gone, tmp_path)
    assert "(the state)" in out
    assert '"resources"' not in out
    kept = list((repository.path / ".deploy/.cache").rglob("errored.tfstate"))
    assert len(kept) == 1, out
    assert kept[0].stat().st_mode & 0o077 == 0
    assert b'"first"' in kept[0].read_bytes()
    assert str(kept[0].relative_to(repository.path)) in out


LOSING = """\
#!/bin/sh
'{tofu}' "$@"
code=$?
[ "$1" = apply ] && [ -e '{mark}' ] && rm -f '{state}'
exit $code
"""


def test_a_state_that_is_gone_after_a_good_apply_fails_the_deploy(build: Callable[..., Repository]) -> None:
    """The engine's local backend loses the first state of a stack, if another process lets go of its lock meanwhile."""
    one = build(minimal_config(), f"stacks/a/main.tf:{resource()}")
    mark, state = one.home / "lose", one.path / ".state/a-local.tfstate"
    mark.touch()
    one.engine_script(LOSING.format(tofu=one.tofu, mark=mark, state=state))
    done = one.doit("deploy", code=1)
    assert "the apply succeeded, but there is no state" in done.out
    mark.unlink()
    done = one.doit("deploy", code=1)
    assert "its state is gone: the last apply left a state, but no state was found" in done.out
    assert not state.exists()
    one.doit("accept=a:missing", "reason=test", "deploy")
    assert state.exists()
