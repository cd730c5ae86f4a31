"""Kills deploys at random moments: `python bench/chaos.py [--backend KIND] [--count N] [--seed S]`.

Six stacks in a chain, each with one resource. A creation takes 0.15 s and ends by writing its stack and generation
into a ledger outside of every state: the ledger, not the state, says what was created, how often and by which run.
Each of the N rounds changes the generation of one or two stacks, deploys, and kills that deploy, half of the time
anywhere, half of the time while a creation is under way:

    term, int   the signal to doit, once
    kill        SIGKILL to doit's process group: its engines live on, alone, and hold their locks
    container   SIGKILL to every process, the engines and their children too

Then the same command again, which may be killed too, until it is done. A lock that is left must be named with the
command that releases it; that very command is run, and nothing else is ever done to help.

What is asked, after every round (anything else ends the script with 1 and says which round):
  - it converges: the command ends with 0, at once after a kill, or after the locks it named were released
  - every stack's state has its resource, sound and of the current generation; its lineage never changes, its serial
    never falls, and the receipt has both; no lock is held, no process is left, no unsaved state lies about
  - no plan is ever handed to `apply` twice
  - no generation is created twice

The last one has a limit that no caller of the engine can lift, so the exceptions are counted and shown. An engine that
is killed itself after a creation and before it saved the state has left no trace of it: the next plan creates it
again. (Real resources are made safe against it by names or tokens of their own: the second creation then fails or
finds the first.) And the engine kills a provisioner, at the first SIGINT, that may have written the ledger and not
ended: the state has that resource as tainted, and the plan shows its replacement. So a second creation is allowed only
where the first was made in a run that was killed by `container`, or cut by `term` or `int`; never after `kill`, never
in a run that nobody killed, never twice in one run.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests import backends
from tests.repository import Repository
from tests.servers.objectstore import ObjectStore
from tests.servers.postgres import Postgres
from tests.servers.stateserver import StateServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.backends import Backend

STACKS = [f"s{number}" for number in range(1, 7)]
KINDS = ("term", "int", "kill", "container")
_CREATION = 0.15
_PATIENCE = 180.0
_TRIES = 8
_KILLED_AGAIN = 0.25
_LOCK_TIMEOUT = 15  # an engine that lives on alone needs less; what is named after it is a lock that nobody holds
_NEWS = 25

_ENGINE = """\
#!/bin/sh
if [ "$1" = apply ]; then
  for plan; do :; done
  echo "$CHAOS_RUN $(sha256sum "$plan" | cut -d' ' -f1)" >> '{world}/applies'
fi
exec '{tofu}' "$@"
"""
_CREATE = """\
#!/bin/sh
echo "$1 $2 $CHAOS_RUN" >> '{world}/begun'
sleep {seconds}
echo "$1 $2 $CHAOS_RUN" >> '{world}/made'
"""
_STACK = """\
variable "generation" {{
  type = number
}}

variable "x" {{
  type    = string
  default = "first"
}}

resource "terraform_data" "it" {{
  input            = var.x
  triggers_replace = var.generation

  provisioner "local-exec" {{
    command = "exec '{world}/create' {name} ${{var.generation}}"
  }}
}}

output "value" {{
  value = tostring(terraform_data.it.triggers_replace)
}}
"""


class ChaosError(AssertionError):
    """A promise was not kept."""


@dataclass
class Tally:
    """What happened in all rounds."""

    backend: str
    seed: int
    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    too_late: int = 0
    in_creation: int = 0
    created: int = 0
    repeated: Counter[str] = field(default_factory=Counter)
    released: int = 0
    seconds: float = 0.0

    def line(self) -> str:
        """All of it on one line."""
        kills = ", ".join(f"{kind} {number}" for kind, number in sorted(self.kills.items()))
        again = ", ".join(f"{number} after {kind}" for kind, number in sorted(self.repeated.items())) or "none"
        return (
            f"{self.backend}: seed {self.seed}, {self.rounds} rounds, all converged; {sum(self.kills.values())} kills"
            f" ({kills}; {self.in_creation} in mid-creation), {self.too_late} came too late;"
            f" {self.created} creations, created again: {again}; locks released by the printed command:"
            f" {self.released}; {self.seconds:.0f} s"
        )


class Chaos:
    """One repository on one backend, its world outside, and the judge.

    Args:
        backend: Where its states are.
        base: A folder of its own.
        tofu: The engine.
        seed: What the rounds are made of.
    """

    def __init__(self, backend: Backend, base: Path, tofu: Path, seed: int) -> None:
        self.backend, self.tally = backend, Tally(backend.kind, seed)
        backend.lock_timeout = _LOCK_TIMEOUT
        self._random = random.Random(f"{seed} {backend.kind}")  # noqa: S311 - reproducible
        self._world = base / "world"
        self._world.mkdir(parents=True)
        create = self._world / "create"
        create.write_text(_CREATE.format(world=self._world, seconds=_CREATION))
        create.chmod(0o755)
        chain = "".join(f"  {this}: {{inputs: {{x: {last}.value}}}}\n" for last, this in pairwise(STACKS))
        self.repository = Repository.create(
            base, tofu, backend.config(f"stacks:\n{chain}"),
            *(f"stacks/{name}/main.tf:{backend.stack(_STACK.format(world=self._world, name=name))}" for name in STACKS),
        )  # fmt: skip
        self.repository.variables.update(backend.variables)
        self.repository.fresh = True  # its processes are found by their environment
        self.repository.engine_script(_ENGINE.format(world=self._world, tofu=tofu))
        self._generations = dict.fromkeys(STACKS, 0)
        self._kinds: dict[str, str | None] = {}
        self._serials: dict[str, tuple[str, int]] = {}
        self._usual = 6.0
        for name in STACKS:
            self._change(name)

    def run(self, count: int) -> Tally:
        """All rounds.

        Raises:
            ChaosError: A promise was not kept; says in which round.
        """
        started = time.monotonic()
        try:
            self._converge("0", kill=False)
            self._judge()
            for number in range(1, count + 1):
                for name in self._random.sample(STACKS, self._random.randint(1, 2)):
                    self._change(name)
                self._converge(str(number), kill=True)
                self._judge()
                self.tally.rounds = number
                if number % _NEWS == 0 and number < count:
                    self.tally.seconds = time.monotonic() - started
                    print(f"  so far: {self.tally.line()}", file=sys.stderr, flush=True)
            self._deploy("drift", "drift", expected=0)
        except ChaosError as error:
            raise ChaosError(
                f"{self.backend.kind}, seed {self.tally.seed}, round {self.tally.rounds + 1}: {error}"
            ) from None
        self.tally.seconds = time.monotonic() - started
        return self.tally

    def _change(self, name: str) -> None:
        self._generations[name] += 1
        self.repository.write(f"stacks/{name}/terraform.tfvars:generation = {self._generations[name]}\n")

    def _converge(self, number: str, *, kill: bool) -> None:
        """Deploy until it is done, killed at first and perhaps again; release what is named as locked, nothing else."""
        said = []
        for attempt in range(_TRIES):
            run = f"{number}.{attempt}"
            if kill and (attempt == 0 or self._random.random() < _KILLED_AGAIN):
                self._deploy_and_kill(run)
                continue
            code, out = self._deploy(run, "deploy")
            said.append(out)
            if code == 0:
                self._wait_for_all_to_end()
                return
            named = re.findall(r"^ {4}(TF_DATA_DIR=\S+ .*force-unlock -force \S+)$", out, re.MULTILINE)
            commands = dict.fromkeys(named)  # the last lines name them again
            if not commands:
                raise ChaosError(f"`doit deploy` ended with {code} and named no lock:\n{out}")
            self._wait_for_all_to_end()
            for command in commands:
                released = subprocess.run(
                    command, shell=True, cwd=self.repository.path, env=self.repository.environment(), check=False,
                    capture_output=True, text=True,
                )  # fmt: skip
                if released.returncode:
                    raise ChaosError(f"{command}\n{released.stdout}{released.stderr}\nafter\n{out}")
                self.tally.released += 1
        raise ChaosError("does not converge:\n" + "\n".join(said))

    def _deploy(self, run: str, command: str, expected: int | None = None) -> tuple[int, str]:
        self._kinds[run] = None
        began = time.monotonic()
        process = self.repository.start(command, CHAOS_RUN=run)
        out, _ = process.communicate(timeout=_PATIENCE)
        if command == "deploy" and process.returncode == 0:
            self._usual = 0.7 * self._usual + 0.3 * (time.monotonic() - began)
        if "Traceback" in out or (expected is not None and process.returncode != expected):
            raise ChaosError(f"`doit {command}` ended with {process.returncode}:\n{out}")
        return process.returncode, out

    def _deploy_and_kill(self, run: str) -> None:
        kind = self._random.choice(KINDS)
        in_creation = self._random.random() < 0.5  # noqa: PLR2004 - half and half
        delay = self._random.random()
        before = len(self._lines("begun"))
        process = self.repository.start("deploy", CHAOS_RUN=run)
        if in_creation:
            end = time.monotonic() + self._usual * 2
            while process.poll() is None and len(self._lines("begun")) == before and time.monotonic() < end:
                time.sleep(0.005)
            time.sleep(delay * _CREATION * 1.5)
        else:
            end = time.monotonic() + delay * self._usual
            while process.poll() is None and time.monotonic() < end:
                time.sleep(0.005)
        if process.poll() is not None:
            self._kinds[run] = None
            self.tally.too_late += 1
        else:
            self._kinds[run] = kind
            self.tally.kills[kind] += 1
            self.tally.in_creation += len(self._lines("begun")) > max(before, len(self._lines("made")))
            self._kill(process, kind)
        out, _ = process.communicate(timeout=_PATIENCE)
        # A Ctrl-C while the interpreter still starts is the interpreter's to answer.
        if "Traceback" in out and not (kind == "int" and out.rstrip().endswith("KeyboardInterrupt")):
            raise ChaosError(f"a traceback after {kind}:\n{out}")

    def _kill(self, process: subprocess.Popen[str], kind: str) -> None:
        if kind in ("term", "int"):
            process.send_signal(signal.SIGTERM if kind == "term" else signal.SIGINT)
        elif kind == "kill":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
            while pids := list(self._processes()):
                for pid in pids:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue

    def _processes(self) -> Iterator[int]:
        """What this repository's runs have started and is still there, parents first: all have its HOME."""
        mark = f"HOME={self.repository.home}".encode()
        for entry in sorted(Path("/proc").glob("[0-9]*/environ"), key=lambda path: int(path.parent.name)):
            try:
                if mark in entry.read_bytes().split(b"\0"):
                    yield int(entry.parent.name)
            except OSError:
                continue

    def _wait_for_all_to_end(self) -> None:
        end = time.monotonic() + _PATIENCE
        while pids := list(self._processes()):
            if time.monotonic() > end:
                raise ChaosError(f"processes are left: {pids}")
            time.sleep(0.02)

    def _judge(self) -> None:
        for name, generation in self._generations.items():
            self._judge_state(name, generation)
        self._judge_locks()
        applied = [line.split()[1] for line in self._lines("applies")]
        if twice := [plan for plan, number in Counter(applied).items() if number > 1]:
            raise ChaosError(f"plans were applied twice: {twice}")
        self._judge_creations()

    def _judge_state(self, name: str, generation: int) -> None:
        state = self.backend.state(name, "local")
        if state is None:
            raise ChaosError(f"the state of {name} is lost")
        known = [
            (instance.get("status"), instance["attributes"]["triggers_replace"]["value"])
            for item in state["resources"] for instance in item["instances"]
        ]  # fmt: skip
        if known != [(None, generation)]:
            raise ChaosError(f"the state of {name} has {known}, not generation {generation}")
        lineage, serial = self._serials.get(name, (state["lineage"], 0))
        if state["lineage"] != lineage or state["serial"] < serial:
            raise ChaosError(f"the state of {name} was {lineage} {serial}, is {state['lineage']} {state['serial']}")
        self._serials[name] = state["lineage"], state["serial"]
        receipt = self.repository.json("receipts", f"{name}.json")
        found = receipt["outcome"], receipt["lineage"], receipt["serial"]
        if found != ("applied", state["lineage"], state["serial"]):
            raise ChaosError(f"the receipt of {name} does not fit its state: {receipt}")
        if (self.repository.path / f"stacks/{name}/errored.tfstate").exists():
            raise ChaosError(f"a state of {name} was not saved")

    def _judge_locks(self) -> None:
        server, place, held = self.backend.server, self.backend.place, []
        if self.backend.kind == "http":
            held = [name for name in server.locks if name.startswith(f"{place}/")]
        elif self.backend.kind == "s3":
            held = [key for key in server.keys(place) if key.endswith(".tflock")]
        elif self.backend.kind == "pg":
            server.wait_for("select count(*) from pg_locks where locktype = 'advisory'", "0", place)
        if held:
            raise ChaosError(f"locks are left: {held}")

    def _judge_creations(self) -> None:
        made: dict[tuple[str, str], list[str]] = {}
        for line in self._lines("made"):
            name, generation, run = line.split()
            made.setdefault((name, generation), []).append(run)
        again: Counter[str] = Counter()
        for (name, generation), runs in made.items():
            if len(set(runs)) != len(runs):
                raise ChaosError(f"{name} {generation} was created twice by one run: {runs}")
            for first in runs[:-1]:
                kind = self._kinds[first]
                if kind not in ("container", "term", "int"):
                    raise ChaosError(f"{name} {generation} was created by {runs}, and {first} was ended by {kind}")
                again[kind] += 1
        missing = [name for name, number in self._generations.items() if (name, str(number)) not in made]
        if missing:
            raise ChaosError(f"deployed, but never created: {missing}")
        self.tally.repeated, self.tally.created = again, sum(map(len, made.values()))

    def _lines(self, name: str) -> list[str]:
        path = self._world / name
        return path.read_text().splitlines() if path.exists() else []


def make_backend(kind: str, name: str, base: Path) -> tuple[Backend, Any]:
    """A backend on a server of its own, and what ends that server."""
    if kind == "http":
        states = StateServer()
        return backends.http(states, name), states.stop
    if kind == "pg":
        database = Postgres()
        return backends.pg(database, name), database.remove
    if kind == "s3":
        store = ObjectStore()
        return backends.s3(store, name), store.stop
    return backends.local(base / "states"), lambda: None


def main() -> int:
    """Run the rounds on each backend that was asked for; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", choices=backends.KINDS, action="append", help="default: all")
    parser.add_argument("--count", type=int, default=200, help="rounds for each backend")
    parser.add_argument("--seed", type=int, default=int.from_bytes(hashlib.sha256(os.urandom(8)).digest()[:4]))
    arguments = parser.parse_args()
    tofu = shutil.which("tofu")
    if tofu is None:
        parser.error("there is no tofu on PATH; `doit setup` says where it is")
    code = 0
    for kind in arguments.backend or backends.KINDS:
        base = Path(tempfile.mkdtemp(prefix=f"chaos-{kind}-"))
        backend, end = make_backend(kind, "chaos", base)
        try:
            print(Chaos(backend, base, Path(tofu), arguments.seed).run(arguments.count).line(), flush=True)
            shutil.rmtree(base)
        except ChaosError as error:
            print(f"FAILED {error}\n  everything is left in {base}", flush=True)
            code = 1
        finally:
            end()
    return code


if __name__ == "__main__":
    raise SystemExit(main())
