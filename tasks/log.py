"""`doit log`: what was deployed when, from which commit and by which pipeline, according to the ledger."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from .base import clock
from .base.errors import ConfigError, nearest
from .base.text import few, short
from .base.unseen import one_line
from .ledger.record import Kind
from .run import documents, ledgerof
from .run.action import printing
from .run.commandline import json_option
from .run.documentparts import EntryPart, LeasePart
from .run.documents import LogDocument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .ledger.record import Entry
    from .run.commandline import OptionDict
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "log"
_MOST = 50
_MOST_NAMES = 3
_REPAIRED = {"person": "repaired drift", "rule": "repaired drift by a rule"}
_CHECKS = {"True": "checks passed", "False": "checks failed"}


def tasks(run: Run) -> Iterator[TaskDict]:
    """`log`: for all stacks, or for those that are named after it."""
    params: list[OptionDict] = [
        *json_option(),
        {
            "name": "most",
            "short": "m",
            "long": "most",
            "type": int,
            "default": _MOST,
            "help": "how many entries, 0 for all",
        },
    ]
    yield printing(run, STAGE, _text, params, positional="stacks")


def _text(run: Run, most: int, stacks: list[str], as_json: bool = False) -> str:
    found = ledgerof.opened(run)
    head = found.look()
    shown: deque[Entry] = deque(maxlen=most if most > 0 else None)
    count = 0
    for entry, _ in found.session.entries():
        if not stacks or entry.stack in stacks:
            shown.append(entry)
            count += 1
    if unknown := [name for name in stacks if name not in run.project.stacks and not count]:
        known = list(run.project.stacks)
        raise ConfigError(f"the ledger has no entries of '{one_line(unknown[0])}'{nearest(unknown[0], known)}")
    left = count - len(shown)
    if as_json:
        lease = LeasePart(label=head.lease.label, since=head.lease.since) if head.lease else None
        parts = [_part(entry) for entry in shown]
        document = LogDocument(
            environment=run.project.environment,
            problems=[],
            entries=parts,
            earlier=left,
            deploying=lease,
            complete=list(head.complete),
        )
        return documents.text(document)
    lines = [_line(entry) for entry in reversed(shown)]
    lines += [f"... and {left} earlier; `--most 0` shows all"] if left else []
    lines += [f"last complete deploy: {', '.join(map(short, head.complete))}"] if head.complete else []
    lines += [f"now: {head.lease.label} has been deploying since {clock.shown(head.lease.since)}"] if head.lease else []
    return "\n".join(lines) or "nothing has been deployed yet"


def _part(entry: Entry) -> EntryPart:
    """An entry for programs."""
    facts = entry.model_dump(mode="json")["facts"]
    by = facts.get("by") or {}
    return EntryPart(
        sequence=entry.sequence, at=entry.at, kind=str(entry.kind), stack=entry.stack, plan=entry.plan, facts=facts,
        pipeline=by.get("pipeline"), request=by.get("request"), besides=facts.get("besides") or [],
        **{name: facts.get(name) for name in ("outcome", "commit", "serial", "verified", "reason")},
    )  # fmt: skip


def _line(entry: Entry) -> str:
    """An entry on one line: its number, when, what, which stack, how it ended, from which commit, by whom."""
    facts = entry.facts
    by = facts.get("by")
    by = by if isinstance(by, dict) else {}
    parts = [
        f"{entry.sequence:>5}  {clock.shown(entry.at)}  {entry.kind:<11}{entry.stack or '-'}",
        str(facts.get("outcome") or ""),
        f"{facts['from']} -> {facts['to']}" if entry.kind == "rename" and {"from", "to"} <= facts.keys() else "",
        f"commit {short(str(facts['commit']))}" if facts.get("commit") else "",
        _but(entry),
        _besides(facts.get("besides")),
        f"serial {facts['serial']}" if facts.get("serial") is not None else "",
        _CHECKS.get(str(facts.get("verified")), ""),
        "its hooks have not passed" if facts.get("hooked") is False else "",
        f"pipeline {by['pipeline']}" if by.get("pipeline") else "",
        _review(facts.get("review"), by.get("request")),
        _REPAIRED.get(str(facts.get("repaired")), ""),
        str(facts.get("reason") or ""),
    ]
    # Each entry has one line: what was given as a reason must not look like an entry of its own.
    return one_line("  ".join(part for part in parts if part))


def _but(entry: Entry) -> str:
    """The stacks that a deploy which has not ended well did not leave as its commit wants them."""
    found = entry.facts.get("but")
    if entry.kind is not Kind.PARTLY or not isinstance(found, list):
        return ""
    return f"all stacks but {few([str(name) for name in found], _MOST_NAMES)}" if found else "all stacks"


def _besides(found: object) -> str:
    """The commits of deploys that have no order with this one, or that it may not have replaced; mostly none."""
    if not isinstance(found, list) or not found:
        return ""
    names = ", ".join(short(str(commit)) if commit else "an unknown commit" for commit in found)
    return f"{names} may be deployed, too"


def _review(found: object, request: object) -> str:
    """By which merge request a commit came, and who approved that, as the forge told it; empty if it did not."""
    if not isinstance(found, dict):
        return f"merge request {request}" if request else ""
    if found.get("request") is None:
        return "no merge request"
    names, ids = found.get("names"), found.get("approvers")
    people = [*map(str, names)] if isinstance(names, list) else []
    people = people or [f"user {number}" for number in (ids if isinstance(ids, list) else ())]
    approved = f"approved by {', '.join(people)}" if people else "not approved"
    return f"merge request {found['request']}, {approved}"
