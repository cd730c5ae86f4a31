"""The values of variables that are known before anything runs, where a path depends on one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project

MAIN = 'stacks/web/main.tf:variable "f" { default = "default.txt" }\noutput "o" { value = file(var.f) }\n'


@pytest.mark.parametrize(
    ("config", "file", "paths"),
    [
        ("", "stacks/web/terraform.tfvars:", ["stacks/web/default.txt"]),
        ("", 'stacks/web/terraform.tfvars:f = "x.txt"\n', ["stacks/web/x.txt"]),
        ("", 'stacks/web/terraform.tfvars:f = "${"x"}.txt"\n', ["stacks/web/x.txt"]),
        ("", 'stacks/web/terraform.tfvars:f = true ? "x.txt" : "y.txt"\n', ["?"]),
        ("", 'stacks/web/x.auto.tfvars.json:{"f": "x.txt"}', ["stacks/web/x.txt"]),
        ("", 'stacks/web/x.auto.tfvars.json:{"f": "${1 + 1}.txt"}', ["?"]),
        ("", "stacks/web/terraform.tfvars:f = 1e3\n", ["stacks/web/1000"]),
        ("", "stacks/web/terraform.tfvars:f = 1e\n", ["?"]),
        ("stacks:\n  web: {variables: {f: x.txt}}\n", 'stacks/web/terraform.tfvars:f = "y"\n', ["stacks/web/x.txt"]),
        (
            "stacks:\n  web: {inputs: {f: up.file}}\n",
            'stacks/up/main.tf:output "file" { value = "x.txt" }\n',
            ["?"],
        ),
    ],
)
def test_the_file_that_a_variable_names_is_told_or_is_any(
    load: Callable[..., Project], config: str, file: str, paths: list[str]
) -> None:
    module = load(config, MAIN, file).module("web")
    found = [named.path for named in module.named if named.read]
    assert found + ["?"] * len(module.unknown) == paths


@pytest.mark.parametrize(
    ("files", "wins"),
    [
        (["terraform.tfvars", "a.auto.tfvars"], "a.auto.tfvars"),
        (["terraform.tfvars", "terraform.tfvars.json"], "terraform.tfvars.json"),
        (["terraform.tfvars.json", "a.auto.tfvars.json"], "a.auto.tfvars.json"),
        (["b.auto.tfvars.json", "c.auto.tfvars"], "c.auto.tfvars"),
        (["B.auto.tfvars", "a.auto.tfvars"], "a.auto.tfvars"),
    ],
)
def test_of_two_var_files_the_one_that_the_engine_reads_last_wins(
    load: Callable[..., Project], files: list[str], wins: str
) -> None:
    given = [
        f"stacks/web/{name}:" + (f'{{"f": "{name}.txt"}}' if name.endswith(".json") else f'f = "{name}.txt"\n')
        for name in files
    ]
    module = load("", MAIN, *given).module("web")
    assert [named.path for named in module.named if named.read] == [f"stacks/web/{wins}.txt"]


@pytest.mark.parametrize(
    ("kind", "text", "path"),
    [
        ("bool", "1", "true"), ("bool", "false", "false"), ("number", "10", "10"), ("number", "1.5", "1.5"),
        ("number", "1e1", "?"), ("number", "010", "?"), ("number", "0x10", "?"), ("string", "010", "010"),
    ],
)  # fmt: skip
def test_a_variable_of_the_environment_is_what_its_type_makes_of_it(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, kind: str, text: str, path: str
) -> None:
    monkeypatch.setenv("TF_VAR_f", text)
    main = f'stacks/web/main.tf:variable "f" {{ type = {kind} }}\noutput "o" {{ value = file("${{var.f}}.txt") }}\n'
    module = load("", main).module("web")
    found = [named.path.removeprefix("stacks/web/").removesuffix(".txt") for named in module.named if named.read]
    assert (["?"] if module.partly or module.unknown else found) == [path]
