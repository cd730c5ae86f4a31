"""doit-tofu: validate, plan, deploy, verify and drift-check OpenTofu stacks, as a doit task graph.

A repository's `dodo.py` is one line, `from doit_tofu import *`; what it gets is doit's configuration and the task
creators below. Nothing is read at import: the star fetches `DOIT_CONFIG`, and that loads the project.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .run.run import Run

    DOIT_CONFIG: dict[str, Any]
    from .run.taskdict import TaskDict

__all__ = [
    "DOIT_CONFIG",
    "task__planned",
    "task_audit",
    "task_build",
    "task_ci",
    "task_deploy",
    "task_drift",
    "task_graph",
    "task_ledger",
    "task_log",
    "task_notify_test",
    "task_plan",
    "task_publish",
    "task_restore",
    "task_setup",
    "task_status",
    "task_validate",
    "task_verify",
]


def __getattr__(name: str) -> Any:
    if name == "declare_variables":
        from .run.commandline import declare_variables

        return declare_variables
    if name == "DOIT_CONFIG":
        try:
            import gc

            # What is made from here on, modules and then tasks, lives as long as the run: collecting garbage again and
            # again would take a tenth of a run that has nothing to do.
            gc.freeze()
            gc.set_threshold(50_000, 20, 50)
            run = _run()
            from .start import doit_config

            return doit_config(run)
        except KeyboardInterrupt:  # before our handler exists: nothing was started, and a traceback would not help
            raise SystemExit("stopped before anything was started") from None
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _run() -> Run:
    from . import replay

    standing = replay.answer()  # ends the process, mostly, and then nothing else is imported
    from .start import start

    return start(standing)


def _is_wanted(name: str) -> bool:
    from .wanted import is_wanted

    return is_wanted(name)


def task_setup() -> Iterator[TaskDict]:
    """Install the engine."""
    if _is_wanted("setup"):
        from . import setup

        yield from setup.tasks(_run())


def task_build() -> Iterator[TaskDict]:
    """Make builds and images."""
    if _is_wanted("build"):
        from . import build

        yield from build.tasks(_run())


def task_validate() -> Iterator[TaskDict]:
    """Validate."""
    if _is_wanted("validate"):
        from . import validate

        yield from validate.tasks(_run())


def task_plan() -> Iterator[TaskDict]:
    """Plan."""
    if _is_wanted("plan"):
        from . import deploy, plan

        yield from plan.tasks(_run(), deploy.plan_or_accept)


def task__planned() -> Iterator[TaskDict]:
    """The barrier: all plans before any apply."""
    if _is_wanted("_planned"):
        from . import deploy

        yield deploy.barrier(_run())


def task_deploy() -> Iterator[TaskDict]:
    """Deploy."""
    if _is_wanted("deploy"):
        from . import deploy

        yield from deploy.tasks(_run())


def task_verify() -> Iterator[TaskDict]:
    """Verify."""
    if _is_wanted("verify"):
        from . import verify

        yield from verify.tasks(_run())


def task_drift() -> Iterator[TaskDict]:
    """Drift."""
    if _is_wanted("drift"):
        from . import drift

        yield from drift.tasks(_run())


def task_status() -> Iterator[TaskDict]:
    """Status."""
    if _is_wanted("status"):
        from . import status

        yield from status.tasks(_run())


def task_graph() -> Iterator[TaskDict]:
    """Graph."""
    if _is_wanted("graph"):
        from . import graph

        yield from graph.tasks(_run())


def task_ci() -> Iterator[TaskDict]:
    """Generate a pipeline."""
    if _is_wanted("ci"):
        from . import ci

        yield from ci.tasks(_run())


def task_log() -> Iterator[TaskDict]:
    """Log."""
    if _is_wanted("log"):
        from . import log

        yield from log.tasks(_run())


def task_audit() -> Iterator[TaskDict]:
    """Audit."""
    if _is_wanted("audit"):
        from . import audit

        yield from audit.tasks(_run())


def task_ledger() -> Iterator[TaskDict]:
    """Ledger."""
    if _is_wanted("ledger"):
        from . import upkeep

        yield from upkeep.tasks(_run())


def task_restore() -> Iterator[TaskDict]:
    """Put a state back."""
    if _is_wanted("restore"):
        from . import restore

        yield from restore.tasks(_run())


def task_notify_test() -> Iterator[TaskDict]:
    """Test the notifications."""
    if _is_wanted("notify-test"):
        from . import notify

        yield from notify.tasks(_run())


def task_publish() -> Iterator[TaskDict]:
    """Publish."""
    if _is_wanted("publish"):
        from .history import publish

        yield from publish.tasks(_run())
