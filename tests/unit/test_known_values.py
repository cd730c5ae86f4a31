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
