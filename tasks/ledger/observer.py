"""Reads and writes an environment's observations in their home: one signed document, replaced by compare-and-swap."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base.errors import LedgerError
from ..base.problem import doit
from . import observations, statement
from .home import HomeError, MovedError, UnreachableError
from .keys import PublicKey
from .observations import Observations
from .record import NewerFormatError
from .session import Trust
from .statement import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..base.problem import Steps
    from .home import Home, Version
    from .identity import Identity
    from .keys import SigningKey
    from .observations import Update

KIND = "application/vnd.doit-tofu.ledger-observations+json"
_MOST_ATTEMPTS = 8
_PAUSE = 0.25
_UNTOUCHED = "nothing that is planned or applied depends on them"


class UntrustedError(LedgerError):
    """What is there was not written by us: damaged, or not signed by the key that the configuration names."""


@dataclass
class Observer:
    """One environment's observations.

    Args:
        home: Where they are.
        identity: Whose they are.
        label: This run, for people.
        trust: The keys that sign and verify them.
        pause: Waits that many seconds; true if the run was asked to stop.
        floor: How often they were written, at the least: fewer times, and an earlier version was put back.
    """

    home: Home
    identity: Identity
    label: str
    trust: Trust = field(default_factory=Trust)
    pause: Callable[[float], bool | None] = time.sleep
    floor: int = 0

    def read(self) -> Observations:
        """The newest observations; empty (`writes` is 0) if there are none.

        Raises:
            UntrustedError: They are damaged, or not signed by the expected key.
            LedgerError: They cannot be read, or are of a newer format or another environment.
        """
        try:
            return self._believed(self.home.read())
        except HomeError as error:
            raise self._failed("read", error) from error

    def require_newest(self, found: Observations) -> None:
        """Refuse observations of an earlier time: what was over then, and is there again, would be known.

        Raises:
            UntrustedError: They were written fewer times than is known. None at all are no such: all is new then.
        """
        if 0 < found.writes < self.floor:
            what = f"they were rolled back to an earlier version: number {found.writes}, but {self.floor} was seen"
            raise self._wrong(UntrustedError, what, _AGAIN)

    def write(self, update: Update) -> Observations:
        """Apply an update to the newest observations; those that cannot be trusted, or are too old, are replaced.

        Raises:
            LedgerError: They cannot be written.
        """
        for number in range(_MOST_ATTEMPTS):
            try:
                return self._attempt(update)
            except (MovedError, UnreachableError) as error:
                chance = random.uniform(0.5, 1.5)  # noqa: S311 - only spreads tries
                if number == _MOST_ATTEMPTS - 1 or self.pause(min(_PAUSE * 2**number, 8.0) * chance):
                    raise self._failed("write", error) from error
            except HomeError as error:
                raise self._failed("write", error) from error
        raise AssertionError

    def rename(self) -> bool:
        """Give the observations of a renamed repository its new name; false if they have it, or if there are none.

        Raises:
            LedgerError: They cannot be read, trusted or written.
        """
        try:
            version = self.home.read()
            known = self._believed(version, self.identity.unnamed)
            if not known.writes or not self.identity.problem_of(known.project, known.environment):
                return False
            made = known.model_copy(update={"project": self.identity.project, "writes": known.writes + 1})
            self.home.write(version, statement.seal(made.content(), KIND, self._signing()).to_bytes(), {}, ())
        except HomeError as error:
            raise self._failed("write", error) from error
        return True

    def _attempt(self, update: Update) -> Observations:
        version = self.home.read()
        try:
            known = self._believed(version)
        except UntrustedError:
            known = self._empty()
        if known.writes < self.floor:
            known = self._empty().model_copy(update={"writes": self.floor})
        made = update.over(known)
        if made.content() != known.content():
            sealed = statement.seal(made.content(), KIND, self._signing())
            self.home.write(version, sealed.to_bytes(), {}, ())
        return made

    def _signing(self) -> list[SigningKey]:
        """The key that signs: the one that readers expect.

        Raises:
            LedgerError: This job does not have it.
        """
        expected = {key.text for key in self.trust.public}
        keys = [key for key in self.trust.signing if not expected or key.public.text in expected]
        if expected and not keys:
            raise LedgerError(
                f"observations are signed with the key {self.trust.public[0].id}, which this job does not have",
                where=self.home.name, untouched=_UNTOUCHED,
                next_step="set the variable that `ledger.observations.key` names; merge requests must not have it",
            )  # fmt: skip
        return keys[:1]

    def _empty(self) -> Observations:
        return Observations(project=self.identity.project, environment=self.identity.environment)

    def _believed(self, version: Version | None, identity: Identity | None = None) -> Observations:
        if version is None:
            return self._empty()
        try:
            envelope = statement.read(version.head, KIND)
            found = observations.read(envelope.content)
        except NewerFormatError as error:
            raise self._wrong(LedgerError, str(error), "use that version in this job, too") from None
        except FormatError as error:
            raise self._wrong(UntrustedError, str(error), _AGAIN) from None
        if wrong := (identity or self.identity).problem_of(found.project, found.environment):
            place: Steps = "set `ledger.ref` or `ledger.url` to a place of its own"
            if found.environment == self.identity.environment:
                rename = doit("reason=WHY", "ledger", "rename")
                place = ("if the repository was renamed, ", rename, f" renames them, too; otherwise {place}")
            raise self._wrong(LedgerError, f"they are {wrong}", place)
        if self.trust.public and not statement.verified(envelope, self.trust.public):
            by = ", ".join(item.keyid for item in envelope.signatures) or "no key"
            names = " or ".join(PublicKey(key.text).id for key in self.trust.public)
            raise self._wrong(UntrustedError, f"they are not signed by the key {names} (they name {by})", _AGAIN)
        return found

    def _wrong(self, kind: type[LedgerError], what: str, next_step: Steps) -> LedgerError:
        return kind(
            f"the observations cannot be used: {what}",
            where=self.home.name,
            untouched=_UNTOUCHED,
            next_step=next_step,
        )

    def _failed(self, operation: str, error: HomeError) -> LedgerError:
        return LedgerError(
            f"the observations cannot be {'read' if operation == 'read' else 'written'}: {error}",
            where=self.home.name, untouched=_UNTOUCHED,
            next_step='docs/ledger.md, "Observations", says which right and which variables this takes',
        )  # fmt: skip


_AGAIN = "find out who wrote them; the next run that may write starts them again, and everything then counts as new"
