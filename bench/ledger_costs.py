"""What a ledger costs, counted at a proxy: `python bench/ledger_costs.py [--latency S] [--only a,b,c,d,e,f]`.

`--stacks` and `--rounds` are those of part f.

A real `git http-backend` behind a proxy that takes 200 ms for each answer and each connection. Operations are git's
fetches and pushes; requests are HTTP requests, and bytes are those on the wire, both ways together.

a. A deploy of 100 stacks with the real engine; `ledger.every` is an hour, so that no write is made behind it.
b. A deploy of 1 of 1,000 stacks in a fresh clone.
c. A plan with nothing to do, with and without the ledger: in a fresh clone, and in one that has read it before.
d. 10,000 receipts: time and memory to read all of them, in a fresh clone.
e. An audit of 10,000 entries, signed.
f. Nothing to do in fresh clones of many stacks (1,000), without latency: `plan`, `deploy` and `status`, beside the same
   without a ledger in a repository whose records are on the disk; both look at every stack.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from repository import create, environment

from bench import run

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.servers.gitserver import WRITER, GitServer, git
from tests.servers.slowproxy import SlowProxy, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench import Cost

_ROUNDS = 5
_KEY = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
_READ = """\
import os, resource, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tasks import start
from tasks.run import ledgerof
run = start.start()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began, worked = time.perf_counter(), sum(os.times()[:4])
found = ledgerof.opened(run)
found.look()
records = found.session.all_records()
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seconds, processor = time.perf_counter() - began, sum(os.times()[:4]) - worked
print(f"{len(records)} {seconds:.2f} {processor:.2f} {(after - before) / 1024:.0f} {after / 1024:.0f}")
"""


class Project:
    """A repository of many stacks, its remote behind the proxy, and fresh clones of it.

    Args:
        base: A folder of its own.
        stacks: How many.
        latency: Of the proxy, in seconds.
        deployed: Whether all of them have receipts.

    Attributes:
        without: The same repository without a ledger, its records on the disk.
    """

    def __init__(self, base: Path, stacks: int, latency: float, *, deployed: bool, signed: bool = False) -> None:
        self.base, self._count = base, 0
        self.server = GitServer(base / "server")
        self.proxy = SlowProxy(self.server.host)
        self.variables = {"DEPLOY_LEDGER_TOKEN": WRITER, **({"DEPLOY_LEDGER_KEY": _KEY} if signed else {})}
        root = create(base / "first", stacks)
        if deployed:
            script = str(Path(__file__).parent / "deployed.py")
            subprocess.run([sys.executable, script, str(root)], env={**os.environ, **environment(root)}, check=True)
        self.without = base / "without/repo"
        shutil.copytree(base / "first", self.without.parent)
        config = root / "config/pipeline.yaml"
        config.write_text(config.read_text() + "ledger: {kind: git, every: 3600}\n")
        git(root, "commit", "-q", "-a", "-m", "ledger")
        self.push(root)
        self.doit(root, "ledger", "init")
        self.proxy.latency = latency

    def push(self, root: Path) -> None:
        """A repository's commit becomes the main branch."""
        git(root, "push", "-q", "--force", str(self.server.repository), "HEAD:main")
        if "origin" not in git(root, "remote"):
            git(root, "remote", "add", "origin", f"http://ci:{WRITER}@{self.proxy.host}/remote.git")

    def clone(self) -> Path:
        """A fresh clone, made without the proxy."""
        self._count += 1
        root = self.base / f"job{self._count}" / "repo"
        (root.parent / "home").mkdir(parents=True)
        git(self.base, "clone", "-q", "-b", "main", str(self.server.repository), str(root))
        git(root, "remote", "set-url", "origin", f"http://ci:{WRITER}@{self.proxy.host}/remote.git")
        return root

    def doit(self, root: Path, *arguments: str) -> Cost:
        """Run doit."""
        given = [f"{name}={value}" for name, value in self.variables.items()]
        return run(root, "env", *given, sys.executable, "-m", "doit", *arguments)

    def counted(self, act: Callable[[], Cost]) -> tuple[Cost, Traffic, dict[str, int]]:
        """What it costs, what passed, and git's operations by their kind."""
        self.server.log.clear()
        before = self.proxy.traffic.copy()
        cost = act()
        served = [line for line in self.server.log if line.endswith(" 200")]
        found = {
            "fetches": sum(line.startswith("GET upload-pack") for line in served),
            "pushes": sum(line.startswith("GET receive-pack") for line in served),
            "requests": len(self.server.log),
        }
        return cost, self.proxy.traffic.copy().less(before), found

    def stop(self) -> None:
        """End the servers."""
        self.proxy.stop()
        self.server.stop()


def _row(name: str, cost: Cost, traffic: Traffic, found: dict[str, int]) -> None:
    print(
        f"  {name:<44}{cost.seconds:7.2f} s  {found['fetches']} fetches, {found['pushes']} pushes,"
        f" {found['requests']} requests on {traffic.connections} connections,"
        f" {traffic.sent / 1000:.1f} kB up, {traffic.received / 1000:.1f} kB down",
        flush=True,
    )


def deploy_of_100(base: Path, latency: float) -> None:
    """Part a."""
    print("a. a deploy of 100 stacks, real engine")
    for name, seconds in (("without latency", 0.0), (f"with {latency * 1000:.0f} ms", latency)):
        project = Project(base / name.replace(" ", "-"), 100, seconds, deployed=False)
        root = project.clone()
        _row(name, *project.counted(lambda project=project, root=root: project.doit(root, "-n", "2", "deploy")))
        project.stop()


def one_of_1000(base: Path, latency: float) -> None:
    """Part b."""
    print("b. a deploy of 1 of 1,000 stacks in a fresh clone")
    project = Project(base, 1000, latency, deployed=True)
    root = project.clone()
    stack = root / "stacks/s00007/main.tf"
    stack.write_text(stack.read_text() + "# changed\n")
    git(root, "commit", "-q", "-a", "-m", "change")
    project.push(root)
    state = {
        "version": 4, "terraform_version": "1.12.6", "serial": 2, "lineage": "s00007", "outputs": {}, "resources": [],
    }  # fmt: skip
    (root / ".state").mkdir()
    (root / ".state/s00007-local.tfstate").write_text(json.dumps(state))
    _row("deploy", *project.counted(lambda: project.doit(root, "deploy")))
    head = len(git(project.server.repository, "show", "refs/heads/doit-tofu/local/ledger:head"))
    print(f"  the head has {head / 1000:.1f} kB")
    project.stop()


def nothing_to_do(base: Path, latency: float) -> None:
    """Part c."""
    print(f"c. a plan of 100 stacks with nothing to do, {latency * 1000:.0f} ms")
    project = Project(base, 100, latency, deployed=True)
    for name, root in (
        ("without a ledger (receipts on the disk)", project.without),
        ("with it, read before", project.clone()),
    ):
        project.doit(root, "plan")
        costs = [project.counted(lambda root=root: project.doit(root, "plan")) for _ in range(5)]
        middle = statistics.median(cost.seconds for cost, _, _ in costs)
        _row(name, *min(costs, key=lambda item: abs(item[0].seconds - middle)))
    fresh = project.clone()
    _row("with it, in a fresh clone", *project.counted(lambda: project.doit(fresh, "plan")))
    project.stop()


def receipts_of_10000(base: Path, _latency: float) -> None:
    """Part d."""
    print("d. 10,000 receipts, read in a fresh clone")
    project = Project(base, 10_000, 0.0, deployed=True)
    shards = git(project.server.repository, "ls-tree", "-r", "-l", "refs/heads/doit-tofu/local/ledger:shards")
    size = sum(int(line.split()[3]) for line in shards.splitlines())
    before = project.proxy.traffic.copy()
    root = project.clone()
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(Path(__file__).resolve().parent.parent)], cwd=root,
        env={**environment(root), **project.variables}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    count, seconds, processor, more, peak = done.stdout.split()
    passed = project.proxy.traffic.copy().less(before)
    print(
        f"  {count} receipts, {size / 1e6:.1f} MB: {seconds} s ({processor} s of processor time),"
        f" {more} MB more memory ({peak} MB in all),"
        f" {passed.received / 1e6:.2f} MB on the wire"
    )
    for command in ("plan", "status"):
        cost = project.doit(root, command)
        print(f"  doit {command} of all: {cost.seconds:.2f} s, {cost.megabytes:.0f} MB")
    without = project.doit(project.without, "plan")
    print(f"  doit plan without a ledger: {without.seconds:.2f} s, {without.megabytes:.0f} MB")
    project.stop()


def audit_of_10000(base: Path, _latency: float) -> None:
    """Part e."""
    print("e. an audit of 10,000 entries, signed")
    project = Project(base, 10_000, 0.0, deployed=True, signed=True)
    root = project.clone()
    first, again = project.doit(root, "audit"), project.doit(root, "audit")
    for name, cost in (("with the history's fetch", first), ("after it", again)):
        print(f"  {name}: {cost.seconds:.2f} s ({cost.processor:.2f} s of processor time), {cost.megabytes:.0f} MB")
    project.stop()


def fresh_clones(base: Path, _latency: float, stacks: int, number: int) -> None:
    """Part f."""
    print(f"f. nothing to do among {stacks:,} stacks, in fresh clones with the ledger")
    project = Project(base, stacks, 0.0, deployed=True)
    for command in ("plan", "deploy", "status"):
        project.doit(project.without, command)  # so that the index of files is there, as after a deploy
        rounds = []
        for _ in range(number):
            fresh = project.doit(project.clone(), command)
            shutil.rmtree(project.without / ".deploy/.cache/snapshots", ignore_errors=True)
            rounds.append((fresh, project.doit(project.without, command)))
        wall = statistics.median(fresh.seconds / plain.seconds for fresh, plain in rounds)
        processor = statistics.median(fresh.processor / plain.processor for fresh, plain in rounds)
        seconds, megabytes = (
            statistics.median(fresh.seconds for fresh, _ in rounds),
            max(f.megabytes for f, _ in rounds),
        )
        print(
            f"  {command:<8}{seconds:7.2f} s  {wall:.2f} of it without ({processor:.2f}), {megabytes:.0f} MB",
            flush=True,
        )
    project.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for, and print it as it comes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--latency", type=float, default=0.2, help="seconds of a round trip")
    parser.add_argument("--only", default="a,b,c,d,e,f", help="the parts to measure, with commas between them")
    parser.add_argument("--stacks", type=int, default=1_000, help="stacks of part f")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="rounds of part f")
    options = parser.parse_args(arguments)
    parts: dict[str, Callable[[Path, float], None]] = {
        "a": deploy_of_100,
        "b": one_of_1000,
        "c": nothing_to_do,
        "d": receipts_of_10000,
        "e": audit_of_10000,
        "f": partial(fresh_clones, stacks=options.stacks, number=options.rounds),
    }
    for part in options.only.split(","):
        base = Path(tempfile.mkdtemp(prefix="ledger-costs-"))
        began = time.monotonic()
        try:
            parts[part](base, options.latency)
        finally:
            shutil.rmtree(base, ignore_errors=True)
        print(f"  (measured in {time.monotonic() - began:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
