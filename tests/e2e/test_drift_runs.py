"""How a check for drift runs: without a lock, within its time, in parts; and what its exit code says of all that."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from tests.repository import LOGGING_ENGINE, Repository, minimal_config, resource
from tests.servers.stateserver import PASSWORD, USER, StateServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Drift without a provider: what the code reads outside of itself has changed although no input has.
READS = 'terraform {\n  backend "local" {}\n}\n\nresource "terraform_data" "it" {\n  input = fileexists("/%s")\n}\n'


def drifting(tmp_path: Path, name: str) -> str:
    """A root module that drifts when a file outside of the repository appears."""
    return READS % str(tmp_path / name).lstrip("/")


@pytest.fixture
def pair_that_drifts(build: Callable[..., Repository], tmp_path: Path) -> Repository:
    """Stacks `a` and `b`, deployed; `a` drifts when the file `outside` appears."""
    made = build(
        minimal_config(), f"stacks/a/main.tf:{drifting(tmp_path, 'outside')}", f"stacks/b/main.tf:{resource()}"
    )
    made.doit("deploy")
    made.engine_calls()
    return made


def engine(repository: Repository, script: str) -> None:
    """Put something before the engine; `$1` is its command, and it runs in the stack's folder."""
    text = LOGGING_ENGINE.format(log=repository.log, tofu=repository.tofu)
    repository.engine_script(text.replace("GOGC=off", f"{script}\nGOGC=off"))


def configure(repository: Repository, drift: str) -> None:
    """Set the key `drift`."""
    repository.write(minimal_config(f"drift: {drift}\n"))


# --- new, known, resolved ---------------------------------------------------------------------------------------------


def test_drift_comes_stays_and_goes_and_the_exit_code_says_what_is_new(
    pair_that_drifts: Repository, tmp_path: Path
) -> None:
    repository = pair_that_drifts
    configure(repository, "{exit: new}")
    repository.doit("drift")
    (tmp_path / "outside").touch()
    done = repository.doit("drift", code=2)
    assert "(changed outside, new)" in done.task("drift", "a")
    assert "a drifted (1 new). What to do next" in done.out
    done = repository.doit("drift")
    assert "(changed outside, known)" in done.task("drift", "a")
    assert "1 known" in done.out
    assert "known, first seen 20" in repository.deploy_dir("reports/drift.md").read_text()
    configure(repository, "{exit: any}")
    repository.doit("drift", code=2)
    (tmp_path / "outside").unlink()
    done = repository.doit("drift")
    assert "as deployed; resolved: terraform_data.it" in done.task("drift", "a")
    assert "all passed; 1 resolved since the previous check" in done.out
    assert "Resolved since the previous check" in repository.deploy_dir("reports/drift.md").read_text()
    assert "resolved" not in repository.doit("drift").out


def test_drift_that_another_failure_hid_is_new_until_a_run_has_ended_with_2(
    pair_that_drifts: Repository, tmp_path: Path
) -> None:
    repository = pair_that_drifts
    configure(repository, "{exit: new}")
    (tmp_path / "outside").touch()
    engine(repository, 'case "$PWD $1" in */b\\ plan) echo "Error: no" >&2; exit 1;; esac')
    assert "new" in repository.doit("drift", code=1).task("drift", "a")
    repository.engine_script(LOGGING_ENGINE.format(log=repository.log, tofu=repository.tofu))
    assert "new" in repository.doit("drift", code=2).task("drift", "a")
    assert "known" in repository.doit("drift").task("drift", "a")


def test_a_record_that_is_lost_or_damaged_alarms_again(pair_that_drifts: Repository, tmp_path: Path) -> None:
    repository = pair_that_drifts
    configure(repository, "{exit: new}")
    (tmp_path / "outside").touch()
    repository.doit("drift", code=2)
    repository.doit("drift")
    repository.deploy_dir("checks.json").write_text("{")
    done = repository.doit("drift", code=2)
    assert "checks.json cannot be read" in done.out
    assert "what of the drift is new and what is known is unknown" in done.out
    repository.doit("drift", code=0)
    repository.deploy_dir("checks.json").unlink()
    repository.doit("drift", code=2)


def test_undeployed_code_that_is_known_is_no_news_either(pair_that_drifts: Repository) -> None:
    repository = pair_that_drifts
    repository.write(f"stacks/b/main.tf:{resource('2')}")
    configure(repository, "{exit: new}")
    repository.doit("drift", code=2)
    repository.doit("drift")


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_stack_that_takes_too_long_fails_and_the_others_are_checked(pair_that_drifts: Repository) -> None:
    configure(pair_that_drifts, "{timeout: 1}")
    engine(pair_that_drifts, 'case "$PWD $1" in */a\\ plan) exec sleep 100;; esac')
    done = pair_that_drifts.doit("drift", code=1)
    assert "FAILED  it could not be checked within 1 s (drift.timeout)" in done.task("drift", "a")
    assert "as deployed" in done.task("drift", "b")


@pytest.mark.parametrize(("retries", "code"), [(0, 1), (1, 1), (2, 2)])
def test_a_stack_is_tried_again_and_the_exit_code_is_that_of_the_last_try(
    pair_that_drifts: Repository, tmp_path: Path, retries: int, code: int
) -> None:
    (tmp_path / "outside").touch()
    configure(pair_that_drifts, f"{{retries: {retries}}}")
    tries = tmp_path / "tries"
    engine(
        pair_that_drifts,
        f'case "$PWD $1" in */a\\ plan) echo x >> {tries}; [ $(wc -l < {tries}) -gt 2 ] || {{ echo "Error: no"; exit 1; }};; esac',
    )
    done = pair_that_drifts.doit("drift", code=code)
    assert len(tries.read_text().splitlines()) == retries + 1
    assert done.out.count("trying again") == retries


def test_within_a_budget_stacks_take_turns_and_those_left_out_are_said(pair_that_drifts: Repository) -> None:
    configure(pair_that_drifts, "{budget: 0.001}")
    first = pair_that_drifts.doit("drift")
    assert "as deployed" in first.task("drift", "a")
    assert "skipped: the budget of 0.001 s is used up; never checked yet" in first.task("drift", "b")
    second = pair_that_drifts.doit("drift")
    assert "as deployed" in second.task("drift", "b")
    assert "is used up; last checked 20" in second.task("drift", "a")
    assert "1 ok, 1 skipped" in second.out


# --- parts ------------------------------------------------------------------------------------------------------------


def test_shards_together_check_everything_and_one_without_stacks_is_no_failure(pair_that_drifts: Repository) -> None:
    found = []
    for number in range(1, 5):
        done = pair_that_drifts.doit(f"shard={number}/4", "drift")
        assert "Traceback" not in done.out
        found.append(pair_that_drifts.planned())
    assert sorted(name for part in found for name in part) == ["a", "b"]
    assert [] in found


@pytest.mark.parametrize("arguments", [("shard=3/2", "drift"), ("shard=1/2", "plan"), ("shard=1/2", "drift:a")])
def test_a_shard_that_means_nothing_is_refused(pair_that_drifts: Repository, arguments: tuple[str, ...]) -> None:
    pair_that_drifts.doit(*arguments, code=1)
    assert pair_that_drifts.planned() == []


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
    remote.write("config/pipeline.yaml:" + (remote.path / "config/pipeline.yaml").read_text() + "drift: {lock: true}\n")
    assert "lock" in remote.doit("drift", code=1).task("drift", "a")


def test_a_backend_that_does_not_answer_is_a_failure(remote: Repository, server: StateServer) -> None:
    with server.misbehaving(down=True):
        assert "FAILED" in remote.doit("drift", code=1, TF_HTTP_RETRY_MAX="0").task("drift", "a")


def test_a_folder_that_may_only_be_read_is_enough(pair_that_drifts: Repository) -> None:
    states = pair_that_drifts.path / ".state"
    before = {path.name: path.stat().st_mtime_ns for path in states.iterdir()}
    states.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        pair_that_drifts.doit("drift")
    finally:
        states.chmod(stat.S_IRWXU)
    assert {path.name: path.stat().st_mtime_ns for path in states.iterdir()} == before


def test_what_a_check_found_is_a_value_for_programs(pair_that_drifts: Repository, tmp_path: Path) -> None:
    (tmp_path / "outside").touch()
    pair_that_drifts.doit("drift", code=2)
    details = json.loads(pair_that_drifts.deploy_dir("results/drift/a.json").read_text())["details"]
    (item,) = details["findings"]
    assert (item["kind"], item["address"], item["severity"], item["delta"]) == (
        "changed", "terraform_data.it", "warning", "new",
    )  # fmt: skip
    assert item["paths"] == ["input", "output"] or "input" in item["paths"]
    assert details["deployed"]["commit"] == pair_that_drifts.git("rev-parse", "HEAD")
