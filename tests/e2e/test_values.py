"""Values are the engine's: numbers keep every digit, and null is a value, wherever they come from and go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, copy_tree, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHOWS = 'terraform {\n  backend "local" {}\n}\n\nvariable "x" {\n  type    = any\n  default = null\n}\n\noutput "x" {\n  value = jsonencode(var.x)\n}\n'
NEW = '\noutput "new" {\n  value = null\n}\n'
NUMBERS = ["9007199254740993.5", "9007199254740993", "123456789.123456789123456789", "-0.1", "1" + "0" * 30]


def _gives(value: str) -> str:
    return f'terraform {{\n  backend "local" {{}}\n}}\n\noutput "n" {{\n  value = {value}\n}}\n'


def _applied(repository: Repository) -> str:
    """The same from the state, where a value that is known to be secret stands, too."""
    text: str = repository.state("b")["outputs"]["x"]["value"]
    return text


def _shown(repository: Repository, stack: str = "b") -> str:
    text: str = repository.json("outputs", f"{stack}.json")["outputs"]["x"]["value"]
    return text


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_goes_from_stack_to_stack_with_every_digit(build: Callable[..., Repository], number: str) -> None:
    repository = build(
        minimal_config("stacks:\n  b: {inputs: {x: a.n}}\n"),
        f"stacks/a/main.tf:{_gives(f'[{number}, {{ in = {number} }}]')}", f"stacks/b/main.tf:{SHOWS}",
    )  # fmt: skip
    repository.doit("deploy")
    assert _shown(repository) == f'[{number},{{"in":{number}}}]'
    for record in ("outputs/a.json", "results/deploy/a.json"):
        assert number in repository.deploy_dir(*record.split("/")).read_text()


def test_a_digit_that_changes_is_shown_and_has_the_dependents_planned(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config("stacks:\n  b: {inputs: {x: a.n}}\n"),
        f"stacks/a/main.tf:{_gives('9007199254740993.5')}", f"stacks/b/main.tf:{SHOWS}",
    )  # fmt: skip
    repository.doit("deploy")
    repository.write(f"stacks/a/main.tf:{_gives('9007199254740993.75')}")
    done = repository.doit("plan")
    for text in (done.out, repository.deploy_dir("reports", "plan.md").read_text()):
        assert "- 9007199254740993.5" in text
        assert "+ 9007199254740993.75" in text
    assert "9007199254740993.75" in repository.deploy_dir("plans", "a", "plan.json").read_text()
    done = repository.doit("deploy")
    assert "an upstream's output changed" in done.task("deploy", "b")
    assert _shown(repository) == "9007199254740993.75"


@pytest.mark.parametrize("number", ["9007199254740993.5", "0.1", "1.0e+300", "-123456789.123456789123456789"])
@pytest.mark.parametrize("way", ["configuration", "variable of doit", "mock", "JSON var file", "organization"])
def test_a_number_of_the_configuration_keeps_every_digit(
    build: Callable[..., Repository], way: str, number: str
) -> None:
    config = {
        "configuration": f"stacks:\n  b: {{variables: {{x: [{number}]}}}}\n",
        "mock": f"stacks:\n  b: {{inputs: {{x: a.n}}, mocks: {{x: [{number}]}}}}\n",
        "organization": 'organization: {file: o.yaml}\nstacks:\n  b: {variables: {x: ["{organization.n}"]}}\n',
    }.get(way, "")
    files = {
        "JSON var file": [f'stacks/b/x.auto.tfvars.json:{{"x": [{number}]}}'],
        "organization": [f"o.yaml:n: {number}\n"],
    }
    repository = build(
        minimal_config(config), f"stacks/a/main.tf:{_gives('1')}", f"stacks/b/main.tf:{SHOWS}", *files.get(way, [])
    )
    variables = {"DEPLOY_STACKS__B__VARIABLES": f'{{"x": [{number}]}}'} if way == "variable of doit" else {}
    repository.doit("plan", **variables)
    shown = {"1.0e+300": "1" + "0" * 300}.get(number, number)
    assert shown in repository.deploy_dir("plans", "b", "plan.json").read_text()


def _null(condition: str, more: str = "") -> str:
    return resource(
        extra=f'\nvariable "there" {{\n  type = bool\n}}\n\noutput "id" {{\n  value = var.there ? "{condition}" : null\n{more}}}\n'
    )


@pytest.mark.parametrize("more", ["", "\n  sensitive = true\n"], ids=["plain", "sensitive"])
def test_null_goes_from_stack_to_stack(build: Callable[..., Repository], tmp_path: Path, more: str) -> None:
    """To an output that becomes null, and back; also on a fresh clone that has nothing but the state."""
    config = (
        "deploy: {{tag: deployed}}\nstacks:\n  a: {{variables: {{there: {there}}}}}\n  b: {{inputs: {{x: a.id}}}}\n"
    )
    shows = SHOWS.replace("jsonencode(var.x)\n", "nonsensitive(jsonencode(var.x))\n" if more else "jsonencode(var.x)\n")
    repository = build(
        minimal_config(config.format(there="true")),
        f"stacks/a/main.tf:{_null('nat-1', more)}", f"stacks/b/main.tf:{shows}",
    )  # fmt: skip
    repository.doit("deploy")
    assert _applied(repository) == '"nat-1"'
    repository.write(minimal_config(config.format(there="false")))
    repository.commit()
    repository.doit("deploy")
    assert _applied(repository) == "null"
    assert repository.json("outputs", "a.json")["outputs"]["id"]["value"] is None
    assert "as deployed" in repository.doit("drift").task("drift", "b")
    assert "nothing to deploy" in repository.doit("deploy").out
    fresh = repository.clone(tmp_path / "fresh")
    copy_tree(repository.path / ".state", fresh.path / ".state")
    fresh.doit("-a", "plan:b")
    assert fresh.json("plans", "b", "manifest.json")["counts"]["outputs"] == 0
    repository.write(minimal_config(config.format(there="true")))
    repository.doit("deploy")
    assert _applied(repository) == '"nat-1"'


def test_an_output_that_was_never_applied_is_missing_and_not_null(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config("stacks:\n  a: {}\n"), f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{SHOWS}"
    )
    repository.doit("deploy")
    repository.write(
        minimal_config("stacks:\n  b: {inputs: {x: a.new}}\n"),
        f"stacks/a/main.tf:{resource(extra=NEW)}",
    )
    assert "deferred until a.new exists" in repository.doit("plan").task("plan", "b")
    repository.doit("deploy")
    assert _shown(repository) == "null"


def test_null_is_a_value_of_the_configuration_and_of_a_mock(build: Callable[..., Repository]) -> None:
    shows = SHOWS.replace("default = null", 'default = "default"')
    repository = build(
        minimal_config(
            "stacks:\n  b: {variables: {x: null}}\n  c: {inputs: {x: a.value}, mocks: {x: null}}\n"
            "  d: {variables: {x: {inner: [null, 1]}}}\n"
        ),
        f"stacks/a/main.tf:{resource()}", *(f"stacks/{name}/main.tf:{shows}" for name in "bcd"),
    )  # fmt: skip
    repository.doit("plan")
    assert '"after": "null"' in repository.deploy_dir("plans", "c", "plan.json").read_text()
    repository.doit("plan:c", "mocks=no")
    repository.doit("deploy")
    assert _shown(repository, "b") == "null"
    assert _shown(repository, "d") == '{"inner":[null,1]}'


def test_a_policy_checker_gets_every_digit(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config(
            "policy: {checkers: [{name: keep, format: exit_code, command: [sh, -c, \"cat '{plan}' > seen.json\"]}]}\n"
        ),
        f"stacks/a/main.tf:{_gives('9007199254740993.5')}",
    )
    repository.doit("plan")
    assert "9007199254740993.5" in (repository.path / "seen.json").read_text()
