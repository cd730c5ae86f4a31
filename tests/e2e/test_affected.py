"""Every kind of input, changed alone, affects exactly the right stacks; what is no input affects none."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests import inputkinds
from tests.inputkinds import KINDS, UNKNOWN
from tests.repository import Repository, copy_tree, minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WAYS = ("receipts", "base", "tag")
CASES = [(kind, way) for kind in KINDS for way in WAYS if KINDS[kind].only in (None, way)]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, tofu: Path) -> Repository:
    """A repository with every kind of input, deployed."""
    return inputkinds.create(tmp_path_factory.mktemp("affected"), tofu)


@pytest.fixture(scope="module")
def cloned(deployed: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A fresh clone of it: its tag, no receipts; what the pipeline makes is there."""
    base = tmp_path_factory.mktemp("cloned")
    fresh = Repository(base / "clone", base / "home", deployed.tofu, dict(deployed.variables))
    deployed.git("clone", "--quiet", "--recurse-submodules", str(deployed.path), str(fresh.path))
    copy_tree(deployed.home, fresh.home)
    copy_tree(deployed.path / "stacks/made/dist", fresh.path / "stacks/made/dist")
    return fresh


def _copy(repository: Repository, base: Path) -> Repository:
    copy = Repository(base / "repo", base / "home", repository.tofu, dict(repository.variables))
    copy_tree(repository.path, copy.path)
    copy_tree(repository.home, copy.home)
    return copy


def _affected(repository: Repository, *arguments: str) -> dict[str, str]:
    done = repository.doit(*arguments, "status")
    return {line.split()[0]: line for line in done.out.splitlines() if "affected: " in line}


@pytest.mark.parametrize(("kind", "way"), CASES)
def test_each_kind_of_input_affects_exactly_the_right_stacks(
    deployed: Repository, cloned: Repository, tmp_path: Path, kind: str, way: str
) -> None:
    """By receipts; on a fresh clone, committed, by a base; and there, not committed, by the tag of the last deploy."""
    wanted = KINDS[kind]
    repository = _copy(deployed if way == "receipts" else cloned, tmp_path)
    wanted.change(repository)
    if way == "base":
        repository.git("checkout", "--quiet", "-b", "change")
        repository.commit()
    base = {"receipts": None, "base": "main", "tag": "deployed-local"}[way]
    found = _affected(repository, *(["base=main"] if way == "base" else []))
    if base is None:
        assert set(found) == wanted.stacks
    else:
        assert set(found) == wanted.stacks | wanted.more | UNKNOWN.keys()
        for stack, words in UNKNOWN.items():
            assert words.format(base=base) in found[stack]
        for stack in wanted.more:
            assert "its upstream" in found[stack]
    for stack in wanted.stacks - UNKNOWN.keys():
        assert wanted.words in found[stack]


def test_a_read_that_cannot_be_told_counts_as_a_read_of_anything(build: Callable[..., Repository]) -> None:
    unknown = '\nvariable "names" {\n  type    = map(string)\n  default = { a = "txt.a/derahs/../.." }\n}\n\noutput "texts" {\n  value = [for name in var.names : file(strrev(name))]\n}\n'
    repository = build(
        minimal_config(),
        f"stacks/a/main.tf:{resource(extra=unknown)}",
        f"stacks/b/main.tf:{resource()}",
        "shared/a.txt:1",
    )
    repository.doit("deploy")
    assert _affected(repository) == {}
    repository.write("shared/a.txt:2")
    found = _affected(repository)
    assert set(found) == {"a"}
    assert "one whose name is not known is read in stacks/a/main.tf" in found["a"]


def test_a_siblings_state_that_is_read_is_an_edge_and_waits_for_its_apply(build: Callable[..., Repository]) -> None:
    reads = (
        'terraform {\n  backend "local" {}\n}\n\nvariable "environment" {\n  type = string\n}\n\n'
        'data "terraform_remote_state" "up" {\n  backend = "local"\n'
        '  config = {\n    path = "../../.state/up-${var.environment}.tfstate"\n  }\n}\n\n'
        'resource "terraform_data" "it" {\n  input = data.terraform_remote_state.up.outputs.value\n}\n\n'
        'output "value" {\n  value = terraform_data.it.output\n}\n'
    )
    repository = build(
        minimal_config("stacks:\n  down: {variables: {environment: local}}\n"),
        f"stacks/down/main.tf:{reads}",
        f"stacks/up/main.tf:{resource()}",
    )
    assert "down  needs up" in repository.doit("graph").out
    done = repository.doit("plan")
    assert "deferred until up exists" in done.task("plan", "down")
    repository.doit("deploy")
    repository.engine_calls()
    repository.write(f"stacks/up/main.tf:{resource('2')}")
    repository.doit("deploy")
    assert repository.planned() == ["down", "up"]
    assert repository.json("outputs", "down.json")["outputs"]["value"]["value"] == "2"


def test_a_state_of_another_environment_is_no_input_and_the_plan_says_so(build: Callable[..., Repository]) -> None:
    """What it says is known to the engine alone: a check for drift finds it."""
    reads = (
        'terraform {\n  backend "local" {}\n}\n\n'
        'data "terraform_remote_state" "up" {\n  backend = "local"\n'
        '  config = {\n    path = "../../.state/up-prod.tfstate"\n  }\n}\n\n'
        'resource "terraform_data" "it" {\n  input = data.terraform_remote_state.up.outputs.value\n}\n'
    )
    repository = build(
        minimal_config(), "config/environments/local.yaml:", "config/environments/prod.yaml:",
        f"stacks/down/main.tf:{reads}", f"stacks/up/main.tf:{resource()}",
    )  # fmt: skip
    repository.doit("env=prod", "deploy:up")
    said = repository.doit("env=local", "plan").task("plan", "down")
    assert "reads a state that is not tracked (terraform_remote_state.up)" in said
    repository.doit("env=local", "deploy")
    repository.write(f"stacks/up/main.tf:{resource('2')}")
    repository.doit("env=prod", "deploy:up")
    repository.doit("env=local", "deploy:up")
    repository.engine_calls()
    repository.doit("env=local", "deploy")
    assert repository.planned() == []
    drifted = repository.doit("env=local", "drift", code=2)
    assert "terraform_data.it (changed outside" in drifted.task("drift", "down")
    repository.doit("env=local", "-a", "deploy:down")
    repository.doit("env=local", "drift")


def test_an_apply_that_leaves_the_outputs_costs_the_dependents_nothing(chain: Repository) -> None:
    chain.prepare("deploy")
    chain.engine_calls()
    chain.write(f"stacks/a/main.tf:{resource(extra='# a comment')}")
    chain.prepare("deploy")
    assert chain.planned() == ["a"]
    chain.write('stacks/a/more.tf:resource "terraform_data" "more" {}\n')
    chain.doit("deploy")
    assert chain.planned() == ["a"]


def test_an_output_that_changes_has_its_readers_planned_once_and_no_further_than_it_goes(
    build: Callable[..., Repository],
) -> None:
    fixed = reader("x").replace("value = terraform_data.it.output", 'value = "fixed"')
    repository = build(
        minimal_config("stacks:\n  b: {inputs: {x: a.value}}\n  c: {inputs: {x: b.value}}\n"),
        f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{fixed}", f"stacks/c/main.tf:{reader('x')}",
    )  # fmt: skip
    repository.doit("deploy")
    repository.engine_calls()
    repository.write(f"stacks/a/main.tf:{resource('2')}")
    done = repository.doit("deploy")
    assert repository.planned() == ["a", "b"]
    assert "an upstream's output changed" in done.task("deploy", "b")
    assert repository.state("b")["resources"][0]["instances"][0]["attributes"]["input"]["value"] == ["2"]


def test_a_plan_to_be_reviewed_is_planned_again_when_its_upstream_moves(chain: Repository) -> None:
    chain.prepare("deploy")
    chain.write(f"stacks/a/main.tf:{resource('2')}", "stacks/b/more.tf:locals {}\n")
    chain.prepare("plan")
    reviewed = chain.json("plans", "b", "manifest.json")["plan_sha256"]
    chain.engine_calls()
    done = chain.doit("deploy")
    assert "planned again: an upstream's output changed" in done.task("deploy", "b")
    assert chain.json("receipts", "b.json")["plan_sha256"] != reviewed
    assert chain.planned() == ["b", "c"]


def test_values_of_any_type_go_from_stack_to_stack(build: Callable[..., Repository]) -> None:
    typed = resource(
        extra='\noutput "typed" {\n  value = { list = [1, 2.5, "x"], flag = true, none = null, text = "$${a} %%{b} \\"q\\"\\n" }\n}\n'
    )
    repository = build(
        minimal_config("stacks:\n  b: {inputs: {x: a.typed}}\n"),
        f"stacks/a/main.tf:{typed}",
        f"stacks/b/main.tf:{reader('x')}",
    )
    repository.doit("deploy")
    expected = {"list": [1, 2.5, "x"], "flag": True, "none": None, "text": '${a} %{b} "q"\n'}
    assert repository.json("outputs", "b.json")["outputs"]["value"]["value"] == [expected]


def test_on_a_fresh_clone_outputs_are_read_from_the_upstreams_state(chain: Repository, tmp_path: Path) -> None:
    chain.prepare("deploy")
    other = chain.clone(tmp_path / "other")
    copy_tree(chain.path / ".state", other.path / ".state")
    done = other.doit("plan")
    assert "no changes" in done.task("plan", "c")
    assert "deferred" not in done.out


def test_a_base_plans_what_changed_since_the_merge_base(pair: Repository) -> None:
    pair.git("branch", "released")
    pair.git("checkout", "--quiet", "-b", "feature")
    pair.write(f"stacks/a/main.tf:{resource('2')}")
    pair.commit()
    pair.git("checkout", "--quiet", "released")
    pair.write(f"stacks/b/main.tf:{resource('3')}")
    pair.commit("released moves on")
    pair.git("checkout", "--quiet", "feature")
    done = pair.doit("base=released", "plan")
    assert pair.planned() == ["a"]
    assert "file stacks/a/main.tf changed since released" in done.task("plan", "a")


def test_an_unknown_base_is_an_error_and_deploy_takes_no_base_that_was_never_deployed(pair: Repository) -> None:
    done = pair.doit("base=origin/main", "plan", code=1)
    assert "this commit does not exist here" in done.out
    pair.git("branch", "other")
    done = pair.doit("base=other", "deploy", code=1)
    assert "it is not known to have been deployed completely" in done.out
    assert pair.engine_calls("apply") == []


def test_a_change_whose_pipeline_failed_is_still_affected_in_the_next_one(pair: Repository, tmp_path: Path) -> None:
    origin = tmp_path / "origin.git"
    pair.write(minimal_config("deploy: {tag: 'deployed-{environment}', push: true}\n"))
    pair.commit()
    pair.git("clone", "--quiet", "--bare", str(pair.path), str(origin))
    pair.git("remote", "add", "origin", str(origin))
    pair.doit("deploy")
    first = pair.git("rev-parse", "deployed-local")
    assert pair.git("ls-remote", "origin", "refs/tags/deployed-local").startswith(first)

    def pipeline(number: int, *, code: int) -> Repository:
        """A pipeline on a machine that has nothing but a clone and the states."""
        fresh = pair.clone(tmp_path / f"pipeline{number}")
        fresh.git("remote", "set-url", "origin", str(origin))
        fresh.git("fetch", "--quiet", "--tags", "--force", "origin")
        copy_tree(pair.path / ".state", fresh.path / ".state")
        fresh.doit("deploy", code=code)
        copy_tree(fresh.path / ".state", pair.path / ".state")
        return fresh

    broken = '\nresource "terraform_data" "bad" {\n  provisioner "local-exec" {\n    command = "false"\n  }\n}\n'
    pair.write(f"stacks/a/main.tf:{resource('2', extra=broken)}")
    pair.commit("breaks")
    failed = pipeline(1, code=1)
    assert [line.split()[0] for line in failed.engine_calls("apply")] == ["a"]
    pair.write(f"stacks/b/main.tf:{resource('2')}")
    repaired = broken.replace("false", "true")
    pair.write(f"stacks/a/main.tf:{resource('2', extra=repaired)}")
    pair.commit("another change, and the repair")
    second = pipeline(2, code=0)
    assert sorted(line.split()[0] for line in second.engine_calls("apply")) == ["a", "b"]
    third = pipeline(3, code=0)
    assert third.engine_calls("apply") == []


def test_a_stack_that_left_the_configuration_is_reported(pair: Repository) -> None:
    pair.prepare("deploy")
    shutil.rmtree(pair.path / "stacks/b")
    assert "b: deployed from here, but no longer a stack" in pair.doit("status").out
    assert "b: deployed from here, but no longer a stack" in pair.doit("plan").out


def test_a_plan_says_what_never_reached_the_environment_to_follow(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config(), "config/environments/prod.yaml:follows: local\n", f"stacks/a/main.tf:{resource()}"
    )
    assert "never deployed to local" in repository.doit("env=prod", "plan").task("plan", "a")
    repository.doit("deploy")
    repository.doit("env=prod", "plan")
    assert "local yet" not in repository.doit("-a", "env=prod", "plan").task("plan", "a")
    repository.write(f"stacks/a/main.tf:{resource('2')}")
    done = repository.doit("env=prod", "plan")
    assert "not in local yet: file stacks/a/main.tf changed" in done.task("plan", "a")
    repository.doit("deploy")
    assert "local yet" not in repository.doit("-a", "env=prod", "plan").task("plan", "a")


def test_two_environments_run_at_once_in_one_tree(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config(), "config/environments/dev.yaml:", *(f"stacks/{name}/main.tf:{resource()}" for name in "abcd")
    )
    processes = [repository.start("deploy"), repository.start("env=dev", "deploy")]
    for process in processes:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, out
    lineages = {repository.state(name, environment)["lineage"] for name in "abcd" for environment in ("local", "dev")}
    assert len(lineages) == 8
