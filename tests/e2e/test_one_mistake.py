"""One stack's mistake is that stack's: it fails with its file and line, and the other stacks go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.repository import minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.repository import Repository

_VAR_FILES = """\
stacks:
  b:
    var_files:
      - "{environment}.tfvars"
      - common.tfvars
  d:
    var_files: ["{environment}.tfvars"]
"""


def reads(other: str, output: str = "value") -> str:
    """A stack that reads the state of another, and does without where there is none of its outputs."""
    return (
        'terraform {\n  backend "local" {}\n}\n\n'
        'data "terraform_remote_state" "other" {\n  backend = "local"\n\n'
        f'  config = {{\n    path = "../../.state/{other}-local.tfstate"\n  }}\n}}\n\n'
        'output "value" {\n'
        f'  value = try(data.terraform_remote_state.other.outputs.{output}, "none")\n}}\n'
    )


def test_missing_var_files_are_named_at_once_and_fail_their_stacks_alone(build: Callable[..., Repository]) -> None:
    names = "abcd"
    repository = build(minimal_config(_VAR_FILES), *(f"stacks/{name}/main.tf:{resource()}" for name in names))
    done = repository.doit("plan", code=1)
    assert "+1" in done.task("plan", "a")
    assert "+1" in done.task("plan", "c")
    for file, line in (("stacks/b/local.tfvars", 6), ("stacks/b/common.tfvars", 7)):
        assert f"there is no var file {file} (config/pipeline.yaml:{line})" in done.out
    assert "there is no var file stacks/d/local.tfvars" in done.task("validate", "d")
    assert "where: config/pipeline.yaml:9" in done.out
    assert "FAILED" in done.task("validate", "b")
    assert "FAILED" in done.task("validate", "d")
    one = repository.doit("plan:a")
    assert "var file" not in one.out


def test_status_names_every_stack_that_cannot_be_told_and_tells_of_the_others(
    build: Callable[..., Repository],
) -> None:
    repository = build(minimal_config(_VAR_FILES), *(f"stacks/{name}/main.tf:{resource()}" for name in "abcd"))
    done = repository.doit("status", code=1)
    assert "affected: never deployed from here" in done.line("a  ")
    for name in "bd":
        assert f"\n{name}      ?         in error, see below\n" in done.out
    assert done.out.count("there is no var file stacks/") == 3
    assert "stacks/b/common.tfvars (config/pipeline.yaml:7)" in done.out
    assert "4 stacks, 2 affected, 2 in error" in done.out


def test_stacks_that_read_each_other_fail_and_leave_the_others_alone(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config(), f"stacks/a/main.tf:{reads('b')}", f"stacks/b/main.tf:{reads('a')}",
        f"stacks/c/main.tf:{resource()}",
    )  # fmt: skip
    done = repository.doit("plan", code=1)
    assert "+1" in done.task("plan", "c")
    for name in "ab":
        assert "these stacks read each other's state" in done.task("validate", name)
    assert "stacks/a/main.tf:5" in done.out
    assert repository.doit("plan:c").code == 0
    assert repository.doit("graph").code == 0
    for form, remark in {"text": "", "mermaid": "%% ", "dot": "// "}.items():
        shown = repository.doit("graph", "-f", form).out.splitlines()
        assert any(line.startswith(f"{remark}a: these stacks read each other's state") for line in shown)
    status = repository.doit("status", code=1)
    assert status.line("a  ").endswith("in error, see below")
    assert status.out.count("these stacks read each other's state") == 2


def test_the_key_lets_stacks_that_read_each_other_be_deployed(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config(), f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{reads('a')}",
    )  # fmt: skip
    repository.doit("deploy")
    repository.write(
        "config/pipeline.yaml:" + minimal_config("stacks:\n  a: {independent_of: [b]}\n").partition(":")[2],
        f"stacks/a/main.tf:{reads('b')}",
    )
    repository.commit()
    done = repository.doit("deploy")
    assert "deploy" in done.task("deploy", "a")
    again = repository.doit("deploy")
    assert "nothing to deploy" in again.out or "a" in again.out
    assert repository.doit("plan").code == 0


def test_a_file_that_cannot_be_parsed_is_shown_by_its_own_stack_alone(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config(), 'stacks/a/main.tf:output "of_a" {\n', "stacks/b/main.tf:resource of_b !\n",
        f"stacks/c/main.tf:{resource()}",
    )  # fmt: skip
    out = repository.doit("plan", code=1).out
    logs = {
        name: out.partition(f"---- validate:{name}: output")[2].partition(f"---- validate:{name}: end")[0]
        for name in "ab"
    }
    assert "of_a" in logs["a"]
    assert "of_b" not in logs["a"]
    assert "of_b" in logs["b"]
    assert "of_a" not in logs["b"]
    assert "not valid: stacks/a/main.tf" in out
    assert "fmt" not in out
    end = out[out.index("\nFAILED  ") :]
    assert "not valid: stacks/a/main.tf: Unclosed configuration block\n  where: stacks/a/main.tf:1\n" in end
    assert "not valid: stacks/b/main.tf: Invalid block definition\n  where: stacks/b/main.tf:1\n" in end


def test_a_plan_says_that_the_workspace_is_the_default_one(build: Callable[..., Repository]) -> None:
    asks = resource().replace('"1"', 'terraform.workspace == "prod" ? "big" : "small"')
    repository = build(minimal_config(), "config/environments/prod.yaml:", f"stacks/a/main.tf:{asks}")
    done = repository.doit("env=prod", "plan")
    said = 'terraform.workspace is "default" in every environment (stacks/a/main.tf:6)'
    assert said in done.task("plan", "a")
    assert "terraform.workspace" in repository.deploy_dir("reports", "plan.md", environment="prod").read_text()


_MAKES = """
resource "terraform_data" "file" {
  provisioner "local-exec" {
    command = "echo hello > ../../.state/made-by-a"
  }
}
"""
_NEEDS = """
resource "terraform_data" "needs" {
  lifecycle {
    precondition {
      condition     = terraform_data.it.input == "" || fileexists("../../.state/made-by-a")
      error_message = "The network with tag a is not there."
    }
  }
}
"""


def fresh_environment(build: Callable[..., Repository]) -> Repository:
    """`b` depends on `a`, and can only be planned when what `a` makes is there; `c` depends on `b`."""
    return build(
        minimal_config("stacks:\n  b: {depends_on: [a]}\n  c: {depends_on: [b]}\n"),
        f"stacks/a/main.tf:{resource(extra=_MAKES)}", f"stacks/b/main.tf:{resource(extra=_NEEDS)}",
        f"stacks/c/main.tf:{resource()}", "stacks/other/main.tf:" + resource(),
    )  # fmt: skip


def test_a_stack_that_needs_what_its_upstream_makes_is_deferred_and_deployed_after_it(
    build: Callable[..., Repository],
) -> None:
    repository = fresh_environment(build)
    repository.path.joinpath(".state").mkdir()
    done = repository.doit("plan")
    assert "deferred until a exists; before that: tofu plan failed" in done.task("plan", "b")
    assert "The network with tag a is not there." in done.out
    for name in ("plan.md", "plan.html"):
        shown = repository.deploy_dir("reports", name).read_text()
        assert "cannot be planned yet" in shown
        assert "The network with tag a is not there." in shown
    assert "FAILED" not in done.out
    done = repository.doit("deploy")
    assert "+2" in done.task("deploy", "b")
    assert "planned after its upstream" in done.task("deploy", "b")
    assert "nothing to deploy" in repository.doit("deploy").out


def test_once_the_upstream_is_deployed_a_failed_plan_is_a_failure(build: Callable[..., Repository]) -> None:
    repository = fresh_environment(build)
    repository.doit("deploy")
    repository.path.joinpath(".state/made-by-a").unlink()
    repository.write(f"stacks/b/main.tf:{resource('2', extra=_NEEDS)}")
    done = repository.doit("deploy", code=1)
    assert "FAILED" in done.task("plan", "b")
    assert "nothing was deployed" in done.out


def test_an_upstream_that_has_a_state_and_no_receipt_here_defers_nothing(build: Callable[..., Repository]) -> None:
    repository = fresh_environment(build)
    repository.doit("deploy:a")
    repository.path.joinpath(".state/made-by-a").unlink()
    repository.deploy_dir("receipts", "a.json").unlink()
    assert "FAILED" in repository.doit("plan", code=1).task("plan", "b")


def test_an_upstream_whose_apply_failed_is_named_with_the_way_on(build: Callable[..., Repository]) -> None:
    repository = fresh_environment(build)
    repository.write(
        f"stacks/a/main.tf:{resource(extra=_MAKES.replace('echo hello > ../../.state/made-by-a', 'exit 3'))}"
    )
    repository.doit("deploy", code=1)
    repository.write(f"stacks/a/main.tf:{resource(extra=_MAKES)}")
    done = repository.doit("deploy", code=1)
    assert "FAILED" in done.task("plan", "b")
    assert "`doit deploy:a` deploys only that" in done.out
    repository.doit("deploy:a")
    assert "+2" in repository.doit("deploy").task("deploy", "b")


def test_a_backend_that_an_upstream_makes_defers_its_stack(build: Callable[..., Repository]) -> None:
    elsewhere = resource().replace(
        'backend "local" {}', 'backend "http" {\n    address   = "http://127.0.0.1:9/x"\n    retry_max = 0\n  }'
    )
    repository = build(
        "config/pipeline.yaml:version: 1\nstacks:\n  b: {depends_on: [a]}\n",
        f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{elsewhere}",
    )  # fmt: skip
    done = repository.doit("plan")
    assert "deferred until a exists" in done.task("plan", "b")
    repository.doit("deploy:a")
    assert "FAILED" in repository.doit("plan", code=1).task("plan", "b")


def test_drift_of_an_environment_that_is_not_there_yet_is_no_failure(build: Callable[..., Repository]) -> None:
    repository = fresh_environment(build)
    done = repository.doit("drift", code=2)
    assert "never deployed: it waits for a; before that: " in done.task("drift", "b")
