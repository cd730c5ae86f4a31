"""Folders that cannot be listed: whose stack they concern, and that no stack vanishes with them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.artifact import inputs
from tasks.base.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project

STACK = 'module "m" {\n  source = "../../modules/m"\n}\n'
READS = 'locals {\n  all = fileset("${path.module}/../../data", "**")\n}\n'


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a folder of the repository unreadable, as it is for those who are not root."""
    real = os.scandir

    def lock(name: str) -> None:
        def scandir(path: Any = ".") -> Any:
            if Path(path).as_posix().endswith(f"/{name}"):
                raise PermissionError(13, "Permission denied", os.fspath(path))
            return real(path)

        monkeypatch.setattr(os, "scandir", scandir)

    return lock


def refused(project: Project) -> dict[str, str]:
    """The stacks whose inputs cannot be told, and why."""
    found = {}
    for name, stack in project.stacks.items():
        try:
            inputs.gather(project, stack)
        except ConfigError as error:
            found[name] = error.problem.text()
    return found


@pytest.mark.parametrize("folder", ["stacks/a", "modules/m", "data", "data/inner"])
def test_an_unreadable_folder_is_the_fault_of_the_stacks_that_have_it(
    load: Callable[..., Project], locked: Callable[[str], None], folder: str
) -> None:
    locked(folder)
    found = load(
        "", f"stacks/a/main.tf:{STACK}{READS}", "stacks/b/main.tf:locals {}\n", "modules/m/main.tf:locals {}\n",
        "data/x.txt:1", "data/inner/y.txt:2",
    )  # fmt: skip
    assert list(found.stacks) == ["a", "b"]
    problems = refused(found)
    assert list(problems) == ["a"]
    assert f"the folder {folder} cannot be read: Permission denied" in problems["a"]


def test_a_configured_stack_whose_folder_is_unreadable_stays_a_stack(
    load: Callable[..., Project], locked: Callable[[str], None]
) -> None:
    locked("infra/a")
    found = load("stacks:\n  a: {path: infra/a}\n", "infra/a/main.tf:", "stacks/b/main.tf:locals {}\n")
    assert list(refused(found)) == ["a"]


def test_where_the_folder_of_all_stacks_is_unreadable_that_is_said(
    errors: Callable[..., str], locked: Callable[[str], None]
) -> None:
    locked("stacks")
    shown = errors("", "stacks/b/main.tf:locals {}\n")
    assert "the folder stacks cannot be read, so its stacks are not known: Permission denied" in shown
