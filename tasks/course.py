"""What one run has come to: what was selected, what failed besides its tasks, and where that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base.errors import DeployError, ExitCode
from .run.result import Status
from .run.selection import Part

if TYPE_CHECKING:
    from .base.problem import Problem
    from .history.recorder import Recorder
    from .reports.console import Console
    from .run.run import Run

STAGES = ("build", "validate", "plan", "deploy", "verify", "drift")
LOCKING = frozenset({*STAGES, "setup"})  # the commands that hold the environment's lock


class Course:
    """The course of one run.

    Args:
        run: The run.
        console: Where it is shown.

    Attributes:
        named: The selected tasks.
        selected: The selected commands.
        whole: Those of them that were selected for all stacks.
        errors: What failed and belongs to no task, to be shown at the end.
        shown: What failed so, and was shown already.
        history: The run's record; None if it gets none.
    """

    def __init__(self, run: Run, console: Console) -> None:
        self.run, self.console = run, console
        self.named: list[str] = []
        self.selected: set[str] = set()
        self.whole: set[str] = set()
        self.errors: list[Problem] = []
        self.shown: list[Problem] = []
        self.history: Recorder | None = None

    def select(self, names: list[str]) -> None:
        """Note which tasks were selected."""
        self.named = names
        self.selected = {name.partition(":")[0] for name in names}
        self.whole = {name for name in names if ":" not in name and self.run.request.repair is None}

    def fail(self, text: str) -> None:
        """Store doit's own message about a failure, to be printed at the end."""
        summary, *details = text.strip().splitlines() or ["doit failed"]
        self.errors.append(self.run.problem(DeployError(summary, details=details)))

    def exit_code(self) -> ExitCode:
        """The exit code, as far as the run has come."""
        statuses = {item.status for item in self.run.results.values()}
        is_cut = self.run.stop.requested or self.run.output.undelivered
        if self.errors or self.shown or is_cut or statuses & {Status.FAILED, Status.NOT_RUN}:
            return ExitCode.FAILED
        if "drift" not in self.selected:
            return ExitCode.OK
        from . import drift

        drifted = any(drift.alerts(self.run, item) for item in self.run.results.values())
        return ExitCode.DRIFT if drifted else ExitCode.OK

    def notify(self, errors: list[Problem]) -> None:
        """Send notifications; nothing in here changes the outcome."""
        if self.run.project.config.notify and self.selected & set(STAGES) and self.run.request.part is not Part.JOB:
            from .notifications import tell

            tell.tell(self.run, self.selected, errors)
