"""A doit that a script starts is forked like any other, and is to the script what a fresh one is."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.repository import Repository


def _script(repository: Repository, text: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", text], cwd=repository.path, env=repository.environment(**variables), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_script_has_its_code_its_output_and_its_errors_apart(one: Repository) -> None:
    fresh = _script(one, "doit status; doit nosuch")
    one.fork_for_scripts()
    forked = _script(one, "doit status; doit nosuch")
    assert (forked.returncode, forked.stdout, forked.stderr) == (fresh.returncode, fresh.stdout, fresh.stderr)
    assert forked.returncode == 3
    assert "1 stack" in forked.stdout
    assert "there is no task 'nosuch'" in forked.stderr


def test_a_scripts_folder_and_variables_are_those_of_the_run(one: Repository) -> None:
    one.fork_for_scripts()
    one.write("config/environments/prod.yaml:{}\n")
    assert "prod: 1 stack" in _script(one, "cd stacks/a && doit status", DEPLOY_ENV="prod").stdout
    assert "prod: planned" in _script(one, "DEPLOY_ENV=prod doit plan | cat").stdout


def test_what_no_forked_process_heeds_is_refused(one: Repository) -> None:
    one.fork_for_scripts()
    refused = _script(one, "doit status", PYTHONWARNINGS="error")
    assert (refused.returncode, refused.stderr) == (1, "no doit that is forked heeds PYTHONWARNINGS\n")
