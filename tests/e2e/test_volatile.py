"""Variables whose values do not count: another token in the job that deploys is no tampering, and affects nothing."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = '\nvariable "token" {{\n  type      = string\n  ephemeral = {ephemeral}\n}}\n'
USES = """
resource "terraform_data" "uses" {
  provisioner "local-exec" {
    command     = "printf %s \\"$TOKEN\\" > \\"$SEEN\\""
    environment = { TOKEN = var.token, SEEN = "${path.root}/../../seen.txt" }
  }
}
"""
GIVEN = '\nvariable "given" {\n  type = string\n}\n'
WAYS = ("configuration", "environment", "var file", "automatic var file", "automatic JSON var file")


def _repository(build: Callable[..., Repository], way: str, *, ephemeral: bool, config: str = "") -> Repository:
    """A stack `a` that gets a token in one way; the first one is `plans-token`."""
    given = {"configuration": 'variables: {token: "${JOB_TOKEN}"}', "var file": "var_files: [job.tfvars]"}.get(way, "")
    volatile = "" if ephemeral or "volatile" in config else "volatile_variables: [token]"
    settings = ", ".join(filter(None, [given, volatile]))
    declared = VARIABLE.format(ephemeral=str(ephemeral).lower())
    repository = build(
        minimal_config(f"{config}stacks:\n  a: {{{settings}}}\n"), f"stacks/a/main.tf:{resource(extra=declared + USES)}"
    )
    repository.write(".gitignore:.deploy/\n*.tfstate*\n.terraform/\n__pycache__/\n*.tfvars*\nseen.txt\n")
    repository.commit()
    _give(repository, way, "plans-token")
    return repository


def _give(repository: Repository, way: str, token: str) -> None:
    """Give another token, as the next job gets one."""
    if way == "configuration":
        repository.variables["JOB_TOKEN"] = token
    elif way == "environment":
        repository.variables["TF_VAR_token"] = token
    elif way == "automatic JSON var file":
        repository.write(f'stacks/a/job.auto.tfvars.json:{{"token": "{token}"}}')
    else:
        name = "job.tfvars" if way == "var file" else "job.auto.tfvars"
        repository.write(f'stacks/a/{name}:token = "{token}"\n')


def _used(repository: Repository) -> str:
    return (repository.path / "seen.txt").read_text()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ephemeral", [True, False], ids=["ephemeral", "volatile"])
def test_another_token_in_the_deploy_job_is_fine_and_affects_nothing(
    build: Callable[..., Repository], way: str, ephemeral: bool
) -> None:
    """The engine gets the deploy's own value of an ephemeral variable, and the plan's of a volatile one."""
    repository = _repository(build, way, ephemeral=ephemeral)
    repository.prepare("plan")
    _give(repository, way, "deploys-token")
    repository.prepare("deploy")
    assert _used(repository) == ("deploys-token" if ephemeral else "plans-token")
    assert len(repository.engine_calls("plan")) == 1
    _give(repository, way, "next-token")
    done = repository.doit("deploy")
    assert repository.engine_calls("apply") == []
    assert "nothing to deploy" in done.out
    assert "as deployed" in repository.doit("drift").task("drift", "a")
    assert repository.doit("verify").code == 0


def test_a_plan_says_which_values_the_deploy_takes_from_it_and_what_is_better(build: Callable[..., Repository]) -> None:
    repository = _repository(build, "environment", ephemeral=False, config="volatile_variables: [token]\n")
    done = repository.doit("plan")
    report = repository.deploy_dir("reports", "plan.md").read_text()
    page = repository.deploy_dir("reports", "plan.html").read_text()
    for text in (done.out, report, page):
        assert "volatile token: the deploy uses the value of this plan, so it must still be valid then" in text
        assert "`ephemeral = true`" in text or "<code>ephemeral = true</code>" in text
    assert repository.json("results", "plan", "a.json")["details"]["volatile"] == ["token"]
    assert "so it must still be valid then" not in _repository_of_ephemeral(repository)


def _repository_of_ephemeral(repository: Repository) -> str:
    """What a plan says once the variable is declared ephemeral, which is better."""
    main = repository.path / "stacks/a/main.tf"
    main.write_text(main.read_text().replace("ephemeral = false", "ephemeral = true"))
    return repository.doit("plan").out


def test_a_token_that_leaves_a_trace_in_the_plan_is_applied_as_it_was_planned(
    build: Callable[..., Repository],
) -> None:
    """A value that a resource keeps is the reviewed one; each further plan would change it, which drift says."""
    kept = '\nvariable "token" {\n  type = string\n}\n\nresource "terraform_data" "keeps" {\n  input = var.token\n}\n'
    repository = build(
        minimal_config("volatile_variables: [token]\n"), f"stacks/a/main.tf:{resource(extra=kept)}"
    )  # fmt: skip
    repository.doit("plan", TF_VAR_token="one")
    repository.doit("deploy", TF_VAR_token="two")
    kept_values = [
        item["instances"][0]["attributes"]["input"]["value"]
        for item in repository.state("a")["resources"]
        if item["name"] == "keeps"
    ]
    assert kept_values == ["one"]
    done = repository.doit("drift", code=2, TF_VAR_token="three")
    assert "a volatile variable (token) may be why" in done.task("drift", "a")


def test_values_of_any_type_are_handed_back(build: Callable[..., Repository]) -> None:
    typed = (
        '\nvariable "token" {\n  type = object({ name = string, ports = list(number), none = string })\n}\n\n'
        'resource "terraform_data" "keeps" {\n  input = jsonencode(var.token)\n}\n'
    )
    repository = build(minimal_config("volatile_variables: [token]\n"), f"stacks/a/main.tf:{resource(extra=typed)}")
    repository.doit("plan", TF_VAR_token='{name = "$${x}\\n%%{y}", ports = [1, 9007199254740993.5], none = null}')
    repository.doit("deploy", TF_VAR_token='{name = "other", ports = [], none = null}')
    assert [
        item["instances"][0]["attributes"]["input"]["value"]
        for item in repository.state("a")["resources"]
        if item["name"] == "keeps"
    ] == ['{"name":"${x}\\n%{y}","none":null,"ports":[1,9007199254740993.5]}']


def test_an_ephemeral_value_that_the_deploy_job_does_not_have_is_named(build: Callable[..., Repository]) -> None:
    repository = _repository(build, "environment", ephemeral=True)
    repository.doit("plan")
    del repository.variables["TF_VAR_token"]
    done = repository.doit("deploy", code=1)
    assert "No value for required variable" in done.out
    assert not (repository.path / "seen.txt").exists()


def test_a_job_without_the_token_still_knows_that_nothing_has_changed(build: Callable[..., Repository]) -> None:
    repository = _repository(build, "configuration", ephemeral=False)
    repository.doit("deploy")
    del repository.variables["JOB_TOKEN"]
    assert "nothing to deploy" in repository.doit("deploy").out
    repository.write(f"stacks/a/main.tf:{(repository.path / 'stacks/a/main.tf').read_text()}\n# changed\n")
    assert "the environment variable JOB_TOKEN is not set" in repository.doit("plan", code=1).out


@pytest.mark.parametrize("sensitive", [False, True], ids=["plain", "sensitive"])
def test_a_deploy_job_needs_no_token_where_the_plan_has_its_value(
    build: Callable[..., Repository], *, sensitive: bool
) -> None:
    repository = _repository(build, "configuration", ephemeral=False)
    if sensitive:
        main = repository.path / "stacks/a/main.tf"
        main.write_text(main.read_text().replace("ephemeral = false", "sensitive = true"))
    repository.prepare("plan")
    del repository.variables["JOB_TOKEN"]
    repository.prepare("deploy")
    assert _used(repository) == "plans-token"
    assert len(repository.engine_calls("plan")) == 1


def test_a_stack_whose_token_is_not_here_still_hands_its_outputs_on(build: Callable[..., Repository]) -> None:
    """Neither reading a state nor an output needs a value that does not count."""
    repository = _repository(build, "configuration", ephemeral=False)
    config = (repository.path / "config/pipeline.yaml").read_text()
    repository.write(f"config/pipeline.yaml:{config}  b: {{inputs: {{given: a.handed}}}}\n")
    main = (repository.path / "stacks/a/main.tf").read_text()
    repository.write(f'stacks/a/main.tf:{main}\noutput "handed" {{\n  value = "from a"\n}}\n')
    repository.write(f"stacks/b/main.tf:{resource(extra=GIVEN)}")
    repository.commit()
    repository.doit("deploy")
    del repository.variables["JOB_TOKEN"]
    shutil.rmtree(repository.deploy_dir("outputs"), ignore_errors=True)
    repository.write(f"stacks/b/main.tf:{resource('2', extra=GIVEN)}")
    assert "~1" in repository.doit("deploy").task("deploy", "b")


def test_an_ephemeral_token_that_the_deploy_job_does_not_have_is_named_by_its_key(
    build: Callable[..., Repository],
) -> None:
    repository = _repository(build, "configuration", ephemeral=True)
    repository.doit("plan")
    del repository.variables["JOB_TOKEN"]
    assert "the environment variable JOB_TOKEN is not set" in repository.doit("deploy", code=1).out
    assert not (repository.path / "seen.txt").exists()


def test_no_plan_or_record_holds_a_token(build: Callable[..., Repository]) -> None:
    from tests.repository import contents

    repository = _repository(build, "automatic var file", ephemeral=True)
    repository.doit("plan")
    _give(repository, "automatic var file", "deploys-token")
    repository.doit("deploy")
    found = [name for name, text in contents(repository.path / ".deploy").items() if b"s-token" in text]
    assert found == []
