"""Which stacks a run checks for drift: its shard, in the order in which they are due, and within its budget."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from ..base.errors import ConfigError, DeployError
from ..base.problem import doit
from ..drifts.rotation import Budget, Shard, in_turn
from . import atonce
from .result import Result, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from doit.task import Task

    from ..ledger.observations import Observations
    from .run import Run

STAGE = "drift"
_PREFIX = f"{STAGE}:"
ELSEWHERE = "; with a ledger, a check in another clone need not wait: it skips only the stacks that are being deployed"
_FOUND = frozenset({Status.OK, Status.DRIFTED, Status.UNDEPLOYED, Status.ADOPTED, Status.FAILED})


class NothingCheckedError(DeployError):
    """A run that was to check for drift checked no stack, so it must not look like a success."""


def shard(text: str | None) -> Shard | None:
    """The value of `shard=` on the command line.

    Raises:
        ConfigError: It is not a shard.
    """
    try:
        return Shard.parse(text) if text is not None else None
    except ValueError as error:
        raise ConfigError(
            str(error), untouched="nothing was checked",
            next_step="write `shard=2/8` for the second of eight parts; the others are `shard=1/8`, ...",
        ) from None  # fmt: skip


def choose(run: Run, tasks: Mapping[str, Task], selected: Collection[str]) -> None:
    """Take the stacks of other shards out of doit's graph, and put the rest in the order in which they are due.

    Raises:
        ConfigError: A shard was asked for in a run that does more than check all stacks for drift, or `--adopt` in one
            that does more than that.
    """
    mine = run.request.shard
    if mine is not None and list(selected) != [STAGE]:
        raise ConfigError(
            f"`shard={mine}` is only for `drift` of all stacks", untouched="nothing was run",
            next_step=(run.command(f"shard={mine}", STAGE), " checks this part"),
        )  # fmt: skip
    adopt = run.request.adopt
    if adopt is not None and (mine is not None or list(selected) not in ([STAGE], [_PREFIX + adopt])):
        raise ConfigError(
            "`--adopt` changes code, so it needs a run of its own: without a shard and without other tasks",
            untouched="nothing was run", next_step=("write ", run.command(STAGE, "--adopt", adopt)),
        )  # fmt: skip
    if STAGE not in selected:
        return
    waits = tasks[STAGE].task_dep
    names = [name.removeprefix(_PREFIX) for name in waits if name.startswith(_PREFIX)]
    if mine is not None:
        names = [name for name in names if mine.has(name)]
    if run.project.config.drift.budget is not None:
        found = _observed(run)
        names = in_turn(names, {name: item.turn for name, item in found.stacks.items()} if found else {})
    waits[:] = [*(name for name in waits if not name.startswith(_PREFIX)), *(_PREFIX + name for name in names)]


def _observed(run: Run) -> Observations | None:
    from . import baseline

    try:
        return baseline.of(run).read()
    except DeployError:  # the end of the run says it
        return None


@contextmanager
def taken(run: Run, stack: str) -> Iterator[Result | None]:
    """Around the check of a stack: yields the result of one that is not checked now, else None.

    With a budget, a check is only begun when its engine process can start, as it must not begin later than that.
    """
    with atonce.turn(run, stack) if run.project.config.drift.budget is not None else nullcontext():
        yield _skipped(run, stack)


def _skipped(run: Run, stack: str) -> Result | None:
    """The result of a stack that is not checked now: it is being deployed, or the budget is used up; else None."""
    deploying = run.recording.deployers.of(stack) if run.recording is not None else None
    if deploying is not None:
        return Result(STAGE, stack, Status.SKIPPED, f"skipped: it is being deployed by {deploying}")
    if not run.once(_budget).begin():
        found = _observed(run)
        last = found.stacks.get(stack) if found else None
        when = f"last checked {last.looked}" if last else "never checked yet"
        text = f"skipped: the budget of {run.project.config.drift.budget:g} s is used up; {when}"
        return Result(STAGE, stack, Status.SKIPPED, text)
    return None


def overtaken(run: Run, result: Result) -> Result:
    """A result; one that differs because another run deployed the stack meanwhile becomes that of a skipped one."""
    differs = result.status in (Status.DRIFTED, Status.UNDEPLOYED)
    if not differs or run.recording is None or not run.recording.deployed_meanwhile(result.stack):
        return result
    return Result(STAGE, result.stack, Status.SKIPPED, "skipped: it was deployed while it was checked")


def _budget(run: Run) -> Budget:
    return Budget(run.project.config.drift.budget, run.started)


def nothing_checked(run: Run) -> NothingCheckedError | None:
    """Why a run that was to check for drift must fail, as it checked nothing. An empty shard of some stacks is fine."""
    results = [result for result in run.results.values() if result.stage == STAGE]
    if any(result.status in _FOUND for result in results):
        return None
    if not results and run.request.shard is not None and run.project.stacks:
        return None
    if any(result.status is Status.NOT_RUN for result in results):
        return None  # it fails anyway, and says why
    why = "every stack was skipped" if results else "there is no stack to check"
    return NothingCheckedError(
        f"nothing was checked for drift: {why}", untouched="nothing was changed",
        next_step="run the same command again later" if results else ("list the stacks: ", doit("list", "--all")),
    )  # fmt: skip
