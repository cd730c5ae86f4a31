"""The history of runs: every run leaves a record that says what ran, what waited for what, and how it ended."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.repository import Repository, minimal_config, reader, resource, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def runs(repository: Repository) -> list[dict[str, Any]]:
    """The records of all runs, the oldest first."""
    return [json.loads(path.read_text()) for path in sorted(repository.deploy_dir("runs").glob("*.json"))]


def lines(repository: Repository, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a run kept of each task, by its name."""
    text = repository.deploy_dir("runs", f"{run['id']}.jsonl").read_text()
    return {item["task"]: item for item in map(json.loads, text.splitlines())}


def overview(repository: Repository) -> dict[str, Any]:
    stacks: dict[str, Any] = repository.json("overview.json")["stacks"]
    return stacks


def test_a_deploy_leaves_a_record_of_each_task_what_it_waited_for_and_how_the_run_ended(chain: Repository) -> None:
    chain.prepare("deploy")
    [run] = runs(chain)
    tasks = {f"{task['stage']}:{task['stack']}": task for task in run["tasks"]}
    assert run["command"] == "doit deploy"
    assert (run["exit_code"], run["verdict"], run["branch"]) == (0, "3 deployed", "main")
    assert run["commit"] == chain.git("rev-parse", "HEAD")
    assert run["ended_at"] >= run["started_at"]
    assert run["graph"] == {"a": [], "b": ["a"], "c": ["b"]}
    assert set(tasks["deploy:b"]["needs"]) == {"_planned", "plan:b", "deploy:a"}
    assert tasks["deploy:a"]["status"] == "ok"
    assert tasks["deploy:b"]["offset"] >= tasks["deploy:a"]["offset"] + tasks["deploy:a"]["seconds"]
    assert lines(chain, run)["plan:a"]["details"]["changes"]["resources"][0]["address"] == "terraform_data.it"


def test_a_stack_that_the_deploy_planned_itself_has_that_plan_in_its_record(chain: Repository) -> None:
    chain.prepare("deploy")
    [run] = runs(chain)
    assert lines(chain, run)["deploy:c"]["details"]["changes"]["resources"][0]["action"] == "add"


def test_a_run_with_nothing_to_do_counts_what_was_unaffected_and_starts_no_process(chain: Repository) -> None:
    chain.prepare("deploy")
    before = chain.deploy_dir("overview.json").stat().st_mtime_ns
    chain.engine_calls()
    chain.doit("deploy")
    assert runs(chain)[-1]["tasks"] == []
    assert runs(chain)[-1]["unaffected"] == 9
    assert chain.engine_calls() == []
    assert chain.deploy_dir("overview.json").stat().st_mtime_ns == before, "nothing has changed, nothing is written"


def test_a_record_can_be_watched_while_its_run_goes_on_and_one_that_was_killed_has_no_end(
    build: Callable[..., Repository],
) -> None:
    slow = '\nresource "terraform_data" "slow" {\n  provisioner "local-exec" {\n    command = "sleep 4"\n  }\n}\n'
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource(extra=slow)}")
    process = repository.start("deploy")
    wait_for(
        lambda: any(
            (task["stage"], task["status"]) == ("deploy", "running")
            for run in runs(repository)
            for task in run["tasks"]
        ),
        "a record that shows the deploy under way",
    )
    process.send_signal(signal.SIGKILL)
    process.communicate()
    [run] = runs(repository)
    assert run["ended_at"] is None
    assert run["process"]["pid"] == process.pid


def test_the_overview_says_of_each_stack_since_when_it_is_deployed_affected_drifted(pair: Repository) -> None:
    pair.prepare("deploy:a")
    first = overview(pair)
    assert first["a"]["deployed"]["commit"] == pair.git("rev-parse", "HEAD")
    assert first["a"]["deployed"]["run"] == runs(pair)[0]["id"]
    assert first["a"]["affected"]["status"] == "unaffected"
    pair.doit("plan")
    assert overview(pair)["b"]["affected"]["status"] == "affected"
    assert "never deployed" in overview(pair)["b"]["affected"]["text"]
    pair.doit("deploy")
    state = pair.state("a")
    state["serial"] += 1
    state["resources"] = []
    (pair.path / ".state/a-local.tfstate").write_text(json.dumps(state))
    pair.forget_addresses("a")
    pair.doit("drift", code=2)
    found = overview(pair)["a"]["drift"]
    assert found["status"] == "drifted"
    pair.doit("drift", code=2)
    again = overview(pair)["a"]["drift"]
    assert again["since"] == found["since"] < again["at"], "it has drifted since it was found first"
    pair.doit("-a", "deploy:a")
    assert overview(pair)["a"]["drift"]["status"] == "none"


def test_a_failing_check_is_in_the_overview_until_it_passes(build: Callable[..., Repository], tmp_path: Path) -> None:
    import http.server
    import threading

    repository = build(
        minimal_config(
            'stacks:\n  a:\n    verify: [{kind: http, url: "http://127.0.0.1:${CHECK_PORT}/", status: 404, timeout: 0}]\n'
        ),
        f"stacks/a/main.tf:{resource()}",
    )
    handler = type("Handler", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: handler(*args, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = str(server.server_address[1])
    repository.doit("deploy", code=1, CHECK_PORT=port)
    assert overview(repository)["a"]["checks"]["status"] == "failing"
    assert overview(repository)["a"]["deployed"]["commit"]
    repository.write(
        "config/pipeline.yaml:" + (repository.path / "config/pipeline.yaml").read_text().replace("404", "200")
    )
    repository.doit("verify", CHECK_PORT=port)
    server.shutdown()
    server.server_close()
    assert overview(repository)["a"]["checks"]["status"] == "passed"


def test_a_merge_request_is_recorded_but_says_nothing_of_what_is_deployed(pair: Repository) -> None:
    pair.prepare("deploy")
    before = pair.deploy_dir("overview.json").read_bytes()
    pair.write(f"stacks/a/main.tf:{resource('2')}")
    pair.doit(
        "plan", GITLAB_CI="true", CI_PIPELINE_ID="7", CI_PIPELINE_URL="https://gitlab.test/p/7", CI_MERGE_REQUEST_IID="3",
        CI_MERGE_REQUEST_SOURCE_BRANCH_NAME="feature", GITLAB_USER_LOGIN="ada",
    )  # fmt: skip
    run = runs(pair)[-1]
    assert run["branch"] == "feature"
    assert (run["pipeline"]["url"], run["pipeline"]["actor"], run["pipeline"]["review"]) == (
        "https://gitlab.test/p/7", "ada", "3",
    )  # fmt: skip
    assert pair.deploy_dir("overview.json").read_bytes() == before


def test_secrets_are_in_no_record(build: Callable[..., Repository]) -> None:
    secret = "s3cr3t-of-the-history"
    declared = (
        '\nvariable "password" {\n  type = string\n}\n\nresource "terraform_data" "p" {\n  input = var.password\n}\n'
    )
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource(extra=declared)}")
    repository.doit("deploy", TF_VAR_password=secret)
    kept = [*repository.deploy_dir("runs").iterdir(), repository.deploy_dir("overview.json")]
    assert len(kept) == 3
    assert [path.name for path in kept if secret in path.read_text()] == []
    assert "(sensitive value)" in kept[0].read_text() + kept[1].read_text()


def test_hidden_values_are_hidden_in_the_history_too(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config("plan: {values: hidden}\n"), f"stacks/a/main.tf:{resource('not-for-all')}")
    repository.doit("deploy")
    assert [path.name for path in repository.deploy_dir("runs").iterdir() if "not-for-all" in path.read_text()] == []


def test_only_as_many_records_are_kept_as_the_configuration_says(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config("history: {keep: 2}\n"), f"stacks/a/main.tf:{resource()}")
    for _ in range(4):
        repository.doit("plan")
    latest = runs(repository)
    assert len(latest) == 2
    repository.doit("plan")
    assert runs(repository)[0]["id"] == latest[1]["id"], "the oldest goes"
    repository.write(minimal_config("history: {keep: 0}\n"))
    repository.doit("plan")
    assert len(runs(repository)) == 2


def test_a_history_that_cannot_be_written_is_told_and_ends_no_deploy(one: Repository) -> None:
    one.deploy_dir().mkdir(parents=True)
    one.deploy_dir("runs").write_text("in the way")
    done = one.doit("deploy")
    assert "this run is missing from the history" in done.out
    assert one.state("a")["serial"] == 1


def test_a_stack_that_waits_for_one_that_failed_is_recorded_as_not_run(build: Callable[..., Repository]) -> None:
    broken = '\nresource "terraform_data" "bad" {\n  provisioner "local-exec" {\n    command = "exit 3"\n  }\n}\n'
    repository = build(
        minimal_config("stacks:\n  b: {inputs: {x: a.value}}\n"),
        f"stacks/a/main.tf:{resource(extra=broken)}",
        f"stacks/b/main.tf:{reader('x')}",
    )
    repository.doit("deploy", code=1)
    [run] = runs(repository)
    statuses = {f"{task['stage']}:{task['stack']}": task["status"] for task in run["tasks"]}
    assert (statuses["deploy:a"], statuses["deploy:b"], run["exit_code"]) == ("failed", "not_run", 1)
    assert "exit 3" in lines(repository, run)["deploy:a"]["problem"]["log"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"stacks": [1]}', '{"stacks": {"a": {"affected": 3}}}', '{"stacks": {"a": 1}}']
)
def test_an_overview_that_is_garbage_is_made_anew(one: Repository, text: str) -> None:
    one.prepare("deploy")
    one.deploy_dir("overview.json").write_text(text)
    done = one.doit("deploy")
    assert "history" not in done.out
    assert overview(one)["a"]["affected"]["status"] == "unaffected"
    assert overview(one)["a"]["deployed"]["commit"] == one.git("rev-parse", "HEAD")


def test_after_an_upgrade_the_plan_that_waits_is_in_the_report_and_one_line_says_why_with_less(
    pair: Repository,
) -> None:
    pair.prepare("plan")
    for path in pair.deploy_dir("results/plan").glob("*.json"):
        old = {**json.loads(path.read_text()), "format": 1, "error": "", "log": ""}
        path.write_text(json.dumps({name: value for name, value in old.items() if name != "problem"}))
    done = pair.doit("plan")
    assert done.out.count("partly written by another version, so reports are incomplete") == 1
    assert "planned before (as planned before)" in done.task("plan", "a")
    assert "### 2 plans" in pair.deploy_dir("reports/plan.md").read_text()
    assert "2 deployed" in pair.doit("deploy").out


def test_a_check_that_fails_after_an_apply_is_recorded_with_both(build: Callable[..., Repository]) -> None:
    checked = "stacks: {a: {verify: [{kind: command, command: ['false'], timeout: 0}]}}\n"
    repository = build(minimal_config(checked), f"stacks/a/main.tf:{resource()}")
    repository.doit("deploy", code=1)
    [run] = runs(repository)
    found = lines(repository, run)["deploy:a"]
    assert found["problem"]["kind"] == "check failed"
    assert (found["details"]["applied"], [check["passed"] for check in found["details"]["checks"]]) == (True, [False])
    assert found["details"]["plan_sha256"] == found["details"]["deployed"]["plan_sha256"]
