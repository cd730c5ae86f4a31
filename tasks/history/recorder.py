"""Records each run when it starts, after each task, and when it ends, so that it can be watched live.

`runs/<id>.json` is small and is replaced as a whole; `runs/<id>.jsonl` has a line with the whole result of each task
that ended, and is only appended to. Readers skip a torn last line. No decision is based on either file.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..base import ci, git, jsontext
from ..base.clock import now
from ..base.errors import DeployError
from ..base.files import append, write_atomic
from ..reports import causes, stackreport, together
from ..run.details import DriftDetails
from ..run.result import Status
from ..run.selection import BARRIER
from . import overview, retention

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..base.ci import CI
    from ..base.masking import Secrets
    from ..base.problem import Command, Problem
    from ..drifts.classes import Finding
    from ..run.result import Result
    from ..run.run import Run

FORMAT = 2
BEAT = 10.0  # seconds: a run without an end whose record was not written for some beats is dead
_PAUSE = 0.5
_SHARE = 20  # a write that takes a second is followed by a pause of 20, so recording costs at most 5 %
_LONGEST = 500
_MOST = 200


class Recorder:
    """The record of this process's run.

    Args:
        run: The run.
        stages: The selected commands.
        tasks: doit's tasks by name, with their dependencies.
    """

    def __init__(self, run: Run, stages: list[str], tasks: Mapping[str, Any]) -> None:
        self._run, self._known = run, tasks
        began = datetime.now(UTC)
        self._clock = time.monotonic()
        self.id = retention.new_id(began)
        here = ci.read()
        commit, branch = git.head(run.layout.root)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._tasks: dict[str, dict[str, Any]] = {}
        self._lines: list[str] = []
        self._causes = causes.Groups[str]()
        self._failed: dict[str, list[tuple[str, Problem]]] = {}
        self._offered: list[list[tuple[str, Command]]] = []
        self._wake = threading.Event()
        self._over = False
        self._writer: threading.Thread | None = None
        self.problem: str | None = None
        self.written: dict[str, Any] = {}
        self.head: dict[str, Any] = {
            "format": FORMAT,
            "id": self.id,
            "environment": run.project.environment,
            "command": run.mask.text(f"doit {' '.join(sys.argv[1:])}"),
            "stages": stages,
            "started_at": began.isoformat(timespec="milliseconds"),
            "ended_at": None,
            "seconds": None,
            "exit_code": None,
            "stopped": False,
            "verdict": "",
            "commit": commit,
            "branch": here.branch or branch,  # CI checks out no branch
            "dirty": None,
            "pipeline": _pipeline(here, run.mask),
            "process": {"host": socket.gethostname(), "pid": os.getpid()},
            "stacks": len(run.project.stacks),
        }

    def begin(self) -> None:
        """Write the record for the first time."""
        self._write()

    def begins(self, name: str) -> None:
        """A task has started."""
        stage, _, stack = name.partition(":")
        entry = {
            "stage": stage,
            "stack": stack,
            "status": "running",
            "offset": self._elapsed(),
            "needs": self._of(name),
        }
        with self._lock:
            self._tasks[name] = entry
            if self._writer is None and self.problem is None:  # a run with nothing to do does not need one
                self._writer = threading.Thread(target=self._keep_writing, name="history", daemon=True)
                self._writer.start()
        self._wake.set()

    def ended(self, name: str, result: Result | None) -> None:
        """A task has ended; tasks with nothing to do are only counted, and some have no result."""
        if result is None or result.status is Status.UNAFFECTED:
            with self._lock:
                self._tasks.pop(name, None)
            return
        result, offset = result.masked(self._run.mask), self._elapsed()
        entry: dict[str, Any] = {
            "stage": result.stage,
            "stack": result.stack,
            "status": result.status,
            "summary": result.summary[:_LONGEST],
            "reasons": [reason[:_LONGEST] for reason in result.reasons[:5]],
            "counts": {kind: number for kind, number in result.counts.items() if number},
            "offset": offset,
            "seconds": 0.0,
            "needs": self._of(name),
        }
        entry |= {"kind": result.kind} if result.kind else {}
        if result.reused:
            entry["reused"] = True
        if isinstance(result.details, DriftDetails):
            entry["findings"] = [_finding(found) for found in result.details.findings[:_MOST]]
            ways = stackreport.drift_ways(result, self._run.named_environment)
            entry["ways"] = [{"what": name, "command": str(command)} for name, command in ways]
            if ways:
                self._offered.append(ways)
            entry["resolved"] = [gone.address for gone in result.details.resolved[:_MOST]]
        if result.checks:
            entry["checks"] = [asdict(check) for check in result.checks]
        from . import changelines  # a run with nothing to do needs no diffs

        full = {"task": name, **changelines.added(result.to_json())}
        line = jsontext.dumps(full, ensure_ascii=False, compact=True, default=str)
        with self._lock:
            if result.failed:
                cause = self._causes.of(result.stage, result.stack, result.problem, result.summary, lambda: name)
                entry["cause"] = cause
                if result.problem is not None:
                    self._failed.setdefault(cause, []).append((result.stack, result.problem))
            begun = self._tasks.get(name)
            if begun is not None:
                entry["offset"], entry["seconds"] = begun["offset"], round(offset - begun["offset"], 3)
            self._tasks[name] = entry
            self._lines.append(line)
        self._wake.set()

    def end(self, code: int | None, verdict: str) -> None:
        """Write the end, update the overview, and remove the oldest records."""
        run, head = self._run, self.head
        self._over = True
        worked = bool(self._tasks)
        head["ended_at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        head["seconds"] = round(self._elapsed(), 3)
        head["exit_code"], head["verdict"] = code, verdict[:_LONGEST]
        head["stopped"] = run.stop.requested
        head |= self._of_groups()
        head["unaffected"] = sum(item.status is Status.UNAFFECTED for item in run.results.values())
        if worked or "revision" in vars(run):
            head["commit"], head["dirty"] = run.shown_revision.commit or head["commit"], run.shown_revision.dirty
        if run.applied and head["commit"]:
            with suppress(DeployError):
                head["committed_at"] = git.committed_at(run.layout.root, head["commit"])
        self._write(durable=worked)
        try:
            if (head["pipeline"] or {}).get("review") is None:  # a merge request says nothing about what is deployed
                overview.update(run, head)
            kept = run.project.config.history
            retention.prune(run.layout, kept.keep, kept.days)
        except (DeployError, OSError) as error:
            self.problem = self.problem or str(error)

    def _of_groups(self) -> dict[str, Any]:
        """What holds for all tasks that failed for one cause, and what can be done about all that has drifted."""
        known, shared = self._run.project.stacks, dict[str, Any]()
        for cause, found in self._failed.items():
            if found[1:]:
                said = together.problem(sorted(found, key=lambda pair: pair[0]), known).to_json()
                shared[cause] = {"untouched": said["untouched"], "next": said["next"]}
        ways = together.ways(self._offered, known) if self._offered[1:] else []
        return {"causes": shared, "ways": [way._asdict() for way in ways]}

    def _of(self, name: str) -> list[str]:
        """The tasks that a task waits for: those of other stacks, and the barrier before the applies."""
        task = self._known.get(name)
        return [need for need in task.task_dep if ":" in need or need == BARRIER] if task else []

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._clock, 3)

    def _keep_writing(self) -> None:
        while not self._over:
            self._wake.wait(BEAT)
            self._wake.clear()
            if self._over:
                return
            began = time.monotonic()
            self._write()
            time.sleep(max(_PAUSE, (time.monotonic() - began) * _SHARE))

    def _write(self, *, durable: bool = False) -> None:
        """Write what has happened so far; a full disk does not end the run."""
        layout = self._run.layout
        with self._writing:
            if self._over and self.head["ended_at"] is None:
                return
            with self._lock:
                lines, self._lines = self._lines, []
                tasks = list(self._tasks.values())
            needs = self._run.project.graph.needs
            touched = sorted({task["stack"] for task in tasks if task["stage"] != "build" and task["stack"] in needs})
            graph = {name: sorted(needs.get(name, ())) for name in touched}
            record = {**self.head, "written_at": now(), "counts": _totals(tasks), "graph": graph, "tasks": tasks}
            self.written = record
            try:
                if lines:
                    append(layout.run_tasks(self.id), "".join(f"{line}\n" for line in lines))
                text = jsontext.dumps(record, ensure_ascii=False, compact=True, default=str)
                write_atomic(layout.run_record(self.id), text.encode(errors="surrogatepass"), durable=durable)
            except (DeployError, OSError) as error:
                self.problem = self.problem or str(error)


def _finding(found: Finding) -> dict[str, Any]:
    """A finding of drift without its values."""
    return {
        "class": found.kind, "address": found.address, "severity": found.severity, "delta": found.delta,
        "since": found.since, "ignored": found.ignored.reason if found.ignored else None,
    }  # fmt: skip


def _totals(tasks: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """The number of changes of each kind in all tasks of a stage, by stage."""
    totals: dict[str, Counter[str]] = {}
    for task in tasks:
        if task.get("counts"):
            totals.setdefault(task["stage"], Counter()).update(task["counts"])
    return {stage: dict(found) for stage, found in totals.items()}


def _pipeline(here: CI, mask: Secrets) -> dict[str, Any] | None:
    """The CI pipeline of a run; None outside of CI."""
    if here.kind not in ("gitlab", "github"):
        return None
    return {
        "forge": here.kind,
        "id": here.pipeline,
        "url": here.pipeline_url and mask.text(here.pipeline_url),
        "job": here.job_url and mask.text(here.job_url),
        "project": here.name,
        "actor": here.actor and mask.text(here.actor),
        "review": None if here.request is None else str(here.request),
    }
