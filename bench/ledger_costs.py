"""What a ledger costs, counted at a proxy: `python bench/ledger_costs.py [--latency S] [--only a,b,c,d,e,f]`.

`--stacks` and `--rounds` are those of part f.

A real `git http-backend` behind a proxy that takes 200 ms for each answer and each connection. Operations are git's
fetches and pushes; requests are HTTP requests, and bytes are those on the wire, both ways together. Parts d and e are
without latency, and also over stores (`--places`): a server with ETags, and an S3 server. What is measured is the
installed wheel, where there is one, else this checkout.

a. A deploy of 100 stacks with the real engine; `ledger.every` is an hour, so that no write is made behind it.
b. A deploy of 1 of 1,000 stacks in a fresh clone.
c. A plan with nothing to do, with and without the ledger: in a fresh clone, and in one that has read it before.
d. 10,000 receipts: time and memory to read all of them, in a fresh clone.
e. An audit of 10,000 entries, signed: `doit audit` as a whole, in a fresh clone and once more in it.
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

from repository import PACKAGE, create, environment, measured

from bench import run

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.servers.fileserver import TOKEN, FileServer
from tests.servers.gitserver import WRITER, GitServer, git
from tests.servers.objectstore import ACCESS_KEY, SECRET_KEY, ObjectStore
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
from {package} import start
from {package}.run import ledgerof
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
        signed: Whether the ledger is signed.
        place: Where the ledger is: `git`, `http` or `s3`.

    Attributes:
        without: The same repository without a ledger, its records on the disk.
    """

    def __init__(
        self, base: Path, stacks: int, latency: float, *, deployed: bool, signed: bool = False, place: str = "git"
    ) -> None:
        self.base, self._count, self._place = base, 0, place
        self.server = GitServer(base / "server")
        self._store = FileServer() if place == "http" else ObjectStore() if place == "s3" else None
        store = self._store.url.split("/")[2] if self._store else None
        self.proxy = SlowProxy(store or self.server.host)
        self.variables = {"DEPLOY_LEDGER_TOKEN": WRITER, **({"DEPLOY_LEDGER_KEY": _KEY} if signed else {})}
        root = create(base / "first", stacks)
        if deployed:
            script = str(Path(__file__).parent / "deployed.py")
            subprocess.run([sys.executable, script, str(root)], env={**os.environ, **environment(root)}, check=True)
        self.without = base / "without/repo"
        shutil.copytree(base / "first", self.without.parent)
        config = root / "config/pipeline.yaml"
        config.write_text(f"{config.read_text()}ledger: {{{self._ledger()}, every: 3600}}\n")
        git(root, "commit", "-q", "-a", "-m", "ledger")
        self.push(root)
        self.doit(root, "ledger", "init")
        self.proxy.latency = latency

    def _ledger(self) -> str:
        """The ledger's settings; what a store needs to be written is set, too."""
        if self._place == "http":
            self.variables["DEPLOY_LEDGER_TOKEN"] = TOKEN
            return f'kind: store, url: "http://{self.proxy.host}/store"'
        if isinstance(self._store, ObjectStore):
            self._store.create("ledgers")
            self.variables |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
            self.variables["AWS_DEFAULT_REGION"] = "us-east-1"
            return f'kind: store, url: "s3://ledgers/bench", endpoint: "http://{self.proxy.host}"'
        return "kind: git"

    @property
    def _remote(self) -> str:
        host = self.server.host if self._store else self.proxy.host
        return f"http://ci:{WRITER}@{host}/remote.git"

    def push(self, root: Path) -> None:
        """A repository's commit becomes the main branch."""
        git(root, "push", "-q", "--force", str(self.server.repository), "HEAD:main")
        if "origin" not in git(root, "remote"):
            git(root, "remote", "add", "origin", self._remote)

    def clone(self) -> Path:
        """A fresh clone, made without the proxy."""
        self._count += 1
        root = self.base / f"job{self._count}" / "repo"
        (root.parent / "home").mkdir(parents=True)
        git(self.base, "clone", "-q", "-b", "main", str(self.server.repository), str(root))
        git(root, "remote", "set-url", "origin", self._remote)
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
        passed = self.proxy.traffic.copy().less(before)
        return cost, passed, {**found, "requests": passed.turns} if self._store else found

    def stop(self) -> None:
        """End the servers."""
        self.proxy.stop()
        self.server.stop()
        if self._store:
            self._store.stop()


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


def receipts_of_10000(base: Path, _latency: float, places: Sequence[str], stacks: int) -> None:
    """Part d."""
    print(f"d. {stacks:,} receipts, read in a fresh clone")
    for place in places:
        project = Project(base / place, stacks, 0.0, deployed=True, place=place)
        before = project.proxy.traffic.copy()
        root = project.clone()
        done = subprocess.run(
            [sys.executable, "-c", _READ.replace("{package}", PACKAGE), str(Path(__file__).resolve().parent.parent)],
            cwd=root, env={**environment(root), **project.variables}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        count, seconds, processor, more, peak = done.stdout.split()
        passed = project.proxy.traffic.copy().less(before)
        print(
            f"  {place:<6}{count} receipts: {seconds} s ({processor} s of processor time),"
            f" {more} MB more memory ({peak} MB in all), {passed.turns} requests,"
            f" {passed.received / 1e6:.2f} MB on the wire",
            flush=True,
        )
        for command in ("plan", "status"):
            cost, passed, found = project.counted(lambda command=command, project=project: project.doit(root, command))  # noqa: B023 - called at once
            _whole(f"doit {command}", cost, passed, found)
        project.stop()
    cost = project.doit(project.without, "plan")
    print(f"  doit plan without a ledger: {cost.seconds:.2f} s, {cost.megabytes:.0f} MB")


def audit_of_10000(base: Path, _latency: float, places: Sequence[str], stacks: int) -> None:
    """Part e."""
    print(f"e. an audit of {stacks:,} entries, signed")
    for place in places:
        project = Project(base / place, stacks, 0.0, deployed=True, signed=True, place=place)
        root = project.clone()
        for name in ("in a fresh clone", "in it once more"):
            cost, passed, found = project.counted(lambda project=project, root=root: project.doit(root, "audit"))
            _whole(f"{place}, {name}", cost, passed, found)
        project.stop()


def _whole(name: str, cost: Cost, traffic: Traffic, found: dict[str, int]) -> None:
    print(
        f"  {name:<24}{cost.seconds:7.2f} s ({cost.processor:.2f} s of processor time), {cost.megabytes:.0f} MB,"
        f" {found['requests']} requests, {traffic.received / 1e6:.2f} MB down",
        flush=True,
    )


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
    parser.add_argument("--entries", type=int, default=10_000, help="receipts of part d, entries of part e")
    parser.add_argument("--places", default="git,http,s3", help="where the ledger is in the parts d and e")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="rounds of part f")
    options = parser.parse_args(arguments)
    parts: dict[str, Callable[[Path, float], None]] = {
        "a": deploy_of_100,
        "b": one_of_1000,
        "c": nothing_to_do,
        "d": partial(receipts_of_10000, places=options.places.split(","), stacks=options.entries),
        "e": partial(audit_of_10000, places=options.places.split(","), stacks=options.entries),
        "f": partial(fresh_clones, stacks=options.stacks, number=options.rounds),
    }
    print(f"measured: {measured()}")
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
