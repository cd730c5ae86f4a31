"""Policy: no plan is applied that was not judged, in that very run, from the plan itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.repository import minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.repository import Repository

PROTECTED = "policy: {protect: [{type: terraform_data, reason: it holds data}]}\n"
SECRET = "hunter2-and-more"


def replaced_by(trigger: str, name: str = "it") -> str:
    """A root module whose resource is replaced when the trigger changes."""
    return (
        'terraform {\n  backend "local" {}\n}\n\n'
        f'resource "terraform_data" "{name}" {{\n  triggers_replace = "{trigger}"\n}}\n\n'
        f'output "value" {{\n  value = "{trigger}"\n}}\n'
    )


def checker(repository: Repository, body: str, *, more: str = "") -> None:
    """A checker `own`, a Python script in the repository."""
    repository.write("check.py:import json, sys\nplan = json.load(open(sys.argv[1]))\n" + body)
    repository.write(
        minimal_config(
            f"policy:\n  checkers:\n    - {{name: own, command: [{repository.python}, check.py, '{{plan}}'], {more} findings: ['[]']}}\n"
        )
    )
    repository.commit()


@pytest.fixture
def deployed(build: Callable[..., Repository]) -> Repository:
    """One deployed stack that is then about to be replaced, and is protected."""
    repository = build(minimal_config(PROTECTED), f"stacks/a/main.tf:{replaced_by('1')}")
    repository.prepare("deploy")
    repository.write(f"stacks/a/main.tf:{replaced_by('2')}")
    repository.commit()
    return repository


def test_a_protected_resource_is_neither_planned_nor_replaced(deployed: Repository) -> None:
    before = deployed.state("a")
    out = deployed.doit("plan", code=1).out
    assert "refused by policy 'protect': terraform_data.it: it is protected from replace: it holds data" in out
    assert not deployed.deploy_dir("plans/a/plan.tfplan").exists()
    out = deployed.doit("deploy", code=1).out
    assert "nothing was deployed" in out
    assert deployed.state("a") == before
    report = deployed.deploy_dir("reports/plan.md").read_text()
    assert report.startswith("### Refused by policy: 1 plan of 1. Nothing can be deployed.")
    assert "| high, **refused** | `protect` | `a` | `terraform_data.it` |" in report
    assert '+ triggers_replace = "2"  # forces replacement' in report  # what was refused is shown


def test_a_refused_plan_holds_up_every_other_one(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config(PROTECTED), f"stacks/a/main.tf:{replaced_by('1')}", f"stacks/b/main.tf:{resource()}"
    )
    repository.doit("deploy")
    repository.write(f"stacks/a/main.tf:{replaced_by('2')}", f"stacks/b/main.tf:{resource('2')}")
    repository.commit()
    before = repository.state("b")
    repository.doit("deploy", code=1)
    assert repository.state("b") == before


def test_a_plan_that_was_handed_over_is_judged_again_by_the_policy_of_now(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{replaced_by('1')}")
    repository.doit("deploy")
    repository.write(f"stacks/a/main.tf:{replaced_by('2')}")
    repository.commit()
    repository.doit("plan")
    before = repository.state("a")
    out = repository.doit("deploy", code=1, DEPLOY_POLICY__MAX_DESTROY="0").out
    assert "refused by policy 'max-destroy'" in out
    assert repository.state("a") == before
    repository.doit("deploy")  # without the policy it is the very same plan that is applied
    assert repository.state("a") != before


def test_a_plan_is_not_reused_when_it_was_judged_by_another_policy(deployed: Repository) -> None:
    config = deployed.path / "config/pipeline.yaml"
    text = config.read_text()
    config.write_text(text.replace(PROTECTED, ""))
    deployed.doit("plan")
    config.write_text(text)
    assert "refused by policy" in deployed.doit("plan", code=1).out


def test_what_a_deploy_plans_for_itself_is_judged_too(build: Callable[..., Repository]) -> None:
    """`b` is planned again after `a` has changed the output that it reads; only then is it replaced."""
    b = reader("x").replace("input = [var.x]", "triggers_replace = var.x").replace("terraform_data.it.output", "1")
    repository = build(
        minimal_config(
            "stacks:\n  b: {inputs: {x: a.value}}\npolicy: {protect: [{type: terraform_data, stacks: [b]}]}\n"
        ),
        f"stacks/a/main.tf:{replaced_by('1')}",
        f"stacks/b/main.tf:{b}",
    )
    repository.doit("deploy")
    before = repository.state("b")
    repository.write(f"stacks/a/main.tf:{replaced_by('2')}")
    repository.commit()
    out = repository.doit("deploy", code=1).out
    assert "refused by policy 'protect'" in out
    assert repository.state("a")["outputs"]["value"]["value"] == "2"
    assert repository.state("b") == before


def test_an_override_with_a_reason_lets_it_through_and_is_recorded(deployed: Repository) -> None:
    deployed.write(
        minimal_config(
            "policy:\n  protect: [{type: terraform_data}]\n"
            "  allow: [{rule: protect, stack: a, address: terraform_data.it, reason: 'moves to X', until: 2999-01-01}]\n"
        )
    )
    deployed.commit()
    deployed.doit("plan")
    said = ["protect terraform_data.it: moves to X (until 2999-01-01)"]
    assert deployed.json("plans/a/manifest.json")["allowed"] == said
    assert "moves to X (until 2999-01-01)" in deployed.deploy_dir("reports/plan.md").read_text()
    deployed.doit("deploy")
    assert deployed.json("receipts/a.json")["allowed"] == said
    assert deployed.json("results/deploy/a.json")["details"]["allowed"] == said


def test_an_override_that_expired_is_none(deployed: Repository) -> None:
    deployed.write(
        minimal_config(
            "policy:\n  protect: [{type: terraform_data}]\n"
            "  allow: [{rule: protect, reason: 'moves to X', until: 2020-01-01}]\n"
        )
    )
    out = deployed.doit("plan", code=1).out
    assert "an override for it expired on 2020-01-01: moves to X" in out


def test_an_override_of_the_command_line_needs_a_reason_and_holds_for_that_command_alone(deployed: Repository) -> None:
    out = deployed.doit("allow=protect:a", "plan", code=1).out
    assert "`allow=protect:a` needs a reason" in out
    for words, said in {"protct:a": "did you mean 'protect'", "protect:aa": "did you mean 'a'"}.items():
        assert said in deployed.doit(f"allow={words}", "reason=why", "plan", code=1).out
    deployed.write(f"stacks/b/main.tf:{replaced_by('1')}")
    deployed.commit()
    out = deployed.doit("allow=protect:b", "reason=why", "plan", code=1).out
    assert "or run `doit allow=protect:a reason=WHY plan` (`allow=protect`: in every stack)" in out
    planned = deployed.doit("allow=protect:a", "reason=ticket 12", "plan").out
    assert "; `doit allow=protect:a reason='ticket 12' deploy` applies exactly this" in planned
    out = deployed.doit("deploy", code=1).out
    assert "`doit allow=protect:a reason=WHY deploy`" in out
    assert "refused by policy" in out  # it was not planned under today's policy
    deployed.doit("allow=protect:a", "reason=ticket 12", "deploy")
    assert deployed.json("receipts/a.json")["allowed"] == ["protect terraform_data.it: ticket 12 (allow=protect:a)"]


def test_a_checker_gets_the_engines_own_format_without_anything_sensitive(build: Callable[..., Repository]) -> None:
    secret = (
        f'\nvariable "p" {{\n  sensitive = true\n  default   = "{SECRET}"\n}}\n'
        '\nresource "terraform_data" "s" {\n  input = var.p\n}\n'
    )
    repository = build(f"stacks/a/main.tf:{resource()}{secret}")
    checker(
        repository,
        "open('seen.json', 'w').write(json.dumps(plan))\nprint(json.dumps(["
        "{'rule': 'low-one', 'severity': 'low', 'message': 'so so', 'address': plan['resource_changes'][0]['address']}]))\n",
    )
    repository.doit("plan")
    seen = json.loads((repository.path / "seen.json").read_text())
    assert seen["format_version"].startswith("1.")
    assert {item["address"] for item in seen["resource_changes"]} == {"terraform_data.it", "terraform_data.s"}
    assert seen["planned_values"]["root_module"]["resources"]
    assert SECRET not in json.dumps(seen)
    report = repository.deploy_dir("reports/plan.md").read_text()
    assert "| low | `own/low-one` | `a` | `terraform_data.it` | `so so` |" in report
    assert not list((repository.path / ".deploy/.cache").glob("policy-*"))


def test_a_severe_finding_of_a_checker_refuses_the_plan(one: Repository) -> None:
    checker(one, "print(json.dumps([{'rule': 'R1', 'message': 'no <b>good</b>'}])); sys.exit(1)\n")
    out = one.doit("plan", code=1).out
    assert "refused by policy 'own/R1': no <b>good</b>" in out


@pytest.mark.parametrize(
    ("body", "more", "said"),
    [
        ("print('<html>')\n", "", "printed unreadable output: its output is not JSON: '<html>'"),
        ("pass\n", "", "printed unreadable output: it printed nothing"),
        ("print('{}')\n", "", "printed unreadable output: `[]` does not match its output: no list"),
        ("print('[1]')\n", "", "neither a mapping nor text"),
        ("print('[]'); sys.exit(1)\n", "", "exited with 1, but no finding could be read"),
        ("print('[]'); sys.exit(3)\n", "", "exited with 3"),
        ("import time; time.sleep(600)\n", "timeout: 0.5,", "took longer than 0.5 s"),
        ("import os; os.kill(os.getpid(), 9)\n", "", "exited with -9"),
        ("print('{}')\n", "format: sarif,", "its output is not SARIF 2.1.0"),
    ],
)
def test_a_checker_that_cannot_be_understood_refuses_the_plan(one: Repository, body: str, more: str, said: str) -> None:
    checker(one, body, more=more)
    out = one.doit("plan", code=1).out
    assert f"policy error: the policy checker 'own' {said}" in out or said in out
    assert "config/pipeline.yaml:" in out
    assert not one.deploy_dir("plans/a/plan.tfplan").exists()


def test_a_missing_program_refuses_the_plan_and_is_named(one: Repository) -> None:
    one.write(minimal_config("policy: {checkers: [{name: own, command: [no-such-program, '{plan}']}]}\n"))
    one.commit()
    assert "cannot be started: `no-such-program`: No such file or directory" in one.doit("plan", code=1).out


def test_an_environment_has_its_own_policy(deployed: Repository) -> None:
    deployed.write("config/environments/prod.yaml:policy: {protect: []}\n")
    deployed.commit()
    deployed.doit("env=prod", "deploy")
    deployed.write(f"stacks/a/main.tf:{replaced_by('3')}")
    deployed.commit()
    deployed.doit("env=prod", "deploy")
    assert deployed.state("a", "prod")["outputs"]["value"]["value"] == "3"  # it was replaced there
    before = deployed.state("a")
    assert "refused by policy 'protect'" in deployed.doit("deploy", code=1).out
    assert deployed.state("a") == before


def test_hidden_values_are_in_no_finding(one: Repository) -> None:
    checker(one, "print(json.dumps([{'rule': 'R1', 'severity': 'low', 'message': json.dumps(plan)}]))\n")
    one.doit("plan", DEPLOY_PLAN__VALUES="hidden")
    found: dict[str, Any] = one.json("results/plan/a.json")["details"]["findings"][0]
    assert found["message"] == "(hidden by `plan.values`)"


def test_a_policy_in_the_environment_wins_over_what_a_merge_request_can_change(one: Repository) -> None:
    one.prepare("deploy")
    one.write(minimal_config("policy: {protect: [], allow: []}\n"), f"stacks/a/main.tf:{replaced_by('1', 'other')}")
    one.commit()
    protect = json.dumps([{"type": "terraform_*", "actions": ["destroy"]}])
    out = one.doit("plan", code=1, DEPLOY_POLICY__PROTECT=protect).out
    assert "refused by policy 'protect': terraform_data.it: it is protected from destroy" in out
