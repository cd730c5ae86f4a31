"""Updates the merge request's comment and the commit's status at the end of a run; never fails the run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base import whence
from ..base.clock import now
from ..base.errors import ExitCode
from ..base.files import write_json
from ..base.problem import listed
from ..base.text import short
from ..policy.semantic import Reviewed
from ..run.result import Status
from . import place as places

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..base.errors import DeployError
    from ..base.jsonvalue import JsonObject
    from ..base.masking import Masker
    from ..base.problem import Problem
    from ..project.config.signer import Signer
    from ..project.model import Forge
    from ..reports.model import Report
    from ..run.run import Run
    from .client import Client
    from .place import Place

_LONGEST = 5000  # characters of an error
_STAGES = ("deploy", "drift", "plan")


def publish(run: Run, whole: set[str], code: ExitCode) -> None:
    """Update the forge if it runs this pipeline; errors are printed.

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
    try:
        _tell(run, place, stage, code, commenting=settings.comment and (reviewing or stage == "deploy"))
    except Exception as error:  # noqa: BLE001 - the boundary: nothing that a forge answers changes how a run ends
        step = run.keep_crash("forge", error)
        run.say(f"forge: not updated, because of an unexpected error: {type(error).__name__}: {error}\n  next: {step}")


def broke(
    settings: Forge, environment: str, problems: Sequence[Problem], mask: Masker, say: Callable[[str], None], *,
    stage: str = "plan",
) -> None:  # fmt: skip
    """Tell the merge request that a command could not even begin, as it would show the previous report otherwise.

    Args:
        settings: The key `forge`, or its defaults where the configuration cannot be read.
        environment: The environment.
        problems: What is wrong, its commands in that environment.
        mask: The known secrets.
        say: Prints a line.
        stage: The command: `plan`, or `deploy`, which is reported on the merge request that brought the commit.
    """
    place = places.find(settings)
    if place is None or not place.token or not settings.comment or (stage == "plan" and place.request is None):
        return
    from ..reports.markdown import fenced
    from .connect import connect

    verdict = f"Nothing could be planned, and nothing can be deployed: {problems[0].kind}."
    if stage == "deploy":
        verdict = f"Deploy failed, nothing was deployed: {problems[0].kind}."
    shown = fenced(listed([problem.mapped(mask.text) for problem in problems])[:_LONGEST])
    body = f"### {verdict}\n\n{stage.title()} of `{environment}` at `{short(place.head)}`.\n\n{shown}\n"
    seen = Reviewed(environment, place.head, complete=False)
    try:
        client = connect(place, seconds=settings.timeout, wait=_sleep)
        request = place.request or _brought(place, client, place.head)
        if request is None:
            return
        known = seen if stage == "plan" else None
        page = _Page(environment, verdict, quiet=False, body=lambda _: body, seen=known, stage=stage)
        done = _put(place, client, request, page, key=None, wait=_sleep)
        say(f"forge: the comment on {place.named(request)} {done}")
    except Exception as problem:  # noqa: BLE001 - the boundary, as above
        say(f"forge: the comment on the merge request could not be written: {mask.text(str(problem))}")


def _brought(place: Place, client: Client, commit: str | None) -> int | None:
    """The merge request that brought a commit to the branch of this pipeline, if one did."""
    merged = client.merged(commit, place.branch) if commit else None
    return merged.number if merged else None


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _tell(run: Run, place: Place, stage: str, code: ExitCode, *, commenting: bool) -> None:
    from ..reports import write
    from .connect import connect
    from .http import ForgeError

    settings = run.project.config.forge
    client = connect(place, seconds=settings.timeout, wait=run.stop.wait)
    report = write.of_run(run, stage)
    if commenting:
        try:
            if stage == "deploy":
                _comment_outcome(run, place, client, report)
            else:
                _comment(run, place, client, report)
        except ForgeError as error:
            run.say(f"forge: the comment on the merge request could not be written\n{_indented(run, error)}")
    try:
        if settings.status:
            description = _deployed(run, code) if stage == "deploy" else report.verdict
            _status(run, place, client, code, (stage, description))
    except ForgeError as error:
        run.say(f"forge: the commit's status could not be set\n{_indented(run, error)}")


@dataclass(frozen=True)
class _Page:
    """What a comment shows: the verdict, the body in no more than so many bytes, and what a plan means."""

    environment: str
    verdict: str
    quiet: bool
    body: Callable[[int], str]
    seen: Reviewed | None = None
    stage: str = "plan"


def _comment(run: Run, place: Place, client: Client, report: Report) -> None:
    from ..reports import note as face
    from ..reports import write
    from ..reports.model import Outcome
    from . import gate

    looks = write.templates(run)
    page = _Page(
        run.project.environment, report.verdict, quiet=report.outcome is Outcome.NOTHING,
        body=lambda room: face.render(report, limit=room, link=place.link, templates=looks),
        seen=gate.seen(run, place.head),
    )  # fmt: skip
    done = _put(place, client, place.request or 0, page, key=run.project.keyring.review, wait=run.stop.wait)
    run.say(f"forge: the comment on {place.request_text} {done}")


def _comment_outcome(run: Run, place: Place, client: Client, report: Report) -> None:
    """Tell the merge request that brought this commit how its deploy ended, in a comment of its own."""
    from ..reports import note as face
    from ..reports import write
    from ..reports.model import Outcome

    request = place.request or _brought(place, client, run.shown_revision.commit)
    if request is None:
        return
    looks = write.templates(run)
    page = _Page(
        run.project.environment, report.verdict, quiet=report.outcome is Outcome.NOTHING,
        body=lambda room: face.render(report, limit=room, link=place.link, templates=looks), stage="deploy",
    )  # fmt: skip
    done = _put(place, client, request, page, key=None, wait=run.stop.wait)
    run.say(f"forge: the comment about this deploy on {place.named(request)} {done}")


def _put(
    place: Place, client: Client, request: int, page: _Page, *, key: Signer | None, wait: Callable[[float], bool]
) -> str:  # fmt: skip
    from ..policy import seal
    from . import comment, note

    order = place.order if place.order[0] else (0, time.time_ns())
    push = note.Push(order, place.head, page.verdict, now(), page.quiet)

    def sealed(room: int) -> JsonObject | None:
        for record in (page.seen, page.seen.shorter()) if page.seen else ():
            found = seal.sign(record.to_json(), key)
            if len(seal.pack(found)) <= room:
                return found
        return None

    def compose(pushes: dict[note.Order, note.Push]) -> str:
        return note.compose(
            page.environment, pushes, sealed=sealed, limit=client.limit, report=page.body, stage=page.stage
        )

    return comment.publish(client, request, page.environment, push, compose, wait=wait, stage=page.stage)


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
        client.status(place.head, state, name, description, place.link)


def _keep_record(run: Run, place: Place) -> None:
    """Keep what a reviewer sees as a file too, for a deploy that gets it from a job instead of a forge."""
    from ..base.errors import RecordError
    from ..policy import seal
    from . import gate

    record = gate.seen(run, place.head).to_json()
    try:
        write_json(run.layout.review, seal.sign(record, run.project.keyring.review), durable=False)
    except RecordError as error:
        run.say(whence.text(run.problem(error)))


def _indented(run: Run, error: DeployError) -> str:
    return "\n".join(f"  {line}" for line in whence.text(run.problem(error)).splitlines())
