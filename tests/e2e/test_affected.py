"""Every kind of input, changed alone, affects exactly the right stacks; what is no input affects none."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, copy_tree, minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOCALS = """
locals {
  folder = "${path.module}/../../shared"
  name   = var.size > 1 ? "big" : "small"
}

variable "size" {
  type    = number
  default = 1
}

variable "kind" {
  type    = string
  default = "plain"
}

resource "terraform_data" "reads" {
  input = [
    file("../../shared/direct.txt"),
    filesha256("${path.root}/../../shared/hashed.bin"),
    filebase64("${local.folder}/by-local.txt"),
    file("${local.folder}/${var.kind}.txt"),
    templatefile("${path.module}/page.tftpl", { size = var.size }),
    join(",", fileset("../../shared/set", "*.json")),
    fileexists("../../shared/maybe.txt"),
  ]
}
"""
MODULE = """
variable "dir" {
  type = string
}

output "text" {
  value = file("${var.dir}/given.txt")
}

output "own" {
  value = file("${path.module}/data/own.txt")
}

module "deep" {
  source = "../deep"
}
"""
CALL = '\nmodule "m" {\n  source = "../../modules/m"\n  dir    = "${path.module}/../../given"\n}\n'
ANY = '\ndata "terraform_remote_state" "unused" {\n  backend = "local"\n  config = {\n    path = "../../.state/other-local.tfstate"\n  }\n}\n\noutput "there" {\n  value = data.terraform_remote_state.unused.outputs.value\n}\n'

CONFIG = """
stacks:
  config: {variables: {x: 1}, var_files: ["{environment}.tfvars", {path: none.tfvars, optional: true}]}
  watcher: {watch: ["../../watched/**/*.json"]}
  after: {inputs: {x: config.value}}
  environment: {variables: {x: "${FROM_ENVIRONMENT}"}}
"""

FILES = (
    minimal_config(CONFIG),
    f"stacks/reads/main.tf:{resource(extra=LOCALS)}",
    "stacks/reads/page.tftpl:${size}",
    "stacks/reads/README.md:about",
    f"stacks/calls/main.tf:{resource(extra=CALL)}",
    f"stacks/config/main.tf:{reader('x')}",
    "stacks/config/local.tfvars:# nothing yet\n",
    f"stacks/watcher/main.tf:{resource()}",
    f"stacks/after/main.tf:{reader('x')}",
    f"stacks/environment/main.tf:{reader('x')}",
    f"stacks/other/main.tf:{resource()}",
    f"stacks/remote/main.tf:{resource(extra=ANY)}",
    f"modules/m/main.tf:{MODULE.lstrip()}",
    "modules/m/data/own.txt:own",
    'modules/deep/main.tf:output "x" {\n  value = 1\n}\n',
    "shared/direct.txt:1", "shared/hashed.bin:1", "shared/by-local.txt:1", "shared/plain.txt:1", "given/given.txt:1",
    "shared/set/a.json:{}", "watched/deep/a.json:{}", "README.md:about", "docs/a.md:a",
)  # fmt: skip


def _write(*files: str) -> Callable[[Repository], None]:
    return lambda repository: repository.write(*files)


def _environment(**variables: str) -> Callable[[Repository], None]:
    return lambda repository: repository.variables.update(variables)


def _edit(path: str, old: str, new: str) -> Callable[[Repository], None]:
    def edit(repository: Repository) -> None:
        text = (repository.path / path).read_text()
        assert old in text
        (repository.path / path).write_text(text.replace(old, new))

    return edit


def _touch_everything(repository: Repository) -> None:
    for path in repository.path.rglob("*"):
        if path.is_file() and ".git/" not in str(path):
            os.utime(path, (1_000_000_000, 1_000_000_000))


def _clone(repository: Repository) -> None:
    """A fresh clone with nothing but the receipts and outputs of a cache."""
    fresh = repository.home / "fresh"
    repository.commit()
    repository.git("clone", "--quiet", str(repository.path), str(fresh))
    for name in ("receipts", "outputs"):
        shutil.copytree(repository.deploy_dir(name), fresh / ".deploy/local" / name)
    shutil.rmtree(repository.path)
    fresh.rename(repository.path)


ALL = {"reads", "calls", "config", "watcher", "after", "environment", "other", "remote"}

# What is changed: how, the stacks that it affects, and words of the reason that is given.
KINDS: dict[str, tuple[Callable[[Repository], None], set[str], str]] = {
    "a stack's file": (_edit("stacks/other/main.tf", '"1"', '"2"'), {"other"}, "file stacks/other/main.tf changed"),
    "a new file of a stack": (_write("stacks/other/new.tf:locals {}\n"), {"other"}, "file stacks/other/new.tf added"),
    "a removed file of a stack": (lambda r: (r.path / "stacks/reads/main.tf").rename(r.path / "stacks/reads/other.tf") and None, {"reads"}, "stacks/reads/main.tf removed"),
    "an automatic var file": (_write("stacks/other/x.auto.tfvars:# new\n"), {"other"}, "x.auto.tfvars added"),
    "terraform.tfvars": (_write("stacks/other/terraform.tfvars:# new\n"), {"other"}, "terraform.tfvars added"),
    "a local module": (_edit("modules/m/main.tf", "own.txt", "own.txt"), set(), ""),
    "a local module's code": (_write("modules/m/more.tf:locals {}\n"), {"calls"}, "module modules/m/more.tf added"),
    "a module of a module": (_edit("modules/deep/main.tf", "1", "2"), {"calls"}, "module modules/deep/main.tf changed"),
    "a file that file() reads": (_write("shared/direct.txt:2"), {"reads"}, "file shared/direct.txt changed"),
    "a file that filesha256() reads": (_write("shared/hashed.bin:2"), {"reads"}, "file shared/hashed.bin changed"),
    "a file that is read by a local's path": (_write("shared/by-local.txt:2"), {"reads"}, "file shared/by-local.txt changed"),
    "a file that is read by a variable's name": (_write("shared/plain.txt:2"), {"reads"}, "file shared/plain.txt changed"),
    "a template": (_write("stacks/reads/page.tftpl:<${size}>"), {"reads"}, "page.tftpl changed"),
    "a file in a fileset": (_write("shared/set/b.json:{}"), {"reads"}, "file shared/set/b.json added"),
    "a file whose being there counts": (_write("shared/maybe.txt:x"), {"reads"}, "file shared/maybe.txt"),
    "a file that a module reads beside itself": (_write("modules/m/data/own.txt:2"), {"calls"}, "own.txt changed"),
    "a file that a module reads by an argument": (_write("given/given.txt:2"), {"calls"}, "file given/given.txt changed"),
    "a watched file": (_write("watched/deep/a.json:[]"), {"watcher"}, "watched file watched/deep/a.json changed"),
    "a new watched file": (_write("watched/b.json:{}"), {"watcher"}, "watched file watched/b.json added"),
    "a var file": (_write("stacks/config/local.tfvars:# other\n"), {"config"}, "var file stacks/config/local.tfvars changed"),
    "an optional var file that comes": (_write("stacks/config/none.tfvars:# new\n"), {"config"}, "none.tfvars added"),
    "a variable in the configuration": (_edit("config/pipeline.yaml", "{x: 1}", "{x: 2}"), {"config"}, "variable x changed"),
    "a variable by the environment of doit": (_environment(DEPLOY_STACKS__CONFIG__VARIABLES='{"x": 3}'), {"config"}, "variable x changed"),
    "an environment variable in the configuration": (_environment(FROM_ENVIRONMENT="2"), {"environment"}, "variable x changed"),
    "a TF_VAR_ that a stack declares": (_environment(TF_VAR_size="3"), {"reads"}, "environment variable TF_VAR_size added"),
    "a TF_VAR_ that none declares": (_environment(TF_VAR_nothing="3"), set(), ""),
    "backend settings": (_edit("config/pipeline.yaml", "{root}/.state/", "{root}/.state/../.state/"), ALL, "backend settings changed"),
    "a lock file": (_write("stacks/other/.terraform.lock.hcl:# new\n"), {"other"}, "lock file stacks/other/.terraform.lock.hcl added"),
    "the engine's version": (_edit("config/pipeline.yaml", "version: 1\n", "version: 1\nengine: {version: '~> 1.12.0'}\n"), ALL, "engine version changed"),
    "an upstream's output value": (_edit(".deploy/local/outputs/config.json", '"digest": "', '"digest": "0'), {"after"}, "output config.value (variable x) changed"),
    "an output that is read from a sibling's state": (_edit(".deploy/local/outputs/other.json", '"digest": "', '"digest": "0'), {"remote"}, "output value of other (terraform_remote_state.unused) changed"),
    "a README of a stack": (_write("stacks/reads/README.md:other"), set(), ""),
    "a README of the repository": (_write("README.md:other", "docs/a.md:b", "docs/new.md:c"), set(), ""),
    "checks": (_edit("config/pipeline.yaml", "  watcher: {", "  watcher: {verify: [{kind: http, url: 'http://127.0.0.1:9'}], "), set(), ""),
    "every mtime": (_touch_everything, set(), ""),
    "a fresh clone with the receipts of a cache": (_clone, set(), ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, tofu: Path) -> Repository:
    """A repository with every kind of input, deployed."""
    import subprocess

    repository = Repository.create(tmp_path_factory.mktemp("affected"), tofu, *FILES)
    repository.variables["FROM_ENVIRONMENT"] = "1"
    subprocess.run([str(tofu), "fmt", "-recursive", "."], cwd=repository.path, check=True, capture_output=True)
    repository.commit()
    repository.doit("deploy")
    return repository


def _affected(repository: Repository) -> dict[str, str]:
    done = repository.doit("status")
    return {line.split()[0]: line for line in done.out.splitlines() if "affected: " in line}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_input_affects_exactly_the_right_stacks(deployed: Repository, tmp_path: Path, kind: str) -> None:
    change, expected, words = KINDS[kind]
    repository = Repository(tmp_path / "repo", tmp_path / "home", deployed.tofu, dict(deployed.variables))
    copy_tree(deployed.path, repository.path)
    copy_tree(deployed.home, repository.home)
    change(repository)
    found = _affected(repository)
    assert set(found) == expected
    for line in found.values():
        assert words in line


def test_a_read_that_cannot_be_told_counts_as_a_read_of_anything(build: Callable[..., Repository]) -> None:
    unknown = '\nvariable "names" {\n  type    = map(string)\n  default = { a = "../../shared/a.txt" }\n}\n\noutput "texts" {\n  value = [for name in var.names : file(name)]\n}\n'
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
    assert "one whose name cannot be told is read in stacks/a/main.tf" in found["a"]


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
    assert "deferred until up is there" in done.task("plan", "down")
    repository.doit("deploy")
    repository.engine_calls()
    repository.write(f"stacks/up/main.tf:{resource('2')}")
    repository.doit("deploy")
    assert repository.planned() == ["down", "up"]
    assert repository.json("outputs", "down.json")["outputs"]["value"]["value"] == "2"


def test_an_apply_that_leaves_the_outputs_costs_the_dependents_nothing(chain: Repository) -> None:
    chain.prepare("deploy")
    chain.engine_calls()
    chain.write(f"stacks/a/main.tf:{resource(extra='# a comment')}")
    chain.doit("deploy")
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
    chain.doit("plan")
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


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_edit("modules/deep/main.tf", "1", "2"), {"calls"}),
        (lambda r: (r.path / "modules/m/data/own.txt").unlink(), {"calls"}),
        (lambda r: (r.path / "watched/deep/a.json").unlink(), {"watcher"}),
        (
            lambda r: (r.path / "stacks/other/main.tf").rename(r.path / "stacks/other/renamed.tf") and None,
            {"other", "remote"},
        ),
        (_edit("config/pipeline.yaml", "{x: 1}", "{x: 2}"), {"config", "after"}),
        (_edit("config/pipeline.yaml", "  watcher: {", "  watcher: {verify: [], "), set()),
        (_write("README.md:other"), set()),
        (_write("config/environments/local.yaml:stacks: {watcher: {watch: []}}\n"), {"watcher"}),
    ],
)
def test_a_base_finds_modules_removed_and_renamed_files_and_changed_configuration(
    deployed: Repository, tmp_path: Path, change: Callable[[Repository], None], expected: set[str]
) -> None:
    fresh = deployed.clone(tmp_path)
    change(fresh)
    done = fresh.doit("base=main", "status")
    assert {line.split()[0] for line in done.out.splitlines() if "affected: " in line} == expected


def test_an_unknown_base_is_an_error_and_deploy_takes_no_base_that_was_never_deployed(pair: Repository) -> None:
    done = pair.doit("base=origin/main", "plan", code=1)
    assert "there is no such commit here" in done.out
    pair.git("branch", "other")
    done = pair.doit("base=other", "deploy", code=1)
    assert "nothing says that it was ever deployed whole" in done.out
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
