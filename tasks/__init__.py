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
            from . import replay

            replay.answer()
            from .start import doit_config

            return doit_config(_run())
        except KeyboardInterrupt:  # before our handler exists: nothing was started, and a traceback would not help
            raise SystemExit("stopped before anything was started") from None
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _run() -> Run:
    from .start import start

    return start()


def task_setup() -> Iterator[dict[str, Any]]:
    """Install the engine."""
    from . import setup

    return setup.tasks(_run())


def task_build() -> Iterator[dict[str, Any]]:
    """Make builds and images."""
    from . import build

    return build.tasks(_run())


def task_validate() -> Iterator[dict[str, Any]]:
    """Validate."""
    from . import validate

    return validate.tasks(_run())


def task_plan() -> Iterator[dict[str, Any]]:
    """Plan."""
    from . import deploy, plan

    return plan.tasks(_run(), deploy.plan_or_accept)


def task__planned() -> dict[str, Any]:
    """The barrier: all plans before any apply."""
    from . import deploy

    return deploy.barrier(_run())


def task_deploy() -> Iterator[dict[str, Any]]:
    """Deploy."""
    from . import deploy

    return deploy.tasks(_run())


def task_verify() -> Iterator[dict[str, Any]]:
    """Verify."""
    from . import verify

    return verify.tasks(_run())


def task_drift() -> Iterator[dict[str, Any]]:
    """Drift."""
    from . import drift

    return drift.tasks(_run())


def task_status() -> Iterator[dict[str, Any]]:
    """Status."""
    from . import status

    return status.tasks(_run())


def task_graph() -> Iterator[dict[str, Any]]:
    """Graph."""
    from . import graph

    return graph.tasks(_run())


def task_ci() -> Iterator[dict[str, Any]]:
    """Generate a pipeline."""
    from . import ci

    return ci.tasks(_run())


def task_log() -> Iterator[dict[str, Any]]:
    """Log."""
    from . import log

    return log.tasks(_run())


def task_audit() -> Iterator[dict[str, Any]]:
    """Audit."""
    from . import audit

    return audit.tasks(_run())


def task_ledger() -> Iterator[dict[str, Any]]:
    """Ledger."""
    from . import upkeep

    return upkeep.tasks(_run())


def task_notify_test() -> Iterator[dict[str, Any]]:
    """Test the notifications."""
    from . import notify

    return notify.tasks(_run())


def task_publish() -> Iterator[dict[str, Any]]:
    """Publish."""
    from .history import publish

    return publish.tasks(_run())
