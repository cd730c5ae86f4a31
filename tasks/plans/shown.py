"""The record of a drift that was shown: written by a check, read by the deploy that undoes exactly this and no more.

It passes from a job that can only read to one that can deploy. So it decides nothing alone: the deploy makes the plan
again from its own code, and only compares. It is signed all the same, with the keys that the drift job has: the one of
observations, which merge requests do not have, and the one of states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..artifact import manifest as manifests
from ..artifact.manifest import Manifest
from ..base import ci, plain
from ..base.clock import now
from ..base.errors import ArtifactRefusedError, DriftRepairError, RecordError
from ..base.files import LARGEST_RECORD, canonical_json, parse_json, sha256_bytes, write_atomic
from ..builds import used
from ..drifts import shown as digests
from ..ledger import statement
from ..ledger.session import Trust
from ..project import stateid
from ..project.config import signature
from ..run import ledgers, workdir
from ..run.assessment import assess
from . import acceptance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..artifact.affected import Assessment
    from ..artifact.receipt import Receipt
    from ..artifact.statecheck import Seen
    from ..base.jsonvalue import Json, JsonObject
    from ..drifts.classes import Finding
    from ..project.stack import Stack
    from ..run.run import Run

FORMAT = 1
KIND = "application/vnd.doit-tofu.shown-drift+json"
_ORIGIN = "drift"
_PURPOSE = "shown drift"
_UNTOUCHED = "nothing was applied"
_FOREIGN = frozenset({"project", "backend"})  # what was shown elsewhere was not shown before the last deploy here


@dataclass(frozen=True)
class Shown:
    """What a check for drift has shown of a stack.

    Args:
        made: What its plan was made in, and of which state; `plan_sha256` is that of `changes`.
        changes: What the plan would do, see `drifts.shown.digests`.
        drifted: The addresses that have drifted.
    """

    made: Manifest
    changes: Mapping[str, str]
    drifted: Sequence[str]

    def body(self) -> JsonObject:
        """The record as JSON."""
        return {
            "format": FORMAT, "made": self.made.body(), "changes": dict(self.changes), "drifted": list(self.drifted),
        }  # fmt: skip


def keep(run: Run, stack: Stack, seen: Seen, changes: Mapping[str, str], drifted: Sequence[Finding]) -> None:
    """Record what was shown, in place of what the previous check has shown.

    Args:
        run: The run.
        stack: The stack.
        seen: The state that was planned for.
        changes: The digests of what the plan would do.
        drifted: What has drifted.

    Raises:
        RecordError: It cannot be written.
    """
    inputs, last = assess(run, stack).inputs, assess(run, stack).receipt
    engine, key, project = run.engine(), run.project.keyring.current, run.project
    made = Manifest(
        id=sha256_bytes(canonical_json([stack.name, now(), dict(changes)]))[:32], stack=stack.name,
        environment=project.environment, origin=_ORIGIN, plan_sha256=sha256_bytes(canonical_json(dict(changes))),
        inputs_digest=inputs.digest, inputs=inputs, commit=run.revision.commit, dirty=run.revision.dirty,
        engine=f"{engine.kind} {engine.version}", lock_digest=workdir.lock_digest(project, stack),
        lineage=seen.lineage, serial=seen.serial, created_at=now(), upstream=run.upstream,
        key=key.fingerprint if key else None, builds=used.made_of(project, stack),
        follows=last.plan_id if last else None, project=ci.repository(), backend=stateid.binding(project, stack),
    )  # fmt: skip
    body = Shown(made, changes, sorted(found.address for found in drifted)).body()
    mac = signature.sign(body, key, purpose=_PURPOSE) if key else None
    sealed = statement.seal(canonical_json({**body, "mac": mac}), KIND, list(_trust(run).signing))
    write_atomic(run.layout.drift(stack.name), sealed.to_bytes(), durable=False)


def forget(run: Run, stack: str) -> None:
    """Remove what was shown of a stack: it has not drifted, or was deployed since."""
    run.layout.drift(stack).unlink(missing_ok=True)


def stacks(run: Run) -> list[str]:
    """The stacks of which drift was shown, in the order of the graph.

    Raises:
        RecordError: Something that is no file is there.
    """
    return [name for name in run.project.graph.order if run.layout.drift(name).exists()]


def read(run: Run, stack: Stack, assessment: Assessment) -> Shown:
    """What was shown of a stack, if it may be repaired here and now as far as that is known without a plan.

    Raises:
        DriftRepairError: Nothing was shown, it is not what a check wrote, or it was shown for something else.
    """
    found, last, here = _opened(run, stack), assessment.receipt, run.project.environment
    if (found.made.stack, found.made.environment) != (stack.name, here):
        message = f"what was shown is of '{found.made.stack}' in '{found.made.environment}', not of it in '{here}'"
        raise refused(run, stack.name, message)
    since = last is not None and last.plan_id != found.made.follows
    try:
        manifests.verify(found.made, stack.name, acceptance.expected(run, stack, assessment, found.made.inputs))
    except ArtifactRefusedError as error:
        if not since or error.reason in _FOREIGN:
            raise refused(run, stack.name, f"what was shown is not what is here: {error.message}") from error
    if since and last is not None:
        raise refused(run, stack.name, _since(last, found.made))
    return found


def _since(last: Receipt, made: Manifest) -> str:
    """Why what was shown does not follow the last deploy."""
    if None not in (last.lineage, made.lineage) and last.lineage != made.lineage:
        return f"what was shown is of another state: its lineage is {made.lineage}, not {last.lineage}"
    return "it was deployed since its drift was shown"


def refused(run: Run, stack: str, message: str, details: Sequence[str] = ()) -> DriftRepairError:
    """A refusal to repair the drift of a stack, with the usual next step: look again."""
    return DriftRepairError(
        message, stack=stack, untouched=_UNTOUCHED, details=list(details),
        next_step=(run.command(f"drift:{stack}"), " shows it as it is now; then ",
                   run.command("deploy", "--repair", stack), " undoes exactly that"),
    )  # fmt: skip


def _opened(run: Run, stack: Stack) -> Shown:
    """The record, after everything that proves who wrote it was verified."""
    path = run.layout.drift(stack.name)
    name = run.layout.relative(path)
    try:
        content = plain.read_below(run.layout.base, path.relative_to(run.layout.base).as_posix(), LARGEST_RECORD)
    except FileNotFoundError:
        raise refused(run, stack.name, "no drift was shown for it") from None
    except OSError as error:
        raise refused(run, stack.name, f"{name} cannot be read: {error.strerror}") from error
    try:
        envelope = statement.read(content, KIND)
        body = parse_json(envelope.content)
        mac = body.pop("mac")
        found = Shown(manifests.from_json(body["made"]), body["changes"], body["drifted"])
        if found.body() != body or not all(isinstance(item, str) for item in (*found.changes.values(), *found.drifted)):
            raise ValueError(name)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, RecordError):
        raise refused(run, stack.name, f"{name} cannot be read as what a check for drift has shown") from None
    expected = _trust(run).public
    if expected and statement.verified(envelope, expected) is None:
        raise refused(run, stack.name, f"{name} is not signed with the observations key, so anyone may have made it")
    _check_mac(run, stack.name, body, mac)
    return found


def _check_mac(run: Run, stack: str, body: JsonObject, mac: Json) -> None:
    key, name = run.project.keyring.current, run.layout.relative(run.layout.drift(stack))
    if key is None and mac is not None:
        raise refused(run, stack, "its drift was shown with a state key, but none is set here")
    if key is not None and not signature.fits(body, mac, key, purpose=_PURPOSE):
        raise refused(run, stack, f"{name} was changed, or made without the key in {key.variable}")


def _trust(run: Run) -> Trust:
    """The keys that sign and verify: those of observations, where there is a ledger."""
    settings = ledgers.settings_of(run)
    if settings is None:
        return Trust()
    found = ledgers.trust(settings.observations)
    return found if found.public else Trust([key.public for key in found.signing], found.signing)


def describes(run: Run, plan: Mapping[str, Json]) -> dict[str, str]:
    """The digests of what a plan would do, made with the key of states if there is one."""
    return digests.digests(plan, run.project.keyring.current)
