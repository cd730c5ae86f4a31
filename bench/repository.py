"""Repositories to measure on: N one-module stacks, N/10 shared modules, state in local files, one git commit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STACKS_PER_MODULE = 10

_DODO = f"""\
import sys

sys.path.insert(0, {str(ROOT)!r})
from tasks import *
"""
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


def create(base: Path, stacks: int) -> Path:
    """Make a repository of that many stacks in `base/repo`, with `base/home` as HOME of all that runs in it."""
    root = base / "repo"
    (base / "home").mkdir(parents=True)
    _write(root / "dodo.py", _DODO)
    _write(root / ".gitignore", ".deploy/\n.state/\n.bare/\n__pycache__/\n")
    _write(root / "config" / "pipeline.yaml", _CONFIG)
    for number in range(max(stacks // STACKS_PER_MODULE, 1)):
        _write(root / "modules" / f"m{number}" / "main.tf", _MODULE)
    for number in range(stacks):
        name, module = f"s{number:05}", f"m{number // STACKS_PER_MODULE % max(stacks // STACKS_PER_MODULE, 1)}"
        _write(root / "stacks" / name / "main.tf", _STACK.format(name=name, module=module))
    for arguments in (["init", "--initial-branch=main"], ["add", "."], ["commit", "--message=begin"]):
        subprocess.run(["git", *arguments], cwd=root, env=environment(root), check=True, capture_output=True)
    return root


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


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
