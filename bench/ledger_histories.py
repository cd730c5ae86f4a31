"""Checks histories of real deploys: `python bench/ledger_histories.py [--rounds N] [--seed S]`.

Each round, up to four pipelines deploy changes of one repository of up to six stacks at the same time, each job in a
fresh clone with a file remote, the real engine and real processes. Most processes are killed at a named point
(tests/failpoints.py: before or after an fsync, a rename, a fetch, a push, an engine call, or during an apply), with the
engine left alone or killed too, or an answer of the remote is lost or its request repeated; the remote is gone for
moments, and stacks are deferred. In some rounds somebody forces the ledger back to an older version, or deploys without
the ledger, in a clone that may not write it or has no remote, and later deploys from there again, and records what that
clone has. Some pipelines are retried, whatever has been deployed since. Then one more pipeline deploys the newest
commit, after releasing a lease that is left, as docs/ledger.md says.
What is asked of the history (of one that was forced back, all but the first's second half, and the engine may refuse a
plan):

  - no plan is applied twice, and two pipelines that are alive never apply at the same time
  - no stack is deployed from an older commit than one that was announced or recorded before
  - every entry is of a plan that was applied, or of an empty one; the serials of a stack never fall
  - in the end everything is as the newest commit says, nothing that is affected was skipped, the audit is whole, and
    one more deploy starts no engine

A round is made of its seed and of how the machine schedules; a wrong one is printed with its seed, and its folder kept.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.e2e.test_ledger import REF, Remote
from tests.failpoints import LOG, POINTS, VARIABLE
from tests.repository import INSTALLED, ROOT, Repository, minimal_config

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOFU = Path.home() / ".cache/doit-tofu/engines/tofu-1.12.6/tofu"
_PATIENCE = 180.0
_MOST_PIPELINES = 4
_ENGINE = """\
#!/bin/sh
if [ "$1" = apply ]; then
  for plan; do :; done
  sum=$(sha256sum "$plan" | cut -d' ' -f1)
  stack=$(basename "$PWD")
  cp '{states}/'"$stack"-local.tfstate '{world}/'"$stack.$$.state"
  echo "begin $HISTORY_RUN $stack $sum $(date +%s.%N)" >> '{world}/applies'
  GOGC=off '{tofu}' "$@"
  code=$?
  cmp -s '{states}/'"$stack"-local.tfstate '{world}/'"$stack.$$.state" && state=kept || state=changed
  echo "end $HISTORY_RUN $stack $sum $(date +%s.%N) $code $state" >> '{world}/applies'
  exit $code
fi
GOGC=off exec '{tofu}' "$@"
"""
_FAILPOINTS = f"""\
import sys

sys.path.insert(0, {str(ROOT)!r})
from tests import failpoints

failpoints.install()
from {"doit_tofu" if INSTALLED else "tasks"} import *
"""
_STACK = """\
terraform {{
  backend "local" {{}}
}}

variable "x" {{
  type    = string
  default = "none"
}}

resource "terraform_data" "it" {{
  input = "{value} ${{var.x}}"

  provisioner "local-exec" {{
    command = "sleep {seconds}"
  }}
}}

output "value" {{
  value = terraform_data.it.output
}}
"""


class HistoryError(AssertionError):
    """A history that must not be."""


@dataclass(frozen=True)
class _Start:
    """A deploy: of which pipeline, where it is killed, and whether its engine is killed with it."""

    job: Repository
    pipeline: int
    attempt: int
    point: str
    delay: float
    with_engine: bool


class Round:
    """One repository, its pipelines and its judge.

    Args:
        base: A folder of its own.
        seed: What it is made of.
        counts: What happened, of all rounds.
    """

    def __init__(self, base: Path, seed: int, counts: Counter[str]) -> None:
        self.base, self.counts = base, counts
        self.random = random.Random(seed)  # noqa: S311 - reproducible, but for the machine's schedule
        self.world = base / "world"
        self.world.mkdir(parents=True)
        self.stacks = [f"s{number}" for number in range(self.random.randint(2, 6))]
        self.values = dict.fromkeys(self.stacks, 0)
        reads = "".join(
            f"  {this}: {{inputs: {{x: {last}.value}}}}\n"
            for last, this in zip(self.stacks, self.stacks[1:], strict=False)
            if self._happens(0.5)
        )
        more = (f"stacks:\n{reads}" if reads else "") + "ledger: {kind: git, every: 1}\n"
        config = minimal_config(more).replace("{root}/.state/", f"{base}/states/")
        first = Repository.create(base, _TOFU, config, *map(self._file, self.stacks))
        (first.path / "dodo.py").write_text(_FAILPOINTS)
        first.commit()
        self.remote = Remote(base, first)
        self.dice = random.Random(f"without the ledger {seed}")  # noqa: S311 - the rounds before it stay as they were
        self.recorded: dict[str, float] = {}  # when a deploy without the ledger was recorded
        self.jobs: list[Repository] = []
        self.killed: set[str] = set()
        self.wrong: list[str] = []
        self.forced = False  # whether somebody forced the ledger back: then its lease was not there either
        for stack in self.stacks:  # the engine's local backend can lose a first state: another plan's lock removes it
            path = base / f"states/{stack}-local.tfstate"
            path.parent.mkdir(exist_ok=True)
            empty = {"version": 4, "terraform_version": "1.12.6", "serial": 0, "outputs": {}, "resources": []}
            path.write_text(json.dumps({**empty, "lineage": f"00000000-0000-4000-8000-{seed:010}{stack}"}))
        self._clone().doit("ledger", "init")

    def play(self) -> None:
        """The whole round.

        Raises:
            HistoryError: Something must not be.
        """
        pipelines = range(1, self.random.randint(1, _MOST_PIPELINES) + 1)
        commits = {
            number: self._change() if number > 1 else self.remote.git("rev-parse", "main") for number in pipelines
        }
        self._together([(number, commits[number], 0) for number in pipelines])
        number = self.dice.choice(list(pipelines)[:-1] or [1])  # others deploy a newer commit
        kept = self._without_ledger(number, commits[number]) if self.dice.choice([True, False, False]) else None
        for attempt in (1, 2):
            again = [item for item in pipelines if self._happens(0.4) or (kept is not None and item == pipelines[-1])]
            self._together([(number, commits[number], attempt) for number in again])
        if kept is not None:
            self._again_there(kept, number)
        self._heal()
        points = self.world / "points"
        passed = points.read_text().split() if points.exists() else []  # where no job lived long enough
        self.counts.update(f"passed {point}" for point in passed if point in POINTS)
        self._judge()

    def _file(self, stack: str) -> str:
        seconds = self.random.choice([0, 0, 0.2])
        return f"stacks/{stack}/main.tf:{_STACK.format(value=self.values[stack], seconds=seconds)}"

    def _clone(self) -> Repository:
        job = self.remote.clone()
        job.engine_script(_ENGINE.format(world=self.world, states=self.base / "states", tofu=_TOFU))
        self.jobs.append(job)
        return job

    def _change(self) -> str:
        job = self._clone()
        for stack in self.random.sample(self.stacks, self.random.randint(1, 2)):
            self.values[stack] += 1
            job.write(self._file(stack))
        commit = job.commit()
        self.remote.push(job)
        return commit

    def _together(self, runs: list[tuple[int, str, int]]) -> None:
        """Runs of pipelines at the same time, each (pipeline, commit, attempt); killed or not."""
        starts = []
        for pipeline, commit, attempt in runs:
            job = self._clone()
            job.git("checkout", "--quiet", commit)
            number = self.random.choice([1, 1, 1, 2, 3, self.random.randint(1, 40)])
            point = f"{self.random.choice(POINTS)}:{number}" if self._happens(0.7) else ""
            start = _Start(job, pipeline, attempt, point, self.random.uniform(0, 0.6), with_engine=self._happens(0.5))
            starts.append(threading.Thread(target=self._run, args=(start,)))
        if self._happens(0.25):
            pauses = self.random.uniform(0, 2), self.random.uniform(0.1, 2.5)
            starts.append(threading.Thread(target=self._go_away, args=pauses))
        elif self._happens(0.1):
            starts.append(threading.Thread(target=self._force_back, args=(self.random.uniform(0, 6),)))
        for thread in starts:
            thread.start()
        for thread in starts:
            thread.join()

    def _happens(self, share: float) -> bool:
        return self.random.random() < share

    def _run(self, start: _Start) -> None:
        time.sleep(start.delay)
        run = f"p{start.pipeline}r{start.attempt}"
        given = {
            "GITLAB_CI": "true", "CI_PIPELINE_ID": str(start.pipeline), "CI_PROJECT_ID": "1",
            "CI_COMMIT_BRANCH": "main", "HISTORY_RUN": run, LOG: str(self.world / "points"), VARIABLE: start.point,
        }  # fmt: skip
        process = start.job.start("deploy", **given)
        out, _ = process.communicate(timeout=_PATIENCE)
        self.counts[f"exit {process.returncode}"] += 1
        (self.world / f"{run}.log").write_text(f"{start.point}\n{out}")
        if start.point:
            self.counts[f"asked for {start.point.partition(':')[0]}"] += 1
        if process.returncode == -signal.SIGKILL:
            self.killed.add(run)
            self.counts[f"killed at {start.point.partition(':')[0]}"] += 1
            if start.with_engine:
                self._kill(start.job)
                self._put_back()
        elif "Traceback" in out:
            self.wrong.append(f"{run}: a traceback\n{out}")

    def _kill(self, job: Repository) -> None:
        for pid in self._processes(job):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _put_back(self) -> None:
        """What a versioned backend would not lose: the engine empties a local state before it writes it again."""
        for path in (self.base / "states").glob("*.tfstate"):
            copies = self.world.glob(f"{path.stem.removesuffix('-local')}.*.state")
            if not _is_json(path) and (found := sorted(copies, key=lambda copy: copy.stat().st_mtime)):
                shutil.copyfile(found[-1], path)
                self.counts["state put back"] += 1

    def _without_ledger(self, pipeline: int, commit: str) -> Repository:
        """A deploy without the ledger, alone, in a clone that is kept."""
        job = self._clone()
        job.git("checkout", "--quiet", commit)
        hook = self.remote.path / "hooks/pre-receive"
        if self.dice.choice([True, False]):
            job.git("remote", "remove", "origin")
        else:
            hook.parent.mkdir(exist_ok=True)
            hook.write_text("#!/bin/sh\necho 'You are not allowed to push to protected branches.' >&2\nexit 1\n")
            hook.chmod(0o755)
        words = ("allow=unrecorded", "reason=an emergency", "deploy")
        done = job.doit(*words, code=None, HISTORY_RUN=f"w{pipeline}r0")
        (self.world / f"w{pipeline}r0.log").write_text(done.out)
        self.counts[f"without the ledger: exit {done.code}"] += 1
        if not hook.exists():
            job.git("remote", "add", "origin", str(self.remote.path))
        hook.unlink(missing_ok=True)
        return job

    def _again_there(self, job: Repository, pipeline: int) -> None:
        """The same commit again, in the clone that has what is not recorded; then that is recorded."""
        job.git("fetch", "--quiet", "origin", "main")
        done = job.doit("deploy", code=None, HISTORY_RUN=f"p{pipeline}r8")
        (self.world / f"p{pipeline}r8.log").write_text(done.out)
        self.counts[f"again on its disk: exit {done.code}"] += 1
        if "has been deploying" in done.out:
            job.doit("reason=it died", "ledger", "release")
            self.counts["released"] += 1
        job.doit("ledger", "push", code=None if self.forced else 0)
        self.recorded[f"w{pipeline}r0"] = time.time()

    def _processes(self, *jobs: Repository) -> Iterator[int]:
        marks = [f"HOME={job.home}".encode() for job in jobs]
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                words = entry.read_bytes().split(b"\0")
            except OSError:
                continue
            if any(mark in words for mark in marks):
                yield int(entry.parent.name)

    def _go_away(self, after: float, seconds: float) -> None:
        time.sleep(after)
        gone = self.remote.path.with_name("gone.git")
        self.remote.path.rename(gone)
        self.counts["remote gone"] += 1
        time.sleep(seconds)
        gone.rename(self.remote.path)

    def _force_back(self, after: float) -> None:
        """A stranger's forced push of an older version."""
        time.sleep(after)
        versions = self.remote.git("rev-list", REF).split()
        if len(versions) > 1:
            self.forced = True
            self.remote.git("update-ref", REF, versions[len(versions) // 2])
            self.counts["forced back"] += 1

    def _heal(self) -> None:
        """One more pipeline on the newest commit; nothing is done to help but what the docs say."""
        end = time.monotonic() + _PATIENCE
        while list(self._processes(*self.jobs)):
            if time.monotonic() > end:
                raise HistoryError("processes are left")
            time.sleep(0.05)
        said = ""
        for attempt in range(4):
            job = self._clone()
            given = {"GITLAB_CI": "true", "CI_PIPELINE_ID": "99", "CI_PROJECT_ID": "1", "HISTORY_RUN": f"p99r{attempt}"}
            done = job.doit("deploy", code=None, **given)
            said = done.out
            (self.world / f"p99r{attempt}.log").write_text(said)
            if done.code == 0:
                return
            if "has been deploying" in said:
                job.doit("reason=it died", "ledger", "release")
                self.counts["released"] += 1
        raise HistoryError(f"the newest commit cannot be deployed:\n{said}")

    def _judge(self) -> None:
        if self.wrong:
            raise HistoryError(self.wrong[0])
        self._judge_applies()
        self._judge_order()
        self._judge_entries()
        for stack in self.stacks:
            path = self.base / f"states/{stack}-local.tfstate"
            found = json.loads(path.read_text())["resources"][0]["instances"]
            value = str(found[0]["attributes"]["input"]["value"]).split()[0]
            if len(found) != 1 or value != str(self.values[stack]):
                raise HistoryError(f"{stack} is {found}, not {self.values[stack]}")
        job = self._clone()
        if job.doit("audit", code=None).code:
            raise HistoryError("the audit is not whole")
        before = self._applies()
        job.doit("deploy", code=0, HISTORY_RUN="last")
        if self._applies() != before or "not affected" not in job.doit("deploy").out:
            raise HistoryError("one more deploy applied something")
        if "all up to date" not in self._clone().doit("status").out:
            raise HistoryError("not all is up to date")

    def _applies(self) -> list[list[str]]:
        path = self.world / "applies"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def _judge_applies(self) -> None:
        began = [line for line in self._applies() if line[0] == "begin"]
        self.counts["applies"] += len(began)
        # where the ledger was forced back the engine is the last to refuse, and equal plans of one second look the same
        ends = [line for line in self._applies() if line[0] == "end"]
        refused = {(line[1], line[3]) for line in ends if line[5] != "0" and self.forced}
        counted = Counter(
            (line[1] if self.forced else "", line[3]) for line in began if (line[1], line[3]) not in refused
        )
        for line in ends:  # an engine that could not take the state's lock is started again with the same plan
            if not self.forced and line[5] != "0" and line[6] == "kept":
                counted["", line[3]] -= 1
        if twice := [plan for (_, plan), number in counted.items() if number > 1]:
            raise HistoryError(f"plans were applied twice: {twice}")
        spans = []
        for _, run, stack, plan, start in began:
            until = [float(line[4]) for line in ends if line[3] == plan]
            if until and run not in self.killed:
                spans.append((float(start), until[0], run, stack))
        for first in spans:
            for second in spans:
                if first[2].split("r")[0] < second[2].split("r")[0] and first[0] < second[1] and second[0] < first[1]:
                    if self.forced:
                        continue
                    raise HistoryError(f"{first[2]} and {second[2]} applied at the same time: {first[3]}, {second[3]}")

    def _judge_order(self) -> None:
        """No pipeline goes back behind one with a later commit, in any stack: they are numbered in that order."""
        began = [(line[1], line[2], float(line[4])) for line in self._applies() if line[0] == "begin"]
        for run, stack, at in began:
            if self.forced or run.startswith("w"):
                continue
            for other, same, before in began:
                known = before if other.startswith("p") else self.recorded.get(other, at)
                if stack == same and before < at and known < at and _number(other) > _number(run):
                    raise HistoryError(f"{run} deployed {stack} after {other}, whose commit is newer")

    def _judge_entries(self) -> None:
        entries = json.loads(self._clone().doit("log", "--json", "--most", "0").out)["entries"]
        applied = {line[3]: line[1] for line in self._applies() if line[0] == "begin"}
        serials: dict[str, int] = {}
        for entry in entries:
            if entry["kind"] != "deploy":
                continue
            if entry["plan"] not in applied and any(entry["facts"]["counts"].values()):  # an empty one starts no engine
                raise HistoryError(f"entry {entry['sequence']} is of a plan that was never applied: {entry}")
            serial = entry["facts"].get("serial") or 0
            if applied.get(entry["plan"], "").startswith("w"):  # recorded later, and what others left may be newer
                serial = max(serial, serials.get(entry["stack"], 0))
            if serial < serials.get(entry["stack"], 0):
                raise HistoryError(f"the serial of {entry['stack']} falls to {serial} in entry {entry['sequence']}")
            serials[entry["stack"]] = serial
        if sorted(serials) != self.stacks:
            raise HistoryError(f"only {sorted(serials)} are recorded, of {self.stacks}")


def _number(run: str) -> int:
    return int(run[1:].partition("r")[0])


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except ValueError:
        return False
    return True


def main() -> int:
    """Play the rounds; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no round after so many")
    arguments = parser.parse_args()
    began, counts, wrong, played = time.monotonic(), Counter[str](), list[str](), 0
    for seed in range(arguments.seed, arguments.seed + arguments.rounds):
        if time.monotonic() - began > arguments.minutes * 60:
            break
        base = Path(tempfile.mkdtemp(prefix=f"ledger-history-{seed}-"))
        try:
            Round(base, seed, counts).play()
            shutil.rmtree(base, ignore_errors=True)
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            wrong.append(f"seed {seed} ({base}): {error}")
            print(wrong[-1], flush=True)
        played += 1
        if played % 10 == 0:
            print(f"{played} rounds, {len(wrong)} wrong, {time.monotonic() - began:.0f} s", flush=True)
    Repository.end()
    print(f"{played} rounds, seeds {arguments.seed} to {arguments.seed + played - 1}, {time.monotonic() - began:.0f} s")
    for what, number in sorted(counts.items()):
        print(f"  {what}: {number}")
    print("no history is wrong" if not wrong else f"{len(wrong)} histories are wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
