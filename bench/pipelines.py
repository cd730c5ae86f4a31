"""A generated pipeline on a number of runners, simulated: `python bench/pipelines.py [--stacks N] [--runners N]`.

The pipeline is the one that `doit ci` writes for GitLab; nothing of it is run. A job starts when a runner is free and
all that it needs has ended, and takes as long as `Model` says. Printed are how long the pipeline takes, with these
runners and with one for each job, the engine's share of the runners' time, and what the jobs ask of others.

The stacks are customers' with a network, a platform and applications each; or (`--layers`) the same in folders by
layer, which is another order.
"""

from __future__ import annotations

import argparse
import heapq
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from repository import ROOT

sys.path.insert(0, str(ROOT))

from tasks import ci, start
from tasks.forges.pipelines.shares import Purpose
from tasks.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PER_CUSTOMER = 10
_STAGES = ("begin", "plan", "planned", "deploy", "report")
_OF_THE_LEDGER = 7  # HTTP requests of a deploy, see docs/performance.md
_OF_THE_FORGE = 12  # of a job: that it is taken, its log and states, its cache and artifacts


@dataclass(frozen=True)
class Model:
    """What a job costs. Seconds are of processes, megabytes are transferred at `rate`."""

    begin: float = 15.0  # until a runner has taken it, started a container, and checked out
    install: float = 3.0  # of the package, by pip from a registry nearby
    look: float = 0.0011  # for each stack of the repository: what doit reads before its first task
    plan: float = 6.0  # `init` from a warm cache and `plan`
    apply: float = 25.0
    parallel: int = 2  # engine processes at once
    cache: float = 600.0  # megabytes of engine and providers
    artifact: float = 0.05  # megabytes of a stack's plan, results and receipt
    rate: float = 40.0  # megabytes a second, of one runner
    shared: float = 1000.0  # of the store of caches and artifacts, for all runners together


@dataclass(frozen=True)
class Job:
    """A job of a pipeline, with what it needs and how many stacks it is about."""

    name: str
    stage: str
    needs: tuple[str, ...]
    stacks: int


@dataclass(frozen=True)
class Outcome:
    """What became of a pipeline: when it was over, the runners' time, and the part of it that was the engine's."""

    seconds: float
    busy: float
    engine: float
    stages: Mapping[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Generate, simulate, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stacks", type=int, default=10_000, help="that are affected")
    parser.add_argument("--repository", type=int, default=0, help="stacks that there are, if more")
    parser.add_argument("--runners", type=int, default=50)
    parser.add_argument("--jobs", type=int, nargs="*", default=[50, 100, 200, 400, 1000], help="`ci.jobs`")
    parser.add_argument("--layers", action="store_true", help="folders by layer rather than by customer")
    options = parser.parse_args(arguments)
    looked_at = max(options.stacks, options.repository)
    with tempfile.TemporaryDirectory(prefix="pipelines-") as folder:
        root = Path(folder)
        _write(root, options.stacks, layers=options.layers)
        print(f"{options.stacks:,} of {looked_at:,} stacks on {options.runners} runners")
        for most in options.jobs:
            written, kilobytes = generated(root, most)
            _show(most, jobs_of(written), kilobytes, options.runners, looked_at)
    return 0


def _write(root: Path, stacks: int, *, layers: bool) -> None:
    lines = ["version: 1", "stacks:"]
    for number in range(stacks):
        customer, position = divmod(number, _PER_CUSTOMER)
        kind = {0: "network", 1: "platform"}.get(position, f"app{position}")
        needs = {0: None, 1: "network"}.get(position, "platform")
        lines.append(f"  {_name(customer, kind, layers)}:")
        lines.append(f"    depends_on: [{_name(customer, needs, layers) if needs else ''}]")
        path = root / "stacks" / _name(customer, kind, layers)
        path.mkdir(parents=True)
        (path / "main.tf").touch()
    (root / "config").mkdir()
    (root / "config/pipeline.yaml").write_text("\n".join(lines) + "\n")


def _name(customer: int, kind: str, layers: bool) -> str:
    return f"{kind}/c{customer:04}" if layers else f"c{customer:04}/{kind}"


def generated(root: Path, most: int) -> tuple[dict[str, Any], float]:
    """The pipeline that `doit ci` writes, and its size in kilobytes."""
    os.environ["DEPLOY_CI__JOBS"] = str(most)
    run = Run(start.load(root))
    ci.write(run, Purpose.DEPLOY, "gitlab")
    text = run.layout.gitlab_jobs.read_text()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(text, Loader=loader), len(text) / 1000  # noqa: S506 - what we have just written, safely


def jobs_of(pipeline: dict[str, Any]) -> list[Job]:
    """The jobs; one without `needs` waits for all of the stages before."""
    written = {name: job for name, job in pipeline.items() if isinstance(job, dict) and "script" in job}
    stage = {name: _stage(pipeline, job) for name, job in written.items()}
    found = []
    for name, job in written.items():
        needs = job.get("needs", pipeline.get(job.get("extends", ""), {}).get("needs"))
        if needs is None:
            earlier = [other for other in written if _STAGES.index(stage[other]) < _STAGES.index(stage[name])]
        else:
            earlier = [need if isinstance(need, str) else need["job"] for need in needs]
        words = " ".join(job["script"]).split()
        stacks = sum(word.startswith(("plan:", "deploy:")) for word in words)
        found.append(Job(name, stage[name], tuple(earlier), stacks))
    return found


def _stage(pipeline: dict[str, Any], job: dict[str, Any]) -> str:
    return str(job.get("stage") or pipeline[job["extends"]]["stage"])


def simulated(jobs: Sequence[Job], runners: int, model: Model, looked_at: int) -> Outcome:
    """The pipeline on so many runners: of the jobs that can start, the one that was written first does."""
    waiting = {job.name: len(job.needs) for job in jobs}
    order = {job.name: number for number, job in enumerate(jobs)}
    dependents: dict[str, list[Job]] = {}
    for job in jobs:
        for need in job.needs:
            dependents.setdefault(need, []).append(job)
    ready = [(order[job.name], job) for job in jobs if not job.needs]
    running: list[tuple[float, int, Job]] = []
    clock, busy, engine, ended = 0.0, 0.0, 0.0, dict.fromkeys(_STAGES, 0.0)
    while ready or running:
        while ready and len(running) < runners:
            _, job = heapq.heappop(ready)
            own, work = _seconds(job, len(running) + 1, model, looked_at)
            busy, engine = busy + own + work, engine + work
            heapq.heappush(running, (clock + own + work, order[job.name], job))
        clock, _, job = heapq.heappop(running)
        ended[job.stage] = clock
        for other in dependents.get(job.name, ()):
            waiting[other.name] -= 1
            if not waiting[other.name]:
                heapq.heappush(ready, (order[other.name], other))
    return Outcome(clock, busy, engine, ended)


def _seconds(job: Job, at_once: int, model: Model, looked_at: int) -> tuple[float, float]:
    """What a job takes beside the engine, and the engine in it; transfers share the store with other jobs."""
    rate = min(model.rate, model.shared / at_once)
    everything = looked_at if job.name in {"planned", "report"} else job.stacks
    own = model.begin + model.install + model.look * looked_at + (model.cache + model.artifact * everything) / rate
    each = {"plan": model.plan, "deploy": model.apply}.get(job.stage, 0.0)
    return own, each * job.stacks / model.parallel


def _show(most: int, jobs: Sequence[Job], kilobytes: float, runners: int, looked_at: int) -> None:
    model = Model()
    found, free = (simulated(jobs, number, model, looked_at) for number in (runners, len(jobs)))
    deploys = [job for job in jobs if job.stage == "deploy"]
    cache = model.cache * len(jobs) / 1000
    asked = (
        _OF_THE_FORGE * len(jobs) + sum(len(job.needs) for job in deploys) + sum(job.stage == "plan" for job in jobs)
    )
    print(
        f"  ci.jobs {most:>5}: {len(jobs):>5} jobs, {kilobytes:>5.0f} kB, {found.seconds / 60:>5.0f} min"
        f" (planned after {found.stages['planned'] / 60:.0f}; {free.seconds / 60:.0f} with a runner for each),"
        f" engine {100 * found.engine / found.busy:.0f} % of the runners' time, caches {cache:.0f} GB,"
        f" requests: forge {asked:,}, ledger {_OF_THE_LEDGER * len(deploys):,}",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
