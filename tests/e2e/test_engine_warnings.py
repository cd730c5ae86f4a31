"""What the engine warns of reaches the reader, and a failed `check` block fails a stage where the configuration says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable

CHECK = """
check "expiry" {
  assert {
    condition     = fileexists("${path.module}/../../renewed")
    error_message = "CERTIFICATE-EXPIRES-SOON"
  }
}
"""
SAID = "Check block assertion failed: CERTIFICATE-EXPIRES-SOON (stacks/a/main.tf:"


@pytest.fixture
def checked(build: Callable[..., Repository]) -> Repository:
    """A stack with a check that does not hold until somebody renews a certificate."""
    return build(minimal_config(), f"stacks/a/main.tf:{resource(extra=CHECK)}")


def _configure(repository: Repository, stage: str) -> None:
    repository.write(minimal_config(f"{stage}: {{on_failed_check: fail}}\n"))


def test_a_failed_check_is_said_by_plan_deploy_and_drift_on_every_face(checked: Repository) -> None:
    done = checked.doit("plan")
    assert done.out.count("CERTIFICATE-EXPIRES-SOON") == 1
    for text in (done.out, *(checked.deploy_dir("reports", name).read_text() for name in ("plan.md", "plan.html"))):
        assert SAID in text
    junit = checked.deploy_dir("reports", "junit.xml").read_text()
    assert f"Warning: {SAID}" in junit
    (warning,) = checked.json("results", "plan", "a.json")["warnings"]
    assert (warning["summary"], warning["detail"]) == ("Check block assertion failed", "CERTIFICATE-EXPIRES-SOON")
    assert (warning["context"], warning["file"]) == ('check "expiry"', "stacks/a/main.tf")
    assert "check.expiry: CERTIFICATE-EXPIRES-SOON" in checked.deploy_dir("plans", "a", "plan.json").read_text()
    assert SAID in checked.doit("deploy").out
    assert len(checked.json("results", "deploy", "a.json")["warnings"]) == 1
    done = checked.doit("drift")
    assert SAID in done.out
    assert "as deployed" in done.task("drift", "a")
    for name in ("drift.md", "drift.html"):
        assert SAID in checked.deploy_dir("reports", name).read_text()


def test_a_check_that_holds_is_not_mentioned(checked: Repository) -> None:
    checked.write("renewed:yes")
    checked.commit()
    assert "Warning" not in checked.doit("plan").out
    assert "Warnings" not in checked.deploy_dir("reports", "plan.md").read_text()


def test_a_failed_check_fails_a_plan_where_it_has_to_hold(checked: Repository) -> None:
    _configure(checked, "plan")
    done = checked.doit("plan", code=1)
    assert "a check block does not hold: check.expiry: CERTIFICATE-EXPIRES-SOON" in done.task("plan", "a")
    assert not checked.deploy_dir("plans", "a", "plan.tfplan").exists()
    checked.write("renewed:yes")
    checked.doit("plan")


def test_a_failed_check_fails_a_deploy_until_it_holds(checked: Repository) -> None:
    _configure(checked, "deploy")
    checked.doit("plan")
    done = checked.doit("deploy", code=1)
    assert "a check block does not hold" in done.task("deploy", "a")
    assert checked.json("receipts", "a.json")["outcome"] == "applied"
    checked.engine_calls()
    assert "a check block does not hold" in checked.doit("deploy", code=1).task("deploy", "a")
    assert checked.engine_calls("apply") == []


def test_a_failed_check_fails_drift_where_it_has_to_hold(checked: Repository) -> None:
    checked.doit("deploy")
    _configure(checked, "drift")
    assert "a check block does not hold" in checked.doit("drift", code=1).task("drift", "a")


def test_warnings_of_init_and_of_the_configuration_are_said(build: Callable[..., Repository]) -> None:
    deprecated = '\nresource "terraform_data" "old" {\n  input = "x"\n\n  provisioner "local-exec" {\n    command = "true"\n    when    = "create"\n  }\n}\n'
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource(extra=deprecated)}")
    repository.write("stacks/a/x.auto.tfvars:undeclared = 1\n")
    repository.commit()
    done = repository.doit("plan")
    assert "Warning: Value for undeclared variable" in done.out
    assert "Value for undeclared variable" in repository.deploy_dir("reports", "plan.md").read_text()


def test_validate_says_what_the_engine_warns_of_and_where_it_fails(build: Callable[..., Repository]) -> None:
    calls = '\nmodule "m" {\n  source = "../../modules/m"\n  old    = "x"\n}\n'
    module = 'variable "old" {\n  type       = string\n  default    = ""\n  deprecated = "USE-THE-NEW-ONE"\n}\n'
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource(extra=calls)}", f"modules/m/main.tf:{module}")
    done = repository.doit("validate")
    assert "valid, 1 warning " in done.task("validate", "a")
    said = "Warning: Variable marked as deprecated by the module author: "
    assert f'{said}Variable "old" is marked as deprecated with the following message: USE-THE-NEW-ONE' in done.out
    (warning,) = repository.json("results", "validate", "a.json")["warnings"]
    assert (warning["file"], warning["context"]) == ("stacks/a/main.tf", 'module "m"')
    repository.write('stacks/a/more.tf:output "k" {\n  value = local.missing\n}\n')
    done = repository.doit("validate", code=1)
    assert "USE-THE-NEW-ONE" in done.out
    assert "stacks/a/more.tf:2" in done.out
    problem = repository.json("results", "validate", "a.json")["problem"]
    assert (problem["where"]["file"], problem["where"]["line"]) == ("stacks/a/more.tf", 2)


def test_warnings_without_values_where_values_are_hidden(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config("plan: {values: hidden}\n"), f"stacks/a/main.tf:{resource(extra=CHECK)}")
    done = repository.doit("plan")
    assert "Warning: Check block assertion failed" in done.out
    assert "CERTIFICATE-EXPIRES-SOON" not in done.out
    assert "CERTIFICATE-EXPIRES-SOON" not in repository.deploy_dir("plans", "a", "plan.json").read_text()


def test_a_long_apply_says_what_it_waits_for(build: Callable[..., Repository]) -> None:
    waits = '\nresource "terraform_data" "slow" {\n  provisioner "local-exec" {\n    command = "until test -e ${path.root}/../../go; do sleep 0.05; done"\n  }\n}\n'
    repository = build(minimal_config("engine: {progress: 0.1}\n"), f"stacks/a/main.tf:{resource(extra=waits)}")
    process = repository.start("deploy")
    assert process.stdout is not None
    try:
        lines = iter(process.stdout.readline, "")
        assert any("deploy a: applying for " in line and "terraform_data.slow (create, " in line for line in lines)
    finally:
        (repository.path / "go").touch()
    process.communicate(timeout=120)
    assert process.returncode == 0
