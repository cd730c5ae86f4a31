"""What readers of a plan must know of deployments: what others deploy now, what is not deployed as it is here."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..base.errors import DeployError
from .assessment import assess_once
from .result import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..artifact.pending import Pending
    from .recorded import Recorded
    from .run import Run


def lines(run: Run, ledger: Recorded) -> Iterator[str]:
    """What to say after a plan, a line each.

    Args:
        run: The run, its plans ended.
        ledger: Its ledger.
    """
    by: dict[str, list[str]] = {}
    for name, label in ledger.deployers.table().items():
        by.setdefault(label, []).append(name)
    for label, names in by.items():
        yield f"being deployed by {label}: {', '.join(sorted(names))}"
    if run.request.base is None:
        return
    planned = {name: found for name in run.project.graph.order if (found := run.results.get(f"plan:{name}"))}
    differing = _pending(run, ledger, planned)
    unaffected = [name for name, found in planned.items() if found.status is Status.UNAFFECTED]
    if names := [name for name in unaffected if name in differing and differing[name].differs]:
        yield f"pending, or newer on the target, and not planned here: {', '.join(names)}"
    if names := sorted({name for item in differing.values() for name in item.without_value}):
        yield f"not compared, as this job has no value for it: {', '.join(names)}"


def _pending(run: Run, ledger: Recorded, names: Iterable[str]) -> dict[str, Pending]:
    """How some stacks differ from what is deployed."""
    found = {}
    for name in names:
        with suppress(DeployError):  # the stack's own task reports it
            found[name] = ledger.by_base.pending(name, assess_once(run, run.project.stacks[name]).inputs)
    return found
