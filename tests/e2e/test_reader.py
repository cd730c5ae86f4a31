"""What the reader sees, end to end: what is made of variables, functions and other files affects the right stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.repository import Repository, minimal_config

if TYPE_CHECKING:
    from collections.abc import Callable

BACKEND = 'terraform {\n  backend "local" {}\n}\n\n'
LEAF = 'output "v" {\n  value = "one"\n}\n'


def output(expression: str, more: str = "") -> str:
    """A root module with one output."""
    return f'{BACKEND}output "v" {{\n  value = {expression}\n}}\n{more}'


def formatted(repository: Repository) -> Repository:
    """The same repository, its files as `tofu fmt` has them."""
    import subprocess

    subprocess.run([repository.tofu, "fmt", "-recursive"], cwd=repository.path, check=True, capture_output=True)
    repository.commit("formatted")
    return repository


def test_modules_whose_sources_vary_are_followed(build: Callable[..., Repository]) -> None:
    module = 'module "m" {\n  source = %s\n}\n'
    repository = formatted(
        build(
            minimal_config("stacks:\n  configured: {variables: {mod: ../../modules/blue}}\n"),
            "stacks/local/main.tf:"
            + output("module.m.v", 'locals {\n  base = "../../modules"\n}\n' + module % '"${local.base}/blue"'),
            "stacks/file/main.tf:"
            + output("module.m.v", 'variable "mod" {\n  type = string\n}\n' + module % "var.mod"),
            'stacks/file/terraform.tfvars:mod = "../../modules/blue"\n',
            "stacks/configured/main.tf:"
            + output("module.m.v", 'variable "mod" {\n  type = string\n}\n' + module % "var.mod"),
            "stacks/nested/main.tf:"
            + output("module.m.v", 'module "m" {\n  source = "../../modules/outer"\n  kind = "blue"\n}\n'),
            "stacks/other/main.tf:" + output("module.m.v", module % '"../../modules/red"'),
            'modules/outer/main.tf:variable "kind" {\n  type = string\n}\nmodule "i" {\n  source = "../${var.kind}"\n}\noutput "v" {\n  value = module.i.v\n}\n',
            'modules/blue/main.tf:module "l" {\n  source = format("../../lib/%s", "leaf")\n}\noutput "v" {\n  value = module.l.v\n}\n',
            f"lib/leaf/main.tf:{LEAF}",
            f"modules/red/main.tf:{LEAF}",
        )
    )
    repository.doit("deploy")
    repository.engine_calls()
    repository.write(f"lib/leaf/main.tf:{LEAF.replace('one', 'two')}")
    repository.commit()
    repository.doit("deploy")
    assert repository.planned() == ["configured", "file", "local", "nested"]
    assert repository.json("outputs", "nested.json")["outputs"]["v"]["value"] == "two"
    repository.write("README.md:changed", "modules/red/README.md:changed", "lib/else/main.tf:")
    repository.commit()
    repository.doit("deploy")
    assert repository.planned() == []


PATHS = {
    "format": 'format("%s/../../shared/x.txt", path.module)',
    "join": 'join("/", [path.module, "..", "..", "shared", "x.txt"])',
    "json": 'jsondecode(file("${path.module}/index.json")).f',
    "condition": 'var.custom != "" ? var.custom : "${path.module}/default.txt"',
    "coalesce": 'coalesce(var.null, var.custom, "${path.module}/default.txt")',
    "map": 'lookup({ a = "../../shared/x.txt" }, var.key, "default.txt")',
    "optional": "try(var.settings.none, var.settings.file)",
    "loop": 'element([for n in ["y", "x"] : "../../shared/${n}.txt"], 1)',
    "hidden": '"../../shared/${one(fileset("../../shared", ".h/*.txt"))}"',
    "partly": '"../../shared/${strrev("txt.x")}"',
}
VARIABLES = """
variable "custom" {
  type    = string
  default = "../../shared/x.txt"
}

variable "null" {
  type    = string
  default = null
}

variable "key" {
  type    = string
  default = "a"
}

variable "settings" {
  type = object({
    file = optional(string, "../../shared/x.txt")
  })
  default = {}
}
"""


def test_a_file_whose_path_is_built_affects_its_stack_and_a_readme_none(build: Callable[..., Repository]) -> None:
    stacks = [
        f"stacks/{name}/main.tf:" + output(f"filesha256({path})", VARIABLES if "var." in path else "")
        for name, path in PATHS.items()
    ]
    repository = formatted(
        build(
            minimal_config(), *stacks, 'stacks/json/index.json:{"f": "../../shared/x.txt"}',
            *(f"stacks/{name}/default.txt:d" for name in PATHS), "shared/x.txt:x", "shared/y.txt:y", "shared/.h/h.txt:h",
        )
    )  # fmt: skip
    repository.doit("deploy")
    repository.engine_calls()
    repository.write("README.md:changed", "stacks/map/README.md:changed", "docs/x.txt:new")
    repository.commit()
    assert "affected" not in repository.doit("status").out.replace("not affected", "")
    repository.write("shared/.h/h.txt:changed")
    repository.commit()
    repository.doit("deploy")
    assert repository.planned() == ["hidden", "partly"]
    repository.write("shared/x.txt:changed")
    repository.commit()
    done = repository.doit("deploy")
    assert repository.planned() == sorted(set(PATHS) - {"hidden"})
    assert "(stacks/partly/main.tf reads a file in shared whose name is not known)" in done.out


def test_a_siblings_state_is_an_edge_however_it_is_read(build: Callable[..., Repository]) -> None:
    data = 'data "terraform_remote_state" "net" {\n%s  backend = "local"\n  config = %s\n}\n'
    plain = '{ path = "../../.state/net-local.tfstate" }'
    one, several = "data.terraform_remote_state.net.outputs.v", 'data.terraform_remote_state.net["net"].outputs.v'
    repository = formatted(
        build(
            minimal_config(),
            "stacks/net/main.tf:" + output('"one"'),
            "stacks/dns/main.tf:" + output('"dns"'),
            "stacks/a-module/main.tf:"
            + output("module.m.v", 'module "m" {\n  source = "../../modules/net"\n  of = "net"\n}\n'),
            'modules/net/main.tf:variable "of" {\n  type = string\n}\n'
            + data % ("", '{ path = "../../.state/${var.of}-local.tfstate" }'),
            f'modules/net/outputs.tf:output "v" {{\n  value = {one}\n}}\n',
            "stacks/a-merge/main.tf:"
            + output(one, "locals {\n  common = {}\n}\n" + data % ("", f"merge(local.common, {plain})")),
            "stacks/a-each/main.tf:"
            + output(
                several, data % ('  for_each = toset(["net"])\n', '{ path = "../../.state/${each.key}-local.tfstate" }')
            ),
            "stacks/a-count/main.tf:"
            + output(
                "data.terraform_remote_state.net[0].outputs.v",
                data % ("  count = 1\n", '{ path = "../../.state/${["net"][count.index]}-local.tfstate" }'),
            ),
        )
    )
    graph = repository.doit("graph").out
    for name in ("a-module", "a-merge", "a-each", "a-count"):
        assert f"{name}  needs net" in graph
    assert "needs dns" not in graph
    repository.doit("deploy")
    repository.engine_calls()
    repository.write("stacks/net/main.tf:" + output('"two"'))
    repository.commit()
    repository.doit("deploy")
    assert repository.planned() == ["a-count", "a-each", "a-merge", "a-module", "net"]
    for name in ("a-module", "a-merge", "a-each", "a-count"):
        assert repository.json("outputs", f"{name}.json")["outputs"]["v"]["value"] == "two"
