"""Divides stacks into jobs, and finds the jobs that each one waits for; independent of the forge."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ...run.assessment import assess_once, may_be_affected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...project.project import Project
    from ...run.run import Run


class Purpose(StrEnum):
    """What a pipeline is for."""

    PLAN = "plan"
    DEPLOY = "deploy"
    DRIFT = "drift"


@dataclass(frozen=True)
class Share:
    """The stacks of one job, upstreams first; `needs` are the labels of the shares that are deployed before it."""

    label: str
    stacks: tuple[str, ...]
    needs: tuple[str, ...] = ()

    def tasks(self, stage: str) -> str:
        """Its tasks, as arguments of doit."""
        return " ".join(f"{stage}:{name}" for name in self.stacks)


@dataclass(frozen=True)
class Shares:
    """All jobs of a pipeline: those that plan, or look for drift, and those that deploy. Equal labels, equal stacks."""

    plans: tuple[Share, ...]
    deploys: tuple[Share, ...] = ()


def spread(run: Run, purpose: Purpose, most: int) -> Shares:
    """Divide the work into jobs.

    A stack that is not affected yet, and gets or reads outputs of one that is, may become so: it has a deploy and no
    plan. One that is deployed and whose checks have not passed has a deploy too.
    One of which that cannot be told is planned: its job says why.

    Args:
        run: The run; its receipts, or its base, say what is affected.
        purpose: What the pipeline is for.
        most: So many shares that plan, and that deploy, at most.
    """
    project = run.project
    order = project.graph.order
    if purpose is Purpose.DRIFT:
        return Shares(tuple(_shares(order, most)))
    planned = {name for name in order if may_be_affected(run, project.stacks[name])}
    if purpose is Purpose.PLAN:
        return Shares(tuple(_shares([name for name in order if name in planned], most)))
    concerned = _may_become_affected(project, planned)
    deployed = [name for name in order if name in concerned or assess_once(run, project.stacks[name]).unverified]
    deploys = tuple(_waiting(project, list(_shares(deployed, most))))
    plans = (Share(share.label, tuple(name for name in share.stacks if name in planned)) for share in deploys)
    return Shares(tuple(share for share in plans if share.stacks), deploys)


def _shares(names: Sequence[str], most: int) -> Iterator[Share]:
    """One share for each stack, or consecutive stacks together if there would be too many.

    Consecutive in the graph's order, so that no two shares wait for each other.
    """
    size = -(-len(names) // most) or 1
    count = -(-len(names) // size)
    for number in range(count):
        stacks = tuple(names[number * size : (number + 1) * size])
        yield Share(stacks[0] if size == 1 else f"{number + 1}/{count}", stacks)


def _waiting(project: Project, shares: list[Share]) -> Iterator[Share]:
    """The shares with what each of them waits for."""
    holder = {name: share.label for share in shares for name in share.stacks}
    needs = project.graph.among(holder)
    for share in shares:
        wanted = {holder[other] for name in share.stacks for other in needs[name]} - {share.label}
        yield Share(share.label, share.stacks, tuple(sorted(wanted)))


def _may_become_affected(project: Project, planned: set[str]) -> set[str]:
    """The affected stacks and their dependents, direct and indirect."""
    found = set(planned)
    for name in project.graph.order:
        references = {reference.stack for reference in project.stacks[name].inputs.values()}
        reads = {read.stack for read in project.remote_reads.get(name, ())}
        if found & (references | reads):
            found.add(name)
    return found
