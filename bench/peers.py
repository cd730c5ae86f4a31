"""Beside other tools, where their binaries are on PATH: `python bench/peers.py [--stacks N] [--rounds N]`.

Each works in a copy of the same repository of N one-module stacks (100), two stacks at a time, beside a bare loop of
the engine's commands; all take turns in one run. See `bench.py` for how to read the figures.

changed   a commit has changed one of the shared modules, each of which has ten stacks: how many are found affected
cold      `init` and `plan` of every stack, with nothing there yet
again     the same once more after a comment was changed in every stack

`terramate` runs both commands in its stacks, and plans no more than that; `doit plan` also checks the format, reads the
plan, redacts and judges it, and writes the report. `terragrunt` is only asked what has changed: it plans in a copy of
each stack, where modules with relative paths are not found.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from repository import change_module, commit, create, environment, for_terramate, touch_stacks

from bench import INIT, LOCAL, PARALLEL, PLAN, Table, doit, facts, in_turns, loop, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench import Cost

_INIT_AND_PLAN = "tofu init -no-color -input=false && tofu plan -no-color -input=false -out=plan.tfplan"
_MADE = (".bare", ".deploy", ".state", "stacks/*/.terraform*", "stacks/*/plan.tfplan", "stacks/*/.terragrunt-cache")


@dataclass(frozen=True)
class Contender:
    """A tool in its copy of the repository.

    Attributes:
        root: The copy.
        plan: Plans every stack; None if it is not measured.
        changed: Prints the affected stacks; empty if the tool has no such command.
        found: Reads their number from what it printed.
    """

    root: Path
    plan: Callable[[], Cost] | None = None
    changed: Sequence[str] = ()
    found: Callable[[str], int] = lambda text: len(text.split())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print it as it comes."""
    parser = argparse.ArgumentParser(description="Measure doit-tofu beside other tools.")
    parser.add_argument("--stacks", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3, help="rounds; each figure is their median")
    options = parser.parse_args(arguments)
    print(facts())
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        _compare(_contenders(Path(folder), options.stacks), options.stacks, options.rounds, Table())
    return 0


def _contenders(base: Path, stacks: int) -> dict[str, Contender]:
    """The bare loop, doit, and the tools that are there."""
    root = create(base / "doit", stacks)
    run(root, sys.executable, str(Path(__file__).parent / "deployed.py"), str(root))
    bare = create(base / "bare", stacks)
    affected = [sys.executable, "-m", "doit", "status", "--json"]
    found = {
        "bare loop": Contender(bare, partial(loop, bare, INIT.format(settings=LOCAL), PLAN)),
        "doit": Contender(root, partial(doit, root, "-n", str(PARALLEL), "plan"), affected, _affected),
    }
    if shutil.which("terramate"):
        copy = for_terramate(root, base / "terramate")
        command = ["terramate", "run", "--disable-safeguards=all", "--parallel", str(PARALLEL), "--", "sh", "-c"]
        found["terramate"] = Contender(
            copy, partial(run, copy, *command, _INIT_AND_PLAN), ["terramate", "list", "--changed"]
        )
    if shutil.which("terragrunt"):
        copy = create(base / "terragrunt", stacks)
        for stack in (copy / "stacks").iterdir():
            (stack / "terragrunt.hcl").touch()
        commit(copy, "units")
        found["terragrunt"] = Contender(copy, changed=["terragrunt", "find", "--filter", "[HEAD~1...HEAD]"])
    return found


def _affected(text: str) -> int:
    return sum(bool(stack["affected"]) for stack in json.loads(text)["stacks"])


def _compare(contenders: dict[str, Contender], stacks: int, rounds: int, table: Table) -> None:
    _compare_changed(contenders, rounds, table)
    plans = {name: each.plan for name, each in contenders.items() if each.plan is not None}

    def forget(_number: int) -> None:
        for each in contenders.values():
            for path in (path for made in _MADE for path in each.root.glob(made)):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def change(number: int) -> None:
        for each in contenders.values():
            touch_stacks(each.root, f"round {number}")

    for name, before in (("cold", forget), ("again", change)):
        table.title(f"{name}: {stacks:,} stacks, {PARALLEL} at a time")
        costs = in_turns(rounds, plans, before=before)
        bare = costs["bare loop"]
        for tool, cost in costs.items():
            ratio = f"{cost.over(bare):.2f} of the bare loop ({cost.processor_over(bare):.2f})"
            table.row(tool, f"{cost.seconds:.2f} s", ratio if cost is not bare else "")


def _compare_changed(contenders: dict[str, Contender], rounds: int, table: Table) -> None:
    asked = {name: each for name, each in contenders.items() if each.changed}
    for each in asked.values():
        change_module(each.root, "m0", "more")
    table.title("changed: one of the shared modules")
    costs = in_turns(rounds, {name: partial(run, each.root, *each.changed) for name, each in asked.items()})
    for name, cost in costs.items():
        table.row(name, f"{cost.seconds:.2f} s", f"{_found(asked[name])} found")


def _found(contender: Contender) -> int:
    """How many stacks a tool finds affected."""
    said = subprocess.run(
        contender.changed, cwd=contender.root, env=environment(contender.root), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return contender.found(said.stdout)


if __name__ == "__main__":
    raise SystemExit(main())
