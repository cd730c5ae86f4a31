"""Whose record is expected: the repository, as its forge names it, and the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .record import Head


@dataclass(frozen=True)
class Identity:
    """Which ledger is expected.

    Args:
        project: The repository, as its forge names it; empty if that is not known.
        environment: The environment.
    """

    project: str
    environment: str

    def problem(self, head: Head) -> str | None:
        """Why a ledger is not the expected one; None if it is."""
        wrong = self.problem_of(head.project, head.environment)
        return f"it is the ledger {wrong}" if wrong else None

    @property
    def unnamed(self) -> Identity:
        """The same environment of any repository."""
        return Identity("", self.environment)

    def problem_of(self, project: str, environment: str) -> str | None:
        """Whose the record of a project and an environment is, if it is not the expected one's: `of 'a', but ...`."""
        if environment != self.environment:
            return f"of environment '{environment}', not of '{self.environment}'"
        # Forges tell no upper from lower case in names, and some clone addresses have a folder before the name.
        ours, theirs = f"/{self.project.strip('/')}".casefold(), f"/{project.strip('/')}".casefold()
        if self.project and project and not ours.endswith(theirs) and not theirs.endswith(ours):
            return f"of '{project}', but this is '{self.project}'"
        return None
