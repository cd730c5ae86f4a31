"""Every command that a failure prints can be pasted into the shell in which it was printed, wherever that shell is."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.repository import LOGGING_ENGINE, Repository, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PROGRAMS = r"\(cd |doit |git |rm |mv |chmod |[A-Z][A-Z_]+=|/\S*tofu "
_TYPED = re.compile(rf"`((?:{_PROGRAMS})[^`]*)`|^ {{4}}((?:{_PROGRAMS}).*)$", re.MULTILINE)
_STOPS = (
    '\n  lifecycle {\n    precondition {\n      condition     = false\n      error_message = "no quota"\n    }\n  }\n'
)


def unformatted(repository: Repository) -> list[str]:
    repository.write('stacks/a/x.tf:variable "x" {\ndefault=1\n}\n')
    return ["plan"]


def refused(repository: Repository) -> list[str]:
    repository.write(minimal_config("policy: {protect: [{type: terraform_data, actions: [change]}]}"))
    repository.write(f"stacks/a/main.tf:{resource('2')}", f"stacks/b/main.tf:{resource('2')}")
    return ["plan"]


def lost(repository: Repository) -> list[str]:
    for name in "ab":
        (repository.path / f".state/{name}-local.tfstate").unlink()
        repository.write(f"stacks/{name}/main.tf:{resource('2')}")
    return ["plan"]


def drifted(repository: Repository) -> list[str]:
    for name in "ab":
        state = repository.path / f".state/{name}-local.tfstate"
        found = json.loads(state.read_text())
        found["resources"], found["serial"] = [], found["serial"] + 1
        state.write_text(json.dumps(found))
        repository.forget_addresses(name)
    return ["drift"]


def unsaved(repository: Repository) -> list[str]:
    state = json.loads((repository.path / ".state/a-local.tfstate").read_text())
    state["serial"] += 1
    (repository.path / "stacks/a/errored.tfstate").write_text(json.dumps(state))
    repository.write(f"stacks/a/main.tf:{resource('2')}")
    return ["plan"]


def unread(repository: Repository) -> list[str]:
    repository.git("mv", "config/pipeline.yaml", "config/pipeline.yml")
    repository.commit()
    return ["plan"]


def elsewhere(repository: Repository) -> list[str]:
    repository.write(f"stacks/a/main.tf:{resource('2')}")
    for path in repository.path.glob(".deploy/.cache/data/local/a"):
        (path / "environment").write_text("other")
    return ["plan"]


def broken(repository: Repository) -> list[str]:
    text = resource("2").replace("\n}\n\noutput", f"\n{_STOPS}}}\n\noutput", 1)
    repository.write(*(f"stacks/{name}/main.tf:{text}" for name in "ab"))
    return ["deploy"]


@pytest.fixture
def hidden(build: Callable[..., Repository], tofu: Path) -> Repository:
    """Two deployed stacks, whose engine is not on PATH."""
    repository = build(minimal_config(), *(f"stacks/{name}/main.tf:{resource()}" for name in "ab"))
    repository.prepare("deploy")
    (repository.bin / "tofu").unlink()
    engine = repository.home / "engine" / "tofu"
    engine.parent.mkdir()
    engine.write_text(LOGGING_ENGINE.format(log=repository.log, tofu=tofu))
    engine.chmod(0o755)
    repository.variables["DEPLOY_ENGINE__PATH"] = str(engine)
    return repository


def _run(repository: Repository, folder: Path, arguments: list[str]) -> str:
    process = repository.start(*arguments, folder=folder)
    out, _ = process.communicate(timeout=120)
    assert process.returncode in (1, 2), out
    return str(out)


@pytest.mark.parametrize("below", ["", "stacks/a"])
@pytest.mark.parametrize(
    ("fail", "least"),
    [(unformatted, 1), (refused, 1), (lost, 1), (drifted, 3), (unsaved, 1), (unread, 1), (elsewhere, 1), (broken, 1)],
)
def test_a_printed_command_works_in_the_shell_in_which_it_was_printed(
    hidden: Repository, fail: Callable[[Repository], list[str]], least: int, below: str
) -> None:
    folder = hidden.path / below
    out = _run(hidden, folder, fail(hidden))
    end = out[out.index("\nFAILED  ") :] if "\nFAILED  " in out else out
    commands = dict.fromkeys(inline or alone for inline, alone in _TYPED.findall(end))
    assert len(commands) >= least, end
    for command in commands:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=folder,
            env=hidden.environment(),
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        said = f"{command}\n{done.stdout}{done.stderr}"
        assert "config error" not in said, said
        assert "Traceback" not in said, said
        assert done.returncode in ((0, 1, 2) if command.startswith("doit ") else (0,)), said


@pytest.mark.parametrize("below", ["", "stacks/a"])
def test_what_was_printed_of_files_that_are_not_formatted_formats_them(hidden: Repository, below: str) -> None:
    folder = hidden.path / below
    out = _run(hidden, folder, unformatted(hidden))
    [(command, _)] = set(_TYPED.findall(out[out.index("\nFAILED  ") :]))
    subprocess.run(["sh", "-c", command], cwd=folder, env=hidden.environment(), check=True)
    assert "default = 1" in (hidden.path / "stacks/a/x.tf").read_text()
    assert "(cd" not in hidden.deploy_dir("reports", "plan.md").read_text()  # whose reader is somewhere else
