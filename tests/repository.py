"""Builds real repositories of stacks in a temporary folder and runs doit in them, as a user would."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

ROOT = Path(__file__).parent.parent
PATIENCE = 120.0

# As an infrastructure repository has it when the wheel is installed; else the package of this tree.
DODO = (
    "from doit_tofu import *\n"
    if importlib.util.find_spec("doit_tofu")
    else f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom tasks import *\n"
)

LOGGING_ENGINE = """\
#!/bin/sh
printf '%s\\n' "$(basename "$PWD") $*" >> '{log}'
exec '{tofu}' "$@"
"""


@dataclass
class Done:
    """An ended doit process."""

    code: int
    out: str

    def task(self, stage: str, stack: str) -> str:
        """The line of a task."""
        found = [line for line in self.out.splitlines() if line.split()[:2] == [stage, stack]]
        assert len(found) == 1, f"{len(found)} lines for {stage} {stack} in:\n{self.out}"
        return found[0]

    def line(self, *words: str) -> str:
        """The one line of output that has all these words."""
        found = [line for line in self.out.splitlines() if all(word in line for word in words)]
        assert len(found) == 1, f"{len(found)} lines with {words} in:\n{self.out}"
        return found[0]


@dataclass
class Repository:
    """A git repository with stacks, an own HOME and identity, and an engine whose every start is logged."""

    path: Path
    home: Path
    tofu: Path
    variables: dict[str, str] = field(default_factory=dict)
    python: Path = Path(sys.executable)

    @classmethod
    def create(cls, base: Path, tofu: Path, *files: str) -> Repository:
        """A repository with files, each given as `path:content` (content is dedented) or `path` for an empty one."""
        repository = cls(base / "repo", base / "home", tofu)
        repository.path.mkdir(parents=True)
        repository.home.mkdir(parents=True, exist_ok=True)
        repository.engine_script(LOGGING_ENGINE.format(log=repository.log, tofu=tofu))
        repository.write("dodo.py:" + DODO, ".gitignore:.deploy/\n*.tfstate*\n.terraform/\n__pycache__/\n", *files)
        repository.git("init", "--quiet", "--initial-branch=main")
        repository.commit("begin")
        return repository

    @property
    def log(self) -> Path:
        """The engine's log: a line per process, the folder's name and the arguments."""
        return self.home / "engine.log"

    @property
    def bin(self) -> Path:
        """The folder that comes first on PATH."""
        return self.home / "bin"

    def engine_script(self, text: str) -> None:
        """Put a script in front of the engine."""
        self.bin.mkdir(exist_ok=True)
        script = self.bin / "tofu"
        script.write_text(text)
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def write(self, *files: str) -> None:
        """Write files given as `path:content`."""
        for text in files:
            name, _, content = text.partition(":")
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(content))

    def environment(self, **more: str) -> dict[str, str]:
        """A small environment of its own: nothing of the machine's but what is needed to run."""
        return {
            "PATH": f"{self.bin}:{self.python.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "DOIT_TOFU_CACHE": str(self.home / "cache"),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_AUTHOR_NAME": "Test", "GIT_AUTHOR_EMAIL": "test@example.test",
            "GIT_COMMITTER_NAME": "Test", "GIT_COMMITTER_EMAIL": "test@example.test",
            "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8",
            **self.variables, **more,
        }  # fmt: skip

    def git(self, *arguments: str) -> str:
        """Run git here."""
        return subprocess.run(
            ["git", *arguments], cwd=self.path, env=self.environment(), check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, message: str = "change") -> str:
        """Commit everything; gives the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start doit in a session of its own."""
        return subprocess.Popen(
            [str(self.python), "-m", "doit", *arguments], cwd=self.path, env=self.environment(**variables),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def doit(self, *arguments: str, code: int | None = 0, **variables: str) -> Done:
        """Run doit to its end; its exit code must be the given one, unless that is None."""
        process = self.start(*arguments, **variables)
        out, _ = process.communicate(timeout=PATIENCE)
        assert code is None or process.returncode == code, f"exit code {process.returncode}, expected {code}:\n{out}"
        assert "Traceback" not in out, out
        return Done(process.returncode, out)

    def engine_calls(self, command: str | None = None) -> list[str]:
        """The engine processes since the last call of this, as `folder command arguments`, without `version`."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        calls = [line for line in lines if line.split()[1] != "version"]
        return [line for line in calls if command is None or line.split()[1] == command]

    def planned(self) -> list[str]:
        """The stacks' folders that the engine planned since the last look, sorted."""
        return sorted(line.split()[0] for line in self.engine_calls("plan"))

    def deploy_dir(self, *parts: str, environment: str = "local") -> Path:
        """A path below `.deploy/<env>`."""
        return self.path.joinpath(".deploy", environment, *parts)

    def json(self, *parts: str, environment: str = "local") -> Any:
        """A JSON file below `.deploy/<env>`."""
        return json.loads(self.deploy_dir(*parts, environment=environment).read_text())

    def inputs(self, *parts: str, environment: str = "local") -> dict[tuple[str, str], str]:
        """The digest of each input in a receipt or manifest, by kind and name."""
        entries = self.json(*parts, environment=environment)["inputs"]["digests"]
        return {(entry["kind"], entry.get("name", "")): entry["digest"] for entry in entries}

    def state(self, stack: str, environment: str = "local") -> dict[str, Any]:
        """A stack's state, as `minimal_config` places it."""
        value: dict[str, Any] = json.loads((self.path / ".state" / f"{stack}-{environment}.tfstate").read_text())
        return value

    def clone(self, base: Path) -> Repository:
        """A fresh clone at another place, with a HOME of its own."""
        other = Repository(base / "clone", base / "clone-home", self.tofu, dict(self.variables))
        other.home.mkdir(parents=True)
        other.engine_script(LOGGING_ENGINE.format(log=other.log, tofu=self.tofu))
        base.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "clone", "--quiet", str(self.path), str(other.path)], env=self.environment(), check=True)
        return other


def resource(value: str = "1", *, extra: str = "") -> str:
    """A small root module with a local backend, one resource and one output `value`."""
    return (
        'terraform {\n  backend "local" {}\n}\n\n'
        f'resource "terraform_data" "it" {{\n  input = "{value}"\n}}\n\n'
        f'output "value" {{\n  value = terraform_data.it.output\n}}\n{extra}'
    )


def reader(*names: str) -> str:
    """A root module with a local backend that takes variables and keeps them in a resource; output `value` is them."""
    declared = "".join(f'\nvariable "{name}" {{\n  type = any\n}}\n' for name in names)
    values = ", ".join(f"var.{name}" for name in names)
    return (
        f'terraform {{\n  backend "local" {{}}\n}}\n{declared}\n'
        f'resource "terraform_data" "it" {{\n  input = [{values}]\n}}\n\n'
        'output "value" {\n  value = terraform_data.it.output\n}\n'
    )


def minimal_config(more: str = "") -> str:
    """A pipeline file with a local backend of one state per stack and environment."""
    head = 'version: 1\nbackend: {kind: local, settings: {path: "{root}/.state/{stack}-{environment}.tfstate"}}\n'
    return "config/pipeline.yaml:" + head + dedent(more)


def wait_for(condition: Any, what: str, patience: float = PATIENCE) -> None:
    """Wait until a condition is true."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


def kill_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send a signal to a process and all that share its group."""
    os.killpg(process.pid, number)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder, replacing what is there."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
