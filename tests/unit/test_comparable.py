"""What no commit knows: the environment variables that each kind of input rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.artifact import comparable, inputs
from tasks.artifact.inputs import Input, InputKind
from tests.unit.test_commitindex import at, commit, git

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.project.project import Project

CONFIG = """
builds:
  kit: {kind: command, path: kit, command: ["true"], outputs: [out], environment: [KIT], depends_on: [tool]}
  tool: {kind: command, path: tool, command: ["true"], outputs: [out], environment: [TOOL]}
images:
  server: {context: server, repository: "${REGISTRY:-registry.example.com}/app", args: {X: "${ARGUMENT:-1}"}, builds: [kit]}
stacks:
  a:
    variables: {plain: 1, given: "${GIVEN:-1}", deep: {list: ["${DEEP:-1}"]}}
    var_files: ["${FOLDER:-vars}/a.tfvars"]
    images: {image: server}
    builds: [kit]
    backend: {kind: local, settings: {path: "${STATES:-states}/{stack}"}}
"""
FILES = (
    ('stacks/a/main.tf:terraform {\n  backend "local" {}\n}\nvariable "plain" {}\nvariable "given" {}\nvariable "deep" {}\n'
    'variable "image" {}\nvariable "asked" { default = 1 }\n'),
    "stacks/a/vars/a.tfvars:# nothing\n", "kit/x.txt:1", "tool/x.txt:1", "server/Containerfile:FROM scratch\n",
)  # fmt: skip
BUILD, IMAGE = Input(InputKind.BUILD, "kit"), Input(InputKind.IMAGE, "server", target="image")


@pytest.fixture
def unknown(
    load: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[Input, str]]:
    """What cannot be compared of stack `a` where some variables are set."""

    def find(**variables: str) -> dict[Input, str]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        project = load(CONFIG, *FILES)
        git(tmp_path, "init", "--quiet")
        index = at(tmp_path, commit(tmp_path))
        stack = project.stacks["a"]
        return comparable.unknown(project, stack, inputs.gather(project, stack), index)

    return find


def test_what_is_not_set_can_be_compared(unknown: Callable[..., dict[Input, str]]) -> None:
    assert unknown() == {}


@pytest.mark.parametrize(
    ("variable", "value", "items"),
    [
        ("GIVEN", "2", {Input(InputKind.VARIABLE, "given")}),
        ("DEEP", "2", {Input(InputKind.VARIABLE, "deep")}),
        ("TF_VAR_asked", "2", {Input(InputKind.ENVIRONMENT_VARIABLE, "TF_VAR_asked")}),
        ("STATES", "elsewhere", {Input(InputKind.BACKEND)}),
        ("FOLDER", "vars", {Input(InputKind.VAR_FILE, "stacks/a/vars/a.tfvars")}),
        ("REGISTRY", "registry.example.net", {IMAGE}),
        ("ARGUMENT", "2", {IMAGE}),
        ("KIT", "2", {BUILD, IMAGE}),
        ("TOOL", "2", {BUILD, IMAGE}),
        ("DEPLOY_BUILDS__KIT__SCRIPT", "other", {BUILD, IMAGE}),
        ("DEPLOY_IMAGES__SERVER__TARGET", "other", {IMAGE}),
        ("DEPLOY_ENGINE__VERSION", "1.12.6", {Input(InputKind.ENGINE)}),
        ("DEPLOY_STACKS__A__VARIABLES", '{"plain": 2}', {Input(InputKind.VARIABLE, "plain")}),
        ("DEPLOY_STACKS__A__BUILDS", '["kit"]', {BUILD}),
        ("CI_PROJECT_ID", "42", set()),
        ("UNUSED", "1", set()),
    ],
)
def test_each_variable_that_is_set_is_found_where_it_counts(
    unknown: Callable[..., dict[Input, str]], variable: str, value: str, items: set[Input]
) -> None:
    found = unknown(**{variable: value})
    assert set(found) == items
    named = variable.rpartition("__")[0] if variable.startswith(("DEPLOY_BUILDS", "DEPLOY_IMAGES")) else variable
    assert all(note == f"it comes from environment variables ({named})" for note in found.values())


@pytest.mark.parametrize(
    ("variable", "value", "found"),
    [
        ("DEPLOY_STACKS__A__ENABLED", "true", ["DEPLOY_STACKS__A__ENABLED"]),
        ("DEPLOY_STACKS__A__PATH", "stacks/a", ["DEPLOY_STACKS__A__PATH"]),
        ("DEPLOY_DISCOVER", '["stacks/*"]', ["DEPLOY_DISCOVER"]),
        ("DEPLOY_STACKS__B__PATH", "stacks/b", []),
        ("WATCHED", "elsewhere", ["WATCHED"]),
        ("CI_PROJECT_ID", "42", []),
    ],
)
def test_what_says_that_a_stack_is_there_is_no_commits_to_know(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, variable: str, value: str, found: list[str]
) -> None:
    monkeypatch.setenv(variable, value)
    watch = "{watch: ['${WATCHED:-x}/**', '${CI_PROJECT_ID:-1}']}"
    configured = f"stacks: {{a: {watch}, b: {{}}}}\n" if variable != "DEPLOY_DISCOVER" else ""
    project = load(configured, "stacks/a/x.tf:", "stacks/b/x.tf:")
    assert list(comparable.settings(project, project.stacks["a"])) == found
