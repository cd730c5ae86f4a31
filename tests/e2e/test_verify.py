"""Checks in a deploy: what a failed one means for the run, the receipt, the result, the dependents and the hooks."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.repository import ROOT, Repository, minimal_config, reader, resource, wait_for
from tests.servers.web import Server, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler

    Build = Callable[..., Repository]


@pytest.fixture
def service() -> Iterator[Server]:
    """What was deployed, so to say: healthy at /ok, ill at /ill."""
    server = Server()
    server.answers = {"/ok": answer(200, b"version 1"), "/ill": answer(503)}
    yield server
    server.close()


def verified(*checks: str, more: str = "") -> str:
    """A configuration with the stack `a` and its checks."""
    lines = "".join(f"      - {check}\n" for check in checks)
    return minimal_config(f"stacks:\n  a:\n    verify:\n{lines}{more}")


def test_a_failed_check_fails_the_run_stops_dependents_and_lets_others_end(build: Build, service: Server) -> None:
    ill = f'{{kind: http, url: "{service.url("/ill")}", timeout: 0}}'
    repository = build(
        verified(ill, more="  b: {inputs: {x: a.value}}\n"),
        f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{reader('x')}", f"stacks/c/main.tf:{resource()}",
    )  # fmt: skip
    commit = repository.commit()
    done = repository.doit("deploy", code=1)
    assert "its check failed" in done.task("deploy", "a")
    assert "status 503, expected 200 (looked once)" in done.task("deploy", "a")
    assert "not run: deploy:a failed" in done.task("deploy", "b")
    assert repository.json("receipts", "c.json")["outcome"] == "applied"
    plan = repository.json("receipts", "a.json")["plan_sha256"]
    assert f"plan {plan[:12]} of commit {commit[:8]}, applied 20" in done.line("  deployed: ")
    assert "`curl -sS -i" in done.line("  to look closer: ")
    assert service.url("/ill") in done.line("  to look closer: ")
    assert "untouched: the stack has been applied and stays as it is; its dependents were not deployed" in done.out
    assert "untouched: the stack has been applied and stays as it is\n" in repository.doit("verify:a", code=1).out
    details = repository.json("results", "deploy", "a.json")["details"]
    assert (details["deployed"]["plan_sha256"], details["deployed"]["commit"]) == (plan, commit)
    assert [(check["kind"], check["passed"], check["looks"]) for check in details["checks"]] == [("http", False, 1)]


def test_what_is_applied_and_unverified_is_checked_again_and_not_applied_again(build: Build, service: Server) -> None:
    service.answers["/late"] = answer(503)
    late = f'{{kind: http, url: "{service.url("/late")}", timeout: 0}}'
    repository = build(verified(late), f"stacks/a/main.tf:{resource()}")
    repository.doit("deploy", code=1)
    receipt = repository.json("receipts", "a.json")
    assert (receipt["outcome"], receipt["verified"]) == ("applied", False)
    repository.engine_calls()
    assert "; `doit deploy` repeats the checks and applies nothing" in repository.doit("status").out
    repository.doit("deploy", code=1)
    service.answers["/late"] = answer(200)
    repository.doit("deploy")
    assert repository.json("receipts", "a.json")["verified"] is True
    repository.doit("deploy")
    assert [line for line in repository.engine_calls() if line.split()[1] in ("plan", "apply")] == []
    assert service.asked == ["GET /late"] * 3


def test_a_check_that_is_added_or_changed_is_run_by_the_next_deploy(build: Build, service: Server) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource()}")
    repository.doit("deploy")
    for path in ("/ok", "/ok?again"):
        repository.write(verified(f'{{kind: http, url: "{service.url(path)}"}}'))
        assert "its checks have not passed" in repository.doit("status").line("a ")
        repository.doit("deploy")
        repository.doit("deploy")
    assert service.asked == ["GET /ok", "GET /ok?again"]
    repository.write(verified(f'{{kind: http, url: "{service.url("/ill")}", timeout: 0}}'))
    repository.doit("deploy", code=1)


def test_templates_take_outputs_the_environment_and_variables(build: Build, service: Server) -> None:
    host = service.url("").removeprefix("http://")
    repository = build(
        verified(
            '{kind: http, url: "http://{outputs.value}/${WHERE}", contains: "{environment} of {stack}"}',
            '{kind: command, command: [test, "{outputs.value}/{environment}", "=", "' + host + '/local"]}',
        ),
        f"stacks/a/main.tf:{resource(host)}",
    )
    service.answers["/place"] = answer(200, b"local of a")
    assert "2 checks passed" in repository.doit("deploy", WHERE="place").task("deploy", "a")
    done = repository.doit("verify", code=1)
    assert "the environment variable WHERE is not set" in done.out
    assert "config/pipeline.yaml:6" in done.out


def test_a_stack_that_never_settles_is_found_right_after_its_apply(build: Build) -> None:
    settles = 'resource "terraform_data" "it" {}\n'
    never = 'resource "terraform_data" "it" {\n  input = timestamp()\n}\n'
    repository = build(
        verified("{kind: plan_empty}"), f'stacks/a/main.tf:terraform {{\n  backend "local" {{}}\n}}\n{settles}'
    )
    assert "1 check passed" in repository.doit("deploy").task("deploy", "a")
    repository.write(f'stacks/a/main.tf:terraform {{\n  backend "local" {{}}\n}}\n{never}')
    done = repository.doit("deploy", code=1)
    assert "a fresh plan is not empty: " in done.task("deploy", "a")
    assert "terraform_data.it" in done.task("deploy", "a")
    assert any("`doit drift:a`" in line for line in done.out.splitlines())


def test_50_checks_of_a_stack_are_all_under_way_at_once(build: Build, service: Server) -> None:
    """The service answers none of them until it was asked for all: one after the other would be in vain."""
    everybody = threading.Barrier(50)

    def together(request: BaseHTTPRequestHandler) -> None:
        everybody.wait(60)
        answer(200)(request)

    service.answers["/together"] = together
    check = f'{{kind: http, url: "{service.url("/together")}", timeout: 60, look_timeout: 60}}'
    repository = build(verified(*[check] * 50), f"stacks/a/main.tf:{resource()}")
    assert "50 checks passed" in repository.doit("deploy").task("deploy", "a")
    found = repository.json("results", "deploy", "a.json")
    seconds = [item["seconds"] for item in found["details"]["checks"]]
    assert sum(seconds) > 5 * max(seconds)


def test_hooks_for_failures_are_told_and_change_nothing(build: Build, service: Server) -> None:
    hooks = (
        'hooks:\n  - {stage: deploy, when: failure, command: [sh, -c, \'echo "$0" "$1" >> "$2/told"; exit 4\','
        ' "{stack}", "{error}", "{root}"]}\n'
    )
    repository = build(
        verified(f'{{kind: http, url: "{service.url("/ill")}", timeout: 0}}', more=hooks),
        f"stacks/a/main.tf:{resource()}",
    )
    done = repository.doit("deploy", code=1)
    [told] = (repository.path / "told").read_text().splitlines()
    assert told.startswith("a its check failed: ")
    assert "after a failed deploy exited with 4" in done.out
    assert "status 503, expected 200" in done.task("deploy", "a")
    repository.write(verified(f'{{kind: http, url: "{service.url("/ok")}"}}', more=hooks))
    repository.doit("deploy")
    assert len((repository.path / "told").read_text().splitlines()) == 1


def test_a_stop_ends_the_waiting_at_once_and_the_next_deploy_checks_again(build: Build, service: Server) -> None:
    wait = f'{{kind: http, url: "{service.url("/ill")}", timeout: 3600, interval: 1}}'
    repository = build(verified(wait), f"stacks/a/main.tf:{resource()}")
    process = repository.start("deploy")
    wait_for(lambda: len(service.asked) > 1, "the check to look again: what it saw first is known by then")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1, out
    assert "stopped: the stack has been applied and stays as it is" in out
    junit = repository.deploy_dir("reports/junit.xml").read_text()
    assert "stopped while it waited for 1 of 1 checks" in junit
    assert "status 503, expected 200 (stopped)" in junit
    receipt = repository.json("receipts", "a.json")
    assert (receipt["outcome"], receipt["verified"]) == ("applied", None)
    service.answers["/ill"] = answer(200)
    repository.engine_calls()
    repository.doit("deploy")
    assert repository.engine_calls("apply") == []


def test_a_secret_in_a_check_is_shown_nowhere(build: Build, service: Server) -> None:
    url = service.url("/ill?key=q-s3cret", "me:pw-s3cret@")
    check = f'{{kind: http, url: "{url}", timeout: 0, bearer: HEALTH, request_headers: {{X-Api-Key: "${{PLAIN}}"}}}}'
    repository = build(verified(check), f"stacks/a/main.tf:{resource()}")
    done = repository.doit("deploy", code=1, HEALTH="bearer-s3cret", PLAIN="header-s3cret")
    assert service.headers[0]["X-Api-Key"] == "header-s3cret"
    assert service.headers[0]["Authorization"] == "Bearer bearer-s3cret"
    kept = [path.read_bytes() for path in repository.deploy_dir().rglob("*") if path.is_file()]
    for secret in ("q-s3cret", "pw-s3cret", "bearer-s3cret", "header-s3cret"):
        assert secret not in done.out
        assert not any(secret.encode() in content for content in kept)


PLUGIN = '''\
"""Checks of Acme's own."""

from typing import Literal

from doit_tofu.checks.check import Check, Look, Observation


class FileCheck(Check):
    """True when a file says what it should."""

    kind: Literal["acme.file"]
    file: str
    says: str

    def title(self) -> str:
        return self.file

    def observe(self, look: Look) -> Observation:
        found = (look.root / self.file).read_text()
        return Observation(found == self.says, f"it says {found!r}", commands=(f"cat {self.file}",))
'''


def test_another_distribution_brings_a_kind_of_its_own(build: Build, tmp_path: Path) -> None:
    """Installed as pip would: a module, and the metadata with its entry point."""
    packages = tmp_path / "packages"
    info = packages / "acme_checks-1.0.dist-info"
    info.mkdir(parents=True)
    (packages / "acme_checks.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-checks\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[doit_tofu.checks]\nacme.file = acme_checks:FileCheck\nacme.broken = acme_checks:Nothing\n"
    )
    import importlib.util

    if importlib.util.find_spec("doit_tofu") is None:  # in the checkout the package has another name
        (packages / "doit_tofu").symlink_to(ROOT / "tasks")
    check = '{kind: acme.file, file: said.txt, says: "{environment}", timeout: 0}'
    repository = build(
        verified(check), f"stacks/a/main.tf:{resource()}", "dodo.py:from doit_tofu import *\n", "said.txt:prod"
    )
    repository.variables["PYTHONPATH"] = str(packages)
    done = repository.doit("deploy", code=1)
    assert "said.txt: it says 'prod' (looked once)" in done.task("deploy", "a")
    assert "`cat said.txt`" in done.line("  to look closer: ")
    repository.write("said.txt:local")
    assert "already applied" in repository.doit("deploy").task("deploy", "a")
    for wrong, said in (
        ("{kind: acme.file, fil: x, says: y}", "unknown key 'fil' (did you mean 'file'?)"),
        ("{kind: acme.fil}", "unknown kind of check 'acme.fil' (did you mean 'acme.file'?)"),
        ("{kind: acme.broken}", "the check 'acme.broken' of acme-checks 1.0 cannot be loaded"),
    ):
        repository.write(verified(wrong))
        done = repository.doit("plan", code=1)
        assert said in done.out
        assert "config/pipeline.yaml:6" in done.out


MISSING = "the environment variable {} is not set"


@pytest.mark.parametrize(
    ("check", "variable", "line"),
    [
        ('{kind: http, url: "http://127.0.0.1:1/", bearer: HEALTH_TOKEN}', "HEALTH_TOKEN", 6),
        ('{kind: http, url: "http://127.0.0.1:1/", basic: HEALTH_LOGIN}', "HEALTH_LOGIN", 6),
        ('{kind: http, url: "http://127.0.0.1:1/", request_headers: {X-Key: "${API_KEY}"}}', "API_KEY", 6),
        ('{kind: command, command: [test, "${WHERE}"]}', "WHERE", 6),
        ("{kind: gitlab_runner, project: 42, token: RUNNER_TOKEN}", "RUNNER_TOKEN", 6),
        ("{kind: gitlab_runner, project: 42}", "GITLAB_TOKEN", 6),
        ("{kind: github_runner, organization: acme}", "GITHUB_TOKEN", 6),
    ],
)
def test_what_a_check_needs_from_the_environment_is_missed_before_anything_is_applied(
    build: Build, check: str, variable: str, line: int
) -> None:
    repository = build(
        verified(check, more="  b: {}\n"), f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{resource()}"
    )
    assert repository.doit("plan").code == 0
    done = repository.doit("deploy", code=1)
    assert MISSING.format(variable) in done.out
    assert f"config/pipeline.yaml:{line}" in done.out
    assert f"set {variable}" in done.line("  next: ")
    assert not (repository.path / ".deploy/local/receipts/a.json").exists()
    assert not (repository.path / ".deploy/local/receipts/b.json").exists()
    assert [call for call in repository.engine_calls() if call.split()[1] == "apply"] == []


def test_a_variable_that_a_check_needs_is_not_missed_where_no_check_runs(build: Build, service: Server) -> None:
    """Neither by a plan, a search for drift and the status, nor by a deploy that has nothing to do for the stack."""
    check = f'{{kind: http, url: "{service.url("/ok")}", bearer: HEALTH_TOKEN}}'
    repository = build(
        verified(check, more="  b: {}\n  c: {inputs: {x: a.value}}\n"),
        f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{resource()}", f"stacks/c/main.tf:{reader('x')}",
    )  # fmt: skip
    repository.doit("plan")
    repository.doit("deploy:b")
    repository.doit("deploy", HEALTH_TOKEN="a-token-of-a-check")
    repository.doit("drift")
    repository.doit("status")
    repository.write(f"stacks/b/main.tf:{resource('changed')}")
    repository.doit("deploy")
    repository.write(f"stacks/a/main.tf:{resource('changed')}")
    assert MISSING.format("HEALTH_TOKEN") in repository.doit("deploy:c", code=1).out
    assert MISSING.format("HEALTH_TOKEN") in repository.doit("verify", code=1).out


def test_a_stack_is_refused_if_one_that_it_needs_may_change_what_it_reads(build: Build, service: Server) -> None:
    check = f'{{kind: http, url: "{service.url("/ok")}", bearer: HEALTH_TOKEN}}'
    repository = build(
        minimal_config(f"stacks:\n  a: {{}}\n  b:\n    inputs: {{x: a.value}}\n    verify:\n      - {check}\n"),
        f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{reader('x')}",
    )  # fmt: skip
    repository.doit("deploy", HEALTH_TOKEN="a-token-of-a-check")
    before = repository.json("receipts", "a.json")
    repository.write(f"stacks/a/main.tf:{resource('changed')}")
    assert MISSING.format("HEALTH_TOKEN") in repository.doit("deploy", code=1).out
    assert repository.json("receipts", "a.json") == before
    repository.doit("deploy:a")


def test_one_variable_that_many_checks_need_is_said_once(build: Build) -> None:
    lines = "".join(f"  s{n}:\n    verify:\n      - {{kind: github_runner, organization: acme}}\n" for n in range(6))
    repository = build(minimal_config(f"stacks:\n{lines}"), *(f"stacks/s{n}/main.tf:{resource()}" for n in range(6)))
    done = repository.doit("deploy", code=1)
    assert done.out.count(MISSING.format("GITHUB_TOKEN")) == 1
    assert "the same at config/pipeline.yaml:" in done.out
    assert "and 2 more" in done.out


def test_a_variable_of_a_hook_around_a_deploy_is_missed_before_anything_is_applied(build: Build) -> None:
    hook = 'hooks:\n  - {stage: deploy, when: after, stacks: [a], command: [test, "${TOLD}"]}\n'
    repository = build(minimal_config(hook), f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{resource()}")
    repository.doit("plan")
    assert MISSING.format("TOLD") in repository.doit("deploy", code=1).out
    assert not (repository.path / ".deploy/local/receipts/b.json").exists()
    repository.doit("deploy:b")
    repository.doit("deploy", TOLD="yes")


@pytest.mark.parametrize(
    ("check", "absent"),
    [
        ('{kind: http, url: "http://127.0.0.1:1/", ca_file: made/ca.pem, timeout: 0}', "made/ca.pem does not exist"),
        ("{kind: command, command: [scripts/smoke-test], timeout: 0}", "scripts/smoke-test is not a program here"),
        ("{kind: kubernetes_pods, selector: x=y, kubeconfig: made/kube, timeout: 0}", "made/kube does not exist"),
    ],
)
def test_a_file_that_a_check_reads_may_be_made_by_the_apply_and_is_announced(
    build: Build, check: str, absent: str
) -> None:
    repository = build(verified(check), f"stacks/a/main.tf:{resource()}")
    done = repository.doit("deploy", code=1)
    assert absent in done.out
    assert "unless this deploy makes it, the checks of a fail" in done.out
    assert repository.json("receipts", "a.json")["outcome"] == "applied"
