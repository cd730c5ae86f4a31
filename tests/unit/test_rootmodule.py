"""A stack's configuration, all files and local modules taken together."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def test_a_template_that_reads_what_it_is_given_may_read_any_file(tree: Callable[..., Path]) -> None:
    module = read(
        tree(
            'stacks/web/main.tf:locals {\n  a = templatefile("a.tftpl", { name = "x.txt" })\n}\n',
            "stacks/web/a.tftpl:${file(name)}\n",
        )
    )
    assert module.unknown == ["stacks/web/a.tftpl"]
