"""Stopping in mid-apply: one SIGINT to the engine, which is waited for; and what a kill leaves is put right by a rerun."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.repository import PATIENCE, Repository, kill_group, minimal_config, resource, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.backends import Backend

# Stands before the engine: counts the signals it gets, refuses to hurry, hands one on.
STUBBORN_ENGINE = """\
#!{python}
import os, signal, subprocess, sys, time
with open({log!r}, "a") as log:
    log.write(os.path.basename(os.getcwd()) + " " + " ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] != "apply":
    os.execv({tofu!r}, [{tofu!r}, *sys.argv[1:]])
child = subprocess.Popen([{tofu!r}, *sys.argv[1:]], start_new_session=True, close_fds=False)
def heed(number, frame):
    with open({signals!r}, "a") as file:
        file.write(signal.Signals(number).name + "\\n")
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, heed)
code = child.wait()
with open({signals!r}, "a") as file:
    file.write("ended\\n")
sys.exit(code)
"""

SLOW = """
resource "terraform_data" "first" {
  input = "quick"

  provisioner "local-exec" {
    command = "echo x >> ../../created"
  }
}

resource "terraform_data" "slow" {
  input = terraform_data.first.output

  provisioner "local-exec" {
    command = "echo x >> ../../begun; while [ ! -e ../../go ]; do sleep 0.05; done"
  }
}
"""


@pytest.fixture
def slow(build: Callable[..., Repository]) -> Repository:
    """Stack `a` makes one resource and then waits in a second; `b` depends on it."""
    repository = build(
        minimal_config("stacks:\n  b: {depends_on: [a]}\n"),
        f"stacks/a/main.tf:{resource(extra=SLOW)}",
        f"stacks/b/main.tf:{resource()}",
    )
    text = STUBBORN_ENGINE.format(
        python=os.sys.executable,
        log=str(repository.log),
        tofu=str(repository.tofu),
        signals=str(repository.home / "signals"),
    )
    repository.engine_script(text)
    return repository


def _begun(repository: Repository) -> bool:
    return (repository.path / "begun").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to_group", [False, True])
def test_one_signal_ends_the_apply_in_order_and_the_next_deploy_ends_the_work(
    slow: Repository, number: signal.Signals, to_group: bool
) -> None:
    process = slow.start("deploy")
    wait_for(lambda: _begun(slow), "the slow resource")
    if to_group:
        kill_group(process, number)
    else:
        process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1, out
    assert (slow.home / "signals").read_text().splitlines() == ["SIGINT", "ended"]
    assert f"{number.name}: stopping; waiting for deploy a" in out
    assert "Traceback" not in out
    resources = {item["name"]: item["instances"][0].get("status") for item in slow.state("a")["resources"]}
    assert resources["first"] is None
    assert slow.json("receipts", "a.json")["outcome"] == "failed"
    assert not slow.deploy_dir("receipts", "b.json").exists()
    assert list((slow.path / ".state").glob(".*.lock.info")) == []

    slow.write("go")
    done = slow.doit("deploy")
    assert "2 deployed" in done.out
    assert (slow.path / "created").read_text() == "x\n"
    slow.engine_calls()
    slow.doit("deploy")
    assert slow.engine_calls() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_modules_are_fetched_is_one_line_that_does_not_speak_of_changes(
    build: Callable[..., Repository], number: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection of the fetch, and answers nothing
        source = f"git::http://127.0.0.1:{silent.getsockname()[1]}/module.git"
        module = f'\nmodule "shared" {{\n  source = "{source}"\n}}\n'
        repository = build(minimal_config(), f"stacks/a/main.tf:{resource(extra=module)}")
        process = repository.start("plan")
        silent.settimeout(PATIENCE)
        connection, _ = silent.accept()
        with connection:
            process.send_signal(number)
            out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, out
    assert "Traceback" not in out
    [line] = [line for line in out.splitlines() if line.startswith("plan ") and " a " in line]
    assert line.split() == ["plan", "a", "stopped:", "nothing", "was", "changed"]
    assert "stopped; run the same command again to continue" in out.splitlines()[-1]


def test_the_receipt_of_a_stopped_run_has_the_serial_of_the_state_that_it_left(
    build: Callable[..., Repository], backend: Backend
) -> None:
    repository = build(backend.config(), f"stacks/a/main.tf:{backend.stack(SLOW)}")
    repository.variables.update(backend.variables)
    process = repository.start("deploy")
    wait_for(lambda: _begun(repository), "the slow resource")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1, out
    receipt, state = repository.json("receipts", "a.json"), backend.state("a", "local")
    assert state is not None
    assert receipt["outcome"] == "failed"
    assert (receipt["lineage"], receipt["serial"]) == (state["lineage"], state["serial"])
    repository.write("go")
    repository.doit("deploy")


def test_a_second_signal_says_what_is_abandoned_and_the_engine_saves_its_state_alone(slow: Repository) -> None:
    process = slow.start("deploy")
    wait_for(lambda: _begun(slow), "the slow resource")
    process.send_signal(signal.SIGTERM)
    wait_for((slow.home / "signals").exists, "the first signal")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "SIGTERM again: no longer waiting for deploy a (pid" in out
    wait_for(lambda: "ended" in (slow.home / "signals").read_text(), "the engine's end")
    assert (slow.home / "signals").read_text().splitlines() == ["SIGINT", "ended"]
    assert "first" in {item["name"] for item in slow.state("a")["resources"]}
    slow.write("go")
    slow.doit("deploy")
    assert (slow.path / "created").read_text() == "x\n"


def test_after_the_grace_the_run_ends_and_names_the_engine_that_saves_its_state_alone(slow: Repository) -> None:
    process = slow.start("deploy", DEPLOY_ENGINE__GRACE="0.1")
    wait_for(lambda: _begun(slow), "the slow resource")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "SIGTERM: stopping; waiting for deploy a to finish, for at most 0.1 s" in out
    assert "0.1 s have passed (engine.grace): no longer waiting for deploy a (pid" in out
    wait_for(lambda: "ended" in _text(slow), "the engine's end")
    assert (slow.home / "signals").read_text().splitlines() == ["SIGINT", "ended"]
    assert "first" in {item["name"] for item in slow.state("a")["resources"]}
    slow.write("go")
    slow.doit("deploy")
    assert (slow.path / "created").read_text() == "x\n"


def test_a_run_that_ends_within_its_grace_ends_as_without_one(slow: Repository) -> None:
    process = slow.start("deploy", DEPLOY_ENGINE__GRACE="60")
    wait_for(lambda: _begun(slow), "the slow resource")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no longer waiting" not in out
    assert "run the same command again to continue" in out


def test_killed_in_mid_apply_the_engine_lives_on_and_the_next_deploy_converges(slow: Repository) -> None:
    process = slow.start("deploy")
    wait_for(lambda: _begun(slow), "the slow resource")
    kill_group(process, signal.SIGKILL)
    process.communicate(timeout=60)
    assert slow.json("receipts", "a.json")["outcome"] == "started"
    slow.write("go")
    wait_for(lambda: "ended" in _text(slow), "the engine's end")
    assert {item["name"] for item in slow.state("a")["resources"]} == {"first", "it", "slow"}
    done = slow.doit("deploy")
    assert "its last deploy was cut off" in done.task("plan", "a")
    assert "2 deployed" in done.out
    assert (slow.path / "created").read_text() == "x\n"
    assert (slow.path / "begun").read_text() == "x\n"


def _text(repository: Repository) -> str:
    path = repository.home / "signals"
    return path.read_text() if path.exists() else ""


def test_a_second_run_at_once_fails_clearly_and_changes_nothing(slow: Repository) -> None:
    process = slow.start("deploy")
    wait_for(lambda: _begun(slow), "the slow resource")
    done = slow.doit("deploy", code=1)
    assert "another run holds environment 'local'" in done.out
    assert f"pid {process.pid}" in done.out
    status = slow.doit("status")
    assert "its last deploy was cut off" in status.out
    assert f"`doit deploy`, pid {process.pid}" in status.line("another run is in progress")
    slow.write("go")
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert "in progress" not in slow.doit("status").out
    assert (slow.path / "created").read_text() == "x\n"


def test_a_link_in_place_of_the_lock_is_refused_and_what_it_names_stays_as_it_is(one: Repository) -> None:
    precious = one.home / "precious"
    precious.write_text("content")
    lock = one.path / ".deploy/local/run.lock"
    lock.parent.mkdir(parents=True)
    lock.symlink_to(precious)

    done = one.doit("deploy", code=1)

    assert "cannot write to .deploy/local: run.lock is a symbolic link: remove it" in done.out
    assert precious.read_text() == "content"
    assert not (one.path / ".deploy/local/plans").exists()


def test_what_doit_recorded_survives_a_kill(slow: Repository) -> None:
    import sqlite3

    process = slow.start("deploy")
    wait_for(lambda: _begun(slow), "the slow resource")
    kill_group(process, signal.SIGKILL)
    process.communicate(timeout=60)
    with sqlite3.connect(slow.path / ".deploy/.cache/records/local/doit.db") as connection:
        names = {row[0] for row in connection.execute("select task_id from doit")}
    connection.close()
    assert {"validate:a", "plan:a", "validate:b", "plan:b"} <= names
    slow.write("go")
    wait_for(lambda: "ended" in _text(slow), "the engine's end")


def test_a_corrupt_record_file_is_moved_aside_and_the_run_goes_on(one: Repository) -> None:
    one.prepare("deploy")
    (one.path / ".deploy/.cache/records/local/doit.db").write_bytes(b"nonsense" * 1000)
    one.engine_calls()
    done = one.doit("deploy")
    assert "doit.db.corrupt" in done.out
    assert one.engine_calls() == []


def test_a_corrupt_receipt_is_named_and_nothing_is_applied(one: Repository) -> None:
    one.prepare("deploy")
    one.deploy_dir("receipts", "a.json").write_text('{"stack": ')
    one.engine_calls()
    done = one.doit("deploy", code=1)
    assert "receipts/a.json" in done.out
    assert one.engine_calls("apply") == []
