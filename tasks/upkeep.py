"""`doit ledger`: starts a ledger, tests it, records what is missing, releases a lease, changes its key."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from .base import ci
from .base.clock import now
from .base.errors import ConfigError, LedgerError, nearest
from .base.problem import doit
from .base.text import plural
from .ledger import advice, check, keys
from .ledger.machine import Failed, Look, Trouble
from .ledger.record import Change, Head, Kind
from .ledger.session import Trust
from .run import recording
from .run.action import printing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .run.recording import Recording
    from .run.run import Run

STAGE = "ledger"
NEXT_KEY = "DEPLOY_LEDGER_NEXT_KEY"


def tasks(run: Run) -> Iterator[dict[str, Any]]:
    """`ledger`: the word after it says what to do."""
    yield printing(run, STAGE, _text, positional="words")


def _text(run: Run, words: list[str]) -> str:
    word = " ".join(words)
    if word not in _DOES:
        known = ", ".join(_DOES)
        wrong = f"there is no command `doit ledger {word}`{nearest(word, list(_DOES))}"
        raise ConfigError(
            wrong if word else "`doit ledger` needs a word after it",
            untouched="nothing was read or written", next_step=f"use one of these: {known}",
        )  # fmt: skip
    if word == "key":
        return _key()
    return _DOES[word](run, recording.opened(run))


def _key() -> str:
    """A new key pair; the secret key is shown once, to a person."""
    if ci.kind() != "none":
        raise ConfigError(
            "keys are not created in CI: the secret key would be in the log", next_step="create it on your own machine"
        )
    made = keys.generate()
    return "\n".join([
        f"ledger    a new key, {made.public.id}; nothing was saved, so copy both lines",
        f"  only for deploy jobs, as a protected and masked variable: {keys.VARIABLE}={made.text}",
        f"  for config/pipeline.yaml: ledger: {{public_key: {made.public.text}}}",
    ])  # fmt: skip


def _init(run: Run, found: Recording) -> str:
    """Start a ledger with the receipts on this machine."""
    session = found.session
    failed = [effect for effect in session.handle(Look()) if isinstance(effect, Failed)]
    if not failed:
        raise LedgerError(
            f"there is already a ledger at {session.home.name}", untouched="the ledger is unchanged",
            next_step=(doit("log"), " shows what is in it"),
        )  # fmt: skip
    if failed[0].trouble is not Trouble.MISSING:
        raise session.problem(failed[0])
    signing = session.trust.signing
    public = session.trust.public[0].text if session.trust.public else signing[0].public.text if signing else None
    if public is not None and not (signing and signing[0].public.text == public):
        raise LedgerError(
            "the configuration names a public key, but this job does not have its secret key",
            key="ledger.public_key", untouched="nothing was written",
            next_step=f"set {keys.VARIABLE}, or start the ledger in a deploy job",
        )  # fmt: skip
    head = Head(ledger=secrets.token_hex(16), project=session.identity.project, environment=run.project.environment)
    taken = found.take_over()
    begin = Change(Kind.INIT, secrets.token_hex(16), now(), key=public, facts={"taken_over": len(taken)})
    session.begin(head, [begin, *taken])
    found.fill(deploying=False, alone=False)
    lines = [f"ledger    started at {session.home.name}"]
    if taken:
        lines.append(f"  with the receipts on this machine: {plural(len(taken), 'receipt')}")
    if public is None:
        lines.append("  entries are chained but not signed; `doit ledger key` creates a key")
    elif not session.trust.public:
        lines.append(f"  add its public key to the configuration: ledger: {{public_key: {public}}}")
    return "\n".join(lines)


def _check(run: Run, found: Recording) -> str:
    """Test it: a real write, and one that has to be refused."""
    session = found.session
    tried = check.check(session.home)
    if not tried.found.can_write:
        steps = advice.next_step(tried, found.settings, run.project.environment, ci.kind())
        raise LedgerError(advice.headline(tried), where=tried.name, untouched="nothing was written", next_step=steps)
    head = found.look()
    lines = [f"ledger    {advice.headline(tried)}: {plural(head.sequence, 'event')}"]
    signing = [key.public.text for key in session.trust.signing]
    if head.key is not None and head.key not in signing:
        raise LedgerError(
            f"the ledger is signed with {keys.PublicKey(head.key).id}, which this job does not have",
            untouched="nothing was written", next_step=f"set {found.settings.key} in deploy jobs",
        )  # fmt: skip
    lines.append("  signed by this job's key" if head.key else "  not signed: there is no key (`doit ledger key`)")
    if head.lease is not None:
        lines.append(f"  {head.lease.label} has held its lease since {head.lease.since}")
    return "\n".join(lines)


def _push(run: Run, found: Recording) -> str:
    """Record what only this machine has."""
    del run
    names = found.push()
    return (
        f"ledger    recorded: {', '.join(names)}"
        if names
        else "ledger    everything on this machine is already recorded"
    )


def _release(run: Run, found: Recording) -> str:
    """Release the lease of a run that died."""
    reason, head = _reason(run, "release"), found.look()
    lease = head.lease
    if lease is None:
        return "ledger    its lease is free"
    begun = {name: item.model_copy(update={"doubtful": True}) for name, item in head.begun.items()}
    facts = {"of": lease.holder, "label": lease.label, "begun": sorted(begun), **_shown(found, reason)}
    found.session.amend(
        lambda known: known.model_copy(update={"lease": None, "begun": begun}),
        [Change(Kind.RELEASE, secrets.token_hex(16), now(), facts=facts)],
    )
    left = f"; started but not finished: {', '.join(sorted(begun))}, which the next deploy plans again" if begun else ""
    return f"ledger    the lease of {lease.label} was released{left}"


def _accept(run: Run, found: Recording) -> str:
    """Accept a stack's state: exactly this lineage and serial."""
    reason, accepted = _reason(run, "accept"), run.request.accepted
    if not accepted:
        raise ConfigError(
            "`doit ledger accept` needs a state to accept", untouched="nothing was written",
            next_step="run `doit accept=STACK:LINEAGE:SERIAL reason=WHY ledger accept`, as the refusal shows it",
        )  # fmt: skip
    found.look()
    held = found.session.records(item.stack for item in accepted)
    changes = []
    for item in accepted:
        known = held.get(item.stack)
        if known is None:
            raise LedgerError(f"the ledger has no record of {item.stack}", untouched="nothing was written")
        state = {"lineage": item.lineage, "serial": item.serial}
        left = {"lineage": known.receipt.get("lineage"), "serial": known.receipt.get("serial")}
        changes.append(
            Change(
                Kind.ACCEPT, secrets.token_hex(16), now(), item.stack, receipt={**known.receipt, **state, "exists": []},
                outputs=known.outputs, follows=known.change,
                facts={**state, "instead_of": left, **_shown(found, reason)},
            )
        )  # fmt: skip
    found.session.amend(lambda known: known, changes)
    return f"ledger    accepted: {', '.join(item.stack for item in accepted)}"


def _rotate(run: Run, found: Recording) -> str:
    """Replace the key; the old one signs that too, unless it is lost, which needs a reason."""
    following = keys.from_environment(NEXT_KEY)
    if following is None:
        raise ConfigError(
            f"there is no new key in {NEXT_KEY}", untouched="nothing was written",
            next_step=("create one with ", doit("ledger", "key"), f", and set {NEXT_KEY} for this command"),
        )  # fmt: skip
    head, session = found.look(), found.session
    lost = head.key is not None and head.key not in {key.public.text for key in session.trust.signing}
    facts = _shown(found, _reason(run, "rotate")) if lost else {}
    session.trust = Trust(session.trust.public, [*session.trust.signing, following])
    change = Change(
        Kind.ROTATE, secrets.token_hex(16), now(), key=following.public.text, lost=lost, facts=facts
    )  # fmt: skip
    session.amend(lambda known: known, [change])
    return "\n".join([
        f"ledger    signed with {following.public.id} from now on{'; the lost key did not sign this' if lost else ''}",
        f"  add its public key to the configuration: ledger: {{public_key: {following.public.text}}}",
        f"  and set the new {keys.VARIABLE} in deploy jobs",
    ])  # fmt: skip


def _reason(run: Run, word: str) -> str:
    reason = run.request.reason
    if not reason:
        raise ConfigError(
            f"`doit ledger {word}` needs a reason", untouched="nothing was written",
            next_step=("say why: ", doit("reason=WHY", "ledger", word)),
        )  # fmt: skip
    return reason


def _shown(found: Recording, reason: str) -> dict[str, object]:
    """A reason as stored in entries: readable only if the configuration allows it."""
    return {"reason": reason if found.settings.public else "given, but not shown (`ledger.public`)"}


_DOES: dict[str, Callable[[Run, Recording], str]] = {
    "init": _init, "check": _check, "push": _push, "accept": _accept, "release": _release, "rotate": _rotate,
    "key": lambda run, found: _key(),  # noqa: ARG005 - takes no ledger
}  # fmt: skip
