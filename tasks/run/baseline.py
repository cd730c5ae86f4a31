"""Where a run's checks for drift are compared with the previous ones: the ledger's observations, or this disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..artifact import folder
from ..base.clock import now
from ..base.errors import RecordError
from ..base.files import read_json
from ..ledger.observations import Observations, Update
from . import observing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ..base.layout import Layout
    from ..ledger.observations import Checked
    from .result import Result
    from .run import Run


class Baseline(Protocol):
    """The previous checks; `observing.Observing` has those of all machines."""

    def begin(self) -> None:
        """Start to read in the background."""
        ...

    def read(self) -> Observations:
        """What is known; `writes` is 0 if there is nothing yet, or it was lost.

        Raises:
            DeployError: It cannot be read or trusted: what is new and what is known is then unknown.
        """
        ...

    def known(self, stack: str) -> Checked | None:
        """The latest check of a stack; None if it was never checked.

        Raises:
            DeployError: See `read`.
        """
        ...

    def address(self, address: str) -> str:
        """An address as the records contain it."""
        ...

    def fingerprint(self, content: bytes) -> str:
        """A digest of values as the records contain it; empty if they must not contain one."""
        ...

    def write(
        self, checked: Mapping[str, Mapping[str, str]] | None = None,
        *, tried: Collection[str] = (), order: Sequence[str] = (), looked: Sequence[Result] = (),
    ) -> None:  # fmt: skip
        """Record the checks of this run.

        Args:
            checked: For each stack the fingerprint of each drift, by address.
            tried: The stacks that were looked at, but of which nothing is recorded.
            order: The stacks in the order in which they were looked at.
            looked: The results of the checks, for other machines.

        Raises:
            DeployError: It cannot be written.
        """
        ...


class Here:
    """The previous checks of this disk, where there is no ledger.

    Args:
        layout: Where they are.
        stacks: The stacks that exist.
    """

    def __init__(self, layout: Layout, stacks: frozenset[str]) -> None:
        self._layout, self._stacks = layout, stacks
        self._found: Observations | None = None

    def begin(self) -> None:
        """Nothing: a file is read when it is needed."""

    def read(self) -> Observations:
        """What is known.

        Raises:
            RecordError: The file cannot be read.
        """
        if self._found is None:
            path = self._layout.checks
            try:
                record = read_json(path)
                empty = Observations(project="", environment=self._layout.environment)
                self._found = empty if record is None else Observations.model_validate(record)
            except (ValueError, RecordError):
                name = self._layout.relative(path)
                raise RecordError(
                    f"{name} cannot be read: all drift counts as new", where=name,
                    untouched="nothing that is planned or applied depends on it", next_step="this run replaces it",
                ) from None  # fmt: skip
        return self._found

    def known(self, stack: str) -> Checked | None:
        """The latest check of a stack.

        Raises:
            RecordError: The file cannot be read.
        """
        return self.read().stacks.get(stack)

    def address(self, address: str) -> str:
        """An address as it is."""
        return address

    def fingerprint(self, content: bytes) -> str:
        """The digest itself: a reader of this disk can read the report, too."""
        return content.decode()

    def write(
        self, checked: Mapping[str, Mapping[str, str]] | None = None,
        *, tried: Collection[str] = (), order: Sequence[str] = (), looked: Sequence[Result] = (),
    ) -> None:  # fmt: skip
        """Record checks. Their results are on this disk already.

        Raises:
            RecordError: The file cannot be written.
        """
        del looked
        try:
            before = self.read()
        except RecordError:
            before = Observations(project="", environment=self._layout.environment)
        made = Update(now(), "", checked=checked or {}, tried=tried, order=order, stacks=self._stacks)
        self._found = made.over(before)
        folder.keep(self._layout, self._layout.checks, self._found.model_dump(mode="json"))


def of(run: Run) -> Baseline:
    """The previous checks that this run compares with; made once a run: `run.once(baseline.of)`.

    Raises:
        ConfigError: A setting or a key of the ledger is not what it should be.
        LedgerError: The place of the ledger cannot be opened.
    """
    return run.once(observing.attach) or Here(run.layout, frozenset(run.project.stacks))
