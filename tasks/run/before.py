"""What has to be true before the first task of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import removed

if TYPE_CHECKING:
    from collections.abc import Collection

    from .run import Run


def require_stacks(run: Run, stages: Collection[str]) -> None:
    """Refuse to succeed if a stage of stacks is selected, but no stack exists.

    Args:
        run: The run.
        stages: The selected stages that are about stacks.

    Raises:
        ConfigError: No stack is found or configured, and `discover: []` is not set.
    """
    project = run.project
    if not stages or project.stacks or not project.config.discover:
        return
    if project.config.stacks:
        run.say(f"every stack is disabled in environment '{project.environment}'")
        return
    for text in removed.lines(run):
        run.say(text)
    raise project.loaded.error(
        f"no stack was found: {', '.join(project.config.discover)} matches no folder with configuration",
        "discover", untouched="nothing was run",
        next_step="fix `discover`; if there should be no stacks, set `discover: []`",
    )  # fmt: skip


def confirm_upstream(run: Run) -> None:
    """Refuse to continue if the upstream's ref has moved.

    Raises:
        UpstreamError: It has moved where it may not.
    """
    settings, base = run.project.config.upstream, run.project.loaded.base
    if settings is not None and base is not None:
        from ..project.overlay import pin

        if note := pin.confirm(run.layout.root, settings, base):
            run.say(note)
