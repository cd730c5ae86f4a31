"""Repositories to measure on: N one-module stacks, some shared modules, state in local files, one git commit."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STACKS_PER_MODULE = 10

INSTALLED = "doit_tofu"
PACKAGE = INSTALLED if importlib.util.find_spec(INSTALLED) else "tasks"  # what users run, where it is installed

_DODO = f"from {PACKAGE} import *\n"
if PACKAGE != INSTALLED:
    _DODO = f"import sys\n\nsys.path.insert(0, {str(ROOT)!r})\n{_DODO}"
_CONFIG = """\
version: 1
backend: {kind: local, settings: {path: "../../.state/{stack}-{environment}.tfstate"}}
"""
_STACK = """\
terraform {{
  backend "local" {{}}
}}

resource "terraform_data" "this" {{
  input = "{name}"
}}

module "shared" {{
  source = "../../modules/{module}"
  name   = "{name}"
}}

output "id" {{
  value = module.shared.name
}}
"""
_MODULE = """\
variable "name" {
  type = string
}

resource "terraform_data" "shared" {
  input = var.name
}

output "name" {
  value = terraform_data.shared.output
}
"""


def create(base: Path, stacks: int, per_module: int = STACKS_PER_MODULE) -> Path:
    """Make a repository of that many stacks in `base/repo`, with `base/home` as HOME of all that runs in it."""
    root = base / "repo"
    (base / "home").mkdir(parents=True)
    _write(root / "dodo.py", _DODO)
    _write(root / ".gitignore", ".deploy/\n.state/\n.bare/\n__pycache__/\n")
    _write(root / "config" / "pipeline.yaml", _CONFIG)
    modules = max(stacks // per_module, 1)
    for number in range(modules):
        _write(root / "modules" / f"m{number}" / "main.tf", _MODULE)
    for number in range(stacks):
        name, module = f"s{number:05}", f"m{number // per_module % modules}"
        _write(root / "stacks" / name / "main.tf", _STACK.format(name=name, module=module))
    _run(root, ["git", "init", "--initial-branch=main"], ["git", "add", "."], ["git", "commit", "--message=begin"])
    return root


def measured() -> str:
    """What is measured: the installed wheel, or this checkout, whose templates are compiled in every run."""
    spec = importlib.util.find_spec(INSTALLED)
    if spec is None or spec.origin is None:
        return "this checkout (install its wheel to measure what users run)"
    same = _code(Path(spec.origin).parent) == _code(ROOT / "tasks")
    return "the installed wheel" if same else "the installed wheel, which is NOT made of this checkout"


def _code(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        if not {"compiled", "tools"} & set(path.relative_to(folder).parts):  # the build adds these
            digest.update(f"{path.relative_to(folder)}".encode() + path.read_bytes())
    return digest.hexdigest()


def for_terramate(root: Path, base: Path) -> Path:
    """A copy of a repository, without what doit keeps, as Terramate wants it: with its stack files, and a remote.

    What is committed in it from then on is on a branch, so that `terramate list --changed` finds exactly that.
    """
    copy = base / "repo"
    (base / "home").mkdir(parents=True)
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".deploy"))
    _run(
        copy, ["terramate", "create", "--all-terraform"], ["git", "add", "."], ["git", "commit", "--message=stacks"],
        ["git", "init", "--bare", "--initial-branch=main", "../origin.git"],
        ["git", "remote", "add", "origin", "../origin.git"], ["git", "push", "origin", "main"],
        ["git", "checkout", "-b", "change"], ["git", "commit", "--allow-empty", "--message=change"],
    )  # fmt: skip
    return copy


def change_module(root: Path, name: str, mark: str) -> None:
    """Change a shared module by an output, and commit that."""
    with (root / "modules" / name / "main.tf").open("a") as stream:
        stream.write(f'\noutput "{mark}" {{\n  value = 1\n}}\n')
    _run(root, ["git", "commit", "--all", f"--message={mark}"])


def commit(root: Path, message: str) -> None:
    """Commit all that is not ignored, even if nothing has changed."""
    _run(root, ["git", "add", "."], ["git", "commit", "--allow-empty", f"--message={message}"])


def touch_stacks(root: Path, mark: str) -> None:
    """Change every stack by a comment."""
    for path in (root / "stacks").glob("*/main.tf"):
        path.write_text(path.read_text().partition("# ")[0] + f"# {mark}\n")


def environment(root: Path) -> dict[str, str]:
    """All that a process in the repository gets: what it needs of the machine's, an identity and a HOME of its own."""
    home = root.parent / "home"
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "DOIT_TOFU_CACHE": str(home / "cache"),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": "Bench",
        "GIT_AUTHOR_EMAIL": "bench@example.test",
        "GIT_COMMITTER_NAME": "Bench",
        "GIT_COMMITTER_EMAIL": "bench@example.test",
    }


def _run(root: Path, *commands: list[str]) -> None:
    for command in commands:
        subprocess.run(command, cwd=root, env=environment(root), check=True, capture_output=True)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
