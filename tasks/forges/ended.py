"""Asks the forge whether the pipeline that holds the ledger's lease has ended or is at work: may another have it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import DeployError
from . import connect, place

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..ledger.holder import Pipeline
    from ..run.run import Run
    from .client import Client


def has_ended(run: Run, pipeline: Pipeline) -> bool:
    """Whether the forge says that a pipeline has ended; false, with a line that says why, without a clear answer.

    Only a clear answer counts: an error, a pipeline that the forge does not know, or a state that it may leave again
    by itself could be those of a pipeline that still applies.

    Args:
        run: The run that asks.
        pipeline: A pipeline of any project.
    """
    return _said(run, pipeline, lambda client: client.has_ended(pipeline.id))


def is_running(run: Run, pipeline: Pipeline) -> bool:
    """Whether the forge says that a pipeline is at work; false, with a line that says why, without a clear answer."""
    return _said(run, pipeline, lambda client: client.is_running(pipeline.id))


def _said(run: Run, pipeline: Pipeline, ask: Callable[[Client], bool]) -> bool:
    settings = run.project.config.forge
    here = place.find(settings)
    if here is None or (here.kind, here.own) != (pipeline.forge, pipeline.project):
        return False
    if not here.token:
        run.say_once(
            f"the forge cannot be asked whether pipeline {pipeline.id} has ended: {here.token_name} is not set"
        )
        return False
    try:
        return ask(connect.connect(here, seconds=settings.timeout, wait=run.stop.wait))
    except DeployError as error:
        run.say_once(f"it is not known whether pipeline {pipeline.id} has ended: {run.problem(error).summary}")
        return False
