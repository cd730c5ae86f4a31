"""Who reviewed the commit that a run deploys, for the ledger's entries; asked while the first stacks are applied."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..base.jsonvalue import JsonObject
    from .run import Run

    AskReview = Callable[[Run], "Review | None"]


@dataclass(frozen=True)
class Approver:
    """Someone who approved a merge request: the forge's id, and the name there."""

    id: str
    name: str


@dataclass(frozen=True)
class Review:
    """How a commit came to its branch: by which merge request, and who approved that; without one, by a push."""

    request: int | None
    approvers: tuple[Approver, ...] = ()

    def facts(self, *, public: bool) -> JsonObject:
        """The review as an entry has it: people by the forge's id, and by their names only if that is allowed."""
        names: JsonObject = {"names": [item.name for item in self.approvers]} if public else {}
        return {"request": self.request, "approvers": [item.id for item in self.approvers], **names}


class Reviewing:
    """Asks the forge once a run, in the background.

    Args:
        run: The run.
        ask: Asks; None if the forge is not known or does not answer, which it has said.
    """

    def __init__(self, run: Run, ask: AskReview) -> None:
        self._run, self._ask = run, ask
        self._found: Review | None = None
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start to ask."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="review", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Wait for the answer, if the forge was asked."""
        if self._thread is not None:
            self._thread.join()

    def of(self, commit: object) -> Review | None:
        """The review of a commit; None if it is another one than this run's, or if it is not known (yet)."""
        return self._found if commit is not None and commit == self._run.revision.commit else None

    def _look(self) -> None:
        self._found = self._ask(self._run)
