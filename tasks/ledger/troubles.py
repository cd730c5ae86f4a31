"""The errors of a run's session with its ledger: what happened, what is unchanged, and what to do next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..base.errors import LedgerError
from ..base.problem import doit
from .home import BrokenError, DeniedError, MovedError
from .keys import VARIABLE
from .machine import Trouble

if TYPE_CHECKING:
    from ..base.problem import Steps
    from .home import HomeError
    from .machine import Failed

_UNTOUCHED = "the ledger is unchanged"
_KEPT = "what was applied stays applied"
_WORDS = {
    Trouble.MISSING: "there is no ledger at {name}, although the configuration names one",
    Trouble.WENT_BACK: "the ledger at {name} lacks entries that this machine has already seen: it was rewritten",
    Trouble.REPLACED: "the ledger at {name} is not the one that this machine has seen there: it was replaced",
    Trouble.DENIED: "access to the ledger at {name} is denied",
    Trouble.NO_KEY: "the ledger is signed with the key {said}, which this job does not have",
    Trouble.UNREACHABLE: "the ledger at {name} cannot be reached",
    Trouble.CROWDED: "the ledger at {name} could not be written: other runs kept writing first",
    Trouble.TAKEN: "the lease of the ledger at {name} was {taken}",
}
_CHECK = (doit("ledger", "check"), " tests it and reports what is missing")
_NEXT: dict[Trouble, Steps] = {
    Trouble.MISSING: (
        "if nothing was ever recorded here, ",
        doit("ledger", "init"),
        " creates it; otherwise restore it, or, if it is lost: ",
        doit("reason=WHY", "ledger", "rebuild"),
    ),
    Trouble.WENT_BACK: ("find out who rewrote it, and restore it; ", doit("audit"), " shows where it ends"),
    Trouble.REPLACED: (
        "ask who replaced it; if it was rebuilt (docs/ledger.md), remove `ledger.json` in the environment's folder"
        " below `.deploy`: the receipts here are then replaced by those of the new ledger"
    ),
    Trouble.DENIED: _CHECK,
    Trouble.NO_KEY: f"set {VARIABLE}; only deploy jobs should have it",
    Trouble.UNREACHABLE: _CHECK,
    Trouble.CROWDED: "run the same command again",
    Trouble.TAKEN: (doit("log"), " shows who released it or deploys now; then run the same command again"),
}


# A deploy that may not begin.
_NOT_APPLIED = "nothing was applied, and the ledger is unchanged"
_AGAIN = ", then run the same command again; if this deploy cannot wait: "
_WITHOUT = doit("allow=unrecorded", "reason=WHY", "deploy")
_BEFORE_APPLY: dict[Trouble, Steps] = {
    Trouble.DENIED: (doit("ledger", "check"), " in the same job says which right is missing", _AGAIN, _WITHOUT),
    Trouble.NO_KEY: (f"set {VARIABLE}, which only deploy jobs should have", _AGAIN, _WITHOUT),
    Trouble.UNREACHABLE: (doit("ledger", "check"), " shows whether it can be reached", _AGAIN, _WITHOUT),
}


class UnsignedError(LedgerError):
    """The ledger is not signed, but the configuration names a key."""


def failed(found: Failed, name: str, said: str, *, deploying: bool = False) -> LedgerError:
    """The error for something that the protocol could not do.

    Args:
        found: What failed.
        name: The ledger's home.
        said: The home's last error, or the id of the missing key.
        deploying: Whether a deploy ends with it before its first apply.
    """
    taken = f"taken over by {found.lease.label}" if found.lease else "released, or taken over by a run that has ended"
    detail = f": {said}" if said and found.trouble in (Trouble.DENIED, Trouble.UNREACHABLE) else ""
    return LedgerError(
        _WORDS[found.trouble].format(name=name, taken=taken, said=said) + detail,
        untouched=_NOT_APPLIED if deploying else _KEPT if found.trouble is Trouble.TAKEN else _UNTOUCHED,
        next_step=_BEFORE_APPLY.get(found.trouble, _NEXT[found.trouble]) if deploying else _NEXT[found.trouble],
    )  # fmt: skip


def untrusted(name: str, what: str) -> LedgerError:
    """The error for content that cannot be trusted."""
    return LedgerError(
        f"the ledger cannot be trusted: {what}",
        where=name, untouched="nothing was planned or applied",
        next_step=(doit("audit"), " shows the first bad entry; docs/ledger.md explains how to repair it"),
    )  # fmt: skip


def of_another(name: str, what: str, *, same: bool, former: bool) -> LedgerError:
    """The error for a ledger of another repository or environment.

    Args:
        name: The ledger's home.
        what: Whose it is.
        same: Whether it is of this environment, so that the repository may have been renamed.
        former: Whether the ledger says that it was: this clone has the former name.
    """
    address = "`git remote set-url origin ADDRESS`"
    steps: Steps = "set `ledger.ref` or `ledger.url` to a place of its own"
    if former:
        steps = f"the repository was renamed, and this clone has its former address: {address}"
    elif same:
        steps = (
            "if the repository was renamed or moved: ", doit("reason=WHY", "ledger", "rename"),
            f"; if only this clone has another address: {address}; if it is another repository's ledger, {steps}",
        )  # fmt: skip
    return LedgerError(
        f"the ledger cannot be used: {what}", where=name, untouched="nothing was planned or applied", next_step=steps
    )


def unread(name: str, error: HomeError) -> LedgerError:
    """The error for a home that did not return what it was asked for; only broken content is not to be trusted."""
    if isinstance(error, BrokenError):
        return untrusted(name, str(error))
    return LedgerError(
        f"the ledger cannot be read: {error}", where=name, untouched="nothing was planned or applied", next_step=_CHECK
    )


def unsigned(name: str) -> UnsignedError:
    """The error for a ledger without a key where one is expected."""
    return UnsignedError(
        "the ledger is not signed, but the configuration names a key", where=name, key="ledger.public_key",
        untouched="nothing was planned or applied",
        next_step=(
            f"if it was never signed, sign it in a job that has {VARIABLE}: ", doit("reason=WHY", "ledger", "rotate"),
            "; if it was, it was replaced without the key: restore it",
        ),
    )  # fmt: skip


def unwritten(name: str, error: HomeError) -> LedgerError:
    """The error for a write that failed."""
    return LedgerError(
        f"the ledger cannot be written: {error}", where=name, untouched=_UNTOUCHED,
        next_step=(doit("ledger", "check"), " tests it and reports what is missing"),
    )  # fmt: skip


def undropped(name: str, error: HomeError) -> LedgerError:
    """The error for old entries that cannot be removed."""
    step = "run the same command again"
    if isinstance(error, DeniedError):
        step = (
            "dropping entries rewrites the branch: allow force pushes for this command only, run it again, and forbid"
            " them afterwards"
        )
    return LedgerError(
        f"the older entries were not dropped: {error}" if not isinstance(error, MovedError) else
        "the older entries were not dropped: another run wrote to the ledger at that moment",
        where=name, untouched="the checkpoint is recorded, and the ledger is whole", next_step=step,
    )  # fmt: skip


def before_apply(error: LedgerError) -> LedgerError:
    """The error of a deploy before its first apply: nothing was applied either."""
    problem = error.problem
    return error.saying(replace(problem, untouched=_NOT_APPLIED)) if problem.untouched == _UNTOUCHED else error


def older(name: str, what: str, needs: str) -> LedgerError:
    """The error for a ledger that a newer version of doit-tofu writes."""
    return LedgerError(
        f"a newer doit-tofu writes this ledger: {what}", where=name, untouched=_UNTOUCHED,
        next_step=f"install doit-tofu {needs} or newer here" if needs else "install a newer doit-tofu here",
    )  # fmt: skip
