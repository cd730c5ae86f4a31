"""Plan, deploy and the second deploy: the main job, on the example and on small repositories."""

from __future__ import annotations

import hashlib
import json
import shutil
import urllib.request
from typing import TYPE_CHECKING

from tests.repository import Repository, minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable

# Valid, but no plan can be made of it.
UNPLANNABLE = """
locals {
  place = "nowhere"
}

resource "terraform_data" "bad" {
  lifecycle {
    precondition {
      condition     = fileexists(local.place)
      error_message = "there is nothing here"
    }
  }
}
"""


def test_the_example_deploys_and_its_service_answers(example: Repository) -> None:
    done = example.doit("deploy")
    address = done.line("site.url").split()[-1]
    with urllib.request.urlopen(address) as answer:
        assert b"Deployed by doit-tofu" in answer.read()
    with urllib.request.urlopen(f"{address}/healthz") as answer:
        assert json.load(answer)["status"] == "ok"
    assert "3 deployed" in done.out


def test_a_second_deploy_starts_no_engine_process_and_changes_nothing(example: Repository) -> None:
    example.doit("deploy")
    example.engine_calls()
    states = {path.name: path.read_bytes() for path in (example.path / ".state").glob("*.tfstate")}
    done = example.doit("deploy")
    assert example.engine_calls() == []
    assert "nothing to deploy, all up to date" in done.out
    assert states == {path.name: path.read_bytes() for path in (example.path / ".state").glob("*.tfstate")}


def test_plan_changes_nothing_and_deploy_applies_that_very_file(pair: Repository) -> None:
    done = pair.doit("plan")
    assert list(pair.path.glob(".state/*.tfstate")) == []
    assert "never deployed from here" in done.task("plan", "a")
    planned = {name: pair.deploy_dir("plans", name, "plan.tfplan").read_bytes() for name in "ab"}
    assert pair.planned() == ["a", "b"]
    pair.doit("deploy")
    assert pair.planned() == []
    for name in "ab":
        digest = hashlib.sha256(planned[name]).hexdigest()
        assert pair.json("plans", name, "manifest.json")["plan_sha256"] == digest
        assert pair.json("receipts", f"{name}.json")["plan_sha256"] == digest
        assert pair.json("receipts", f"{name}.json")["outcome"] == "applied"
        assert pair.json("receipts", f"{name}.json")["serial"] == pair.state(name)["serial"]


def test_touching_one_stacks_file_runs_that_stack_alone(pair: Repository) -> None:
    pair.prepare("deploy")
    pair.engine_calls()
    pair.write(f"stacks/a/main.tf:{resource('2')}")
    done = pair.doit("deploy")
    assert {line.split()[0] for line in pair.engine_calls() if line.split()[1] != "fmt"} == {"a"}
    assert "stacks/a/main.tf changed" in done.out
    assert pair.json("outputs", "a.json")["outputs"]["value"]["value"] == "2"


def test_planning_again_without_a_change_starts_no_engine_process(pair: Repository) -> None:
    pair.prepare("plan")
    pair.engine_calls()
    done = pair.doit("plan")
    assert pair.engine_calls() == []
    assert "as planned before" in done.task("plan", "a")
    report = pair.deploy_dir("reports", "plan.md").read_text()
    assert report.startswith("### 2 plans (2 to create).")
    assert "**+** `terraform_data.it`" in report


def test_a_bare_doit_deploys_nothing_and_says_what_there_is(pair: Repository) -> None:
    done = pair.doit()
    assert "doit deploy" in done.out
    assert pair.engine_calls() == []


def test_when_one_plan_fails_nothing_is_deployed(pair: Repository) -> None:
    pair.write(f"stacks/b/bad.tf:{UNPLANNABLE}")
    done = pair.doit("deploy", code=1)
    assert "there is nothing here" in done.out
    assert "nothing was deployed" in done.out
    assert list(pair.path.glob(".state/*.tfstate")) == []
    assert pair.engine_calls("apply") == []
    assert "FAILED" in done.task("plan", "b")


def test_independent_stacks_go_on_after_a_failed_apply_and_dependents_do_not(build: Callable[..., Repository]) -> None:
    failing = 'resource "terraform_data" "bad" {\n  provisioner "local-exec" {\n    command = "test -e ../../repaired"\n  }\n}\n'
    repository = build(
        minimal_config("stacks:\n  after: {depends_on: [bad]}\n"),
        f"stacks/after/main.tf:{resource()}",
        f"stacks/alone/main.tf:{resource()}",
        f"stacks/bad/main.tf:{resource()}\n{failing}",
    )
    done = repository.doit("deploy", code=1)
    assert "FAILED" in done.task("deploy", "bad")
    assert "not run: deploy:bad failed" in done.task("deploy", "after")
    assert repository.json("receipts", "alone.json")["outcome"] == "applied"
    assert repository.json("receipts", "bad.json")["outcome"] == "failed"
    assert not repository.deploy_dir("receipts", "after.json").exists()
    repository.engine_calls()
    repository.write("repaired")
    repository.commit()
    repository.doit("deploy")
    applied = [line.split()[0] for line in repository.engine_calls("apply")]
    assert applied == ["bad", "after"]


def test_a_dependent_is_deferred_in_the_plan_and_planned_after_its_upstream(chain: Repository) -> None:
    done = chain.doit("plan")
    assert "deferred until a.value exists" in done.task("plan", "b")
    done = chain.doit("deploy")
    assert "planned after its upstream" in done.task("deploy", "b")
    assert chain.json("outputs", "c.json")["outputs"]["value"]["value"] == [["1"]]


def test_deploying_one_stack_brings_what_it_needs_and_no_more(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config("stacks:\n  b: {inputs: {x: a.value}}\n"),
        f"stacks/a/main.tf:{resource()}",
        f"stacks/b/main.tf:{reader('x')}",
        f"stacks/z/main.tf:{resource()}",
    )
    repository.doit("deploy:b")
    assert {line.split()[0] for line in repository.engine_calls("apply")} == {"a", "b"}
    assert not repository.deploy_dir("receipts", "z.json").exists()


def test_two_environments_keep_states_apart_without_a_word_in_the_stack(build: Callable[..., Repository]) -> None:
    bare = resource().replace('terraform {\n  backend "local" {}\n}\n\n', "")
    repository = build("config/pipeline.yaml:version: 1\n", "config/environments/dev.yaml:", f"stacks/a/main.tf:{bare}")
    repository.doit("deploy")
    repository.doit("env=dev", "deploy")
    local = json.loads((repository.path / "stacks/a/terraform.tfstate").read_text())
    dev = json.loads((repository.path / "stacks/a/terraform.tfstate.d/dev/terraform.tfstate").read_text())
    assert local["lineage"] != dev["lineage"]
    repository.engine_calls()
    repository.doit("deploy")
    repository.doit("deploy", DEPLOY_ENV="dev")
    assert repository.engine_calls() == []


def test_a_format_error_fails_and_shows_the_difference(pair: Repository) -> None:
    pair.write("stacks/a/bad.tf:locals {\n x=1\n}\n")
    done = pair.doit("validate", code=1)
    assert "not formatted" in done.task("validate", "a")
    assert "+  x = 1" in done.out
    assert "FAILED" not in done.task("validate", "b")


def test_an_invalid_stack_fails_and_the_other_is_validated(pair: Repository) -> None:
    pair.write('stacks/a/bad.tf:output "x" {\n  value = var.nowhere\n}\n')
    done = pair.doit("validate", code=1)
    assert "Reference to undeclared input variable" in done.out
    assert "valid" in done.task("validate", "b")


def test_a_module_that_changes_affects_its_callers_only(build: Callable[..., Repository]) -> None:
    call = '\nmodule "m" {\n  source = "../../modules/m"\n}\n'
    repository = build(
        minimal_config(),
        f"stacks/a/main.tf:{resource(extra=call)}",
        f"stacks/b/main.tf:{resource()}",
        'modules/m/main.tf:output "x" {\n  value = 1\n}\n',
    )
    repository.doit("deploy")
    repository.engine_calls()
    repository.write('modules/m/main.tf:output "x" {\n  value = 2\n}\n')
    done = repository.doit("deploy")
    assert "module modules/m/main.tf changed" in done.out
    assert [line.split()[0] for line in repository.engine_calls("plan")] == ["a"]


def test_a_fresh_clone_never_starts_two_engines_on_one_stack_at_once(chain: Repository) -> None:
    chain.prepare("deploy")
    overlaps = chain.home / "overlaps"
    chain.engine_script(f"""\
#!/bin/sh
if [ "$1" = fmt ] || [ "$1" = version ]; then exec '{chain.tofu}' "$@"; fi
busy="{chain.home}/busy-$(basename "$PWD")"
mkdir "$busy" 2>/dev/null || echo "$(basename "$PWD") $*" >> '{overlaps}'
sleep 0.3
'{chain.tofu}' "$@"
code=$?
rmdir "$busy" 2>/dev/null
exit $code
""")
    shutil.rmtree(chain.path / ".deploy")
    done = chain.doit("-n", "3", "plan")
    assert not overlaps.exists(), overlaps.read_text()
    assert "FAILED" not in done.out
