"""`doit ledger`: starts a ledger, tests it, records what is missing, releases a lease, changes its key."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from . import audit, forgetting, rekeying, releasing, renaming
from .base import ci, clock, whence
from .base.clock import now
from .base.errors import ConfigError, LedgerError, nearest
from .base.problem import doit
from .base.text import few, plural, short
from .base.unseen import one_line
from .engine import encryption
from .ledger import advice, check, checkpoint, keys, remains
from .ledger.home import BrokenError
from .ledger.machine import Failed, Look, Trouble
from .ledger.record import Change, Head, Kind
from .run import documents, entries, ledgerof, rebuilding
from .run.action import FailedText, printing
from .run.commandline import JSON, json_option
from .run.documentparts import LeasePart, ProblemPart
from .run.documents import LedgerDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .base.jsonvalue import JsonObject
    from .ledger.home import Version
    from .ledger.session import Session, Trust
    from .run.recording import Recording
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "ledger"
_UNCHANGED = "the ledger is unchanged"
_SHOWN = 12


def tasks(run: Run) -> Iterator[TaskDict]:
    """`ledger`: the word after it says what to do."""
    yield printing(run, STAGE, _text, json_option(), positional="words")


def _text(run: Run, words: list[str], as_json: bool = False) -> str:
    word, rest = (words[0], words[1:]) if words and words[0] in _WITH_MORE else (one_line(" ".join(words)).strip(), [])
    if word not in _DOES and word not in _WITH_MORE:
        known = ", ".join([*_DOES, *_WITH_MORE])
        wrong = f"there is no command `ledger {word}`{nearest(word, [*_DOES, *_WITH_MORE])}"
        raise ConfigError(
            wrong if word else "`ledger` needs a word after it",
            untouched="nothing was read or written", next_step=f"use one of these: {known}",
        )  # fmt: skip
    if as_json and word != "check":
        raise ConfigError(
            f"`ledger {word}` has no document", untouched="nothing was read or written",
            next_step=(doit("ledger", "check", JSON), " has one"),
        )  # fmt: skip
    if word == "key":
        return _key()
    opened = ledgerof.opened(run)
    if as_json:
        return _check_document(run, opened)
    done = _WITH_MORE[word](run, opened, rest) if word in _WITH_MORE else _DOES[word](run, opened)
    session = opened.session
    if session.written and session.head is not None:
        from .forges import witness

        witness.tell(run, session, session.head)
    return done


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
        f"  for `ledger` in config/pipeline.yaml: public_key: {made.public.text}",
    ])  # fmt: skip


def _init(run: Run, found: Recording) -> str:
    """Start a ledger with the receipts on this machine."""
    session = found.session
    failed = [effect for effect in session.handle(Look()) if isinstance(effect, Failed)]
    if not failed:
        raise LedgerError(
            f"there is already a ledger at {session.home.name}", untouched=_UNCHANGED,
            next_step=(doit("log"), " shows what is in it"),
        )  # fmt: skip
    if failed[0].trouble is not Trouble.MISSING:
        raise session.problem(failed[0])
    if session.seen is not None:  # others may have deployed since: then the receipts here are older than the states
        raise LedgerError(
            f"this machine has read a ledger at {session.home.name}, which is gone", untouched=_UNCHANGED,
            next_step=("restore it; if it is lost: ", doit("reason=WHY", "ledger", "rebuild"), " (docs/ledger.md)"),
        )  # fmt: skip
    public = _first_key(session)
    with _alone(run, "init"):
        taken = found.take_over()
        begin = Change(Kind.INIT, secrets.token_hex(16), now(), key=public, facts={"taken_over": len(taken)})
        session.begin(_new_head(run, found), [begin, *taken])
        found.fill(deploying=False, alone=True)
    lines = [f"ledger    started at {session.home.name}"]
    if taken:
        lines.append(f"  with the receipts on this machine: {plural(len(taken), 'receipt')}")
    return "\n".join([*lines, *_about_key(session.trust, public)])


def _rebuild(run: Run, found: Recording, rest: Sequence[str]) -> str:
    """Start a new ledger in place of one that is lost or cannot be trusted, from states and receipts."""
    reason, session = ledgerof.reason(run, "rebuild"), found.session
    over, replaced = _to_replace(found)
    public = _first_key(session)
    with _alone(run, "rebuild"):
        encryption.require(run.project, plans=False)
        run.project.keyring.prepare()
        left = remains.read(session.home, over) if over is not None else remains.Left()
        stacks = rebuilding.collect(run, [Path(folder) for folder in rest], left.stacks)
        facts: JsonObject = {
            "rebuilt": True, "replaces": replaced, **entries.reason(found.settings, reason),
            "stacks": {name: {"from": item.source, "certain": item.certain} for name, item in stacks.items()},
        }  # fmt: skip
        begin = Change(Kind.INIT, secrets.token_hex(16), now(), key=public, facts=facts)
        head = _new_head(run, found).model_copy(update={"complete": left.complete, "partly": left.partly})
        session.begin(head, [begin, *entries.of_found(run, found.settings, stacks)], over)
        found.restart()
    lines = [f"ledger    rebuilt at {session.home.name}, from {plural(len(stacks), 'stack')}"]
    lines += [f"  {name}: {_found(item)}" for name, item in stacks.items()]
    if former := sorted(set(left.stacks) - set(run.project.stacks)):
        lines.append(f"  {few(former, _SHOWN)}: in the ledger that it replaces, but not in the code, so not taken over")
    if unknown := [name for name, item in stacks.items() if not item.commits]:
        what = "their commits are" if len(unknown) > 1 else "its commit is"
        lines.append(f"  {few(unknown, _SHOWN)}: {what} not known, so no older one is refused: deploy the newest")
    return "\n".join([*lines, *_about_key(session.trust, public)])


def _found(item: rebuilding.Found) -> str:
    """Where a stack's record is from, and, if it may not be the latest, what follows from that."""
    if item.certain:
        return f"from {item.source}"
    may_be = ", ".join(short(commit) for commit in item.commits)
    counts = f"; none older than {may_be} is deployed over it" if may_be else ""
    return f"from {item.source}; counts as affected, as it may not be the latest{counts}"


def _version(found: Recording) -> Version | None:
    """The version of a ledger that cannot be trusted, which a rebuilt one replaces.

    Raises:
        LedgerError: What is there is not even the form of a ledger, so it may be something else.
    """
    home = found.session.home
    try:
        return home.read()
    except BrokenError as error:
        raise LedgerError(
            f"what is at {home.name} is not a ledger: {error}", untouched=_UNCHANGED,
            next_step="look at it; if it is not needed, remove it, then run the same command again",
        ) from None  # fmt: skip


def _to_replace(found: Recording) -> tuple[Version | None, str]:
    """The version that a rebuilt ledger replaces, and what it is, for the new one's first entry.

    Raises:
        LedgerError: It cannot be read, or a run is deploying.
    """
    session, replaced = found.session, "a ledger that cannot be trusted"
    try:
        failed = next((effect for effect in session.handle(Look()) if isinstance(effect, Failed)), None)
    except LedgerError as error:
        return _version(found), f"{replaced}: {error.message}"
    if failed is not None:
        if failed.trouble is Trouble.MISSING:
            return None, "a ledger that is gone"
        if failed.trouble not in (Trouble.WENT_BACK, Trouble.REPLACED):
            raise session.problem(failed)
        return session.version, f"{replaced}: {session.problem(failed).message}"
    head = session.head
    if head is not None:
        ledgerof.require_free(head)
    return session.version, f"ledger {head.ledger[:8]} at entry {head.sequence}" if head else replaced


def _new_head(run: Run, found: Recording) -> Head:
    project = found.session.identity.project
    known = found.session.head
    return Head(
        ledger=secrets.token_hex(16), project=project, environment=run.project.environment,
        revoked=known.revoked if known else (),
    )  # fmt: skip


def _first_key(session: Session) -> str | None:
    """The public key that a new ledger starts with; None if there is no key.

    Raises:
        ConfigError: It was revoked.
        LedgerError: The configuration names one that this job cannot sign with.
    """
    trust = session.trust
    ours, named = [key.public.text for key in trust.signing], [key.text for key in trust.public]
    if named and not set(ours) & set(named):
        raise LedgerError(
            "the configuration names a public key, but this job does not have its secret key",
            key="ledger.public_key", untouched="nothing was written",
            next_step=f"set {keys.VARIABLE}, or start the ledger in a deploy job",
        )  # fmt: skip
    found = next((text for text in ours if not named or text in named), None)
    if session.head is not None and found in session.head.revoked:
        raise rekeying.revoked(found)
    return found


def _about_key(trust: Trust, public: str | None) -> list[str]:
    if public is None:
        return [f"  entries are chained but not signed; {whence.typed(doit('ledger', 'key'))} creates a key"]
    if not trust.public:
        return [f"  add its public key to `ledger` in the configuration: public_key: {public}"]
    return []


@contextmanager
def _alone(run: Run, word: str) -> Iterator[None]:
    """The environment's folder, for this command alone; it is signed at the end."""
    run.lock.take(f"doit ledger {word}", filling=True)
    try:
        run.custody.verify((), run.signed_commit, writing=True)
        yield
        run.custody.end(())
    finally:
        run.lock.release()


def _prune(run: Run, found: Recording, rest: Sequence[str]) -> str:
    """Drop the oldest entries, once an entry vouches for them."""
    del run
    if len(rest) != 1 or not rest[0].isdecimal() or int(rest[0]) < 1:
        raise ConfigError(
            "`ledger prune` needs a number: how many of the newest entries to keep", untouched="nothing was read",
            next_step=("run for example ", doit("ledger", "prune", "1000")),
        )  # fmt: skip
    head, session = found.look(), found.session
    first = max(head.first, head.sequence - int(rest[0]) + 1)
    verified = session.verify(cut=first)
    if verified.broken:
        raise audit.broken(session.home.name, verified)
    if first > head.first and verified.place is not None:
        place, change = checkpoint.make(head, first, verified.place, verified.records, now())
        session.amend(lambda known: known.model_copy(update={"checkpoint": place}), [change])
    if first == 1:
        return f"ledger    nothing to drop: it has {plural(head.sequence, 'event')}"
    session.drop()
    return f"ledger    entries before {first} were dropped; entry {(session.head or head).sequence} vouches for them"


def _check(run: Run, found: Recording) -> str:
    """Test it: a real write, and one that has to be refused."""
    tried, head = _tried(found)
    if problem := _unusable(run, found, tried, head):
        raise problem
    lines = [f"ledger    {advice.headline(tried)}: {plural(head.sequence if head else 0, 'event')}"]
    signed = head is not None and head.key is not None
    lines.append(
        "  signed by this job's key" if signed else f"  not signed: {whence.typed(doit('ledger', 'key'))} creates a key"
    )
    if head is not None and head.lease is not None:
        lines.append(f"  {head.lease.label} has held its lease since {clock.shown(head.lease.since)}")
    return "\n".join(lines)


def _tried(found: Recording) -> tuple[check.Check, Head | None]:
    """What a check found, and the ledger's head if it can be written."""
    tried = check.check(found.session.home)
    return tried, found.look() if tried.found.can_write else None


def _unusable(run: Run, found: Recording, tried: check.Check, head: Head | None) -> LedgerError | None:
    """Why a deploy of this job could not record what it does."""
    if not tried.found.can_write:
        steps = advice.next_step(tried, found.settings, run.project.environment, ci.kind())
        return LedgerError(advice.headline(tried), where=tried.name, untouched="nothing was written", next_step=steps)
    if head is not None and head.key is not None and not _signs(found, head):
        return LedgerError(
            f"the ledger is signed with {keys.PublicKey(head.key).id}, which this job does not have",
            untouched="nothing was written", next_step=f"set {found.settings.key} in deploy jobs",
        )  # fmt: skip
    return None


def _signs(found: Recording, head: Head) -> bool:
    return head.key in [key.public.text for key in found.session.trust.signing]


def _check_document(run: Run, found: Recording) -> str:
    """The result of a check for programs; one that says that the ledger cannot be used fails the task."""
    tried, head = _tried(found)
    problem = _unusable(run, found, tried, head)
    lease = head.lease if head is not None else None
    shown = documents.text(LedgerDocument(
        environment=run.project.environment, usable=problem is None, home=tried.name, access=str(tried.found),
        problems=[ProblemPart.of(run.problem(problem))] if problem is not None else [],
        sequence=head.sequence if head is not None else None,
        key=keys.PublicKey(head.key).id if head is not None and head.key is not None else None,
        signing=head is not None and _signs(found, head),
        lease=LeasePart(label=lease.label, since=lease.since) if lease is not None else None,
    ))  # fmt: skip
    return FailedText(shown) if problem is not None else shown


def _push(run: Run, found: Recording) -> str:
    """Record what only this machine has."""
    del run
    names, late = found.push()
    lines = [f"ledger    recorded: {', '.join(names)}"] if names else []
    lines += [f"ledger    not recorded: {stack}: {why}" for stack, why in late.items()]
    return "\n".join(lines or ["ledger    everything on this machine is already recorded"])


def _accept(run: Run, found: Recording) -> str:
    """Accept a stack's state: exactly this lineage and serial."""
    reason, accepted = ledgerof.reason(run, "accept"), run.request.accepted
    if not accepted:
        raise ConfigError(
            "`ledger accept` needs a state to accept", untouched="nothing was written",
            next_step=("run ", doit("accept=STACK:LINEAGE:SERIAL", "reason=WHY", "ledger", "accept"),
                       ", as the refusal shows it"),
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
                facts={**state, "instead_of": left, **entries.reason(found.settings, reason)},
            )
        )  # fmt: skip
    found.session.amend(lambda known: known, changes)
    return f"ledger    accepted: {', '.join(item.stack for item in accepted)}"


_DOES: dict[str, Callable[[Run, Recording], str]] = {
    "init": _init, "check": _check, "push": _push, "accept": _accept, "release": releasing.release,
    "rotate": rekeying.rotate, "revoke": rekeying.revoke, "rename": renaming.rename,
    "key": lambda run, found: _key(),  # noqa: ARG005 - takes no ledger
}  # fmt: skip
_WITH_MORE: dict[str, Callable[[Run, Recording, Sequence[str]], str]] = {
    "prune": _prune, "rebuild": _rebuild, "forget": forgetting.forget,
}  # fmt: skip
