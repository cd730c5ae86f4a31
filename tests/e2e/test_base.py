"""A base, or the tag of the last complete deploy, proves nothing that it does not look at."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TAG = "deploy: {tag: 'deployed-{environment}'}\n"
TAGGED = "deployed-local"
IMAGE = reader("image").replace("type = any", "type = string")
MADE = '\noutput "made" {\n  value = file("${path.module}/dist/app.txt")\n}\n'


def next_pipeline(repository: Repository) -> None:
    """What the next pipeline has: a commit more, no records."""
    repository.write("NOTES:another commit")
    repository.commit()
    shutil.rmtree(repository.path / ".deploy")


def affected(repository: Repository, *arguments: str) -> dict[str, str]:
    """The lines of the affected stacks, by stack."""
    done = repository.doit(*arguments, "status")
    return {line.split()[0]: line for line in done.out.splitlines() if "affected: " in line}


def deployed(repository: Repository, stack: str) -> object:
    """What a stack's resource was made of."""
    attributes = repository.state(stack)["resources"][0]["instances"][0]["attributes"]["input"]
    return attributes["value"] if isinstance(attributes, dict) else attributes


def test_what_only_the_environment_changed_is_deployed_and_then_the_tag_moves(
    build: Callable[..., Repository],
) -> None:
    repository = build(
        minimal_config(TAG + 'stacks:\n  given: {variables: {x: "${IMAGE}"}}\n'),
        f"stacks/given/main.tf:{reader('x')}", f"stacks/declared/main.tf:{IMAGE}",
        f"stacks/made/main.tf:{resource(extra=MADE)}", f"stacks/other/main.tf:{resource()}",
        "stacks/made/dist/app.txt:app:1", ".gitignore:.deploy/\n.state/\n*.tfstate*\ndist/\n",
    )  # fmt: skip
    repository.doit("deploy", IMAGE="app:1", TF_VAR_image="app:1")
    repository.engine_calls()
    next_pipeline(repository)
    repository.write("stacks/made/dist/app.txt:app:2")
    new = {"IMAGE": "app:2", "TF_VAR_image": "app:2"}
    done = repository.doit("deploy", **new)
    assert f"environment variable TF_VAR_image cannot be compared with {TAGGED}" in done.task("plan", "declared")
    assert repository.planned() == ["declared", "given", "made"]
    assert deployed(repository, "given") == deployed(repository, "declared") == ["app:2"]
    assert repository.state("made")["outputs"]["made"]["value"] == "app:2"
    assert repository.git("rev-parse", f"{TAGGED}^{{commit}}") == repository.git("rev-parse", "HEAD")


def test_what_the_environment_no_longer_sets_is_deployed_by_a_machine_without_receipts(
    build: Callable[..., Repository],
) -> None:
    default = IMAGE.replace("type = string", 'type    = string\n  default = "none"')
    repository = build(minimal_config(TAG), f"stacks/a/main.tf:{default}", f"stacks/b/main.tf:{resource()}")
    repository.doit("deploy", TF_VAR_image="app:1")
    next_pipeline(repository)
    repository.engine_calls()
    done = repository.doit("deploy")
    assert "TF_VAR_image, which is no longer set" in done.task("plan", "a")
    assert repository.planned() == ["a"]
    assert deployed(repository, "a") == ["none"]
    next_pipeline(repository)
    repository.engine_calls()
    repository.doit("deploy")  # the tag knows that nothing is set any more
    assert repository.planned() == []


def test_the_tag_stays_where_what_cannot_be_compared_was_not_deployed(build: Callable[..., Repository]) -> None:
    broken = '\nresource "terraform_data" "bad" {\n  provisioner "local-exec" {\n    command = var.image\n  }\n  triggers_replace = var.image\n}\n'
    repository = build(minimal_config(TAG), f"stacks/a/main.tf:{IMAGE}{broken}", f"stacks/b/main.tf:{resource()}")
    repository.doit("deploy", TF_VAR_image="true")
    before = repository.git("rev-parse", f"{TAGGED}^{{commit}}")
    next_pipeline(repository)
    repository.doit("deploy", code=1, TF_VAR_image="false")
    assert repository.git("rev-parse", f"{TAGGED}^{{commit}}") == before
    shutil.rmtree(repository.path / ".deploy")
    repository.variables["TF_VAR_image"] = "false"
    assert set(affected(repository)) == {"a"}


def test_a_commit_behind_the_tag_is_deployed_as_it_is_where_that_is_allowed(one: Repository) -> None:
    one.write(minimal_config(TAG))
    first = one.commit()
    one.write(f"stacks/a/main.tf:{resource('2')}")
    one.commit()
    one.doit("deploy")
    shutil.rmtree(one.path / ".deploy")
    one.git("checkout", "--quiet", first)
    one.doit("deploy", code=1)
    assert deployed(one, "a") == "2"
    done = one.doit("allow=older:a", "reason=back", "deploy")
    assert f"file stacks/a/main.tf changed since {TAGGED}" in done.task("plan", "a")
    assert deployed(one, "a") == "1"
    assert one.git("rev-parse", f"{TAGGED}^{{commit}}") == first


def failing(value: str) -> str:
    """A resource that gets this value, and one beside it whose creation fails where that is 2."""
    return resource(value, extra=FAILS.format(value=value))


FAILS = """
resource "terraform_data" "fails" {{
  triggers_replace = terraform_data.it.output
  provisioner "local-exec" {{
    command = "test {value} != 2"
  }}
}}
"""


def made_of(repository: Repository, stack: str) -> object:
    """The value of a stack's own resource, whatever else its state has."""
    [it] = [each for each in repository.state(stack)["resources"] if each["name"] == "it"]
    return it["instances"][0]["attributes"]["input"]["value"]


def pipeline_ends(repository: Repository) -> None:
    """Nothing of a pipeline is left but its commits, the states and the tag."""
    shutil.rmtree(repository.path / ".deploy", ignore_errors=True)


@pytest.mark.parametrize("first", ["fails", "never runs", "another stack fails", "was interrupted before it"])
def test_the_revert_of_a_change_that_was_not_completely_deployed_is_not_skipped(
    build: Callable[..., Repository], first: str
) -> None:
    """The tree equals the tag's, but the state may not: half a deploy, and then the revert."""
    repository = build(minimal_config(TAG), f"stacks/a/main.tf:{failing('1')}", f"stacks/b/main.tf:{failing('1')}")
    repository.prepare("deploy")
    tagged = repository.git("rev-parse", f"{TAGGED}^{{commit}}")
    pipeline_ends(repository)
    changed = {"fails": "a", "another stack fails": "b"}.get(first, "a")
    repository.write(f"stacks/{changed}/main.tf:{failing('2')}")
    if first == "another stack fails":
        repository.write(f"stacks/a/main.tf:{resource('3', extra=FAILS.format(value='3'))}")
    repository.commit()
    if first not in ("never runs", "was interrupted before it"):
        repository.doit("deploy", code=1)
        assert made_of(repository, changed) == "2"
    assert repository.git("rev-parse", f"{TAGGED}^{{commit}}") == tagged
    pipeline_ends(repository)
    repository.git("revert", "--no-edit", "HEAD")
    repository.prepare("deploy")
    assert [made_of(repository, stack) for stack in "ab"] == ["1", "1"]
    assert repository.git("rev-parse", f"{TAGGED}^{{commit}}") == repository.git("rev-parse", "HEAD")


def added(repository: Repository) -> None:
    repository.write("stacks/a/more.tf:" + 'resource "terraform_data" "more" {}\n')


def variable(repository: Repository) -> None:
    repository.write(minimal_config(TAG + "stacks: {a: {variables: {x: 2}}}\n"))


@pytest.mark.parametrize("change", [added, variable])
def test_what_was_changed_and_changed_back_since_the_tag_is_affected_and_nothing_else(
    build: Callable[..., Repository], change: Callable[[Repository], None]
) -> None:
    repository = build(
        minimal_config(TAG + "stacks: {a: {variables: {x: 1}}}\n"), f"stacks/a/main.tf:{reader('x')}",
        f"stacks/b/main.tf:{resource()}", "README.md:1",
    )  # fmt: skip
    repository.prepare("deploy")
    pipeline_ends(repository)
    repository.write("README.md:2")
    repository.commit()
    assert affected(repository) == {}
    change(repository)
    between = repository.commit()
    repository.git("revert", "--no-edit", "HEAD")
    found = affected(repository)
    assert set(found) == {"a"}
    assert f"it differed at {between[:8]}, after {TAGGED}" in found["a"]
    repository.prepare("deploy")
    pipeline_ends(repository)
    assert affected(repository) == {}


def test_a_branch_from_before_the_tag_that_is_merged_affects_only_what_it_changed(
    build: Callable[..., Repository],
) -> None:
    repository = build(minimal_config(TAG), *(f"stacks/{name}/main.tf:{resource()}" for name in "abc"))
    repository.git("checkout", "--quiet", "-b", "change")
    repository.write(f"stacks/b/main.tf:{resource('2')}")
    repository.commit()
    repository.git("checkout", "--quiet", "main")
    repository.write(f"stacks/a/main.tf:{resource('2')}")
    repository.commit()
    repository.doit("deploy")
    pipeline_ends(repository)
    repository.git("merge", "--quiet", "--no-edit", "change")
    assert set(affected(repository)) == {"b"}


def test_a_stack_that_waits_for_an_upstream_deployed_before_is_not_forgotten(chain: Repository) -> None:
    chain.write(minimal_config(TAG + "stacks:\n  b: {inputs: {x: a.value}}\n  c: {inputs: {x: b.value}}\n"))
    chain.commit()
    chain.prepare("deploy")
    next_pipeline(chain)
    chain.write(f"stacks/a/main.tf:{resource('2')}")
    chain.commit()
    chain.doit("deploy:a")  # and there the pipeline ends
    assert set(affected(chain)) == {"b", "c"}
    chain.doit("deploy")
    assert deployed(chain, "c") == [["2"]]


def test_what_only_waits_for_an_affected_stack_is_not_affected(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config("stacks: {b: {depends_on: [a]}}\n"),
        f"stacks/a/main.tf:{resource()}",
        f"stacks/b/main.tf:{resource()}",
    )
    repository.git("checkout", "--quiet", "-b", "change")
    repository.write(f"stacks/a/main.tf:{resource('2')}")
    assert set(affected(repository, "base=main")) == {"a"}


def test_a_new_environment_is_all_affected_in_its_own_merge_request(pair: Repository) -> None:
    pair.git("checkout", "--quiet", "-b", "change")
    pair.write("config/environments/prod.yaml:{}\n")
    pair.commit()
    found = affected(pair, "env=prod", "base=main")
    assert set(found) == {"a", "b"}
    assert "a new environment since main" in found["a"]
    assert affected(pair, "base=main") == {}


def test_an_environments_file_that_says_something_else_affects_what_it_says(pair: Repository) -> None:
    pair.write("config/environments/prod.yaml:{}\n", f"stacks/b/main.tf:{reader('x')}")
    pair.commit()
    pair.git("checkout", "--quiet", "-b", "change")
    pair.write("config/environments/prod.yaml:stacks: {b: {variables: {x: 2}}}\n")
    found = affected(pair, "env=prod", "base=main")
    assert set(found) == {"b"}
    assert "variable x added since main" in found["b"]


def test_renamed_and_removed_stacks_are_named_on_the_console_and_in_the_report(
    build: Callable[..., Repository],
) -> None:
    repository = build(minimal_config(), *(f"stacks/{name}/main.tf:{resource()}" for name in ("web", "old", "keep")))
    repository.doit("deploy")
    repository.git("mv", "stacks/web", "stacks/site")
    repository.git("rm", "-r", "--quiet", "stacks/old")
    repository.commit()
    for base in ([], ["base=HEAD~1"]):
        if base:
            shutil.rmtree(repository.path / ".deploy")
        done = repository.doit(*base, "plan")
        report = repository.deploy_dir("reports/plan.md").read_text()
        for name in ("web", "old"):
            assert f"{name}: " in done.line(f"{name}: ", "its resources still exist")
            assert f"{name}: " in report
        assert "keep: " not in report


def test_a_disabled_stack_is_named_and_one_that_never_was_is_not(pair: Repository) -> None:
    pair.git("checkout", "--quiet", "-b", "change")
    pair.write(minimal_config("stacks: {a: {enabled: false}}\n"), f"stacks/c/main.tf:{resource()}")
    pair.commit()
    out = pair.doit("base=main", "status").out
    assert "a: a stack at main, but no longer one" in out
    assert "c: a stack" not in out


def test_a_project_in_a_folder_of_its_repository_sees_modules_beside_it(tmp_path: Path, tofu: Path) -> None:
    call = '\nmodule "m" {\n  source = "../../../modules/m"\n}\n'
    repository = Repository.create(tmp_path, tofu, 'modules/m/main.tf:output "x" {\n  value = 1\n}\n', "README.md:x")
    inner = Repository(repository.path / "deploy", repository.home, tofu, repository.variables)
    inner.write(
        minimal_config(), "dodo.py:" + (repository.path / "dodo.py").read_text(), f"stacks/a/main.tf:{resource(extra=call)}",
        f"stacks/b/main.tf:{resource()}",
    )  # fmt: skip
    repository.commit()
    repository.git("checkout", "--quiet", "-b", "change")
    repository.write("README.md:other")
    repository.commit()
    assert affected(inner, "base=main") == {}
    repository.write('modules/m/main.tf:output "x" {\n  value = 2\n}\n')
    repository.commit()
    found = affected(inner, "base=main")
    assert set(found) == {"a"}
    assert "module ../modules/m/main.tf changed since main" in found["a"]


def test_a_file_outside_of_the_repository_cannot_be_compared(one: Repository, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("1")
    one.write(
        f'stacks/a/more.tf:output "outside" {{\n  value = file("{outside}")\n}}\n', f"stacks/b/main.tf:{resource()}"
    )
    one.commit()
    found = affected(one, "base=main")
    assert set(found) == {"a"}
    assert f"file {outside} cannot be compared with main: it is outside of the repository" in found["a"]


@pytest.mark.parametrize(("name", "expected"), [("CI_PROJECT_ID", set()), ("STATES", {"a"})])
def test_variables_that_say_where_the_project_is_can_be_compared_and_no_others(
    one: Repository, name: str, expected: set[str]
) -> None:
    path = f'"{{root}}/.state/${{{name}}}/{{stack}}-{{environment}}.tfstate"'
    one.write(f"config/pipeline.yaml:version: 1\nbackend: {{kind: local, settings: {{path: {path}}}}}\n")
    one.commit()
    one.variables[name] = "42"
    found = affected(one, "base=main")
    assert set(found) == expected
    assert all(
        f"backend settings cannot be compared with main: it comes from environment variables ({name})" in line
        for line in found.values()
    )


def test_a_base_whose_configuration_is_broken_compares_nothing_and_says_why(one: Repository) -> None:
    good = (one.path / "config/pipeline.yaml").read_text()
    one.write("config/pipeline.yaml:version: [\n")
    one.commit()
    one.git("tag", "broken")
    one.write("config/pipeline.yaml:" + good)
    one.commit()
    found = affected(one, "base=broken")
    assert "its configuration at broken cannot be read: " in found["a"]


def test_records_of_an_older_version_are_said_to_be_old_and_deployed_over(one: Repository) -> None:
    one.prepare("deploy")
    path = one.deploy_dir("receipts/a.json")
    path.write_text(path.read_text().replace('"format": 3', '"format": 1'))
    found = affected(one)
    assert "its receipt was written by an incompatible version" in found["a"]
    assert "`deploy` writes a new receipt" in found["a"]
    one.doit("plan")
    one.doit("deploy")
    assert affected(one) == {}
