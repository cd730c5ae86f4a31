"""Configuration that asks for the workspace's name: where it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project

ASKS = "locals {\n  name = terraform.workspace\n}\n"


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ([f"stacks/a/main.tf:{ASKS}"], "stacks/a/main.tf:2"),
        (['stacks/a/main.tf:locals {\n  a = 1\n  b = "x-${tofu.workspace}"\n}\n'], "stacks/a/main.tf:3"),
        (["stacks/a/main.tf:# terraform.workspace\nlocals {}\n"], None),
        (["stacks/a/main.tf:locals {\n  a = local.terraform.workspace\n}\n"], None),
        (["stacks/a/main.tf:locals {}\n", f"modules/m/main.tf:{ASKS}"], None),
        (['stacks/a/main.tf:module "m" {\n  source = "../../modules/m"\n}\n', f"modules/m/main.tf:{ASKS}"], "modules/m/main.tf:2"),
        (['stacks/a/main.tf.json:{"locals": {"a": "${terraform.workspace}"}}'], "stacks/a/main.tf.json"),
    ],
)  # fmt: skip
def test_the_first_place_that_asks_for_it_is_known(
    load: Callable[..., Project], files: list[str], place: str | None
) -> None:
    assert load("", *files).module("a").workspace == place


NAMED = 'output "o" {\n  value = file("${path.module}/${terraform.workspace}.txt")\n}\n'


@pytest.mark.parametrize(
    ("block", "paths"),
    [
        ('backend "local" {}', ["stacks/a/default.txt"]),
        ('backend "s3" {}', ["stacks/a/default.txt"]),
        ('backend "remote" {\n    workspaces {\n      name = "w"\n    }\n  }', ["stacks/a/default.txt"]),
        ('backend "remote" {\n    workspaces {\n      prefix = "w-"\n    }\n  }', ["stacks/a"]),
        ('cloud {\n    workspaces {\n      name = "w"\n    }\n  }', ["stacks/a/w.txt"]),
        ("cloud {\n    workspaces {\n      name = local.n\n    }\n  }", ["stacks/a/inner.txt"]),
        ('cloud {\n    workspaces {\n      tags = ["w"]\n    }\n  }', ["stacks/a"]),
        ("cloud {}", ["stacks/a"]),
    ],
)
def test_a_path_has_the_name_of_the_workspace_that_the_engine_runs_in(
    load: Callable[..., Project], block: str, paths: list[str]
) -> None:
    module = load("", f'stacks/a/main.tf:terraform {{\n  {block}\n}}\nlocals {{\n  n = "inner"\n}}\n{NAMED}').module(
        "a"
    )
    assert [named.path for named in module.named if named.read] == paths
    assert not module.unknown
