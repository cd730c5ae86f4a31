"""Where stacks lie: folders behind links, names with spaces, two that would have one name; and what `{name}` means there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.repository import minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.repository import Repository

ONE_VARIABLE = reader("x")


@pytest.fixture
def linked(build: Callable[..., Repository]) -> Repository:
    """The stack `web` is a link from `stacks/web` to a folder at the root."""
    repository = build(
        minimal_config('stacks: {web: {var_files: ["../../vars/x.tfvars"]}}\n'), f"web/main.tf:{ONE_VARIABLE}",
        'vars/x.tfvars:x = "v"\n', "stacks/.keep:",
    )  # fmt: skip
    (repository.path / "stacks/web").symlink_to("../web")
    repository.commit()
    return repository


def test_a_linked_stack_keeps_its_state_where_the_configuration_says(linked: Repository) -> None:
    linked.doit("deploy")
    assert linked.state("web")["outputs"]["value"]["value"] == ["v"]
    assert not list(linked.path.parent.glob(".state"))
    assert linked.doit("deploy").line("nothing to deploy")


def test_what_a_linked_stack_reads_is_seen_from_where_it_really_is(linked: Repository) -> None:
    linked.doit("deploy")
    linked.engine_calls()
    linked.write('vars/x.tfvars:x = "w"\n')
    linked.commit()
    linked.doit("deploy")
    assert linked.planned() == ["web"]
    assert linked.state("web")["outputs"]["value"]["value"] == ["w"]


def test_a_link_out_of_the_repository_is_refused_by_name(one: Repository) -> None:
    outside = one.home / "elsewhere"
    outside.mkdir()
    (outside / "main.tf").write_text(resource())
    (one.path / "stacks/far").symlink_to(outside)
    done = one.doit("plan", code=1)
    assert "stacks.far: stacks/far is a link that leaves the repository" in done.out
    assert one.engine_calls() == []


def test_a_folder_with_a_space_is_a_stack_once_it_has_a_name(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(), f"stacks/my stack/main.tf:{resource()}", f"stacks/b/main.tf:{resource()}")
    assert "list it under `stacks:`" in repository.doit("plan", code=1).out
    repository.write(
        minimal_config('stacks:\n  my-stack: {path: "stacks/my stack", var_files: ["../../vars/a b.tfvars"]}\n'),
        f"stacks/my stack/main.tf:{ONE_VARIABLE}", 'vars/a b.tfvars:x = "v"\n',
    )  # fmt: skip
    repository.commit()
    repository.doit("deploy")
    assert repository.state("my-stack")["outputs"]["value"]["value"] == ["v"]
    repository.doit("drift")


@pytest.mark.parametrize("order", ['["tf/*", "tf/more/*"]', '["tf/more/*", "tf/*"]'])
def test_a_name_clash_is_resolved_by_a_name_of_ones_own(build: Callable[..., Repository], order: str) -> None:
    head = f"discover: {order}\n"
    repository = build(minimal_config(head), f"tf/sso/main.tf:{resource()}", f"tf/more/sso/main.tf:{resource('2')}")
    assert "two folders have the stack name 'sso'" in repository.doit("plan", code=1).out
    repository.write(minimal_config(head + "stacks: {more-sso: {path: tf/more/sso}}\n"))
    repository.prepare("deploy")
    assert repository.state("sso")["outputs"]["value"]["value"] == "1"
    assert repository.state("more-sso")["outputs"]["value"]["value"] == "2"


def test_the_environment_and_the_stack_are_filled_into_variables(build: Callable[..., Repository]) -> None:
    value = '{b: ["bucket-{environment}", "{stack}", "{other}", "%{ if true }x%{ endif }"]}'
    repository = build(
        minimal_config(f"stacks: {{a: {{variables: {{x: {value}}}}}}}\n"), f"stacks/a/main.tf:{ONE_VARIABLE}"
    )
    repository.doit("deploy")
    found = repository.state("a")["outputs"]["value"]["value"]
    assert found == [{"b": ["bucket-local", "a", "{other}", "%{ if true }x%{ endif }"]}]


def test_reading_commands_leave_nothing_that_git_takes(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource()}", ".gitignore:")
    for command in ("status", "graph", "list"):
        repository.doit(command)
    assert [line for line in repository.git("status", "--porcelain").splitlines() if ".deploy" in line] == []


def test_a_cache_that_cannot_be_made_is_named_with_the_variable_that_moves_it(one: Repository) -> None:
    done = one.doit("plan", code=1, DOIT_TOFU_CACHE="/proc/1/nothing")
    assert "cannot make the provider cache /proc/1/nothing/providers: No such file or directory" in done.out
    assert "next: set DOIT_TOFU_CACHE to a folder that can be written" in done.out
    assert "unexpected error" not in done.out
    assert not one.deploy_dir("crash.log").exists()


def test_a_file_in_the_place_of_our_folder_is_to_be_moved_away(one: Repository) -> None:
    (one.path / ".deploy").write_text("mine")
    done = one.doit("plan", code=1)
    assert f"next: {one.path / '.deploy'} is not a folder: move it away, then run the same command again" in done.out
    assert (one.path / ".deploy").read_text() == "mine"
