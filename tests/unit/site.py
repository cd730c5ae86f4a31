"""Where checks of the unit tests look from: a stop, a mask, a moment at which the deploy began."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks.base.masking import Masker
from tasks.base.stop import Stop
from tasks.checks import waiting
from tasks.checks.check import Check, Look


@dataclass
class Site:
    """What a run gives to its checks."""

    root: Path = field(default_factory=Path.cwd)
    since: datetime | None = None
    stop: Stop = field(default_factory=lambda: Stop(lambda _: None))
    mask: Masker = field(default_factory=Masker)
    plan: Any = None
    progress: waiting.Progress = field(default_factory=lambda: waiting.Progress(""))

    def look(self, deadline: float) -> Look:
        """One look."""
        return Look("web", "local", self.root, deadline, self.since, self.stop, self.mask, self.plan)

    def wait(self, check: Check) -> waiting.Outcome:
        """Wait for a check."""
        self.progress = waiting.Progress(check.title())
        return waiting.wait(check, self.look, self.progress)
