"""Speed, in figures and in ratios of one run: `python bench/bench.py [--stacks N] [--rounds N] [--only a,b,c]`.

It needs the package's dependencies, git and the engine on PATH. It measures the installed wheel, as users run it, and
this checkout where none is installed: there, each run compiles the reports' templates.

Everything happens in a temporary folder. Times are wall times, the median of the rounds, with the file cache warm;
what is compared takes turns at going first, and a ratio is the median of the rounds' ratios. Trust the ratios rather
than the seconds: both sides of a ratio saw the same machine. Where that machine is shared, the ratio of processor times
is steadier still; it stands in brackets. Where there is a target, it stands behind the figure, with `ok` or `MISSED`;
the targets are meant for 100 stacks.

a. `doit plan` of N stacks (100), two at a time, beside a bare loop: `xargs -P 2` over `init` and `plan -out` of each
   stack. Ours also checks the format, reads the plan, redacts and judges it, and writes the report.
     cold       nothing is there yet: no engine data directory, no plan, none of doit's records
     warm       the same again after a comment was changed in every stack
     planned    the same once more: every plan is there and fits, so only doit runs
b. Nothing is affected, everything is deployed, ten stacks in a hundred share a module: `doit plan`, `doit deploy` and
   `doit status` of 10 N and of 100 N stacks (1,000 and 10,000), beside `terramate list --changed` of the same stacks
   if its binary is on PATH, and the peak memory. `looking` is a run without its snapshot: the first one of a clone.
   Then one shared module of ten is changed: `doit status` finds its stacks, a tenth of all, with the snapshot of before
   the change and without any.
c. From the interpreter's start to the end of the first task: `doit graph` of 3 stacks, beside `python -c pass` and
   `python -c "import doit.doit_cmd"`; processor times.
d. A hand-over of N stacks: `doit plan`, then `doit deploy` without the cache, as in another job; signed and encrypted
   beside plain.
"""

from __future__ import annotations

import argparse
import base64
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from repository import change_module, create, environment, for_terramate, measured, touch_stacks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PARALLEL = 2
_KEY_BYTES = 32
_RACY_SECONDS = 2.5  # younger files are read again in the next run; see tasks/fileindex.py
_COMMANDS = ("plan", "deploy", "status")
_SHARED = 10  # modules in part b
_SNAPSHOTS = ".deploy/.cache/snapshots"
_TERRAMATE = "terramate list --changed"
_FIRST_TASK = 0.2  # seconds of processor time
_QUICK = 5  # rounds of what takes less than a second, for each round of the rest

_LOOP = """\
export TF_IN_AUTOMATION=1 TF_INPUT=0 CHECKPOINT_DISABLE=1 TF_PLUGIN_CACHE_DIR="$HOME/cache/providers"
mkdir -p .bare/plans "$TF_PLUGIN_CACHE_DIR"
ls stacks | xargs -P {parallel} -I STACK sh -c '
  out="$PWD/.bare/plans/STACK"
  export TF_DATA_DIR="$PWD/.bare/data/STACK"
  mkdir -p "$TF_DATA_DIR"
  cd stacks/STACK
  set -e
  {commands}
'
"""
INIT = 'tofu init -no-color -input=false -reconfigure {settings} > "$out.log"'
PLAN = (
    'tofu plan -json-into="$out.events" -no-color -input=false -detailed-exitcode -out="$out.tfplan"'
    ' -lock-timeout=60s >> "$out.log" || [ $? -eq 2 ]'
)
LOCAL = "-backend-config=path=../../.state/STACK-bare.tfstate"


@dataclass(frozen=True)
class Cost:
    """What a process and its children took: wall and processor time in seconds, peak memory of the largest in MB."""

    seconds: float
    processor: float
    megabytes: float

    def and_then(self, other: Cost) -> Cost:
        """The cost of both, one after the other."""
        megabytes = max(self.megabytes, other.megabytes)
        return Cost(self.seconds + other.seconds, self.processor + other.processor, megabytes)


@dataclass(frozen=True)
class Costs:
    """The costs of one contender, round by round."""

    rounds: list[Cost]

    @property
    def seconds(self) -> float:
        """The median wall time."""
        return statistics.median(cost.seconds for cost in self.rounds)

    @property
    def megabytes(self) -> float:
        """The largest peak."""
        return max(cost.megabytes for cost in self.rounds)

    def over(self, other: Costs) -> float:
        """How many times the wall time of another contender: the median of the rounds."""
        return statistics.median(a.seconds / b.seconds for a, b in zip(self.rounds, other.rounds, strict=True))

    def processor_over(self, other: Costs) -> float:
        """How many times the processor time of another contender: the median of the rounds."""
        return statistics.median(a.processor / b.processor for a, b in zip(self.rounds, other.rounds, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for and print it as it comes; 1 when a target was missed."""
    parser = argparse.ArgumentParser(description="Measure the speed of doit-tofu.")
    parser.add_argument("--stacks", type=int, default=100, help="stacks of part a; part b has 10 and 100 times as many")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; each figure is their median")
    parser.add_argument("--only", default="a,b,c,d", help="the parts to measure: a, b, c, d, with commas between them")
    options = parser.parse_args(arguments)
    parts = {"a": plan_beside_bare_loop, "b": nothing_affected, "c": start, "d": handed_over}
    print(facts())
    table = Table()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for part in options.only.split(","):
            parts[part](Path(folder) / part, options.stacks, options.rounds, table)
    return 1 if table.missed else 0


class Table:
    """Rows of a name, a figure, a ratio and a target, printed as they are added."""

    def __init__(self) -> None:
        self.missed = False

    def title(self, text: str) -> None:
        """Begin a part."""
        print(f"\n{text}", flush=True)

    def row(self, name: str, figure: str, ratio: str = "", *, value: float = 0, limit: float | None = None) -> None:
        """Print a row; with a limit, say whether the value keeps it."""
        verdict = ""
        if limit is not None:
            kept = value <= limit
            verdict = f"at most {limit:g}: {'ok' if kept else 'MISSED'}"
            self.missed = self.missed or not kept
        print(f"  {name:<34}{figure:>12}  {ratio:<32}{verdict}".rstrip(), flush=True)


def loop(root: Path, *commands: str, parallel: int = PARALLEL, **variables: str) -> Cost:
    """The engine alone, some stacks at a time."""
    text = _LOOP.format(parallel=parallel, commands="\n  ".join(commands))
    return run(root, "env", *assigned(variables), "sh", "-c", text)


def assigned(variables: Mapping[str, str]) -> list[str]:
    """Variables as `env` takes them."""
    return [f"{name}={value}" for name, value in variables.items()]


def plan_beside_bare_loop(base: Path, stacks: int, rounds: int, table: Table) -> None:
    """Part a."""
    root = create(base, stacks)
    table.title(f"a. doit plan of {stacks:,} stacks beside a bare loop, {PARALLEL} at a time")

    plan = partial(doit, root, "-n", str(PARALLEL), "plan")
    contenders = {"bare": partial(loop, root, INIT.format(settings=LOCAL), PLAN), "doit": plan}

    def forget(_number: int) -> None:
        for name in (".bare", ".deploy"):
            shutil.rmtree(root / name, ignore_errors=True)

    def change(number: int) -> None:
        touch_stacks(root, f"round {number}")

    _compare(table, "cold", in_turns(rounds, contenders, before=forget), limit=1.5)
    warm = in_turns(rounds, contenders, before=change)
    _compare(table, "warm", warm, limit=1.2)
    again = in_turns(rounds, {"doit": plan})["doit"]
    table.row("planned, doit", f"{again.seconds:.2f} s", f"{again.over(warm['bare']):.2f} of the warm bare loop")


def _compare(table: Table, name: str, costs: dict[str, Costs], limit: float | None = None) -> None:
    bare, ours = costs["bare"], costs["doit"]
    ratio = ours.over(bare)
    shown = f"{ratio:.2f} of the bare loop ({ours.processor_over(bare):.2f})"
    table.row(f"{name}, bare loop", f"{bare.seconds:.2f} s")
    table.row(f"{name}, doit", f"{ours.seconds:.2f} s", shown, value=ratio, limit=limit)


def nothing_affected(base: Path, stacks: int, rounds: int, table: Table) -> None:
    """Part b."""
    for count, limit in ((10 * stacks, 1.0), (100 * stacks, 0.6)):
        table.title(f"b. nothing affected among {count:,} deployed stacks")
        root = create(base / str(count), count, per_module=count // _SHARED)
        run(root, sys.executable, str(Path(__file__).parent / "deployed.py"), str(root))
        other = for_terramate(root, base / f"{count}-terramate") if shutil.which("terramate") else None
        time.sleep(_RACY_SECONDS)
        for command in (_COMMANDS[0], *_COMMANDS):
            doit(root, command)  # the first one writes the index of files, as a deploy does, so its answer is not kept
        contenders = {command: partial(doit, root, command) for command in _COMMANDS}
        contenders |= {f"{command}, looking": partial(_looking, root, command) for command in _COMMANDS}
        _beside_terramate(table, rounds, contenders, other, limit)
        if other is not None:
            table.title(
                f"b. one of {_SHARED} shared modules changed: {count // _SHARED:,} of {count:,} stacks affected"
            )
            snapshots, kept = root / _SNAPSHOTS, base / f"{count}-snapshots"
            doit(root, "status")
            shutil.copytree(snapshots, kept)  # as they are when somebody changes a file
            for each in (root, other):
                change_module(each, "m0", "more")
            time.sleep(_RACY_SECONDS)
            _require_found(root, other, count // _SHARED)
            contenders = {
                "status": partial(_first_after_a_change, root, kept, "status"),
                "status, looking": partial(_looking, root, "status"),
            }
            _beside_terramate(table, rounds, contenders, other, 1.0)


def _beside_terramate(
    table: Table, rounds: int, contenders: Mapping[str, Callable[[], Cost]], other: Path | None, limit: float
) -> None:
    """Rows for some commands, each with its ratio to `terramate list --changed`, where that can be run."""
    theirs = {} if other is None else {_TERRAMATE: partial(run, other, *_TERRAMATE.split())}
    costs = in_turns(rounds * _QUICK, {**theirs, **contenders})
    for name, cost in costs.items():
        figure = f"{cost.seconds:.2f} s"
        if _TERRAMATE not in costs or name == _TERRAMATE:
            table.row(name, figure, f"{cost.megabytes:.0f} MB")
            continue
        ratio = cost.over(costs[_TERRAMATE])
        shown = f"{ratio:.2f} of it ({cost.processor_over(costs[_TERRAMATE]):.2f}), {cost.megabytes:.0f} MB"
        table.row(name, figure, shown, value=ratio, limit=None if name.endswith(", looking") else limit)


def _looking(root: Path, command: str) -> Cost:
    """A run without its snapshot; those of other commands stay."""
    (root / _SNAPSHOTS / command).unlink(missing_ok=True)
    return doit(root, command)


def _first_after_a_change(root: Path, kept: Path, command: str) -> Cost:
    """A run with the snapshot of before the change."""
    shutil.rmtree(root / _SNAPSHOTS, ignore_errors=True)
    shutil.copytree(kept, root / _SNAPSHOTS)
    return doit(root, command)


def _require_found(root: Path, other: Path, number: int) -> None:
    """Check that both find the same stacks.

    Raises:
        SystemExit: They do not.
    """
    said = subprocess.run(
        [sys.executable, "-m", "doit", "status"], cwd=root, env=environment(root), capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    ours = {f"stacks/{line.split()[0]}" for line in said.splitlines() if "affected: " in line}
    listed = subprocess.run(
        _TERRAMATE.split(), cwd=other, env=environment(other), capture_output=True, text=True, check=True
    )
    if len(ours) != number or ours != set(listed.stdout.split()):
        raise SystemExit(f"{len(ours)} stacks found, and {len(listed.stdout.split())} by terramate, of {number}")


def start(base: Path, _stacks: int, rounds: int, table: Table) -> None:
    """Part c."""
    root = create(base, 3)
    table.title("c. from the interpreter's start to the end of the first task")
    doit(root, "graph")
    costs = in_turns(
        rounds * _QUICK,
        {
            "python -c pass": partial(run, root, sys.executable, "-c", "pass"),
            "import doit.doit_cmd": partial(run, root, sys.executable, "-c", "import doit.doit_cmd"),
            "doit graph": partial(doit, root, "graph"),
        },
    )
    base_of_all = costs["import doit.doit_cmd"]
    for name, cost in costs.items():
        limit = _FIRST_TASK if name == "doit graph" else None
        processor = statistics.median(each.processor for each in cost.rounds)
        ratio = f"{cost.over(base_of_all):.2f} of doit ({cost.processor_over(base_of_all):.2f})"
        table.row(name, f"{processor:.3f} s", ratio, value=processor, limit=limit)


def handed_over(base: Path, stacks: int, rounds: int, table: Table) -> None:
    """Part d."""
    table.title(f"d. a hand-over of {stacks:,} stacks from the job that plans to the job that deploys")
    roots = {name: create(base / name, stacks) for name in ("plain", "signed and encrypted")}
    keys = {"DEPLOY_STATE_KEY": b"s" * _KEY_BYTES, "DEPLOY_ARTIFACT_KEY": b"a" * _KEY_BYTES}
    given = [f"{name}={base64.b64encode(key).decode()}" for name, key in keys.items()]

    def hand_over(root: Path, variables: Sequence[str]) -> Cost:
        command = ("env", *variables, sys.executable, "-m", "doit", "-n", str(PARALLEL))
        for name in (".deploy", ".state"):
            shutil.rmtree(root / name, ignore_errors=True)
        planned = run(root, *command, "plan")
        shutil.rmtree(root / ".deploy/.cache")
        deployed = run(root, *command, "deploy")
        return planned.and_then(deployed)

    contenders = {name: partial(hand_over, root, given if name != "plain" else ()) for name, root in roots.items()}
    costs = in_turns(rounds, contenders)
    plain, signed = costs["plain"], costs["signed and encrypted"]
    table.row("plain", f"{plain.seconds:.2f} s")
    ratio = signed.over(plain)
    shown = f"{ratio:.2f} of plain ({signed.processor_over(plain):.2f})"
    table.row("signed and encrypted", f"{signed.seconds:.2f} s", shown, value=ratio, limit=1.1)


def in_turns(
    rounds: int, contenders: Mapping[str, Callable[[], Cost]], before: Callable[[int], None] = lambda _: None
) -> dict[str, Costs]:
    """The costs of some contenders, each run once in every round, in an order that turns around each time."""
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for number in range(rounds):
        before(number)
        names = list(contenders)
        for name in names if number % 2 == 0 else reversed(names):
            costs[name].append(contenders[name]())
    return {name: Costs(found) for name, found in costs.items()}


def doit(root: Path, *arguments: str) -> Cost:
    """Run doit in a repository."""
    return run(root, sys.executable, "-m", "doit", *arguments)


def run(root: Path, *command: str) -> Cost:
    """Run a command in a repository to its end.

    Raises:
        SystemExit: It failed; its output was printed.
    """
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=root, env=environment(root), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            output.seek(0)
            print(output.read().decode("utf-8", "replace"), file=sys.stderr)
            raise SystemExit(f"{' '.join(command)[:80]} ended with {child.returncode}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def facts() -> str:
    """What machine and versions the figures are of."""
    asked = subprocess.run(
        ["tofu", "version"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
    )
    engine = asked.stdout.splitlines()[0]
    load = " ".join(f"{number:.1f}" for number in os.getloadavg())
    return (
        f"{len(os.sched_getaffinity(0))} cores ({platform.machine()}, load {load} at the start),"
        f" Python {platform.python_version()}, {engine}; {measured()}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
