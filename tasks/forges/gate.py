"""The gate between plans and applies: compares the reviewed plans with those about to be applied."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..artifact import opening, store
from ..base.errors import DeployError, RecordError, UnreviewedError
from ..base.files import read_json
from ..base.problem import NOTHING_CHANGED, doit
from ..base.text import short
from ..plans import judging
from ..policy import semantic
from ..run.action import Action, failed
from ..run.result import Result, Status

if TYPE_CHECKING:
    from ..base.jsonvalue import Json
    from ..policy.semantic import Difference, Meaning, Reviewed
    from ..run.run import Run
    from .client import Client
    from .place import Place

STAGE = "review"
_MOST_LINES = 40


@dataclass(frozen=True)
class Found:
    """What is known of the review: `where` it took place, in words, and the record, or `problem`, why it is missing."""

    where: str
    reviewed: Reviewed | None = None
    problem: str | None = None
    quiet: bool = False


def action(run: Run, name: str) -> Action:
    """The barrier's action: runs after all plans, before any apply.

    Args:
        run: The run.
        name: The task's name.
    """
    return Action(run, "compare with the reviewed plans", lambda: _compare(run, name))


def _compare(run: Run, name: str) -> Result | None:
    """The error as a result when nothing may be deployed."""
    if not run.asked.deploying or run.stop.requested or run.request.repair is not None:
        return None  # a repair was compared with the drift that was shown
    try:
        # In a job of a pipeline the rest has passed in another job.
        judge(run, sorted(run.replanned) if run.request.part is not None else None)
    except DeployError as error:
        outcome = failed(run, STAGE, "", error)
        run.keep(name, outcome)
        return outcome
    return None


def judge(run: Run, stacks: list[str] | None = None, *, asked: bool = True) -> None:
    """Report what differs from the review; without a plan, the forge is not asked.

    Args:
        run: The run.
        stacks: The stacks to compare; by default all that have an artifact waiting.
        asked: False: after planning alone, where only a pipeline of a branch, or a named file, has a review to compare.

    Raises:
        UnreviewedError: It differs, or is not known, and the configuration says `fail`.
        ArtifactRefusedError: An artifact is not what its manifest says.
    """
    names = stacks if stacks is not None else [name for name in run.project.stacks if _is_to_apply(run, name)]
    if not names:
        return
    found = run.once(_find)
    if found.quiet and not asked:
        return
    fails = run.project.config.plan.on_unreviewed == "fail"
    if found.reviewed is None:
        if fails:
            raise _refusal(run, f"no reviewed plan was found: {found.problem}", [], partly=stacks is not None)
        if not found.quiet:
            run.say_once(f"review: no reviewed plan was found: {found.problem}")
            run.note(f"No reviewed plan was found: {found.problem}")
        return
    fresh = {name: known_meaning(run, name) for name in names}
    differences = semantic.compare(found.reviewed, fresh)
    if stacks is not None:
        differences = [item for item in differences if item.stack in fresh]
    unreviewed = [item for item in differences if item.unreviewed]
    if unreviewed and fails:
        raise _refusal(run, f"differs from the review in {found.where}", differences, partly=stacks is not None)
    if differences:
        head = f"review: differs from the review in {found.where}:"
        run.note(f"Differs from the review in {found.where}: {'; '.join(_lines(differences))}")
        run.say("\n".join([head, *(f"  {line}" for line in _lines(differences))]))
    else:
        run.say(f"review: {', '.join(names[:5])}{' …' if len(names) > 5 else ''} as reviewed in {found.where}")  # noqa: PLR2004


def known_meaning(run: Run, name: str) -> Meaning | None:
    """The meaning of a stack's artifact, bound by its manifest; None if `plan.json` belongs to another artifact.

    Raises:
        ArtifactRefusedError: The artifact is not what its manifest says, or not the one that this run has verified.
    """
    manifest = opening.load(run.layout, name, run.project.keyring.artifact)
    if run.asked.deploying:
        judging.require(run, manifest)  # what is compared with the review is what will be applied
    found = store.description(run.layout, manifest)
    return semantic.meaning(found) if found else None


def seen(run: Run, head: str) -> Reviewed:
    """What a reviewer sees of this run's plans."""
    stacks: dict[str, Meaning | str] = {}
    deferred, complete = [], True
    for outcome in run.results.values():
        if outcome.stage != "plan":
            complete = complete and not outcome.failed
        elif outcome.status is Status.OK:
            stacks[outcome.stack] = _meaning_of(run, outcome)
        elif outcome.status is Status.DEFERRED:
            deferred.append(outcome.stack)
        elif outcome.status is not Status.UNAFFECTED:
            complete = False
    return semantic.Reviewed(run.project.environment, head, stacks, sorted(deferred), complete)


def _meaning_of(run: Run, outcome: Result) -> Meaning:
    if outcome.changes is not None:
        return semantic.meaning(outcome.changes)
    return known_meaning(run, outcome.stack) or {}


def _is_to_apply(run: Run, name: str) -> bool:
    planned = run.results.get(f"plan:{name}")
    return planned is not None and planned.status is Status.OK and store.pending(run.layout, name)


def _find(run: Run) -> Found:
    """What was reviewed: from the file that was named, or from the merge request that brought this commit."""
    if run.request.reviewed_file:
        return _from_file(run, run.request.reviewed_file)
    from . import place as places

    place = places.find(run.project.config.forge)
    commit = run.revision.commit
    if place is None or place.request is not None or commit is None:
        return Found("", problem="this is not a branch pipeline on GitLab or GitHub", quiet=True)
    if not place.token:
        return Found("", problem=f"{place.token_name} is not set, so the merge request cannot be read")
    from .connect import connect
    from .http import ForgeError

    try:
        client = connect(place, seconds=run.project.config.forge.timeout, wait=run.stop.wait)
        return _from_forge(run, client, place, commit)
    except ForgeError as error:
        found = run.problem(error)
        return Found("", problem="; ".join(filter(None, (found.summary, found.next_text))))
    except (KeyError, TypeError, ValueError, AttributeError):
        return Found("", problem=f"{place.api} returned an unexpected response")


def _from_forge(run: Run, client: Client, place: Place, commit: str) -> Found:
    from . import note

    environment = run.project.environment
    merged = client.merged(commit, place.branch)
    if merged is None:
        return Found("", problem=f"commit {short(commit)} has no merge request")
    where = f"!{merged.number}" if place.kind == "gitlab" else f"#{merged.number}"
    notes = note.known(client.comments(merged.number), environment)
    if not notes:
        return Found(where, problem=f"{where} has no doit-tofu comment with a plan for '{environment}'")
    found = _opened(run, max(notes, key=lambda known: known.order).sealed, where)
    if found.reviewed and merged.head and found.reviewed.head != merged.head:
        reviewed, head = short(found.reviewed.head), short(merged.head)
        return Found(where, problem=f"{where} was merged at {head}, but its plan is from {reviewed}")
    return found


def _from_file(run: Run, path: str) -> Found:
    try:
        record = read_json(Path(path))
    except RecordError as error:
        return Found(path, problem=error.message)
    return _opened(run, record, path) if record is not None else Found(path, problem=f"{path} does not exist")


def _opened(run: Run, sealed: Json, where: str) -> Found:
    from ..policy.seal import SealError, verified

    try:
        reviewed = semantic.Reviewed.from_json(verified(sealed, run.project.keyring.review))
    except SealError as error:
        return Found(where, problem=f"the record of {where} is not valid: {error}")
    except ValueError:
        return Found(where, problem=f"{where} has no record of a plan that this version can read")
    if reviewed.environment != run.project.environment:
        return Found(where, problem=f"the record of {where} is for environment '{reviewed.environment}'")
    if not reviewed.complete:
        return Found(where, problem=f"the last plan of {where} failed")
    return Found(where, reviewed)


def _refusal(run: Run, message: str, differences: list[Difference], *, partly: bool) -> UnreviewedError:
    return UnreviewedError(
        message,
        details=_lines(differences),
        where=run.project.loaded.where("plan", "on_unreviewed"),
        untouched=NOTHING_CHANGED if partly else "nothing was deployed",
        next_step=(
            "review this plan in a merge request, or commit `plan: {on_unreviewed: warn}`; then ",
            doit("deploy"),
        ),
    )


def _lines(differences: list[Difference]) -> list[str]:
    shown = [f"{item.stack}: {item.text}" for item in differences[:_MOST_LINES]]
    left = len(differences) - len(shown)
    return [*shown, f"and {left} more"] if left > 0 else shown
