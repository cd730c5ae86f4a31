"""How a run differs as one job of a generated pipeline: it does only its own stacks, and the last job collects results.

`ci=job` and `ci=report` on the command line; the pipelines that `doit ci` writes use them. Jobs share no folder: what
each hands on is in `pipelines/handover`. What existed before the pipeline is handed to every job separately
(`Layout.before`), so that it never overwrites results of jobs, in whatever order a forge unpacks artifacts.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from ..artifact import receipt
from ..base import plain
from ..base.errors import ConfigError, DeployError, RecordError
from ..base.files import LARGEST_RECORD, write_atomic
from ..base.problem import Kind, doit
from . import result as results
from . import selection
from .assessment import assess_once
from .result import Result, Status
from .selection import Part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from doit.task import Task

    from ..base.layout import Layout
    from ..project.stack import Stack
    from .run import Run

_DEPLOY = "deploy"
_STAGES = ("validate", "plan", "deploy", "verify", "drift")
_FIRST = ("validate", "plan")  # the tasks that a deploy of the same stack waits for
_BUILD = "build:"


class NoResultError(DeployError):
    """A job of the pipeline left no result, or an affected stack had no job."""

    kind = Kind.NO_RESULT


def part(text: str | None) -> Part | None:
    """The value of `ci=` on the command line.

    Raises:
        ConfigError: It is neither of the two.
    """
    if text is None:
        return None
    try:
        return Part(text)
    except ValueError:
        step = (
            "`ci=job` in a job for some stacks, `ci=report` in the last job of the pipeline; ",
            doit("ci"),
            " writes both",
        )
        raise ConfigError(f"`ci={text}` is neither `ci=job` nor `ci=report`", next_step=step) from None


def unpack(layout: Layout) -> None:
    """Restore what existed before the pipeline, unless a job has replaced it.

    Raises:
        RecordError: A file cannot be written.
    """
    before = layout.before
    try:
        for path in plain.files_below(layout.base, before.relative_to(layout.base).as_posix()):
            target = layout.base / posixpath.relpath(path, before.relative_to(layout.base).as_posix())
            if path.endswith(".json") and not os.path.lexists(target):
                write_atomic(target, plain.read_below(layout.base, path, LARGEST_RECORD), durable=False)
    except OSError as error:
        raise RecordError(
            f"cannot unpack {layout.relative(before)}: {error.strerror}",
            untouched="nothing was planned or applied",
            next_step="free disk space or make the folder writable, then run the same command again",
        ) from error


def part_from_others(run: Run, all_tasks: dict[str, Task], selected: list[str]) -> None:
    """Remove the work of other jobs from doit's graph.

    A job's deploys only wait for those of the same job: the pipeline makes sure that others have succeeded. The last
    job builds nothing.

    Raises:
        ConfigError: A job was not given particular stacks.
    """
    if run.request.part is Part.REPORT:
        for task in all_tasks.values():
            task.task_dep[:] = [name for name in task.task_dep if not name.startswith(_BUILD)]
        return
    whole = [name for name in selected if name in _STAGES]
    if whole:
        raise ConfigError(
            f"ci=job {whole[0]}: name the stacks of the job",
            untouched="nothing was planned or applied",
            next_step=(doit("ci=job", f"{whole[0]}:STACK"), ", or omit `ci=job` to do everything in one run"),
        )
    for name, needs in run.project.graph.among(selection.stacks(selected, _DEPLOY)).items():
        waits = all_tasks[f"{_DEPLOY}:{name}"].task_dep
        waits[:] = [other for other in waits if not other.startswith(f"{_DEPLOY}:")]
        waits += [f"{_DEPLOY}:{other}" for other in needs]


def handed_over(run: Run, stage: str, name: str) -> bool:
    """Whether this run is the last of a pipeline, and one of its jobs left a result for a task."""
    return run.request.part is Part.REPORT and run.layout.result(stage, name).exists()


def taken_over(run: Run, stage: str, stack: Stack) -> Result:
    """The result of the job that did this task, instead of doing it again.

    Raises:
        NoResultError: No job left a result, although the stack is affected.
    """
    known = results.read(run.layout, stage, stack.name, run.say_once)
    if known is not None:
        if stage == _DEPLOY and known.status is Status.OK:
            run.mark_applied(stack.name)
        return known
    if stage == "validate" or (stage == "plan" and run.asked.deploying):
        return Result(stage, stack.name, Status.UNAFFECTED, "not affected")  # the next stage knows whether it was
    if stage != "drift":
        assessment = assess_once(run, stack)
        if not assessment.affected and not (stage == _DEPLOY and assessment.unfinished):
            return Result(stage, stack.name, Status.UNAFFECTED, "not affected")
    raise NoResultError(
        f"no job of this pipeline left a result for {stage}:{stack.name}",
        untouched="this run only reports what other jobs did",
        next_step=f"check the job of {stack.name}: if it was cancelled or its runner died, retry it, then this one;"
        " if there is no such job, deployments have changed since the pipeline was generated: run the pipeline"
        " again",
    )


def leave(run: Run, selected: Iterable[str]) -> None:
    """Record why a deploy did not happen, because a job only hands on the result of its deploy."""
    for name in sorted(selection.stacks(selected, _DEPLOY)):
        outcome = run.results.get(f"{_DEPLOY}:{name}")
        if outcome is None or outcome.status is not Status.NOT_RUN:
            continue
        causes = [run.results.get(f"{stage}:{name}") for stage in _FIRST] + [run.results.get("_planned")]
        cause = next((found for found in causes if found is not None and found.failed), None)
        if cause is not None:
            results.write(run.layout, replace(cause, stage=_DEPLOY, stack=name, details=None))


def deployed_elsewhere(run: Run, stacks: Iterable[str]) -> set[str]:
    """Those of some stacks that other jobs of the pipeline deployed from this commit."""
    commit = run.revision.commit
    if run.request.part is not Part.JOB or commit is None:
        return set()
    receipts = {name: receipt.read(run.layout, name) for name in stacks}
    return {name for name, last in receipts.items() if last and last.applied and last.commit == commit}
