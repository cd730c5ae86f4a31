"""Divides stacks into jobs, and finds the jobs that each one waits for; independent of the forge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from ...run.assessment import assess_once, may_be_affected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ...project.project import Project
    from ...run.run import Run

_FINER = 20  # shares grow by a twentieth until there are not too many


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
    deployed = [name for name in order if name in concerned or assess_once(run, project.stacks[name]).unfinished]
    deploys = waiting(deployed, project.graph.among(deployed), most)
    plans = (Share(share.label, tuple(name for name in share.stacks if name in planned)) for share in deploys)
    return Shares(tuple(share for share in plans if share.stacks), deploys)


def _shares(names: Sequence[str], most: int) -> Iterator[Share]:
    """One share for each stack, or consecutive stacks together if there would be too many."""
    size = -(-len(names) // most) or 1
    return _labelled([tuple(names[at : at + size]) for at in range(0, len(names), size)])


def _labelled(groups: Sequence[tuple[str, ...]]) -> Iterator[Share]:
    """Groups of stacks as shares: named after their stack where each has only one, else by their number."""
    single = all(len(stacks) == 1 for stacks in groups)
    for number, stacks in enumerate(groups, 1):
        yield Share(stacks[0] if single else f"{number}/{len(groups)}", stacks)


def waiting(names: Sequence[str], needs: Mapping[str, Sequence[str]], most: int) -> tuple[Share, ...]:
    """Shares of stacks that wait for each other, with what each of them waits for.

    Cutting the stacks' order anywhere would make chains, in which every share waits for the one before because of a
    single stack. So stacks that have to do with each other stay together where they fit, and of more than fit, those
    that wait for nothing come first, then those that wait for these, and so on.

    Args:
        names: The stacks, upstreams first.
        needs: Which of them each one waits for.
        most: So many shares at most.
    """
    size = -(-len(names) // most) or 1
    related = list(_related(names, needs)) if size > 1 else []
    groups = list(_packed(related, needs, size)) if related else [(name,) for name in names]
    while len(groups) > most:
        size += -(-size // _FINER)
        groups = list(_packed(related, needs, size))
    shares = list(_labelled(groups))
    holder = {name: share.label for share in shares for name in share.stacks}
    wanted = ({holder[other] for name in share.stacks for other in needs[name]} - {share.label} for share in shares)
    return tuple(replace(share, needs=tuple(sorted(labels))) for share, labels in zip(shares, wanted, strict=True))


def _related(names: Sequence[str], needs: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """The stacks in groups that have nothing to do with each other, each in the given order."""
    neighbours: dict[str, list[str]] = {name: [*needs[name]] for name in names}
    for name in names:
        for other in needs[name]:
            neighbours[other].append(name)
    position = {name: number for number, name in enumerate(names)}
    seen: set[str] = set()
    for name in names:
        if name in seen:
            continue
        seen.add(name)
        found = [name]
        for current in found:
            new = [other for other in neighbours[current] if other not in seen]
            seen.update(new)
            found += dict.fromkeys(new)
        yield sorted(found, key=position.__getitem__)


def _packed(related: Sequence[list[str]], needs: Mapping[str, Sequence[str]], size: int) -> Iterator[tuple[str, ...]]:
    """Groups of so many stacks at most; no two of them wait for each other."""
    room: list[str] = []
    for group in related:
        if len(group) > size:
            waves = _by_wave(group, needs)
            yield from (tuple(waves[at : at + size]) for at in range(0, len(waves), size))
            continue
        if len(room) + len(group) > size:
            yield tuple(room)
            room = []
        room += group
    if room:
        yield tuple(room)


def _by_wave(names: Sequence[str], needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Stacks in the order in which they could all be deployed at once."""
    wave: dict[str, int] = {}
    for name in names:
        wave[name] = 1 + max((wave[upstream] for upstream in needs[name]), default=-1)
    return sorted(names, key=wave.__getitem__)


def _may_become_affected(project: Project, planned: set[str]) -> set[str]:
    """The affected stacks and their dependents, direct and indirect."""
    found = set(planned)
    for name in project.graph.order:
        references = {reference.stack for reference in project.stacks[name].inputs.values()}
        reads = {read.stack for read in project.remote_reads.get(name, ())}
        if found & (references | reads):
            found.add(name)
    return found
