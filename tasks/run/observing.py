"""A run's observations: what is known of drift since when, and what each channel was told, on every machine."""

from __future__ import annotations

import hmac
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ..artifact import receipt
from ..artifact.statecheck import digest
from ..base.clock import now
from ..base.errors import DeployError, LedgerError, RecordError
from ..base.files import read_json, write_json
from ..base.problem import Kind
from ..ledger.observations import Outcome, Update
from ..project.config import signature
from . import ledgers
from .workingcopy import WorkingCopy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from ..ledger.observations import Checked, Observations
    from ..ledger.observer import Observer
    from ..project.model.ledger import Ledger
    from .result import Result
    from .run import Run

_KEYED = b"doit-tofu observations 1\0"


class Observing:
    """Reads the observations once, in the background, and adds to them at the end of the run.

    Args:
        run: The run.
        settings: The ledger's settings.
        observer: Where the observations are.
    """

    def __init__(self, run: Run, settings: Ledger, observer: Observer) -> None:
        self._run, self._settings, self._observer = run, settings, observer
        self._found: Observations | None = None
        self._error: LedgerError | None = None
        self._reader: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def label(self) -> str:
        """This run, for people."""
        return self._observer.label

    def begin(self) -> None:
        """Start to read in the background."""
        with self._lock:
            if self._reader is None:
                self._reader = threading.Thread(target=self._read, name="observations", daemon=True)
                self._reader.start()

    def _read(self) -> None:
        try:
            self._found = self._observer.read()
        except LedgerError as error:
            self._error = error
        except DeployError as error:
            self._error = LedgerError(error.message)

    def read(self) -> Observations:
        """What is known, as read at the run's start; `writes` is 0 if there is nothing yet.

        Raises:
            LedgerError: They cannot be read or trusted: what is new and what is known is then unknown.
        """
        self.begin()
        if self._reader is not None:
            self._reader.join()
        if self._error is not None:
            raise self._error
        if self._found is None:
            raise LedgerError("the observations were not read", next_step="run the same command again")
        self._observer.floor = self._seen(0)
        self._observer.require_newest(self._found)
        self._seen(self._found.writes)
        return self._found

    def _seen(self, writes: int) -> int:
        """Remember how often they were written, here and with the ledger's next entry; returns the most that is known.

        An earlier version that is put back is signed. On a fresh machine only the ledger knows that there was a later.
        """
        ledger, path, place = self._run.recording, self._run.layout.observed, self._observer.home.name
        before = self._noted(path, place)
        if writes > before:
            with suppress(RecordError):
                write_json(path, {"place": place, "writes": writes}, durable=False)
        writes = max(writes, before)
        return max(writes, ledger.observed(writes) if ledger is not None else 0)

    def _noted(self, path: Path, place: str) -> int:
        """How often they were written, as this machine remembers; 0 if it has not read any from this place.

        It is said if its note is damaged, as it is what shows that an earlier version was put back.
        """
        with suppress(RecordError):
            known = read_json(path)
            if known is None and not path.exists():
                return 0
            if isinstance(known, dict) and isinstance(known.get("writes"), int):
                return int(known["writes"]) if known.get("place") == place else 0
        self._run.say_once(
            f"{self._run.layout.relative(path)} is damaged, so this machine no longer knows how often the observations"
            " were written: only the ledger shows whether an earlier version was put back"
        )
        return 0

    def rename(self) -> bool:
        """Give the observations the name that the repository has now; false if they have it already.

        Raises:
            LedgerError: They cannot be read or written.
        """
        return self._observer.rename()

    def known(self, stack: str) -> Checked | None:
        """The latest check of a stack for drift; None if it was never checked.

        Raises:
            LedgerError: See `read`.
        """
        return self.read().stacks.get(stack)

    def address(self, address: str) -> str:
        """An address as observations contain it: a digest, unless `ledger.public` is set."""
        return address if self._settings.public else digest(address)

    def fingerprint(self, content: bytes) -> str:
        """A digest of values, made with a key, since values could be guessed from any other; empty without a key.

        The key is that of states (`encryption.key`), else the one that signs observations.
        """
        key, signing = self._run.project.keyring.current, self._observer.trust.signing
        if key is not None:
            return signature.sealed(_KEYED + content, key)[:16]
        return hmac.digest(signing[0].secret, _KEYED + content, "sha256").hex()[:16] if signing else ""

    def write(
        self, checked: Mapping[str, Mapping[str, str]] | None = None, update: Update | None = None,
        *, tried: Collection[str] = (), order: Sequence[str] = (), looked: Sequence[Result] = (),
    ) -> None:  # fmt: skip
        """Add what this run observed to the newest observations.

        Args:
            checked: For each stack that was checked for drift: the `fingerprint` of each drift, by `address`.
            update: Anything else.
            tried: The stacks that were looked at, but of which nothing is recorded.
            order: The stacks in the order in which they were looked at.
            looked: The results of the checks.

        Raises:
            LedgerError: It cannot be written.
        """
        outcomes = {item.stack: self._outcome(item) for item in looked}
        made = update or Update(now(), self._observer.label)
        stacks = frozenset(self._run.project.stacks)
        self._observer.floor = self._seen(0)
        self._found = self._observer.write(
            replace(
                made, checked=checked or made.checked, tried=tried or made.tried, order=order or made.order,
                stacks=stacks, outcomes=outcomes,
            )
        )  # fmt: skip
        self._seen(self._found.writes)

    def _outcome(self, result: Result) -> Outcome:
        """How a check ended, as the observations have it."""
        last = None
        with suppress(RecordError):
            last = receipt.read(self._run.layout, result.stack)
        return Outcome(
            status=str(result.status), began=result.started_at, run=self.label,
            plan=last.plan_sha256 if last is not None else "", drifted=result.counts.get("drifted", 0),
            pending=result.counts.get("pending", 0), stopped=result.kind is Kind.STOPPED,
            text=self._run.mask.text(result.summary) if self._settings.public else "",
        )  # fmt: skip


def attach(run: Run) -> Observing | None:
    """The observations of a run; None if there is no ledger. Made and read once a run: `run.once(observing.attach)`.

    Raises:
        ConfigError: A setting or a key is not what it should be.
        LedgerError: Their place cannot be opened.
    """
    settings = ledgers.settings_of(run)
    if settings is None:
        return None
    return Observing(run, settings, ledgers.observer(run, settings, WorkingCopy(run.layout).memory.clone))
