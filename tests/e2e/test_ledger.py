"""What is known outlives the runner: each job in a clone of its own, with a ledger on a ref of their remote."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from tests.repository import (
    DODO,
    INSTALLED,
    LOGGING_ENGINE,
    ROOT,
    Repository,
    minimal_config,
    reader,
    resource,
    wait_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable

REF = "refs/heads/doit-tofu/local/ledger"
LEDGER = "ledger: {kind: git}\n"


class Remote:
    """A bare repository that jobs clone, with the states of all stacks beside it."""

    def __init__(self, base: Path, first: Repository) -> None:
        self.base, self._first, self._count = base, first, 0
        self.path = base / "remote.git"
        subprocess.run(
            ["git", "clone", "--quiet", "--bare", str(first.path), str(self.path)], env=first.environment(), check=True
        )

    def clone(self) -> Repository:
        """The fresh clone of a job, with a HOME of its own."""
        self._count += 1
        home = self.base / f"home{self._count}"
        other = Repository(self.base / f"job{self._count}", home, self._first.tofu, dict(self._first.variables))
        home.mkdir(parents=True)
        other.engine_script(LOGGING_ENGINE.format(log=other.log, tofu=other.tofu))
        subprocess.run(
            ["git", "clone", "--quiet", str(self.path), str(other.path)], env=other.environment(), check=True
        )
        return other

    def git(self, *arguments: str) -> str:
        """Run git in the bare repository."""
        return subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=self._first.environment(),
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def push(self, job: Repository) -> None:
        """What a job committed becomes the main branch."""
        job.git("push", "--quiet", "origin", "HEAD:main")


@pytest.fixture
def remote(build: Callable[..., Repository], tmp_path: Path) -> Remote:
    """Three stacks, `a --> b` and `c`, whose states lie outside of every clone."""
    states = tmp_path / "states"
    config = minimal_config("stacks:\n  b: {inputs: {x: a.value}}\n" + LEDGER).replace("{root}/.state/", f"{states}/")
    first = build(
        config, f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{reader('x')}", f"stacks/c/main.tf:{resource('c')}"
    )
    assert str(states) in (first.path / "config/pipeline.yaml").read_text()
    return Remote(tmp_path, first)


@pytest.fixture
def begun(remote: Remote) -> Remote:
    """The same with a ledger that was begun."""
    remote.clone().prepare("ledger", "init")
    return remote


def test_a_second_pipeline_on_a_fresh_clone_starts_no_engine(begun: Remote) -> None:
    first = begun.clone()
    first.doit("deploy")
    assert first.engine_calls("apply")
    second = begun.clone()
    done = second.doit("deploy")
    assert second.engine_calls() == []
    assert "nothing to do" in done.out or "not affected" in done.out


def test_a_changed_stack_is_planned_alone_on_a_fresh_clone(begun: Remote) -> None:
    begun.clone().prepare("deploy")
    change = begun.clone()
    change.write(f"stacks/c/main.tf:{resource('c2')}")
    change.commit()
    begun.push(change)
    job = begun.clone()
    job.doit("plan")
    assert job.planned() == ["c"]
    job = begun.clone()
    job.doit("deploy")
    assert [line.split()[0] for line in job.engine_calls("apply")] == ["c"]


def test_drift_is_told_from_undeployed_code_where_nothing_was_deployed(begun: Remote) -> None:
    begun.clone().prepare("deploy")
    state = begun.base / "states/c-local.tfstate"
    content = json.loads(state.read_text())
    content["resources"][0]["instances"][0]["attributes"]["input"]["value"] = "by hand"
    content["serial"] += 1
    state.write_text(json.dumps(content))
    done = begun.clone().doit("drift", code=2)
    assert "drifted" in done.task("drift", "c")
    assert "as deployed" in done.task("drift", "a")


def test_status_shows_from_any_clone_what_is_deployed(begun: Remote) -> None:
    first = begun.clone()
    first.doit("deploy")
    commit = first.git("rev-parse", "HEAD")[:8]
    fourth = begun.clone()
    done = fourth.doit("status")
    for stack in "abc":
        assert any(line.startswith(f"{stack} ") and commit in line for line in done.out.splitlines())
    assert "3 stacks, all up to date" in done.out
    assert fourth.engine_calls() == []


def test_a_missing_ledger_is_an_alarm_and_not_never_deployed(remote: Remote) -> None:
    job = remote.clone()
    for command in ("plan", "deploy", "drift", "status"):
        done = job.doit(command, code=1)
        assert "there is no ledger at" in done.out
        assert "doit ledger init" in done.out
    assert job.engine_calls() == []


def test_the_ledger_shows_no_values_and_no_addresses(begun: Remote) -> None:
    begun.clone().prepare("deploy")
    names = begun.git("ls-tree", "-r", "--name-only", REF).splitlines()
    everything = "".join(begun.git("show", f"{REF}:{name}") for name in names)
    assert "terraform_data" not in everything
    assert '"value":' not in everything.replace('"value":{"digest"', "")


def document(job: Repository, *arguments: str, code: int = 0) -> dict[str, Any]:
    """The document of `--json`, which is as its schema says; the lines for people follow it."""
    out = job.doit(*arguments, "--json", code=code).out
    found: dict[str, Any] = json.JSONDecoder().raw_decode(out, out.index("{"))[0]
    Draft202012Validator(json.loads((ROOT / "docs/json.schema.json").read_text())).validate(found)
    return found


def test_log_and_audit_tell_what_was_deployed(begun: Remote) -> None:
    begun.clone().prepare("deploy")
    job = begun.clone()
    done = job.doit("log")
    assert len([line for line in done.out.splitlines() if " deploy " in line]) == 3
    entries = document(job, "log", "a")["entries"]
    assert [entry["stack"] for entry in entries] == ["a"]
    assert entries[0]["outcome"] == "applied"
    assert entries[0]["commit"] == job.git("rev-parse", "HEAD")
    found = document(job, "log", "--most", "1")
    assert (len(found["entries"]), found["earlier"], found["deploying"]) == (1, 3, None)
    lines = [line for line in job.doit("log", "b", "--most=1").out.splitlines() if " deploy " in line]
    assert len(lines) == 1, "an option may stand behind a stack"
    assert "--mots" in job.doit("log", "b", "--mots", "1", code=1).out
    assert "intact: 4 events" in job.doit("audit").out
    assert document(job, "audit")["whole"] is True
    tested = document(job, "ledger", "check")
    assert (tested["usable"], tested["access"], tested["sequence"]) == (True, "writable", 4)
    assert (tested["key"], tested["signing"], tested["lease"], tested["problems"]) == (None, False, None, [])
    refused = document(job, "ledger", "init", code=1)
    assert refused["problems"][0]["next_command"] == ["doit", "ledger", "check", "--json"]
    refused = document(job, "log", "nosuchstack", code=1)
    assert refused["command"] == "failed"
    assert "no entries of 'nosuchstack'" in refused["problems"][0]["summary"]


def test_two_deploys_at_once_and_one_applies(begun: Remote) -> None:
    jobs = [begun.clone() for _ in range(2)]
    running = [job.start("deploy") for job in jobs]
    ended = [process.communicate(timeout=120)[0] for process in running]
    codes = [process.returncode for process in running]
    assert 0 in codes, ended
    applied = [len(job.engine_calls("apply")) for job in jobs]
    assert sorted(applied) == [0, 3], ended
    if 1 in codes:
        loser = ended[codes.index(1)]
        assert "has been deploying 'local'" in loser or "by another run since this one started" in loser


def test_a_run_that_was_killed_is_ended_by_the_same_pipeline(begun: Remote) -> None:
    pipeline = {"GITLAB_CI": "true", "CI_PIPELINE_ID": "7", "CI_PROJECT_ID": "1", "CI_COMMIT_BRANCH": "main"}
    first = begun.clone()
    first.write(f"stacks/a/main.tf:{resource(extra=_slow())}")
    first.commit()
    begun.push(first)
    first = begun.clone()
    process = first.start("deploy", **pipeline)
    wait_for(lambda: _is_announced(begun), "the announcement")
    process.kill()
    process.communicate()
    other = begun.clone().doit("deploy", code=1, **{**pipeline, "CI_PIPELINE_ID": "8"})
    assert "pipeline 7 of main has been deploying 'local' since" in other.out
    retry = begun.clone()
    done = retry.doit("deploy", **pipeline)
    assert "its last deploy was cut off" in done.out
    assert "all up to date" in begun.clone().doit("status").out


def _slow() -> str:
    return '\nresource "terraform_data" "slow" {\n  provisioner "local-exec" {\n    command = "sleep 5"\n  }\n}\n'


def _is_announced(remote: Remote) -> bool:
    head = json.loads(remote.git("show", f"{REF}:head"))
    return json.loads(base64.b64decode(head["payload"]))["lease"] is not None


def test_a_stack_that_is_being_deployed_is_not_called_up_to_date(begun: Remote) -> None:
    """Not in its row, the last line or the document, although its inputs are those of its receipt here."""
    begun.clone().doit("deploy")
    old, change, go = begun.clone(), begun.clone(), begun.base / "go"
    waiting = _slow().replace("sleep 5", f"until [ -e {go} ]; do sleep 0.1; done")
    change.write(f"stacks/a/main.tf:{resource(extra=waiting)}")
    change.commit()
    begun.push(change)
    process = begun.clone().start("deploy")
    wait_for(lambda: _is_announced(begun), "the announcement")
    said = old.doit("status").out
    by = {stack["name"]: stack["deploying"] for stack in document(old, "status")["stacks"]}
    go.touch()
    process.communicate()
    row = next(line for line in said.splitlines() if line.startswith("a "))
    assert row.endswith(f"  being deployed by {by['a']}")
    number = sum(label is not None for label in by.values())
    assert f"local: 3 stacks, {number} being deployed" in said
    assert "all up to date" not in said


def test_a_lease_is_given_back_with_a_reason(begun: Remote) -> None:
    job = begun.clone()
    assert "needs a reason" in job.doit("ledger", "release", code=1).out
    assert "its lease is free" in job.doit("reason=test", "ledger", "release").out


def test_a_report_that_fails_keeps_nothing_from_the_ledger(begun: Remote) -> None:
    job = begun.clone()
    package = "doit_tofu" if INSTALLED else "tasks"
    broken = f"import importlib\n\nimportlib.import_module('{package}.reports.write').of_run = None\n"
    job.write(f"dodo.py:{DODO}{broken}")
    job.commit("no reports")
    said = job.doit("deploy", code=1).out
    assert "unexpected error: TypeError: 'NoneType' object is not callable" in said
    assert "report this bug and attach .deploy/local/crash.log" in said
    assert "Traceback" not in said
    assert len(list((job.path / ".deploy/local/runs").glob("*.json"))) == 1  # the history, which comes after reports
    assert len(job.engine_calls("apply")) == 3
    later = begun.clone()
    assert "3 stacks, all up to date" in later.doit("status").out
    assert "held its lease" not in later.doit("ledger", "check").out
