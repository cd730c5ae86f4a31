"""What a run could not record in the ledger, as a job hands it on: which change each receipt replaces.

Jobs of a generated pipeline hand on files of their own stacks alone, so not what their disk knows of the ledger.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from ..artifact import folder
from ..base import plain
from ..base.errors import LedgerError, RecordError
from ..base.files import read_json
from ..ledger import order
from .result import Status
from .selection import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ..base.jsonvalue import JsonObject
    from ..base.layout import Layout
    from ..ledger.record import Begun, Head, Record
    from .run import Run


@dataclass(frozen=True)
class Unsent:
    """A receipt that is not recorded.

    Args:
        receipt: Its digest.
        outputs: That of the outputs beside it; None where there are none.
        follows: The change that it replaces; None for a stack's first.
        holder: The pipeline that applied it.
        apart: Whether it was applied without the ledger, so that this names no announcement of it.
    """

    receipt: str
    outputs: str | None
    follows: str | None
    holder: str
    apart: bool

    def is_open(self, receipt: JsonObject, held: Record | None, begun: Begun | None) -> bool:
        """Whether the ledger still lacks a receipt: no other run has settled since what became of that apply.

        Args:
            receipt: The receipt.
            held: The ledger's record of the stack.
            begun: The announced apply of the stack that has not ended.
        """
        if self.apart:
            return held is None or not order.is_of(held, receipt)
        is_next = (held.change if held is not None else None) == self.follows
        return is_next and (begun is None or order.ends(begun, receipt, self.holder))


_UNSENT: TypeAdapter[Unsent] = TypeAdapter(Unsent)


def leave(layout: Layout, found: Mapping[str, Unsent]) -> None:
    """Write what is not recorded, by stack.

    Raises:
        RecordError: It cannot be written.
    """
    for stack, item in found.items():
        folder.keep(layout, layout.unrecorded(stack), asdict(item))


def read(layout: Layout, stacks: Collection[str]) -> dict[str, Unsent]:
    """What was handed on of these stacks; what cannot be read is not recorded from here.

    Raises:
        RecordError: The folder is not plain.
    """
    below = layout.relative(layout.unrecorded("x").parent)
    try:
        there = set(plain.files_below(layout.root, below))
    except OSError as error:
        raise RecordError(
            f"cannot read {below}: {error.strerror}", where=below, untouched="nothing was planned or applied"
        ) from None
    found = {}
    for stack in stacks:
        path = layout.unrecorded(stack)
        if layout.relative(path) in there:
            try:
                found[stack] = _UNSENT.validate_python(read_json(path))
            except ValidationError:
                where = layout.relative(path)
                raise RecordError(
                    f"{where} cannot be read",
                    where=where,
                    untouched="nothing was planned or applied",
                    next_step="find out which job wrote it; without it, the stack is planned again",
                ) from None
    return found


def lost(run: Run, head: Head | None, holder: str, is_unrecorded: Callable[[str], bool]) -> list[str]:
    """The stacks that jobs of this pipeline have deployed, as they say, and whose applies are recorded nowhere.

    Args:
        run: The run; only the last one of a generated pipeline knows of all jobs.
        head: The ledger.
        holder: The pipeline.
        is_unrecorded: Whether the ledger lacks the receipt that is here, so that this run records it.
    """
    begun = head.begun if head is not None and run.request.part is Part.REPORT else {}
    results = {stack: run.results.get(f"deploy:{stack}") for stack, item in begun.items() if item.holder == holder}
    return sorted(
        stack for stack, found in results.items()
        if found is not None and found.status is Status.OK and not is_unrecorded(stack)
    )  # fmt: skip


def missing(stacks: Collection[str], where: str) -> LedgerError:
    """The error of a pipeline's last run that was not handed what its jobs could not record."""
    return LedgerError(
        f"not recorded: {', '.join(stacks)}: its job has not handed on what it could not record itself",
        where=where, untouched="what was applied stays applied",
        next_step="retry the job of each of them, then this one: it is planned again",
    )  # fmt: skip
