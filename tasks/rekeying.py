"""`doit ledger rotate` and `revoke`: the first key of a ledger, and every further one."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from .base.clock import now
from .base.errors import ConfigError, LedgerError
from .base.problem import doit
from .base.text import plural
from .ledger import keys
from .ledger.record import REVOKED, Change, Kind
from .ledger.session import Trust
from .ledger.troubles import UnsignedError
from .run import entries, ledgerof

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .base.jsonvalue import JsonObject
    from .ledger.record import Head
    from .run.recording import Recording
    from .run.run import Run

NEXT_KEY = "DEPLOY_LEDGER_NEXT_KEY"
_UNCHANGED = "the ledger is unchanged"


def rotate(run: Run, found: Recording) -> str:
    """Replace the key; the old one signs that too, unless it is lost, which needs a reason."""
    session = found.session
    try:
        head = found.look()
    except UnsignedError:  # someone without the key may have put it there, so a person has to vouch for it
        facts = entries.reason(found.settings, ledgerof.reason(run, "rotate"))
        named, session.trust = session.trust.public, Trust((), session.trust.signing)
        return _sign_first(found, found.look(), named, facts)
    if head.key is None:
        return _sign_first(found, head, session.trust.public, {})
    lost = head.key not in {key.public.text for key in session.trust.signing}
    return _replace_key(run, found, head, "lost" if lost else "")


def revoke(run: Run, found: Recording) -> str:
    """Replace a key that others may have: what it signs from now on is not valid."""
    head = found.look()
    if head.key is None:
        raise LedgerError(
            "there is no key to revoke: the ledger is not signed", untouched=_UNCHANGED,
            next_step=("sign it, if you want to: ", doit("ledger", "rotate")),
        )  # fmt: skip
    return _replace_key(run, found, head, REVOKED)


def _replace_key(run: Run, found: Recording, head: Head, why: str) -> str:
    """Sign with a new key from now on. If `why` says what is wrong with the old one, that does not sign the change."""
    following, session = keys.from_environment(NEXT_KEY), found.session
    if following is None:
        raise ConfigError(
            f"there is no new key in {NEXT_KEY}", untouched=_UNCHANGED,
            next_step=("create one with ", doit("ledger", "key"), f", and set {NEXT_KEY} for this command"),
        )  # fmt: skip
    if following.public.text == head.key:
        raise ConfigError(
            f"the key in {NEXT_KEY} is the one that signs the ledger already", key=NEXT_KEY, untouched=_UNCHANGED,
            next_step=("create a new one with ", doit("ledger", "key")),
        )  # fmt: skip
    if following.public.text in head.revoked:
        raise revoked(following.public.text)
    facts: JsonObject = {}
    if why:
        word = "revoke" if why == REVOKED else "rotate"
        facts = {"old": why, **entries.reason(found.settings, ledgerof.reason(run, word))}
    _write_key(found, following, facts, lost=bool(why))
    unsigned = f"; the {why} key did not sign this" if why else ""
    lines = [f"ledger    signed with {following.public.id} from now on{unsigned}"]
    lines += _to_configure(following, session.trust.public)
    lines.append(f"  set the new {keys.VARIABLE} in deploy jobs, and remove the old public key from the configuration")
    return "\n".join(lines)


def revoked(key: str) -> ConfigError:
    """The error for a key that was revoked, and would sign again."""
    return ConfigError(
        f"the key {keys.PublicKey(key).id} was revoked: others may have it, so it never signs this ledger again",
        untouched=_UNCHANGED, next_step=("create a new one with ", doit("ledger", "key")),
    )  # fmt: skip


def _sign_first(found: Recording, head: Head, named: Sequence[keys.PublicKey], facts: JsonObject) -> str:
    """Write the first signed entry of a ledger without a key.

    Args:
        found: The ledger.
        head: Its head.
        named: The public keys that the configuration names: one of them has to sign.
        facts: What the entry says besides.
    """
    given = [key for key in (keys.from_environment(NEXT_KEY), *found.session.trust.signing) if key is not None]
    following = next((key for key in given if not named or key.public in named), None)
    if following is None:
        raise _unusable(bool(given), bool(named))
    is_set = following in found.session.trust.signing
    _write_key(found, following, facts, lost=False)
    lines = [f"ledger    signed with {following.public.id} from now on"]
    lines.append(f"  what is before, {plural(head.sequence, 'event')}, stays unsigned: it is only chained")
    lines += _to_configure(following, named)
    if not is_set:
        lines.append(f"  set {keys.VARIABLE} in deploy jobs")
    return "\n".join(lines)


def _unusable(given: bool, named: bool) -> ConfigError:
    """The error where this job has no key that may sign the first entry."""
    if named:
        what = "is not the one that the configuration names" if given else "is missing here"
        return ConfigError(
            f"the key that signs the ledger {what}", key="ledger.public_key", untouched=_UNCHANGED,
            next_step=f"set {keys.VARIABLE} to the secret line that belongs to it",
        )  # fmt: skip
    return ConfigError(
        "there is no key to sign the ledger with", untouched=_UNCHANGED,
        next_step=("create one with ", doit("ledger", "key"), f", and set {keys.VARIABLE} for this command"),
    )  # fmt: skip


def _write_key(found: Recording, following: keys.SigningKey, facts: JsonObject, *, lost: bool) -> None:
    session = found.session
    session.trust = Trust(session.trust.public, [*session.trust.signing, following])
    change = Change(Kind.ROTATE, secrets.token_hex(16), now(), key=following.public.text, lost=lost, facts=facts)
    session.amend(lambda known: known, [change])


def _to_configure(following: keys.SigningKey, named: Sequence[keys.PublicKey]) -> list[str]:
    if following.public in named:
        return []
    return [f"  add its public key to `ledger` in the configuration: public_key: {following.public.text}"]
