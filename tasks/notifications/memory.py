"""Remembers the ongoing events that each channel was notified of, so that nothing is sent twice."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ..artifact import folder
from ..base.errors import RecordError
from ..base.files import read_json
from ..base.problem import Kind
from ..run.result import Status
from . import shared
from .events import CHECKS

if TYPE_CHECKING:
    from ..project import model
    from ..run.run import Run
    from .events import Findings, Item
    from .shared import Incidents

_FIELDS = frozenset({"event", "stack", "stage", "command", "kind", "what", "fingerprint", "since", "told"})
_HOUR = 3600


@dataclass(frozen=True)
class Message:
    """A message to a channel: an event and its stacks."""

    event: str
    environment: str
    items: tuple[Item, ...]
    facts: dict[str, Any]

    def remember(self, incidents: Incidents, at: str) -> None:
        """Record that the channel was notified."""
        for item in self.items:
            if self.event == "recovery":
                over = (item.kind, item.command, item.stack)
                for key in [key for key, known in incidents.items() if _what(known) == over]:
                    del incidents[key]
            elif self.event in ("failure", "drift"):
                note(incidents, self.event, item, at)


@dataclass(frozen=True)
class Records:
    """The incidents that each channel was notified of.

    Args:
        channels: The incidents of each channel, by its label.
        everywhere: Those of them that every machine knows of.
        alone: Whether this machine knows of incidents that others do not.
    """

    channels: dict[str, Incidents]
    everywhere: dict[str, Incidents] = field(default_factory=dict)
    alone: bool = False


def read(run: Run) -> Records:
    """The incidents that each channel was notified of; what cannot be read counts as empty, and is reported.

    With a ledger they are those of all machines, and those that this machine could not record there.
    """
    here = _read_here(run)
    everywhere = shared.read(run)
    if everywhere is None:
        return here
    if not here.alone:
        return Records(everywhere, everywhere)
    labels = {*everywhere, *here.channels}
    channels = {label: {**everywhere.get(label, {}), **here.channels.get(label, {})} for label in labels}
    return Records(channels, everywhere, alone=True)


def _read_here(run: Run) -> Records:
    """The incidents that this machine remembers; an unreadable record counts as empty, and is reported."""
    path = run.layout.notified
    try:
        record = read_json(path)
        if record is None:
            return Records({})
        channels = {
            str(label): {key: found for key, found in incidents.items() if found.keys() >= _FIELDS}
            for label, incidents in record["channels"].items()
        }
        return Records(channels, alone=bool(record.get("alone")))
    except (RecordError, AttributeError, KeyError, TypeError):
        run.say(f"{run.layout.relative(path)} cannot be read: earlier notifications may be sent again")
        return Records({})


def write(run: Run, before: Records, channels: dict[str, Incidents]) -> None:
    """Write the incidents that each channel was notified of, for all machines if possible; a failure is reported."""
    alone = run.project.config.ledger != "none" and not shared.write(run, before.everywhere, channels)
    record = {"format": 1, "channels": channels, **({"alone": True} if alone else {})}
    try:
        folder.keep(run.layout, run.layout.notified, record)
    except RecordError as error:
        run.say(f"{error.message}: these notifications may be sent again")


def due(settings: model.Channel, findings: Findings, incidents: Incidents) -> list[Message]:
    """The messages that a channel is due; incidents that it does not subscribe to are recorded or dropped here.

    Args:
        settings: The channel's settings.
        findings: What the run found.
        incidents: The incidents that the channel was notified of.
    """
    for key in [key for key, found in incidents.items() if found["stack"] and found["stack"] not in findings.stacks]:
        del incidents[key]
    told: dict[str, list[Item]] = {}
    for event, found in (("failure", findings.failures), ("drift", findings.drifts)):
        for item in found:
            if not _concerns(settings, item) or not _is_news(
                settings, incidents.get(_key(event, item)), item, findings
            ):
                continue
            if event in settings.on:
                told.setdefault(event, []).append(item)
            elif "recovery" in settings.on and not {"failure", "drift"} & set(settings.on):
                note(incidents, event, item, findings.at)  # it is notified of the end only
    for key, incident in list(incidents.items()):
        if not findings.ended(incident):
            continue
        if "recovery" in settings.on:
            told.setdefault("recovery", []).append(_recovered(incident))
        else:
            del incidents[key]
    if "deploy" in settings.on and (items := [item for item in findings.deploys if _concerns(settings, item)]):
        told["deploy"] = list(items)
    return [Message(event, findings.environment, tuple(items), findings.facts) for event, items in told.items()]


def note(incidents: Incidents, event: str, item: Item, at: str) -> None:
    """Record an incident; one that continues keeps its beginning."""
    key = _key(event, item)
    record = {name: value for name, value in asdict(item).items() if name in _FIELDS}
    incidents[key] = {**record, "event": event, "told": at, "since": incidents.get(key, {}).get("since") or at}


def _key(event: str, item: Item) -> str:
    """The key of an incident: a check that fails is the same incident in a deploy and in a verify."""
    return f"{event} {CHECKS if item.kind == Kind.CHECK_FAILED else item.command} {item.stack}".strip()


def _what(known: dict[str, Any]) -> tuple[str, str, str]:
    return known["event"], known["command"], known["stack"]


def _concerns(settings: model.Channel, item: Item) -> bool:
    if item.command not in settings.commands:
        return False
    return not item.stack or any(fnmatchcase(item.stack, pattern) for pattern in settings.stacks)


def _is_news(settings: model.Channel, known: dict[str, Any] | None, item: Item, findings: Findings) -> bool:
    if known is None or not shared.is_same(settings, known["fingerprint"], item.fingerprint):
        return True
    is_drift = item.kind == Status.DRIFTED
    repeat = findings.remind if settings.repeat is None and is_drift else settings.repeat
    return repeat is not None and _hours(known["told"], findings.at) >= repeat


def _hours(begin: str, end: str) -> float:
    try:
        return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds() / _HOUR
    except (TypeError, ValueError):
        return 0.0


def _recovered(found: dict[str, Any]) -> Item:
    from .events import Item

    return replace(
        Item(found["stack"], found["stage"], found["command"], found["what"]), kind=found["event"], since=found["since"]
    )
