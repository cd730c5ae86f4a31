"""Events: what the results of a run mean to people who were not there; reads results, runs nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..artifact.receipt import now
from ..base import ci
from ..base.files import canonical_json, sha256_bytes
from ..run.result import Status

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..run.result import Result
    from ..run.run import Run

_STRENGTH = ("deploy", "plan", "drift", "verify", "validate")  # the command that the stages of a run belong to
_VARYING = (  # what differs between two runs that fail for the same cause; the order counts
    r"\d{4}-\d\d-\d\d[t ]\d\d:\d\d(:\d\d)?(\.\d+)?(z|[+-]\d\d:?\d\d)?",
    r"\b\d\d:\d\d:\d\d(\.\d+)?\b",
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    r"\b(?=[a-z]*\d)[0-9a-z]{16,}\b",
    r"\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{7,}\b",
    r"\b\d+(\.\d+)?\s?(ms|µs|s|m|h|sec|secs|seconds?|minutes?|hours?|tries|attempts|times)\b",
    r"\bline \d+\b|\.tf:\d+(:\d+)?",
    r"\b\d{5,}\b",
    r"/dev/fd/\d+|/tmp/\S+",
)
_ERROR = re.compile(r"^[│| ]*Error: ", re.MULTILINE)
_LONGEST = 300
FAILED_CHECK = "check failed"  # the kind of `errors.CheckFailedError`
CHECKS = "checks"


@dataclass(frozen=True)
class Item:
    """What happened to one stack.

    Args:
        stack: The stack; empty for what belongs to none.
        stage: The stage it happened in.
        command: The command that was run.
        what: One line for people.
        kind: The kind of error, or the status.
        fingerprint: Equal for the same cause, whatever the times and ids in it.
        next_step: What to do, when the error knew.
        counts: Numbers of changes by kind.
        since: When a recovered one began.
    """

    stack: str
    stage: str
    command: str
    what: str
    kind: str = ""
    fingerprint: str = ""
    next_step: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    since: str = ""


@dataclass(frozen=True)
class Findings:
    """What a run found, all stacks."""

    environment: str
    commands: dict[str, str]
    results: dict[str, Result]
    stacks: frozenset[str]
    at: str
    facts: dict[str, Any]
    failures: tuple[Item, ...] = ()
    drifts: tuple[Item, ...] = ()
    deploys: tuple[Item, ...] = ()

    @classmethod
    def of(cls, run: Run, selected: Collection[str], errors: list[str]) -> Findings:
        """What a run's results say; every text in it is masked."""
        strongest = next((name for name in _STRENGTH if name in selected), "deploy")
        commands = {stage: stage if stage in selected else strongest for stage in _STRENGTH}
        commands |= {"plan": strongest, "validate": strongest}
        position = {name: number for number, name in enumerate(run.project.graph.order)}
        ordered = sorted(run.results.values(), key=lambda item: (position.get(item.stack, -1), item.stage))
        failures = [_failure(run, item, commands) for item in ordered if item.failed and not _was_stopped(item)]
        failures += [_error(run, strongest, text.strip() or "a task failed; its output says why") for text in errors]
        return cls(
            run.project.environment, commands, dict(run.results), frozenset(run.project.stacks), now(),
            _facts(run, ordered), tuple(failures),
            tuple(_item(run, item, commands) for item in ordered if item.status is Status.DRIFTED),
            tuple(_item(run, item, commands) for item in ordered if _was_applied(item)),
        )  # fmt: skip

    def ended(self, incident: dict[str, Any]) -> bool:
        """Whether what a channel was told of is over, as far as this run looked; no wonder where it did not."""
        stack, command = incident["stack"], incident["command"]
        if not stack:
            return command in self.commands.values() and not any(not item.stack for item in self.failures)
        own, deployed = self.results.get(f"{command}:{stack}"), self.results.get(f"deploy:{stack}")
        if incident["event"] == "drift":
            return (own is not None and own.status is Status.OK) or (deployed is not None and _was_applied(deployed))
        if any(item.stack == stack for item in self.failures):
            return False
        if command == "drift":
            return own is not None and own.status is not Status.NOT_RUN
        candidates = [own, deployed]
        if incident["kind"] == FAILED_CHECK:
            checked = self.results.get(f"verify:{stack}")
            candidates.append(checked if checked and checked.status is Status.OK else None)
        return any(
            item is not None and item.status in (Status.OK, Status.UNAFFECTED, Status.DEFERRED) for item in candidates
        )


def fingerprint(stage: str, kind: str, cause: str) -> str:
    """A digest of a cause without what varies: times, durations, ids, addresses of lines."""
    text = cause.lower()
    for pattern in _VARYING:
        text = re.sub(pattern, "#", text)
    lines = {" ".join(line.split()) for line in text.splitlines()}  # several errors come in any order
    return sha256_bytes(canonical_json([stage, kind, sorted(lines)]))[:16]


def _failure(run: Run, result: Result, commands: dict[str, str]) -> Item:
    kind = str(result.details.get("kind", ""))
    begin = _ERROR.search(result.log)
    cause = result.log[begin.start() :] if begin else ""
    stage = CHECKS if kind == FAILED_CHECK else result.stage
    return _item(run, result, commands, fingerprint(stage, kind, f"{result.summary}\n{cause}"), kind)


def _item(run: Run, result: Result, commands: dict[str, str], print_: str = "", kind: str = "") -> Item:
    if not print_ and result.status is Status.DRIFTED:
        print_ = fingerprint(result.stage, "drift", result.summary)
    return Item(
        result.stack, result.stage, commands.get(result.stage, result.stage), _line(run, result.summary),
        kind or str(result.status), print_, _next(run, result.error), dict(result.counts),
    )  # fmt: skip


def _error(run: Run, command: str, text: str) -> Item:
    return Item("", command, command, _line(run, text), "error", fingerprint(command, "error", text), _next(run, text))


def _facts(run: Run, ordered: list[Result]) -> dict[str, Any]:
    """What goes with every message of this run."""
    return {
        "commit": run.shown_revision.short,
        "link": run.mask.text(ci.read().link or ""),
        "deployed": [item.stack for item in ordered if _was_applied(item)],
        "not_run": sorted({item.stack for item in ordered if item.status is Status.NOT_RUN}),
    }


def _was_applied(result: Result) -> bool:
    return result.stage == "deploy" and result.status is Status.OK and "plan_sha256" in result.details


def _was_stopped(result: Result) -> bool:
    return bool(result.details.get("stopped"))


def _line(run: Run, text: str) -> str:
    """The first line of a text, masked before it is cut: half a secret is one too."""
    first = next((line for line in run.mask.text(text).splitlines() if line.strip()), "")
    return first.strip() if len(first) <= _LONGEST else first[:_LONGEST].strip() + " ..."


def _next(run: Run, text: str) -> str:
    """What an error says to do next; with the environment in its commands."""
    found = re.search(r"^  (next: .*)$", text, re.MULTILINE)
    return run.hinted(found[1]).removeprefix("next: ") if found else ""
