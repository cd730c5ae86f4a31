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
