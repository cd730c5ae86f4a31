"""Keeps a merge request for each drifted stack that the code can follow; what goes wrong changes nothing else."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from . import drift
from .base import whence
from .base.errors import DeployError
from .base.files import canonical_json, sha256_bytes
from .base.text import short
from .forges import adoptions
from .forges import place as places
from .forges.adoptions import Draft, Where
from .forges.connect import connect
from .forges.http import ForgeError
from .plans import adoption
from .reports.markdown import fenced
from .run.details import DriftDetails
from .run.result import Status

if TYPE_CHECKING:
    from .forges.place import Place
    from .plans.adoption import Adopted
    from .run.result import Result
    from .run.run import Run

TOKEN = "DEPLOY_ADOPTION_TOKEN"  # noqa: S105 - the name of a variable
_DIGITS = 16
_PREFIX = "forge: merge requests for drift"


def publish(run: Run) -> None:
    """Open, update and close the merge requests of the stacks that this run checked; never raises.

    Args:
        run: The run, its checks ended, and not one of several jobs.
    """
    place = places.find(run.project.config.forge)
    if place is None or run.stop.requested or run.request.part is not None:
        return
    if place.request is not None or not place.branch or not place.head:
        return  # a merge request's own pipeline proposes nothing
    place = replace(place, token_name=TOKEN, token=os.environ.get(TOKEN, "").strip())
    if not place.token:
        run.say(f'{_PREFIX}: none, as {TOKEN} is not set; see docs/drift.md, "One merge request per drifted stack"')
        return
    if run.shown_revision.dirty:
        run.say(f"{_PREFIX}: none, as this tree has uncommitted changes")
        return
    try:
        if done := _sync(run, place):
            run.say(f"{_PREFIX}: {done}")
    except ForgeError as error:
        shown = "\n".join(f"  {line}" for line in whence.text(run.problem(error)).splitlines())
        run.say(f"{_PREFIX} could not be updated; the next check tries again\n{shown}")
    except Exception as error:  # noqa: BLE001 - the boundary: nothing that a forge answers changes how a run ends
        step = run.keep_crash("forge", error)
        run.say(f"{_PREFIX}: an unexpected error: {type(error).__name__}\n  next: {step}")


def _sync(run: Run, place: Place) -> str:
    run.mask.add([place.token])
    drafts: dict[str, Draft] = {}
    results = [item for item in run.results.values() if item.stage == drift.STAGE]
    for result in results:
        if result.status is Status.DRIFTED and (found := _draft(run, place, result)) is not None:
            drafts[result.stack] = found
    over = {item.stack for item in results if item.without_drift}
    kept = set(run.project.stacks) - over - set(drafts)
    client = connect(place, seconds=run.project.config.forge.timeout, wait=run.stop.wait)
    where = Where(run.project.environment, place.head, place.branch or "")
    return adoptions.sync(client, where, drafts, kept).text()


def _draft(run: Run, place: Place, result: Result) -> Draft | None:
    """The merge request of a drifted stack; None if the code cannot follow, which is said."""
    details = result.details if isinstance(result.details, DriftDetails) else DriftDetails()
    try:
        found = drift.draft(run, run.project.stacks[result.stack], details, keep=False)
    except DeployError as error:
        run.say(f"{_PREFIX}: none for {result.stack}: {run.problem(error).summary}")
        return None
    if run.mask.text(found.diff) != found.diff:
        run.say(f"{_PREFIX}: none for {result.stack}: the change contains a secret")
        return None
    files = {path: content.decode("utf-8", "replace") for path, content in found.contents.items()}
    return Draft(
        f"Adopt the drift of {result.stack} in {run.project.environment}",
        lambda room: _body(run, place, result, found)[:room], files, sha256_bytes(canonical_json(files))[:_DIGITS],
    )  # fmt: skip


def _body(run: Run, place: Place, result: Result, found: Adopted) -> str:
    """What a reviewer has to know: what was found, the proof, the change, and what is left."""
    left = "".join(f"- {text}\n" for text in found.left)
    proof = adoption.proof(found)
    undo = run.command("deploy", "--repair", result.stack).quoted
    parts = [
        f"`{result.stack}` in `{run.project.environment}`: {result.summary}.",
        f"This changes the code to what is there. Proof, at `{short(place.head)}`: {proof}.",
        fenced(found.diff),
        f"To do by hand:\n\n{left}" if left else "",
        f"To undo the drift instead: {undo}. This merge request is closed once the drift is over.",
        f"[job]({place.link})" if place.link else "",
    ]
    return run.mask.text("\n\n".join(part for part in parts if part)) + "\n"
