"""The project: stacks found on disk, and every cross-reference that leads nowhere, each with its place."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks import start
from tasks.base.errors import ConfigError, ConfigErrors
from tasks.project.sources import Sources
from tasks.project.stack import OutputReference
from tests.unit.conftest import write
from tests.unit.test_config import ANY, every_error_names_its_place, paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.project.hcl.rootmodule import RootModule
    from tasks.project.project import Project

NETWORK = 'output "subnet_id" { value = "s" }\noutput "region" { value = "r" }\n'
WEB = 'variable "subnet_id" {}\nvariable "size" { default = 1 }\n'
STACKS = (f"stacks/network/main.tf:{NETWORK}", f"stacks/web/main.tf:{WEB}")


# --- what is found ---------------------------------------------------------------------------------------------------


def test_stacks_are_the_folders_with_configuration_named_by_what_the_glob_leaves_open(
    load: Callable[..., Project],
) -> None:
    found = load(
        'discover: ["stacks/*", "teams/*/*"]\n',
        *STACKS,
        "stacks/docs/README.md:no stack",
        "stacks/.hidden/main.tf:",
        "stacks/tofu/main.tofu:",
        "stacks/json/main.tf.json:{}",
        "stacks/file.tf:",
        "teams/a/db/main.tf:",
    )
    assert {name: stack.path for name, stack in found.stacks.items()} == {
        "a/db": "teams/a/db", "json": "stacks/json", "network": "stacks/network", "tofu": "stacks/tofu",
        "web": "stacks/web",
    }  # fmt: skip


def test_a_folder_that_the_configuration_names_otherwise_is_not_found_twice(
    load: Callable[..., Project],
) -> None:
    found = load("stacks:\n  edge: {path: stacks/web/}\n", *STACKS)
    assert {name: stack.path for name, stack in found.stacks.items()} == {
        "edge": "stacks/web", "network": "stacks/network",
    }  # fmt: skip


def test_a_stack_that_is_switched_off_is_not_there_and_nothing_of_it_is_checked(
    load: Callable[..., Project],
) -> None:
    found = load("stacks:\n  web: {enabled: false, depends_on: [nowhere], path: no/where}\n", *STACKS)
    assert list(found.stacks) == ["network"]


def test_a_misspelt_stack_is_not_switched_off_in_silence(errors: Callable[..., str]) -> None:
    found = errors("stacks:\n  netwrok: {enabled: false}\n", *STACKS)
    assert "stacks.netwrok: this stack's folder stacks/netwrok does not exist (did you mean 'stacks/network'?)" in found


def test_an_upstream_that_is_disabled_is_said_to_be(errors: Callable[..., str]) -> None:
    found = errors(
        "stacks:\n  db: {enabled: false}\n  web: {depends_on: [db]}\n", *STACKS, "stacks/db/main.tf:resource"
    )
    assert "stacks.web.depends_on[0]: stack 'db' is disabled in environment 'local'" in found


def test_inputs_are_dependencies_too(load: Callable[..., Project]) -> None:
    found = load("stacks:\n  web: {inputs: {subnet_id: network.subnet_id}}\n", *STACKS)
    assert found.graph.order == ("network", "web")
    assert found.stacks["web"].inputs == {"subnet_id": OutputReference("network", "subnet_id")}


def test_an_input_may_name_a_stack_with_dots(load: Callable[..., Project]) -> None:
    found = load("stacks:\n  web: {inputs: {subnet_id: a.b.subnet_id}}\n", STACKS[1], f"stacks/a.b/main.tf:{NETWORK}")
    assert found.stacks["web"].inputs["subnet_id"] == OutputReference("a.b", "subnet_id")


def test_a_configuration_that_does_not_parse_is_the_engines_to_tell(load: Callable[..., Project]) -> None:
    found = load(
        "stacks:\n  web: {inputs: {anything: network.anything}, variables: {x: 1}}\n",
        "stacks/network/main.tf:output {{{",
        "stacks/web/main.tf:variable {{{",
    )
    assert list(found.stacks) == ["network", "web"]


def test_placeholders_are_relative_to_the_stack(load: Callable[..., Project]) -> None:
    found = load('discover: ["teams/*/*"]\n', "teams/a/db/main.tf:")
    assert found.placeholders("a/db") == {"stack": "a/db", "environment": "local", "root": "../../.."}


# --- what refers to nothing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        pytest.param(
            "stacks:\n  web:\n    depends_on: [network, netwrok]\n",
            "config error: stacks.web.depends_on[1]: unknown stack 'netwrok' (did you mean 'network'?)\n"
            "  where: config/pipeline.yaml:4",
            id="depends_on names no stack",
        ),
        pytest.param(
            "stacks:\n  web:\n    inputs:\n      subnet_id: netwok.subnet_id\n",
            "config error: stacks.web.inputs.subnet_id: unknown stack 'netwok' (did you mean 'network'?)\n"
            "  where: config/pipeline.yaml:5",
            id="inputs name no stack",
        ),
        pytest.param(
            "stacks:\n  web:\n    inputs:\n      subnet_id: network.subnet\n",
            "config error: stacks.web.inputs.subnet_id: stack 'network' has no output 'subnet' (did you mean 'subnet_id'?)\n"
            "  where: config/pipeline.yaml:5",
            id="inputs name no output",
        ),
        pytest.param(
            "stacks:\n  web:\n    inputs: {subnet: network.subnet_id}\n",
            "config error: stacks.web.inputs.subnet: stacks/web declares no variable 'subnet' (did you mean 'subnet_id'?)\n"
            "  where: config/pipeline.yaml:4",
            id="inputs give no variable",
        ),
        pytest.param(
            "stacks:\n  web:\n    variables:\n      siez: 3\n",
            "config error: stacks.web.variables.siez: stacks/web declares no variable 'siez' (did you mean 'size'?)\n"
            "  where: config/pipeline.yaml:5",
            id="undeclared variable",
        ),
        pytest.param(
            "stacks:\n  web:\n    inputs: {subnet_id: network.subnet_id}\n    variables: {subnet_id: x}\n",
            "config error: stacks.web.variables.subnet_id: 'subnet_id' is set twice: here and by inputs\n"
            "  where: config/pipeline.yaml:5",
            id="a variable given twice",
        ),
        pytest.param(
            "stacks:\n  web:\n    inputs: {subnet_id: network.subnet_id}\n    mocks: {subnet: x}\n",
            "config error: stacks.web.mocks.subnet: 'subnet' is not an input of this stack (did you mean 'subnet_id'?)\n"
            "  where: config/pipeline.yaml:5",
            id="a mock of no input",
        ),
        pytest.param(
            "stacks:\n  web: {depends_on: [network]}\n  network:\n    depends_on: [web]\n",
            "config error: stacks.network.depends_on: these stacks need each other: network -> web -> network\n"
            "  where: config/pipeline.yaml:5",
            id="cycle",
        ),
        pytest.param(
            "stacks:\n  web:\n    depends_on: [web]\n",
            "config error: stacks.web.depends_on: these stacks need each other: web -> web\n"
            "  where: config/pipeline.yaml:4",
            id="a stack that needs itself",
        ),
        pytest.param(
            "stacks:\n  web:\n    inputs: {subnet_id: network.subnet_id}\n  network: {depends_on: [web]}\n",
            "config error: stacks.network.depends_on: these stacks need each other: network -> web -> network\n"
            "  where: config/pipeline.yaml:5",
            id="cycle by an input",
        ),
        pytest.param(
            "stacks:\n  databse: {}\n  web:\n    path: stack/web\n",
            "config error: stacks.databse: this stack's folder stacks/databse does not exist"
            " (did you mean 'stacks/web'?)\n  where: config/pipeline.yaml:3\n"
            "config error: stacks.web.path: this stack's folder stack/web does not exist"
            " (did you mean 'stacks/web'?)\n  where: config/pipeline.yaml:5",
            id="missing folders",
        ),
        pytest.param(
            "stacks:\n  web: {path: config}\n  up: {path: ../x}\n  all: {path: ./}\n  top: {path: /etc}\n",
            "config error: stacks.all.path: a stack's folder must be inside the repository, not the whole of it: '.'\n"
            "  where: config/pipeline.yaml:5\n"
            "config error: stacks.top.path: a stack's folder must be inside the repository, not the whole of it:"
            " '/etc'\n  where: config/pipeline.yaml:6\n"
            "config error: stacks.up.path: a stack's folder must be inside the repository, not the whole of it:"
            " '../x'\n  where: config/pipeline.yaml:4\n"
            "config error: stacks.web.path: config contains no configuration (*.tf, *.tofu)\n"
            "  where: config/pipeline.yaml:3",
            id="folders that cannot be a stack's",
        ),
        pytest.param(
            "discover:\n  - stacks/*\n  - ../*\n",
            "config error: discover[1]: '../*' is not a glob below the root: it leaves the repository\n"
            "  where: config/pipeline.yaml:4",
            id="a glob that leaves the repository",
        ),
    ],
)  # fmt: skip
def test_what_leads_nowhere_is_said_with_its_place_and_the_nearest(
    errors: Callable[..., str], text: str, rendered: str
) -> None:
    assert errors(text, *STACKS) == rendered


def test_everything_that_leads_nowhere_is_said_at_once(errors: Callable[..., str]) -> None:
    found = errors(
        "stacks:\n  network: {depends_on: [a]}\n  web: {depends_on: [b], variables: {c: 1}, inputs: {d: e.f}}\n",
        *STACKS,
    )
    assert [line.split(": ")[1] for line in found.splitlines() if line.startswith("config error")] == [
        "stacks.network.depends_on[0]", "stacks.web.depends_on[0]", "stacks.web.inputs.d", "stacks.web.inputs.d",
        "stacks.web.variables.c",
    ]  # fmt: skip


def test_an_error_of_an_environment_file_names_that_file_and_line(errors: Callable[..., str]) -> None:
    assert errors(
        "stacks:\n  web: {variables: {size: 1}}\n", *STACKS,
        "config/environments/prod.yaml:stacks:\n  web:\n    variables:\n      sise: 2\n",
        environment="prod",
    ) == (
        "config error: stacks.web.variables.sise: stacks/web declares no variable 'sise' (did you mean 'size'?)\n"
        "  where: config/environments/prod.yaml:4"
    )  # fmt: skip


def test_a_reference_that_a_variable_makes_names_the_variable(
    errors: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOY_STACKS__WEB__DEPENDS_ON", '["netwrk"]')
    assert errors("stacks: {web: {}}\n", *STACKS) == (
        "config error: stacks.web.depends_on[0]: unknown stack 'netwrk' (did you mean 'network'?)\n"
        "  where: environment variable DEPLOY_STACKS__WEB__DEPENDS_ON"
    )


def test_a_folder_without_configuration_is_no_stack_and_said_so(errors: Callable[..., str]) -> None:
    assert errors("stacks: {web: {depends_on: [net/core]}}\n", *STACKS, "stacks/net/core/README.md:") == (
        "config error: stacks.web.depends_on[0]: 'net/core' is no stack: its folder stacks/net/core has no "
        "configuration (*.tf)\n"
        "  where: config/pipeline.yaml:2"
    )


def test_two_folders_of_one_name_are_both_named(errors: Callable[..., str]) -> None:
    assert errors('discover: ["stacks/*", "more/*"]\n', "stacks/a/main.tf:", "more/a/main.tf:") == (
        "config error: discover[1]: two folders have the stack name 'a': stacks/a and more/a\n"
        "  where: config/pipeline.yaml:2"
    )


def test_a_folder_that_cannot_be_a_name_says_the_way_out(errors: Callable[..., str]) -> None:
    assert errors("", "stacks/my stack/main.tf:") == (
        "config error: discover[0]: the folder stacks/my stack is not a valid stack name; rename it, or list it under"
        " `stacks:`\n  where: config/pipeline.yaml:1"
    )


# --- no mangled configuration gives anything else --------------------------------------------------------------------

COMPLETE = """\
version: 1
discover: ["stacks/*"]
stacks:
  network: {}
  web:
    path: stacks/web
    depends_on: [network]
    inputs: {subnet_id: network.subnet_id}
    mocks: {subnet_id: mock}
    variables: {size: 3}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository with two stacks, whose pipeline file the test writes."""
    return write(tmp_path_factory.mktemp("mangled"), *STACKS, "config/pipeline.yaml:")


HARSH = st.sampled_from(
    ["", ".", "..", "../x", "/", "**", "*", "stacks/**", "stacks/[", "\0", "stacks/web", "network.subnet_id", "web.x",
     "a" * 300, "~", "stacks/*/main.tf", "\\", "stacks//web", "stacks/web/../network"]
)  # fmt: skip


@given(
    st.sampled_from(sorted(filter(None, paths(yaml.safe_load(COMPLETE))), key=str)),
    ANY | HARSH | st.lists(HARSH, max_size=3) | st.dictionaries(HARSH, HARSH, max_size=2),
)
def test_any_value_at_any_key_is_a_project_or_a_config_error(root: Path, path: tuple[Any, ...], value: Any) -> None:
    data = yaml.safe_load(COMPLETE)
    node = data
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    (root / "config/pipeline.yaml").write_text(yaml.safe_dump(data))
    try:
        start.load(root)
    except (ConfigError, ConfigErrors) as error:
        every_error_names_its_place(error)


@pytest.mark.parametrize(
    ("words", "dodo", "reads"),
    [
        ("audit", "", False), ("log", "", False), ("log web --json", "", False), ("env=local audit", "", False),
        ("plan", "", True), ("audit deploy", "", True), ("", "", True), ("list", "", True),
        ("ledger check", "", True), ("web audit", "", True), ("audit", "x = 1\n", True),
    ],
)  # fmt: skip
def test_a_command_of_the_ledger_alone_reads_no_stacks_code(
    root: Path, monkeypatch: pytest.MonkeyPatch, words: str, dodo: str, reads: bool
) -> None:
    (root / "config/pipeline.yaml").write_text("version: 1\n")
    (root / "dodo.py").write_text(f"from tasks import *\n{dodo}")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["doit", *words.split()])
    module, read = Sources.module, set[str]()

    def watched(sources: Sources, name: str) -> RootModule:
        read.add(name)
        return module(sources, name)

    monkeypatch.setattr(Sources, "module", watched)
    stacks = start.load(root).stacks.keys()
    assert stacks == {"network", "web"}
    assert read == (stacks if reads else set())


def test_the_mangled_test_begins_with_a_project_that_loads(root: Path) -> None:
    (root / "config/pipeline.yaml").write_text(COMPLETE)
    assert start.load(root).graph.order == ("network", "web")


@pytest.mark.parametrize("pattern", ["stacks/{a,b}", "{environment}/*", "${TEAM}/*"])
def test_a_glob_of_stacks_that_could_never_find_one_is_refused(errors: Callable[..., str], pattern: str) -> None:
    found = errors(f"discover:\n  - stacks/*\n  - '{pattern}'\n", "stacks/a/main.tf:locals {}\n")
    assert f"discover[1]: '{pattern}' is not a glob below the root: braces and `$` mean nothing here" in found
    assert "config/pipeline.yaml:4" in found


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("volatile_variables: [tokn]\n", "no stack declares a variable 'tokn' (did you mean 'token'?)"),
        ("stacks: {a: {volatile_variables: [tokn]}}\n", "stacks/a declares no variable 'tokn' (did you mean 'token'?)"),
        (
            "images: {i: {context: app, repository: r.example/x}}\nstacks: {a: {volatile_variables: [token], images: {token: i}}}\n",
            "'token' gets the reference of an image, which always counts: it cannot be volatile",
        ),
        (
            "stacks: {a: {volatile_variables: [token], inputs: {token: up.it}}, up: {}}\n",
            "stacks.a.inputs.token: 'token' gets an output of stack 'up', whose changes always count: it cannot be volatile",
        ),
        (
            "volatile_variables: [token]\nstacks: {a: {inputs: {token: up.it}}, up: {}}\n",
            "stacks.a.inputs.token: 'token' gets an output of stack 'up', whose changes always count: it cannot be volatile",
        ),
    ],
)
def test_a_volatile_variable_that_cannot_be_one_is_named(errors: Callable[..., str], config: str, words: str) -> None:
    up = 'stacks/up/main.tf:output "it" {\n  value = 1\n}\n'
    found = errors(config, 'stacks/a/main.tf:variable "token" {}\n', up, "app/Dockerfile:FROM scratch\n")
    assert words in found
    assert "config/pipeline.yaml:" in found


def test_an_ephemeral_variable_may_get_an_output_and_be_called_volatile(load: Callable[..., Project]) -> None:
    """No plan keeps its value, so a deploy uses the output as it is then."""
    config = "volatile_variables: [token]\nstacks: {a: {inputs: {token: up.it}}, up: {}}\n"
    token = 'stacks/a/main.tf:variable "token" {\n  ephemeral = true\n}\n'
    assert load(config, token, 'stacks/up/main.tf:output "it" {\n  value = 1\n}\n').graph.order == ("up", "a")


def test_a_file_that_overrides_a_variable_leaves_it_ephemeral_and_secret(load: Callable[..., Project]) -> None:
    module = load(
        "",
        'stacks/a/main.tf:variable "token" {\n  ephemeral = true\n}\nvariable "pin" {\n  sensitive = true\n}\n',
        'stacks/a/main_override.tf:variable "token" {\n  default = "x"\n}\nvariable "pin" {\n  default = "1"\n}\n',
        'stacks/b/main.tf.json:{"variable": {"token": {"ephemeral": true}}}',
        'stacks/b/override.tf.json:{"variable": {"token": {"ephemeral": false}}}',
    ).module
    assert module("a").ephemeral == {"token"}
    assert module("a").sensitive == ["pin", "token"]
    assert module("b").ephemeral == frozenset()
