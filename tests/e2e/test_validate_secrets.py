"""What is not formatted is shown without secrets, and a pipe among the files holds no run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "correct-horse-battery"


def test_the_default_of_a_sensitive_variable_is_in_no_output_of_a_file_that_is_not_formatted(
    build: Callable[..., Repository],
) -> None:
    bad = f'\nvariable "x" {{\n   default   = "{SECRET}"\n  sensitive = true\n}}\n'
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource('1')}{bad}")
    done = repository.doit("plan", code=1)
    assert "not formatted" in done.out
    assert SECRET not in done.out
    written = [path for path in (repository.path / ".deploy").rglob("*") if path.is_file()]
    assert [path.name for path in written if SECRET in path.read_text(errors="replace")] == []


@pytest.mark.parametrize("name", ["more.tf", "x.auto.tfvars", ".terraform.lock.hcl"])
def test_a_pipe_in_a_stacks_folder_fails_that_stack_alone(build: Callable[..., Repository], name: str) -> None:
    repository = build(minimal_config(), *(f"stacks/{stack}/main.tf:{resource('1')}" for stack in "ab"))
    os.mkfifo(repository.path / "stacks/a" / name)
    done = repository.doit("plan", code=1)
    assert f"{name} is neither a plain file nor a link" in done.out
    assert "+1" in done.task("plan", "b")
