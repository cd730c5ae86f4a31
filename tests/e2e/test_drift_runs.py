"""How a check for drift runs: without a lock, within its time, in parts; and what its exit code says of all that."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_ledger import LEDGER, Remote, _is_announced
from tests.repository import LOGGING_ENGINE, Repository, minimal_config, resource, wait_for
from tests.servers.stateserver import PASSWORD, USER, StateServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def deployed(pair: Repository) -> Repository:
    """Stacks `a` and `b`, deployed."""
    pair.prepare("deploy")
    pair.engine_calls()
    return pair


def change(repository: Repository, value: str = "by hand", *, stack: str = "a") -> None:
    """Change what a stack's resource is, as if outside of the engine; "1" is what was deployed."""
    path = repository.path / f".state/{stack}-local.tfstate"
    state = json.loads(path.read_text())
    state["resources"][0]["instances"][0]["attributes"]["input"]["value"] = value
    path.write_text(json.dumps(state))


def engine(repository: Repository, script: str) -> None:
    """Put something before the engine; `$1` is its command, and it runs in the stack's folder."""
    text = LOGGING_ENGINE.format(log=repository.log, tofu=repository.tofu)
    repository.engine_script(text.replace("GOGC=off", f"{script}\nGOGC=off"))


def configure(repository: Repository, drift: str) -> None:
    """Set the key `drift`."""
    repository.write(minimal_config(f"drift: {drift}\n"))


# --- new, known, resolved ---------------------------------------------------------------------------------------------


def test_drift_comes_stays_and_goes_and_the_exit_code_says_what_is_new(deployed: Repository) -> None:
    repository = deployed
    configure(repository, "{exit: new}")
    repository.doit("drift")
    change(repository)
    done = repository.doit("drift", code=2)
    assert "(changed outside, new)" in done.task("drift", "a")
    assert "a drifted (1 new). What to do next" in done.out
    done = repository.doit("drift")
    assert "(changed outside, known)" in done.task("drift", "a")
    assert "1 known" in done.out
    assert "known, first seen 20" in repository.deploy_dir("reports/drift.md").read_text()
    configure(repository, "{exit: any}")
    repository.doit("drift", code=2)
    change(repository, "1")
    done = repository.doit("drift")
    assert "as deployed; resolved: terraform_data.it" in done.task("drift", "a")
    assert "all passed; 1 resolved since the previous check" in done.out
    assert "Resolved since the previous check" in repository.deploy_dir("reports/drift.md").read_text()
    assert "resolved" not in repository.doit("drift").out


def test_drift_that_another_failure_hid_is_new_until_a_run_has_ended_with_2(deployed: Repository) -> None:
    repository = deployed
    configure(repository, "{exit: new}")
    change(repository)
    engine(repository, 'case "$PWD $1" in */b\\ plan) echo "Error: no" >&2; exit 1;; esac')
    assert "new" in repository.doit("drift", code=1).task("drift", "a")
    repository.engine_script(LOGGING_ENGINE.format(log=repository.log, tofu=repository.tofu))
    assert "new" in repository.doit("drift", code=2).task("drift", "a")
    assert "known" in repository.doit("drift").task("drift", "a")


def test_a_record_that_is_lost_or_damaged_alarms_again(deployed: Repository) -> None:
    repository = deployed
    configure(repository, "{exit: new}")
    change(repository)
    repository.doit("drift", code=2)
    repository.doit("drift")
    repository.deploy_dir("checks.json").write_text("{")
    done = repository.doit("drift", code=2)
    assert "checks.json cannot be read" in done.out
    assert "which drift is new and which was known before cannot be determined" in done.out
    repository.doit("drift", code=0)
    repository.deploy_dir("checks.json").unlink()
    repository.doit("drift", code=2)


def test_undeployed_code_that_is_known_is_no_news_either(deployed: Repository) -> None:
    repository = deployed
    repository.write(f"stacks/b/main.tf:{resource('2')}")
    configure(repository, "{exit: new}")
    repository.doit("drift", code=2)
    repository.doit("drift")


ASKED = [
    ("{}", ["drift:a"], 2),
    ("{}", ["drift:b"], 0),  # what drifted was not asked for
    ("{severity: [{type: terraform_data, classes: [changed], severity: info}]}", ["drift"], 0),
    ("{severity: [{stacks: [b], severity: info}]}", ["drift"], 2),
    ("{ignore: [{address: terraform_data.it, reason: known, until: 2099-01-01}]}", ["drift"], 0),
    ("{ignore: [{address: terraform_data.it, reason: known, until: 2020-01-01}]}", ["drift"], 2),
]


def test_what_is_asked_for_ignored_or_only_noted_decides_the_exit_code(deployed: Repository) -> None:
    change(deployed)
    for drift, words, code in ASKED:
        configure(deployed, drift)
        deployed.doit(*words, code=code)


def test_a_check_block_that_fails_is_a_warning_an_alert_or_a_failure(build: Callable[..., Repository]) -> None:
    holds = (
        '\ncheck "size" {\n  assert {\n    condition     = terraform_data.it.output != "x"\n'
        '    error_message = "it is x"\n  }\n}\n'
    )
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource('x', extra=holds)}")
    repository.prepare("deploy")
    for settings, code in (("warn", 0), ("alert", 2), ("fail", 1)):
        configure(repository, f"{{on_failed_check: {settings}}}")
        done = repository.doit("drift", code=code)
        assert ("drifted: check.size (does not hold" in done.out) == (settings == "alert")
        assert "it is x" in done.out
        if settings == "alert":
            assert "! check.size  [does not hold; " in done.out
            assert "**!** `check.size`: `does not hold`" in repository.deploy_dir("reports/drift.md").read_text()
        (found,) = repository.json("results/drift/a.json")["details"]["findings"]
        assert (found["kind"], found["address"]) == ("check", "check.size")


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_stack_that_takes_too_long_fails_and_the_others_are_checked(deployed: Repository) -> None:
    configure(deployed, "{timeout: 1}")
    engine(deployed, 'case "$PWD $1" in */a\\ plan) exec sleep 100;; esac')
    done = deployed.doit("drift", code=1)
    assert "FAILED  it could not be checked within 1 s (drift.timeout)" in done.task("drift", "a")
    assert "as deployed" in done.task("drift", "b")


@pytest.mark.parametrize(("retries", "code"), [(0, 1), (1, 1), (2, 2)])
def test_a_stack_is_tried_again_and_the_exit_code_is_that_of_the_last_try(
    deployed: Repository, tmp_path: Path, retries: int, code: int
) -> None:
    change(deployed)
    configure(deployed, f"{{retries: {retries}}}")
    tries = tmp_path / "tries"
    engine(
        deployed,
        f'case "$PWD $1" in */a\\ plan) echo x >> {tries}; [ $(wc -l < {tries}) -gt 2 ] || {{ echo "Error: no"; exit 1; }};; esac',
    )
    done = deployed.doit("drift", code=code)
    assert len(tries.read_text().splitlines()) == retries + 1
    assert done.out.count("trying again") == retries


RETRIED = [  # settings, how often the checks of `a` (which drifted) and `b` fail at first, the exit code
    ("retries: 1", {"a": 1, "b": 1}, 2),
    ("retries: 1", {"b": 2}, 1),  # a failure outranks drift
    ("retries: 1, exit: new", {"a": 1}, 0),  # known by now
]


def test_what_failed_at_first_is_no_failure_and_hides_none(deployed: Repository, tmp_path: Path) -> None:
    change(deployed)
    for number, (settings, failing, code) in enumerate(RETRIED):
        configure(deployed, f"{{{settings}}}")
        tries = tmp_path / f"tries{number}"
        tries.mkdir()
        flaky = "".join(
            f'{name}) [ $(wc -l < {tries}/{name}) -gt {times} ] || {{ echo "Error: flaky" >&2; exit 1; }};; '
            for name, times in failing.items()
        )
        begin = f'[ "$1" != plan ] || {{ n=$(basename "$PWD"); echo x >> {tries}/$n;'
        engine(deployed, f"{begin} case $n in {flaky}esac; }}")
        done = deployed.doit("drift", code=code)
        found = {path.name: len(path.read_text().splitlines()) for path in tries.iterdir()}
        assert found == {name: min(failing.get(name, 0), 1) + 1 for name in "ab"}
        assert ("FAILED" in done.out) == (code == 1)
        assert ("flaky" in deployed.deploy_dir("reports/drift.md").read_text()) == (code == 1)


def test_within_a_budget_stacks_take_turns_and_those_left_out_are_said(deployed: Repository) -> None:
    configure(deployed, "{budget: 0.001}")
    first = deployed.doit("drift")
    assert "as deployed" in first.task("drift", "a")
    assert "skipped: the budget of 0.001 s is used up; never checked yet" in first.task("drift", "b")
    second = deployed.doit("drift")
    assert "as deployed" in second.task("drift", "b")
    assert "is used up; last checked 20" in second.task("drift", "a")
    assert "1 ok, 1 skipped" in second.out


def test_a_stack_whose_news_another_failure_hid_waits_for_its_turn_all_the_same(deployed: Repository) -> None:
    """With `exit: new`, its drift stays new; but if it stayed unchecked, too, it would come first in every run."""
    configure(deployed, "{exit: new}")
    change(deployed, stack="b")
    engine(deployed, 'case "$PWD $1" in */a\\ plan) echo "Error: no" >&2; exit 1;; esac')
    assert "new" in deployed.doit("drift", code=1).task("drift", "b")
    configure(deployed, "{exit: new, budget: 0.001}")
    assert "is used up; last checked 20" in deployed.doit("drift", code=1).task("drift", "b")
    assert "new" in deployed.doit("drift", code=2).task("drift", "b")


# --- parts ------------------------------------------------------------------------------------------------------------


def test_shards_together_check_everything_and_one_without_stacks_is_no_failure(deployed: Repository) -> None:
    found = []
    for number in range(1, 5):
        done = deployed.doit(f"shard={number}/4", "drift")
        assert "Traceback" not in done.out
        found.append(deployed.planned())
        empty = f"local: no stack belongs to shard {number}/4: nothing was checked here" in done.out
        assert ("all passed" in done.out) != empty == (found[-1] == [])
    assert sorted(name for part in found for name in part) == ["a", "b"]
    assert [] in found


@pytest.mark.parametrize("arguments", [("shard=3/2", "drift"), ("shard=1/2", "plan"), ("shard=1/2", "drift:a")])
def test_a_shard_that_means_nothing_is_refused(deployed: Repository, arguments: tuple[str, ...]) -> None:
    deployed.doit(*arguments, code=1)
    assert deployed.planned() == []


def test_a_run_that_checked_nothing_is_a_failure(one: Repository) -> None:
    one.write(minimal_config("stacks: {a: {enabled: false}}\n"))
    assert "nothing was checked for drift: there is no stack to check" in one.doit("drift", code=1).out
    one.doit("shard=1/2", "drift", code=1)


# --- reading only -----------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[StateServer]:
    """A server of states."""
    made = StateServer()
    yield made
    made.stop()


@pytest.fixture
def remote(build: Callable[..., Repository], server: StateServer) -> Repository:
    """A stack `a` whose state is on the server, deployed."""
    address = f"{server.url}/projects/1/terraform/state/{{stack}}"
    settings = f'{{address: "{address}", lock_address: "{address}/lock", unlock_address: "{address}/lock"}}'
    config = f"config/pipeline.yaml:version: 1\nbackend: {{kind: http, settings: {settings}}}\n"
    made = build(config, f"stacks/a/main.tf:{resource().replace('local', 'http')}")
    made.variables |= {
        "TF_HTTP_USERNAME": USER, "TF_HTTP_PASSWORD": PASSWORD,
        "TF_HTTP_LOCK_METHOD": "POST", "TF_HTTP_UNLOCK_METHOD": "DELETE",
    }  # fmt: skip
    made.doit("deploy")
    server.log.clear()
    return made


def test_a_check_reads_a_state_and_neither_locks_nor_writes_it(remote: Repository, server: StateServer) -> None:
    remote.doit("drift")
    assert server.log
    assert {line.split()[0] for line in server.log} == {"GET"}


def test_a_lock_that_somebody_holds_keeps_no_check_from_reading(remote: Repository, server: StateServer) -> None:
    server.locks["1/a"] = {"ID": "x", "Who": "someone", "Operation": "apply"}
    remote.doit("drift")
    config = (remote.path / "config/pipeline.yaml").read_text()
    remote.write(f"config/pipeline.yaml:{config}engine: {{lock_timeout: 0}}\ndrift: {{lock: true}}\n")
    assert "lock" in remote.doit("drift", code=1).task("drift", "a")


def test_a_backend_that_does_not_answer_is_a_failure(remote: Repository, server: StateServer) -> None:
    with server.misbehaving(down=True):
        assert "FAILED" in remote.doit("drift", code=1, TF_HTTP_RETRY_MAX="0").task("drift", "a")


def test_what_another_machine_is_deploying_is_skipped_and_the_rest_checked(
    build: Callable[..., Repository], tmp_path: Path
) -> None:
    config = minimal_config(LEDGER).replace("{root}/.state/", f"{tmp_path / 'states'}/")
    slow = '\nresource "terraform_data" "slow" {\n  provisioner "local-exec" {\n    command = "sleep 8"\n  }\n}\n'
    remote = Remote(tmp_path, build(config, f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{resource()}"))
    first = remote.clone()
    first.doit("ledger", "init")
    first.doit("deploy")
    first.write(f"stacks/a/main.tf:{resource(extra=slow)}")
    first.commit()
    remote.push(first)
    other = remote.clone()
    deploying = first.start("deploy")
    wait_for(lambda: _is_announced(remote), "the announcement")
    done = other.doit("drift")
    assert "skipped: it is being deployed by" in done.task("drift", "a")
    assert "as deployed" in done.task("drift", "b")
    nothing = other.doit("drift:a", code=1)
    assert "nothing was checked for drift: every stack was skipped" in nothing.out
    out, _ = deploying.communicate()
    assert deploying.returncode == 0, out
    assert "as deployed" in remote.clone().doit("drift").task("drift", "a")


def test_what_was_deployed_while_it_was_checked_is_no_drift(build: Callable[..., Repository], tmp_path: Path) -> None:
    config = minimal_config(LEDGER).replace("{root}/.state/", f"{tmp_path / 'states'}/")
    remote = Remote(tmp_path, build(config, f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{resource()}"))
    other = remote.clone()
    other.doit("ledger", "init")
    other.doit("deploy")
    job = remote.clone()
    other.write(f"stacks/a/main.tf:{resource('2')}")
    other.commit()
    variables = " ".join(f"{name}='{value}'" for name, value in other.environment().items())
    deploys = f"cd {other.path} && env -i {variables} {other.python} -m doit deploy > {tmp_path}/deploy.log 2>&1"
    engine(job, f'case "$PWD $1" in */a\\ plan) ({deploys});; esac')
    done = job.doit("drift")
    assert "skipped: it was deployed while it was checked" in done.task("drift", "a")
    assert "as deployed" in done.task("drift", "b")


def test_without_the_configured_ledger_all_is_checked_what_is_new_is_unknown_and_the_code_is_1(
    build: Callable[..., Repository], tmp_path: Path
) -> None:
    config = minimal_config(LEDGER).replace("{root}/.state/", f"{tmp_path / 'states'}/")
    remote = Remote(tmp_path, build(config, f"stacks/a/main.tf:{resource()}"))
    job = remote.clone()
    job.doit("ledger", "init")
    job.doit("deploy")
    remote.path.rename(tmp_path / "away.git")
    done = job.doit("drift", code=1)
    assert "FAILED" not in done.task("drift", "a")
    assert "which drift is new and which was known before cannot be determined" in done.out


def test_a_folder_that_may_only_be_read_is_enough(deployed: Repository) -> None:
    states = deployed.path / ".state"
    change(deployed)
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in states.iterdir()}
    states.chmod(stat.S_IRUSR | stat.S_IXUSR)
    for path in states.iterdir():
        path.chmod(stat.S_IRUSR)
    try:
        assert restricted(deployed, "touch", f"{states}/x").returncode != 0
        assert restricted(deployed, "sh", "-c", f"echo >> {states}/a-local.tfstate").returncode != 0
        done = restricted(deployed, str(deployed.python), "-m", "doit", "drift")
        configure(deployed, "{lock: true}")  # this takes the right to write
        locked = restricted(deployed, str(deployed.python), "-m", "doit", "drift")
    finally:
        states.chmod(stat.S_IRWXU)
    assert done.returncode == 2, done.stdout
    assert locked.returncode == 1, locked.stdout
    assert "drifted: terraform_data.it (changed outside, new)" in done.stdout
    assert "as deployed" in done.stdout
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in states.iterdir()} == before


def restricted(repository: Repository, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command without root's capability to write where no permission says so; others do not have it."""
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    return subprocess.run(
        [*drop, *command], cwd=repository.path, env=repository.environment(), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip


def test_what_a_check_found_is_a_value_for_programs(deployed: Repository) -> None:
    change(deployed)
    deployed.doit("drift", code=2)
    details = json.loads(deployed.deploy_dir("results/drift/a.json").read_text())["details"]
    (item,) = details["findings"]
    assert (item["kind"], item["address"], item["severity"], item["delta"]) == (
        "changed", "terraform_data.it", "warning", "new",
    )  # fmt: skip
    assert "input" in item["paths"]
    assert details["deployed"]["commit"] == deployed.git("rev-parse", "HEAD")
