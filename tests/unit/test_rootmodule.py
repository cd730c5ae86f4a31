"""A stack's configuration, all files and local modules taken together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tasks.project.hcl import rootmodule
from tasks.project.hcl.fileindex import FileIndex

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.project.hcl.rootmodule import RootModule


def read(root: Path, path: str = "stacks/web") -> RootModule:
    """The root module of a folder."""
    return rootmodule.read(FileIndex(root, root / "cache.json"), path)


def test_all_files_of_a_folder_are_one_module(tree: Callable[..., Path]) -> None:
    module = read(
        tree(
            'stacks/web/a.tf:variable "x" { sensitive = true }\noutput "o" { value = 1 }\n',
            'stacks/web/b.tofu:variable "y" {}\nterraform { backend "s3" { key = var.y } }\n',
            'stacks/web/c.tf.json:{"output": {"p": {"value": 1}}}',
            "stacks/web/README.md:no configuration",
            'stacks/web/below/main.tf:output "no" { value = 1 }\n',
        )
    )
    assert module.files == ["stacks/web/a.tf", "stacks/web/b.tofu", "stacks/web/c.tf.json"]
    assert sorted(module.variables) == ["x", "y"]
    assert module.sensitive == ["x"]
    assert module.outputs == {"o", "p"}
    assert (module.backend, module.backend_varies) == ("s3", True)
    assert (module.modules, module.broken, module.named) == ({}, [], [])


def test_local_modules_are_followed_once_even_in_circles(tree: Callable[..., Path]) -> None:
    module = read(
        tree(
            'stacks/web/main.tf:module "a" { source = "../../modules/a" }\nmodule "r" { source = "hashicorp/x/y" }\n',
            'modules/a/main.tf:module "b" { source = "./b" }\nvariable "inner" {}\noutput "inner" { value = 1 }\n',
            'modules/a/b/main.tf:module "a" { source = "../" }\nmodule "w" { source = "../../../stacks/web" }\n',
        )
    )
    assert module.modules == {"modules/a": ["modules/a/main.tf"], "modules/a/b": ["modules/a/b/main.tf"]}
    assert list(module.configuration()) == ["stacks/web/main.tf", "modules/a/main.tf", "modules/a/b/main.tf"]
    assert module.variables == {}
    assert module.outputs == set()


def test_a_module_that_is_not_there_has_no_files(tree: Callable[..., Path]) -> None:
    assert read(tree('stacks/web/main.tf:module "a" { source = "../nowhere" }\n')).modules == {"stacks/nowhere": []}


def test_named_paths_are_relative_to_the_repository(tree: Callable[..., Path]) -> None:
    module = read(
        tree(
            'stacks/web/main.tf:module "a" { source = "../../modules/a" }\nlocals { x = file("data/x.txt") }\n',
            "modules/a/main.tf:locals {\n"
            '  m = file("${path.module}/m.txt")\n'
            '  r = file("${path.root}/r.txt")\n'
            '  d = templatefile("${path.module}/t/${var.n}.tpl", {})\n'
            '  e = file("/etc/hosts")\n  h = file("~/x")\n'
            "}\n",
        )
    )
    read_paths = {(named.path, named.exact) for named in module.named if named.read}
    assert read_paths == {
        ("stacks/web/data/x.txt", True), ("modules/a/m.txt", True), ("stacks/web/r.txt", True), ("modules/a/t", False),
        ("/etc/hosts", True),
    }  # fmt: skip


def test_broken_files_are_named_wherever_they_are(tree: Callable[..., Path]) -> None:
    module = read(
        tree(
            'stacks/web/main.tf:module "a" { source = "../../modules/a" }\n',
            "stacks/web/x.tf:variable {{{",
            "modules/a/main.tf:output {{{",
        )
    )
    assert module.broken == ["stacks/web/x.tf", "modules/a/main.tf"]


def test_a_folder_that_is_not_there_is_an_empty_module(tmp_path: Path) -> None:
    assert read(tmp_path).files == []


def test_a_module_that_is_called_twice_is_followed_with_the_arguments_of_both(tree: Callable[..., Path]) -> None:
    module = read(
        tree(
            'stacks/web/main.tf:module "a" {\n  source = "../../m"\n  file = "x.json"\n}\n'
            'module "b" {\n  source = "../../m"\n  file = "y.json"\n}\n',
            'm/main.tf:variable "file" {}\nlocals {\n  text = file(var.file)\n}\n',
        )
    )
    assert sorted(item.path for item in module.named if item.read) == ["stacks/web/x.json", "stacks/web/y.json"]


def test_json_configuration_is_followed_as_native_one_is(tree: Callable[..., Path]) -> None:
    module = read(
        tree(
            'stacks/web/main.tf.json:{"locals": {"dir": "../../files"}, "module": {"a": {"source": "../../m",'
            ' "file": "${local.dir}/x.json"}}}',
            'm/main.tf.json:{"variable": {"file": {}}, "locals": {"text": "${file(var.file)}"}}',
        )
    )
    assert [item.path for item in module.named if item.read] == ["files/x.json"]
    assert module.unknown == []


def test_what_a_template_reads_is_named_too(tree: Callable[..., Path]) -> None:
    module = read(
        tree(
            'stacks/web/main.tf:locals {\n  a = templatefile("${path.module}/a.tftpl", {})\n}\n',
            'stacks/web/a.tftpl:see ./b.txt and ${file("c.txt")}\n%{ if x }${templatefile("d/${e}.tpl", {})}%{ endif }\n',
            'stacks/web/plain.txt:${file("no.txt")}\n',
        )
    )
    assert sorted({(item.path, item.exact) for item in module.named}) == [
        ("stacks/web/a.tftpl", True), ("stacks/web/c.txt", True), ("stacks/web/d", False),
    ]  # fmt: skip
    assert module.unknown == []


def test_a_template_that_fills_in_itself_ends(tree: Callable[..., Path]) -> None:
    module = read(
        tree(
            'stacks/web/main.tf:locals {\n  a = templatefile("a.tftpl", {})\n}\n',
            'stacks/web/a.tftpl:${templatefile("a.tftpl", {})}\n',
        )
    )
    assert {item.path for item in module.named} == {"stacks/web/a.tftpl"}


@pytest.mark.parametrize("path", ["${each.key}/x.json", "${name}.json", "${data.x.y.path}/z"])
def test_a_path_whose_beginning_varies_may_be_any_file(tree: Callable[..., Path], path: str) -> None:
    module = read(tree(f'stacks/web/main.tf:locals {{\n  a = file("{path}")\n}}\n'))
    assert module.unknown == ["stacks/web/main.tf"]


@pytest.mark.parametrize(
    "template",
    [
        "%{ for f in names }${file(f)}%{ endfor }",
        "%{ for i, f in names ~}${file(f)}%{ endfor ~}",
        "%{ if true }%{ for f in names }${file(f)}%{ endfor }%{ endif }",
        "%{ if file(names[0]) == file(names[1]) }x%{ else }y%{ endif }",
        "%{ if false }x%{ else }${file(names[0])}${file(names[1])}%{ endif }",
        'a ${join(",", [for f in names : file(f)])} b',
    ],
)
def test_a_template_is_read_within_its_directives(tree: Callable[..., Path], template: str) -> None:
    root = tree(
        'stacks/web/main.tf:locals {\n  a = templatefile("a.tftpl", { names = ["x", "y"] })\n}\n',
        f"stacks/web/a.tftpl:{template}",
    )
    assert read_paths(root) == ["a.tftpl", "x", "y"]


@pytest.mark.parametrize(
    ("given", "paths", "unknown"),
    [
        ('{ name = "x.txt" }', ["stacks/web/x.txt"], []),
        ("{ name = data.x.y.z }", [], ["stacks/web/a.tftpl"]),
        ('{ name = "d/${data.x.y.z}" }', ["stacks/web/d"], []),
        ("data.x.y.z", [], ["stacks/web/a.tftpl"]),
    ],
)
def test_a_template_reads_what_it_is_given(
    tree: Callable[..., Path], given: str, paths: list[str], unknown: list[str]
) -> None:
    module = read(
        tree(
            f'stacks/web/main.tf:locals {{\n  a = templatefile("a.tftpl", {given})\n}}\n',
            "stacks/web/a.tftpl:${file(name)}\n",
        )
    )
    assert [named.path for named in module.named if named.read] == ["stacks/web/a.tftpl", *paths]
    assert module.unknown == unknown


# --- what is made of variables, locals, functions, other files -----------------------------------------------------


def read_paths(root: Path, known: dict[str, Any] | None = None) -> list[str]:
    """What the stack reads, folders with `/` at the end; `?` is any file."""
    index = FileIndex(root, root / "cache.json")
    module = rootmodule.read(index, "stacks/web", lambda: known or {})
    found = [named.path if named.exact else f"{named.path}/{named.pattern}" for named in module.named if named.read]
    return [path.removeprefix("stacks/web/") for path in found] + ["?"] * len(module.unknown)


SHAPES = {
    "jsondecode": ('file(jsondecode(file("index.json")).f)', ["index.json", "a.txt"]),
    "a list in a file": ('[for f in jsondecode(file("index.json")).l : file(f)]', ["index.json", "a.txt", "b.txt"]),
    "yamldecode": ('file(yamldecode(file("index.yaml")).f)', ["index.yaml", "a.txt"]),
    "a text in a file": ('file(trimspace(file("name.txt")))', ["name.txt", "a.txt"]),
    "a file that is not there": ('try(file(jsondecode(file("no.json")).f), "")', ["no.json"]),
    "fileset": ('[for f in fileset("d", "*.json") : file("d/${f}")]', ["d/*.json", "d/1.json", "d/2.json"]),
    "fileset of a sibling folder": ('fileset("e/../d", "../d/1*")', ["d/1*"]),
    "fileset of any pattern": ('fileset("d", data.x.y.z)', ["d/"]),
    "a variable with a default": ("file(var.text)", ["a.txt"]),
    "a variable that is known": ("file(var.known)", ["k.txt"]),
    "a variable that is null": ('var.null == null ? "" : file(var.null)', []),
    "a null one and another": ("file(coalesce(var.null, var.text))", ["a.txt"]),
    "an object with an optional attribute": ("file(var.object.file)", ["o.txt"]),
    "an object without it": ('file(try(var.object.no, "n.txt"))', ["n.txt"]),
    "an object as a text of the environment": ("file(var.environment.file)", ["e.txt"]),
    "a map": ('file(var.map["a"])', ["a.txt"]),
    "all of a map": ("[for k, v in var.map : file(v)]", ["a.txt", "b.txt"]),
    "a map and an unknown key": ("file(var.map[data.x.y.z])", ["a.txt", "b.txt"]),
    "a variable of no value": ("file(var.open)", ["?"]),
    "a variable of no value in a folder": ('file("d/${var.open}")', ["d/"]),
    "the repository's root": ('file("../../${var.open}")', ["?"]),
    "a local that refers to itself": ("file(local.round)", ["?"]),
    "an attribute": ("filesha256(data.archive_file.z.output_path)", ["z.zip"]),
    "an attribute that is computed": ("filesha256(data.archive_file.z.output_sha)", ["?"]),
    "an output of a module": ("file(module.m.where)", ["m/x.txt"]),
    "an output of any instance": ("[for f in module.each[*].where : file(f)]", ["m/x.txt"]),
    "a ternary of texts": ('file("${var.text == "a.txt" ? "d" : "e"}/1.json")', ["d/1.json"]),
    "merge": ('file(merge(var.map, { a = "x.txt" }).a)', ["x.txt"]),
    "merge with what is not known": ('file(merge({ a = "x.txt" }, data.x.y.z).a)', ["?"]),
    "merge over what is not known": ('file(merge(data.x.y.z, { a = "x.txt" }).a)', ["x.txt"]),
    "flatten": ('[for f in flatten([["a.txt"], [["b.txt"]]]) : file(f)]', ["a.txt", "b.txt"]),
    "a loop in a loop": (
        '[for k, v in { d = ["1", "2"] } : [for n in v : file("${k}/${n}.json")]]', ["d/1.json", "d/2.json"],
    ),
    "a text of the configuration as a template": ('templatestring("$${file(n)}", { n = "a.txt" })', ["a.txt"]),
    "a file's text as a template": ('templatestring(file("t.txt"), { n = "a.txt" })', ["t.txt", "a.txt"]),
    "any text as a template": ("templatestring(data.x.y.z, {})", ["?"]),
    "a condition after another": ('file(var.text == "a.txt" ? "a" : var.text == "b.txt" ? "b" : "c")', ["a"]),
    "a broken file of values": ('file(try(csvdecode(file("csv.txt"))[0].f, "a"))', ["csv.txt", "?"]),
    "a loop over anything": ('[for f in data.x.y.z : file("d/${f}")]', ["d/"]),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_paths_are_followed_through(tree: Callable[..., Path], shape: str) -> None:
    expression, paths = SHAPES[shape]
    root = tree(
        f"stacks/web/main.tf:locals {{\n  x = {expression}\n  round = local.round\n}}\n",
        'stacks/web/index.json:{"f": "a.txt", "l": ["a.txt", "b.txt"]}',
        "stacks/web/index.yaml:f: a.txt\n",
        "stacks/web/name.txt:a.txt\n", "stacks/web/t.txt:${file(n)}", 'stacks/web/csv.txt:f,g\n1,"2\n',
        "stacks/web/d/1.json:1", "stacks/web/d/2.json:2", "stacks/web/d/3.txt:3",
        'm/main.tf:output "where" { value = "${path.module}/x.txt" }\n',
        'stacks/web/more.tf:module "m" { source = "../../m" }\n'
        'module "each" {\n  source = "../../m"\n  for_each = toset(["a", "b"])\n}\n'
        'data "archive_file" "z" {\n  type = "zip"\n  output_path = "z.zip"\n}\n',
        """stacks/web/variables.tf:
        variable "text" { default = "a.txt" }
        variable "known" { default = "d.txt" }
        variable "null" {
          type    = string
          default = null
        }
        variable "object" {
          type    = object({ file = optional(string, "o.txt"), other = optional(number) })
          default = {}
        }
        variable "environment" { type = object({ file = string }) }
        variable "map" {
          type    = map(string)
          default = { a = "a.txt", b = "b.txt" }
        }
        variable "open" { type = string }
        """,
    )  # fmt: skip
    assert read_paths(root, {"known": "k.txt", "environment": '{ file = "e.txt" }'}) == paths


@pytest.mark.parametrize(
    ("block", "paths"),
    [
        ('resource "x" "y" {\n  for_each = toset(["a", "b"])\n  z = file("${each.key}.txt")\n}', ["a.txt", "b.txt"]),
        ('resource "x" "y" {\n  for_each = { a = "d/1" }\n  z = file("${each.value}.json")\n}', ["d/1.json"]),
        ('resource "x" "y" {\n  count = 2\n  z = file("d/${count.index + 1}.json")\n}', ["d/1.json", "d/2.json"]),
        ('resource "x" "y" {\n  for_each = {}\n  z = file("${each.value}.json")\n}', []),
        ('resource "x" "y" {\n  for_each = data.a.b.c\n  z = file("d/${each.value}.json")\n}', ["d/"]),
        ('resource "x" "y" {\n  dynamic "b" {\n    for_each = ["a"]\n    content {\n      z = file(b.value)\n    }\n  }\n}', ["a"]),
        ('resource "x" "y" {\n  dynamic "b" {\n    for_each = ["a"]\n    iterator = i\n    content {\n      z = file("${i.value}-${i.key}")\n    }\n  }\n}', ["a-0"]),
        ('variable "v" {\n  default = "a"\n  validation {\n    condition = fileexists(var.v)\n    error_message = "x"\n  }\n}', ["a"]),
        ('check "c" {\n  assert {\n    condition = fileexists("a")\n    error_message = "x"\n  }\n}', ["a"]),
        ('provider "p" {\n  token = file("a")\n}', ["a"]),
        ('output "o" {\n  value = file("a")\n}', ["a"]),
    ],
)  # fmt: skip
def test_what_a_block_reads_is_followed_for_each_instance(
    tree: Callable[..., Path], block: str, paths: list[str]
) -> None:
    assert read_paths(tree(f"stacks/web/main.tf:{block}\n")) == paths


# --- modules ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("main", "known", "modules"),
    [
        ('module "m" { source = "${path.module}/../../modules/a" }', {}, ["modules/a"]),
        ('module "m" { source = "${local.base}/a" }\nlocals { base = "../../modules" }', {}, ["modules/a"]),
        ('module "m" { source = var.mod }\nvariable "mod" {}', {"mod": "../../modules/a"}, ["modules/a"]),
        ('module "m" { source = format("../../modules/%s", "a") }', {}, ["modules/a"]),
        (
            'module "m" {\n  source = "../../modules/outer"\n  kind = "b"\n}', {},
            ["modules/outer", "modules/b"],
        ),
        ('module "m" { source = "../../modules/${var.open}" }\nvariable "open" {}', {}, ["modules/a", "modules/b", "modules/outer", "modules/."]),
        ('module "m" { source = "registry/x/y" }', {}, []),
        ('module "m" { source = "${path.cwd}/../../modules/a" }', {}, ["modules/a"]),
        ('module "m" { source = "/elsewhere/modules/a" }', {}, []),
    ],
)  # fmt: skip
def test_a_modules_source_is_evaluated(
    tree: Callable[..., Path], main: str, known: dict[str, Any], modules: list[str]
) -> None:
    root = tree(
        f"stacks/web/main.tf:{main}\n",
        "modules/a/main.tf:",
        "modules/b/main.tf:",
        'modules/outer/main.tf:variable "kind" {}\nmodule "i" { source = "../${var.kind}" }\n',
    )
    module = rootmodule.read(FileIndex(root, root / "cache.json"), "stacks/web", lambda: known)
    assert set(module.modules) | {"modules/."} == {*modules, "modules/."}
    assert module.unknown == []


def test_a_source_of_which_nothing_is_known_may_be_any_file(tree: Callable[..., Path]) -> None:
    assert read(tree('stacks/web/main.tf:module "m" { source = var.x }\nvariable "x" {}\n')).unknown == [
        "stacks/web/main.tf"
    ]


def test_an_override_wins_over_what_it_overrides(tree: Callable[..., Path]) -> None:
    root = tree(
        'stacks/web/main.tf:module "m" {\n  source = "../../a"\n  file = "x"\n}\nlocals {\n  f = "main"\n}\noutput "o" { value = file(local.f) }\n',
        'stacks/web/a_override.tf:module "m" { source = "../../b" }\nlocals {\n  f = "override"\n}\n',
        'stacks/web/twin.tf:locals {\n  g = file("tf")\n}\n',
        'stacks/web/twin.tofu:locals {\n  g = file("tofu")\n}\n',
        'b/main.tf:variable "file" {}\noutput "o" { value = file(var.file) }\n',
    )
    assert sorted(read_paths(root)) == ["override", "tofu", "x"]
    assert list(read(root).modules) == ["b"]


def test_a_variable_that_is_overridden_keeps_what_its_override_does_not_say(tree: Callable[..., Path]) -> None:
    root = tree(
        'stacks/web/main.tf:variable "a" { default = "a.txt" }\nvariable "b" { default = "b.txt" }\n'
        'output "o" { value = [file(var.a), file(var.b)] }\n',
        'stacks/web/override.tf:variable "a" { type = string }\nvariable "b" { default = "c.txt" }\n',
    )
    assert read_paths(root) == ["a.txt", "c.txt"]


def test_a_module_behind_a_link_reads_beside_its_real_folder(tree: Callable[..., Path]) -> None:
    """The engine resolves links before it resolves the sources of a module's own modules."""
    root = tree(
        'stacks/web/main.tf:module "m" { source = "../../links/m" }\n',
        'real/m/main.tf:module "n" { source = "../n" }\noutput "o" { value = file("${path.module}/../x.txt") }\n',
        "real/n/main.tf:", "links/n/main.tf:",
    )  # fmt: skip
    (root / "links/m").symlink_to("../real/m")
    assert list(read(root).modules) == ["links/m", "real/n"]
    assert read_paths(root) == ["real/x.txt"]


def test_blocks_of_the_same_name_in_json_count_all(tree: Callable[..., Path]) -> None:
    text = '{"output": {"a": {"value": "${file(\\"a.txt\\")}"}}, "output": {"b": {"value": "${file(\\"b.txt\\")}"}}}'
    found = read_paths(tree(f"stacks/web/main.tf.json:{text}"))
    assert {"a.txt", "b.txt"} <= set(found)


def test_what_our_parser_does_not_understand_may_read_any_file(tree: Callable[..., Path]) -> None:
    """A number such as 1e3 right after a minus is one that it does not."""
    assert read(tree("stacks/web/main.tf:locals {\n  a = 5-1e3\n}\n")).unknown == ["stacks/web/main.tf"]


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("1e30", f"1{'0' * 30}"), ("1E+15", f"1{'0' * 15}"), ("15e-1", "1.5"), ("1e-7", "0.0000001"), ("1e200", f"1{'0' * 200}"),
        ("12345678901234567890", "12345678901234567890"), ("12345678901234567.5e2", "1234567890123456750"),
    ],
)  # fmt: skip
def test_numbers_are_read_with_all_their_digits(tree: Callable[..., Path], number: str, name: str) -> None:
    """Those with an exponent, too, and what looks like one in texts, names and comments stays as it is."""
    text = f"""locals {{
  a    = {number} # 1e3
  list = [-1e3, 2e+4]
  n1e3 = "1e3"
}}
output "value" {{
  value = 1E400
}}
output "file" {{
  value = file("${{path.module}}/${{local.a}}/${{local.n1e3}}")
}}
"""
    module = read(tree(f"stacks/web/main.tf:{text}"))
    assert module.unknown == module.broken == []
    assert read_paths(tree()) == [f"{name}/1e3"]


@pytest.mark.parametrize("path", ["7", "true", '"${7}"', "local.seven"])
def test_what_is_no_text_names_a_file_as_the_engine_converts_it(tree: Callable[..., Path], path: str) -> None:
    text = f'locals {{\n  seven = 7\n}}\noutput "o" {{\n  value = [file({path}), fileset({path}, 7)]\n}}\n'
    name = "true" if path == "true" else "7"
    assert read_paths(tree(f"stacks/web/main.tf:{text}")) == [name, f"{name}/7"]


def test_a_module_is_followed_for_each_of_its_instances(tree: Callable[..., Path]) -> None:
    root = tree(
        'stacks/web/main.tf:module "m" {\n  source = "../../m"\n  for_each = { a = "b", c = "d" }\n  file = "${each.key}-${each.value}"\n}\n',
        'm/main.tf:variable "file" {}\noutput "o" { value = file(var.file) }\n',
    )
    assert sorted(read_paths(root)) == ["a-b", "c-d"]


def test_a_configuration_that_grows_without_end_may_read_any_file(tree: Callable[..., Path]) -> None:
    lines = ["locals {", '  a0 = ["x", "y"]']
    lines += [
        f'  a{n} = flatten([for i in local.a{n - 1} : [for j in local.a{n - 1} : "${{i}}${{j}}"]])' for n in range(1, 8)
    ]
    module = read(tree("stacks/web/main.tf:" + "\n".join([*lines, "  z = file(local.a7[0])", "}"]) + "\n"))
    assert module.unknown == ["stacks/web/main.tf"]


# --- states of others ------------------------------------------------------------------------------------------------

STATE = 'data "terraform_remote_state" "net" {\n  backend = "local"\n  config = %s\n%s}\n'


@pytest.mark.parametrize(
    ("config", "more", "settings"),
    [
        ('{ path = "../net" }', "", [{"path": "../net"}]),
        ('merge(local.common, { path = "../net" })', "", [{"region": "r", "path": "../net"}]),
        ('{ path = "../${each.key}" }', '  for_each = toset(["net", "dns"])\n', [{"path": "../dns"}, {"path": "../net"}]),
        ('{ path = "../${each.value.s}" }', '  for_each = { a = { s = "net" } }\n', [{"path": "../net"}]),
        ('{ path = "../${local.names[count.index]}" }', "  count = 2\n", [{"path": "../a"}, {"path": "../b"}]),
        ('{ path = "../${data.x.y.z}" }', "", [{"path": None}]),
        ("data.x.y.z", "", [None]),
        ('{ path = "../net" }', '  workspace = "other"\n', [None]),
        ('{ path = "../net" }', "  workspace = terraform.workspace\n", [{"path": "../net"}]),
    ],
)  # fmt: skip
def test_the_state_that_is_read_is_known(
    tree: Callable[..., Path], config: str, more: str, settings: list[dict[str, str | None]]
) -> None:
    more_locals = 'locals {\n  common = { region = "r" }\n  names = ["a", "b"]\n}\n'
    found = read(tree(f"stacks/web/main.tf:{STATE % (config, more)}{more_locals}")).remote_states
    assert sorted((state.settings for state in found), key=repr) == settings


def test_a_state_that_a_module_reads_is_known_with_its_arguments_and_outputs(tree: Callable[..., Path]) -> None:
    module = read(
        tree(
            'stacks/web/main.tf:module "m" {\n  source = "../../m"\n  of = "net"\n}\n',
            'm/main.tf:variable "of" {}\n' + STATE % ('{ path = "../${var.of}" }', ""),
            'm/outputs.tf:output "o" { value = data.terraform_remote_state.net.outputs.id }\n',
        )
    )
    assert [(state.settings, state.outputs) for state in module.remote_states] == [({"path": "../net"}, ("id",))]


def test_outputs_that_are_read_anywhere_in_the_module_count(tree: Callable[..., Path]) -> None:
    main = "stacks/web/main.tf:" + STATE % ('{ path = "../net" }', "")
    one = 'stacks/web/a.tf:output "a" { value = data.terraform_remote_state.net.outputs.a }\n'
    other = 'stacks/web/b.tf:output "b" { value = data.terraform_remote_state.net["x"].outputs["b"] }\n'
    assert [state.outputs for state in read(tree(main, one, other)).remote_states] == [("a", "b")]
    for text in ("values(data.terraform_remote_state.net)[*].outputs", "data.terraform_remote_state"):
        module = read(tree(main, one, f'stacks/web/b.tf:output "b" {{ value = {text} }}\n'))
        assert [state.outputs for state in module.remote_states] == [None]


def test_what_a_stack_reads_below_a_folder_says_why(tree: Callable[..., Path]) -> None:
    root = tree(
        'stacks/web/main.tf:locals {\n  a = file("d/${data.x.y.z}")\n  b = file("d/named.txt")\n}\n',
        "stacks/web/d/x.txt:", "stacks/web/d/named.txt:",
    )  # fmt: skip
    module = read(root)
    assert module.why_read("stacks/web/d/x.txt") == (
        "stacks/web/main.tf reads a file in stacks/web/d whose name is not known"
    )
    assert (module.why_read("stacks/web/d/named.txt"), module.why_read("stacks/web/else")) == (None, None)


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ('"${path.module}/../../src/${var.name}"', [("src/a", True)]),
        ('"${path.module}/src/${data.x.y.z}.zip"', [("stacks/web/src", False)]),
        ('format("../../src/%s", var.name)', [("src/a", True)]),
        ('format("%s/src/%s", path.module, data.x.y.z)', [("stacks/web/src", False)]),
        ('format("sh ./%s.sh ./y.sh", var.name)', [("stacks/web/a.sh", True), ("stacks/web/y.sh", True)]),
        ('"sh ./x.sh ${data.x.y.z}"', [("stacks/web/x.sh", True)]),
        ('format("https://example.com/%s", var.name)', []),
        ('join("/", [path.module, "src", var.name])', [("stacks/web/src/a", True)]),
        ('join("/", ["..", "..", "src", data.x.y.z])', [("src", False)]),
        ('join("/", ["https:/", "example.com", var.name])', []),
        ('join("/", ["", "aws", var.name])', []),
        ('abspath("../../${var.name}.zip")', [("a.zip", True)]),
        ("abspath(path.root)", [("stacks/web", True)]),
        ("basename(abspath(path.root))", []),
        ('"${basename( abspath(path.module) )}-x"', []),
    ],
)
def test_what_a_text_mentions_is_told_as_narrowly_as_it_is_known(
    tree: Callable[..., Path], text: str, mentioned: list[tuple[str, bool]]
) -> None:
    module = read(
        tree(f'stacks/web/main.tf:resource "x" "y" {{\n  command = {text}\n}}\nvariable "name" {{ default = "a" }}\n')
    )
    assert sorted((named.path, named.exact) for named in module.named if not named.read) == mentioned


BARE = {
    "a file that an archive is made of": ('source_file = "lambda/index.py"', ["lambda/index.py"]),
    "a file beside the configuration": ('source_file = "index.py"', ["index.py"]),
    "a folder": ('source_dir = "lambda"', ["lambda"]),
    "a folder in a folder": ('source_dir = "lambda/in"', ["lambda/in"]),
    "a file without an extension": ('filename = "bootstrap"', ["bootstrap"]),
    "a program": ('program = ["python3", "lambda/index.py", "x"]', ["lambda/index.py"]),
    "a script beside the configuration": ('program = ["bash", "index.py"]', ["index.py"]),
    "a program in a folder": ('program = ["lambda/run"]', ["lambda/run"]),
    "a word of a command": ('command = "python3 lambda/index.py --all"', ["lambda/index.py"]),
    "a word beside the configuration": ('command = "python3 index.py --all"', ["index.py"]),
    "an option of a command": ('command = "x --file=lambda/index.py; y"', ["lambda/index.py"]),
    "a line of a command": ("command = <<EOT\n    cd /tmp\n    sh lambda/run x\n  EOT", ["lambda/run"]),
    "a known name": ('source_file = "lambda/${var.name}.py"', ["lambda/index.py"]),
    "a known folder": ('source_file = "${var.folder}/index.py"', ["lambda/index.py"]),
    "a known folder in a local": ('source_file = "${local.which}/index.py"', ["lambda/index.py"]),
    "a name that is made": ('source_file = format("lambda/%s.py", var.name)', ["lambda/index.py"]),
    "a name that is joined": ('source_file = join("/", ["lambda", "run"])', ["lambda/run"]),
    "a name that is not known": ('source_file = "lambda/${data.x.y.z}.py"', ["lambda"]),
    "the end of a name that is not known": ('command = format("sh lambda/in/r%s", data.x.y.z)', ["lambda/in"]),
    "an argument of a nested object": ('source_path = [{ path = "lambda" }]', ["lambda"]),
    "a text that is no path": ('input = "lambda"', []),
    "a folder in a sentence": ('input = "the lambda folder"', []),
    "a path of the machine": ('input = "/lambda/index.py"', []),
    "an address": ('input = "https://example.com/lambda/index.py"', []),
    "a role": ('input = "arn:aws:iam::aws:policy/lambda/index.py"', []),
    "words that look like paths": ('input = "text/html and/or example.com e.g. v1.2.3 10.0.0.0/16"', []),
    "an archive of a module that may have no instance": ('output_path = "lambda/out.zip"', ["lambda/out.zip"]),
}


BARE_FILES = ("index.py", "bootstrap", "lambda/index.py", "lambda/run", "lambda/in/x.py", "lambda/out.zip")


@pytest.mark.parametrize("shape", BARE)
def test_a_path_that_begins_with_a_name_is_one_of_the_stacks_folder(tree: Callable[..., Path], shape: str) -> None:
    """As the engine takes it: from the folder where it runs, also in a module."""
    text, mentioned = BARE[shape]
    folder = 'locals {\n  which = "lambda"\n}\nvariable "name" { default = "index" }\nvariable "folder" { default = "lambda" }\n'
    root = tree(
        'stacks/web/main.tf:module "m" { source = "../../m" }\n',
        f'm/main.tf:{folder}data "archive_file" "y" {{\n  {text}\n}}\n',
        *(f"{place}/{file}:1" for file in BARE_FILES for place in ("stacks/web", "m")),
    )
    module = read(root)
    there = {named.path for named in module.named if not named.read and (root / named.path).exists()}
    assert there == {f"stacks/web/{path}" for path in mentioned}
    assert (module.unknown, module.partly) == ([], {})


def test_a_path_that_begins_with_a_name_counts_in_json_too(tree: Callable[..., Path]) -> None:
    blocks = {
        "a": {"source_file": "lambda/index.py", "output_path": "lambda/out.zip"},
        "b": {"source_dir": "${var.folder}/in", "type": "zip"},
        "c": {"filename": "bootstrap"},
        "d": {"program": ["bash", "index.py"], "note": "lambda"},
        "e": {"command": "sh lambda/run x"},
    }
    data = {"variable": {"folder": {"default": "lambda"}}, "data": {"archive_file": blocks}}
    root = tree(f"stacks/web/main.tf.json:{json.dumps(data)}", *(f"stacks/web/{file}:1" for file in BARE_FILES))
    there = {named.path for named in read(root).named if (root / named.path).exists()}
    assert there == {f"stacks/web/{path}" for path in BARE_FILES if "/in/" not in path and "zip" not in path} | {
        "stacks/web/lambda/in"
    }


@pytest.mark.parametrize(
    ("more", "counts"), [("", False), ("count = 0", True), ("for_each = {}", True), ("lifecycle {\n enabled = false\n }", True)]
)  # fmt: skip
@pytest.mark.parametrize("path", ["out.zip", "lambda/out.zip", "./out.zip", "${path.module}/out.zip"])
def test_an_archive_that_the_plan_writes_is_no_input(
    tree: Callable[..., Path], path: str, more: str, *, counts: bool
) -> None:
    """But one that it may not write is: a resource may be made of what is committed there."""
    archive = f'data "archive_file" "z" {{\n  source_dir = "lambda/in"\n  output_path = "{path}"\n  {more}\n}}\n'
    root = tree(
        f'stacks/web/main.tf:{archive}resource "x" "y" {{\n  filename = "{path}"\n}}\n',
        "stacks/web/lambda/in/x.py:1", "stacks/web/lambda/out.zip:1", "stacks/web/out.zip:1",
    )  # fmt: skip
    named = {named.path for named in read(root).named}
    assert "stacks/web/lambda/in" in named
    assert any(path.endswith("out.zip") for path in named) == counts


def test_a_path_that_begins_with_a_name_counts_before_its_file_is_there(tree: Callable[..., Path]) -> None:
    """A run that looks only at what has changed has to see it come, and a build may be about to make it."""
    root = tree('stacks/web/main.tf:resource "x" "y" {\n  filename = "dist/app.zip"\n}\n')
    assert [(named.path, named.read) for named in read(root).named] == [("stacks/web/dist/app.zip", False)]


@pytest.mark.parametrize(
    ("source", "early"), [('"../m"', False), ('"${path.module}/../m"', True), ("var.x", True), ("local.x", True)]
)
def test_a_source_that_is_evaluated_needs_variables_early(tree: Callable[..., Path], source: str, early: bool) -> None:
    assert read(tree(f'stacks/web/main.tf:module "m" {{\n  source = {source}\n}}\n')).early is early
