"""What others record while a deploy holds the lease: it reads of that with its own writes, and undoes none of it."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_ledger import LEDGER, REF, Remote, _is_announced, document
from tests.e2e.test_ledger_upkeep import _value, change
from tests.repository import LOGGING_ENGINE, minimal_config, reader, resource, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.repository import Repository

SLOW = '\nresource "terraform_data" "slow" {{\n  provisioner "local-exec" {{\n    command = "until [ -e {} ]; do sleep 0.1; done"\n  }}\n}}\n'  # fmt: skip


@pytest.fixture
def new(build: Callable[..., Repository], tmp_path: Path) -> Remote:
    """Three stacks, `a --> b --> c`, and a ledger, in which receipts are written every second."""
    config = minimal_config(
        "stacks:\n  b: {inputs: {x: a.value}}\n  c: {depends_on: [b]}\n" + LEDGER.replace("}", ", every: 1}")
    ).replace("{root}/.state/", f"{tmp_path}/states/")
    first = build(
        config, f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{reader('x')}", f"stacks/c/main.tf:{resource('c')}"
    )
    found = Remote(tmp_path, first)
    found.clone().doit("ledger", "init")
    return found


@pytest.fixture
def deployed(new: Remote) -> Remote:
    """The three stacks, all deployed."""
    new.clone().doit("deploy")
    return new


def slow_deploy(remote: Remote) -> tuple[Repository, subprocess.Popen[str]]:
    """A deploy of all three from a branch, in which `a` and `b` end once `go-a` and `go-b` exist; it applies `a`."""
    job = remote.clone()
    for stack, content in (("a", resource("2")), ("b", reader("x")), ("c", resource("branch"))):
        job.write(f"stacks/{stack}/main.tf:{content}{SLOW.format(remote.base / f'go-{stack}') if stack != 'c' else ''}")
    job.commit("a branch")
    job.doit("plan")
    process = job.start("deploy")
    wait_for(lambda: _is_announced(remote), "the announcement")
    return job, process


def recorded(remote: Remote, stack: str) -> int:
    """How many entries the ledger has of a stack."""
    subjects = remote.git("log", "--format=%H", REF).splitlines()
    assert subjects
    return len([entry for entry in document(remote.clone(), "log", stack)["entries"] if entry["kind"] == "deploy"])


def test_a_deploy_that_is_recorded_meanwhile_is_not_undone(deployed: Remote) -> None:
    """Somebody has deployed without the ledger, before this run planned; the receipt arrives while it applies."""
    other = change(deployed, "c", resource("urgent"))
    hook = deployed.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'You are not allowed to push code to protected branches.' >&2\nexit 1\n")
    hook.chmod(0o755)
    other.doit("allow=unrecorded", "reason=the forge is down", "deploy:c", code=1)
    hook.unlink()
    assert _value(deployed) == "urgent"
    deployed.git("update-ref", "refs/heads/main", "refs/heads/main~1")  # the run below comes from before
    job, process = slow_deploy(deployed)
    other.doit("ledger", "push")
    (deployed.base / "go-a").touch()
    wait_for(lambda: recorded(deployed, "a") == 2, "the receipt of `a`")
    (deployed.base / "go-b").touch()
    said = process.communicate()[0]
    assert process.returncode == 1
    commit = other.git("rev-parse", "HEAD")
    assert f"a deploy of {commit[:8]} that this run did not know of was recorded meanwhile" in " ".join(said.split())
    assert [line.split()[0] for line in job.engine_calls("apply")] == ["a", "b"]
    assert _value(deployed) == "urgent"
    entries = document(deployed.clone(), "log", "--most", "0")["entries"]
    assert [entry["stack"] for entry in entries[-3:]] == ["c", "a", "b"]
    assert document(deployed.clone(), "log")["deploying"] is None
    assert "another plan was applied since this one was made" in job.doit("deploy", code=1).out


def test_nothing_more_is_applied_once_the_lease_was_lost(deployed: Remote) -> None:
    job, process = slow_deploy(deployed)
    deployed.clone().doit("allow=running", "reason=it hangs", "ledger", "release")
    (deployed.base / "go-a").touch()
    wait_for(lambda: recorded(deployed, "a") == 2, "the receipt of `a`")
    (deployed.base / "go-b").touch()
    said = " ".join(process.communicate()[0].split())
    assert process.returncode == 1
    assert "the lease of the ledger at" in said
    assert "was released, or taken over by a run that has ended" in said
    assert "not recorded" not in said, "a was, and c was never applied"
    assert "the ledger is unchanged" not in said, "it has a"
    assert "c" not in [line.split()[0] for line in job.engine_calls("apply")]
    assert json.loads(deployed.clone().doit("audit", "--json").out)["whole"] is True


def _spoil(remote: Remote, how: str, before: str) -> None:
    """Take the lease from a deploy in the ways that a person, or a push by somebody else, can."""
    if how == "released":
        remote.clone().doit("allow=running", "reason=it hangs", "ledger", "release")
    elif how == "rebuilt":
        remote.clone().doit("allow=running", "reason=it hangs", "ledger", "release")
        remote.clone().doit("reason=by mistake", "ledger", "rebuild")
    elif how == "gone":
        remote.git("update-ref", "-d", REF)
    else:
        remote.git("update-ref", REF, before if how == "put back" else "refs/heads/main")


@pytest.mark.parametrize("how", ["released", "rebuilt", "gone", "put back", "no ledger"])
def test_a_lease_that_is_lost_during_an_apply_stops_the_next_one(deployed: Remote, how: str) -> None:
    """Nothing is to be written while the first stack is applied, so the run has to look."""
    before = deployed.git("rev-parse", REF)
    job, process = slow_deploy(deployed)
    _spoil(deployed, how, before)
    assert process.stdout is not None
    noticed = next(line for line in process.stdout if line.startswith("nothing more is applied: "))
    (deployed.base / "go-a").touch()
    (deployed.base / "go-b").touch()
    said = " ".join(process.communicate()[0].split())
    assert process.returncode == 1
    assert noticed.removeprefix("nothing more is applied: ").split(" of origin")[0].strip()[:40] in said
    assert "nothing in this stack was changed" in said
    assert "nothing was planned or applied" not in said, "a was applied"
    assert [line.split()[0] for line in job.engine_calls("apply")] == ["a"]
    if how in ("released", "rebuilt"):
        assert json.loads(deployed.clone().doit("audit", "--json").out)["whole"] is True, "nothing was written over it"


@pytest.mark.parametrize("how", ["released", "gone"])
def test_of_a_lost_lease_only_what_was_applied_is_named_as_not_recorded(new: Remote, how: str) -> None:
    job, process = slow_deploy(new)
    _spoil(new, how, "")
    assert process.stdout is not None
    assert any(line.startswith("nothing more is applied: ") for line in process.stdout)
    (new.base / "go-a").touch()
    said = " ".join(process.communicate()[0].split())
    assert process.returncode == 1
    assert [line.split()[0] for line in job.engine_calls("apply")] == ["a"]
    assert re.findall("not recorded: ([^:]*):", said) == ([] if how == "released" else ["a"])


def test_a_deploy_that_waits_plans_upon_what_the_other_one_left(deployed: Remote) -> None:
    job = deployed.clone()
    config = job.path / "config/pipeline.yaml"
    config.write_text(config.read_text().replace("every: 1", "every: 1, wait: 60"))
    job.write(f"stacks/a/main.tf:{resource('2')}{SLOW.format(deployed.base / 'go-a')}")
    job.commit("slow")
    deployed.push(job)
    first = job.start("deploy")
    wait_for(lambda: _is_announced(deployed), "the announcement")
    other = deployed.clone()
    other.write(f"stacks/c/main.tf:{resource('c2')}")
    other.commit("c is another")
    second = other.start("deploy")
    assert second.stdout is not None
    assert any(line.startswith("waiting for ") for line in second.stdout)
    (deployed.base / "go-a").touch()
    said = first.communicate()[0]
    assert first.returncode == 0, said
    said = second.communicate()[0]
    assert second.returncode == 0, said
    assert "being deployed by" not in said
    assert [line.split()[0] for line in other.engine_calls("apply")] == ["c"]


@pytest.mark.parametrize(("what", "code"), [("deploy:a", 0), ("deploy:c", 1), ("deploy", 1)])
def test_only_stacks_that_a_deploy_rests_on_make_its_plans_too_old(deployed: Remote, what: str, code: int) -> None:
    """Another run deploys `b` while this one plans; `c` needs that, `a` does not."""
    job, go = deployed.clone(), deployed.base / "go"
    for stack, content in (("a", resource("1")), ("c", resource("c2"))):
        job.write(f"stacks/{stack}/main.tf:{content}\n# changed\n")
    job.commit("a and c are others")
    wait = f'case " $* " in *" plan "*) while [ ! -e {go} ]; do sleep 0.1; done ;; esac\nGOGC=off'
    job.engine_script(LOGGING_ENGINE.format(log=job.log, tofu=job.tofu).replace("GOGC=off", wait))
    process = job.start(what)
    wait_for(lambda: job.log.exists() and " plan " in job.log.read_text(), "its plan")
    change(deployed, "b", reader("x") + "# changed\n").doit("deploy:b")
    go.touch()
    said = process.communicate()[0]
    assert process.returncode == code, said
    assert ("b was deployed by another run since this one started" in said) is bool(code)
