"""A fresh runner, from the job's start to the end of its first plan: `python bench/runner.py [--only pip,lock,image]`.

It needs `uv`, git and the engine on PATH, and a package registry. Each way begins with nothing: a new environment, a
fresh clone of 3 stacks, no cache, and for the first two no compiled modules.

pip      `python -m venv`, and `pip install` of the wheel with the newest packages that it allows
lock     `uv venv`, and `uv pip sync` of the locked packages with their hashes; without and with another job's cache
image    everything is there, as in an image

What a real job adds is its registry's network, the engine's download and the start of the container.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from repository import ROOT, create

from bench import Table, facts, run

_STACKS = 3
_REGISTRY = ("PIP_", "UV_", "SSL_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_LIMIT = 3.0  # seconds beside the installation and the engine


def main() -> None:
    """Measure each way and print its steps."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--only", default="pip,lock,image")
    chosen = options.parse_args().only.split(",")
    print(facts())
    table = Table()
    with tempfile.TemporaryDirectory(prefix="runner-") as folder:
        base = Path(folder)
        create(base / "first", _STACKS)
        built = base / "wheel"
        _uv(base, "build", "--quiet", "--wheel", "--out-dir", str(built), str(ROOT))
        wheel = str(next(built.glob("*.whl")))
        ways = {"pip": _by_pip, "lock": _by_lock, "image": _in_image}
        for name in chosen:
            table.title(name)
            ways[name](base, wheel, table)


def _by_pip(base: Path, wheel: str, table: Table) -> None:
    place = base / "by-pip"
    _step(table, base, "python -m venv", sys.executable, "-m", "venv", str(place))
    _step(table, base, "pip install", str(place / "bin/pip"), "install", "--quiet", "--no-cache-dir", wheel)
    _plan(table, base, place)


def _by_lock(base: Path, wheel: str, table: Table) -> None:
    for name in ("no cache", "cache of a job"):
        _installed(base, wheel, base / f"by-lock-{name.partition(' ')[0]}", table, name)
    _plan(table, base, base / "by-lock-no")


def _in_image(base: Path, wheel: str, table: Table) -> None:
    place = base / "image"
    _installed(base, wheel, place, None, "")
    _plan(table, base, place)


def _installed(base: Path, wheel: str, place: Path, table: Table | None, name: str) -> None:
    """Install what is locked, and the wheel; its modules are compiled."""
    python = ("--quiet", "--python", str(place / "bin/python"))
    steps = {
        "uv venv": ("venv", "--quiet", "--python", sys.executable, str(place)),
        "uv pip sync": ("pip", "sync", *python, "--require-hashes", "--compile-bytecode",
                        str(ROOT / "tools/requirements.txt")),
        "the wheel": ("pip", "install", *python, "--no-deps", "--compile-bytecode", wheel),
    }  # fmt: skip
    for step, arguments in steps.items():
        if table is None:
            _uv(base, *arguments)
        else:
            _step(table, base, f"{step}, {name}", "uv", "--cache-dir", str(base / "uv-cache"), *arguments)


def _plan(table: Table, base: Path, place: Path) -> None:
    """The first plan in a fresh clone, and its engine processes alone."""
    clone = base / f"clone-{place.name}" / "repo"
    (clone.parent / "home").mkdir(parents=True)
    run(base / "first/repo", "git", "clone", "--quiet", ".", str(clone))
    (clone / "dodo.py").write_text("from doit_tofu import *\n")
    first = run(clone, str(place / "bin/python"), "-m", "doit", "-n", "2", "plan")
    engine = run(clone, "sh", "-c", _ENGINE)
    own = max(first.processor - engine.processor, 0)
    shown = f"processor {first.processor:.2f} s, ours {own:.2f} s"
    table.row(f"first plan of {_STACKS} stacks", f"{first.seconds:.2f} s", shown, value=own, limit=_LIMIT)


_ENGINE = """\
for stack in stacks/*; do
  (cd "$stack" && export TF_DATA_DIR=../../.bare && tofu init -backend-config=path=bare.tfstate && tofu plan) || exit 1
done
"""


def _registry() -> list[str]:
    """The variables that say where the packages are, as `env` takes them."""
    return [f"{name}={value}" for name, value in os.environ.items() if name.upper().startswith(_REGISTRY)]


def _step(table: Table, base: Path, name: str, *command: str) -> None:
    cost = run(base / "first/repo", "env", *_registry(), *command)
    table.row(name, f"{cost.seconds:.2f} s", f"processor {cost.processor:.2f} s")


def _uv(base: Path, *arguments: str) -> None:
    run(base / "first/repo", "env", *_registry(), "uv", *arguments)


if __name__ == "__main__":
    main()
