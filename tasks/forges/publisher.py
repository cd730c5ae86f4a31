"""What the end of a run tells the forge: the merge request's comment, the commit's status; it never fails the run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..errors import ExitCode
from ..files import write_json
from ..receipt import now
from ..result import Status
from . import place as places

if TYPE_CHECKING:
    from ..reports import Report
    from ..run import Run
    from .client import Client
    from .place import Place

_STAGES = ("deploy", "drift", "plan")


def publish(run: Run, whole: set[str], code: ExitCode) -> None:
    """Tell the forge, when this is a pipeline of one; what goes wrong is printed.

    Args:
        run: The run, ended.
        whole: The commands that ran for all stacks: a part would say of the others what is not known.
        code: How it ended.
    """
    stage = next((stage for stage in _STAGES if stage in whole), None)
    settings = run.project.config.forge
    if stage is None or not (settings.comment or settings.status):
        return
    place = places.find(settings)
    if place is None:
        return
    reviewing = stage == "plan" and place.request is not None
    if not reviewing and all(item.status is Status.UNAFFECTED for item in run.results.values()):
        return
    if reviewing:
        _keep_record(run, place)
    if not place.token:
        wanted = "comment" if reviewing else "commit status"
        run.say(f"forge: no {wanted}: {place.token_name} is not set, see docs/{place.kind}.md")
        return
    _tell(run, place, stage, code, reviewing=reviewing and settings.comment)


def _tell(run: Run, place: Place, stage: str, code: ExitCode, *, reviewing: bool) -> None:
    from .client import connect
    from .http import ForgeError

    settings = run.project.config.forge
    client = connect(place, seconds=settings.timeout, wait=run.stop.wait)
    report = _report(run, stage)
    if reviewing:
        try:
            _comment(run, place, client, report)
        except ForgeError as error:
            run.say(f"forge: the comment on {place.request_text} could not be written\n{_indented(error)}")
    try:
        if settings.status:
            description = _deployed(run, code) if stage == "deploy" else report.verdict
            _status(run, place, client, code, (stage, description))
    except ForgeError as error:
        run.say(f"forge: the commit's status could not be set\n{_indented(error)}")


def _comment(run: Run, place: Place, client: Client, report: Report) -> None:
    from .. import reports
    from ..reports import note as face
    from ..reports.model import Outcome
    from ..review import gate, seal
    from . import comment, note

    environment, request = run.project.environment, place.request
    assert request is not None  # noqa: S101 - for the type checker: who calls has looked
    looks = reports.templates(run)
    seen, key = gate.seen(run, place.head), run.project.keyring.current
    quiet = report.outcome is Outcome.NOTHING
    order = place.order if place.order[0] else (0, time.time_ns())
    push = note.Push(order, place.head, run.mask.text(report.verdict), now(), quiet)

    def sealed(room: int) -> Any:
        for record in (seen, seen.shorter()):
            found = seal.sign(run.mask.value(record.to_json()), key)
            if len(seal.pack(found)) <= room:
                return found
        return None

    def compose(pushes: dict[note.Order, note.Push]) -> str:
        return note.compose(
            environment, pushes, sealed=sealed, limit=client.limit,
            report=lambda room: run.mask.text(face.render(report, limit=room, link=place.link, templates=looks)),
        )  # fmt: skip

    done = comment.publish(client, request, environment, push, compose, wait=run.stop.wait)
    run.say(f"forge: the comment on {place.request_text} {done}")


def _deployed(run: Run, code: ExitCode) -> str:
    failed = sorted({item.stack or item.stage for item in run.results.values() if item.failed})
    if code is not ExitCode.OK:
        return f"{len(run.applied)} deployed, failed: {', '.join(failed) or 'see the log'}"
    return f"{len(run.applied)} deployed"


def _status(run: Run, place: Place, client: Client, code: ExitCode, told: tuple[str, str]) -> None:
    from .client import State

    stage, description = told
    if place.head:
        state = State.SUCCESS if code is ExitCode.OK else State.FAILED
        name = f"doit-tofu/{stage}/{run.project.environment}"
        client.status(place.head, state, name, run.mask.text(description), place.link)


def _report(run: Run, stage: str) -> Report:
    """The report of this run; of a deploy, of what it planned."""
    from .. import reports

    order = {name: position for position, name in enumerate(run.project.graph.order)}
    shown = "drift" if stage == "drift" else "plan"
    found = [item for item in run.results.values() if item.stage == shown]
    return reports.collect(run, shown, sorted(found, key=lambda item: order.get(item.stack, -1)))


def _keep_record(run: Run, place: Place) -> None:
    """Keep what a reviewer sees as a file too, for a deploy that gets it without a forge."""
    from ..errors import RecordError
    from ..review import gate, seal

    record = run.mask.value(gate.seen(run, place.head).to_json())
    try:
        write_json(run.layout.review, seal.sign(record, run.project.keyring.current), durable=False)
    except RecordError as error:
        run.say(error.render())


def _indented(error: Any) -> str:
    return "\n".join(f"  {line}" for line in error.render().splitlines())
