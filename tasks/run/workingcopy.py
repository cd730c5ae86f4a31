"""The receipts and outputs in `.deploy`, as a working copy of the ledger."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

from pydantic import TypeAdapter, ValidationError

from ..artifact import folder
from ..artifact.receipt import Outcome
from ..base.errors import RecordError
from ..base.files import canonical_json, json_bytes, read_json, sha256_bytes, write_json
from ..base.problem import doit
from ..ledger import order, receipts
from ..ledger.machine import Mark  # noqa: TC001 - pydantic reads a memory by it
from . import unsent

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from ..base.jsonvalue import JsonObject
    from ..base.layout import Layout
    from ..ledger.record import Begun, Record


@dataclass(frozen=True)
class Known:
    """A receipt that is in the ledger: its change, and the digest of the copy on this disk at that time."""

    change: str | None
    local: str


@dataclass
class Memory:
    """What this disk knows of a ledger.

    Args:
        clone: A random id of this clone, by which it recognizes its own lease.
        mark: Where the ledger was when it was last read or written.
        stacks: The receipts that matched the ledger.
        apart: Stacks that were applied here without the ledger, and are not recorded yet.
    """

    clone: str = field(default_factory=lambda: secrets.token_hex(8))
    mark: Mark | None = None
    stacks: dict[str, Known] = field(default_factory=dict)
    apart: set[str] = field(default_factory=set)


_MEMORY: TypeAdapter[Memory] = TypeAdapter(Memory)
_REQUIRED = frozenset({"clone", "mark", "stacks"})


class WorkingCopy:
    """The receipts and outputs of one environment on this disk.

    Args:
        layout: Where they are.

    Attributes:
        late: The stacks whose receipts were handed on and cannot be recorded from here, and why.

    Raises:
        RecordError: The record of the ledger cannot be read.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._read: dict[str, receipts.Record | None] | None = None
        self._unrecorded: dict[str, bool] | None = None
        self.late: dict[str, str] = {}
        self._parted: set[str] = set()  # stacks with a receipt and the outputs of another apply
        self._holders: dict[str, str] = {}  # of receipts that were handed on: the pipelines that applied
        self.memory = _remembered(layout)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Read the files of each stack once: all that is asked within counts as one moment, before `fill` writes."""
        self._read, self._unrecorded = {}, {}
        try:
            yield
        finally:
            self._read = self._unrecorded = None

    def save(self) -> None:
        """Save what is known of the ledger, durably.

        Raises:
            RecordError: It cannot be written.
        """
        write_json(self._layout.ledger_memory, _MEMORY.dump_python(self.memory, mode="json"))

    def restart(self) -> None:
        """Forget an earlier ledger, now that a new one was made from what is here."""
        self.memory.mark = None
        self.memory.stacks.clear()
        self.memory.apart.clear()

    def adopt(
        self, stacks: Collection[str], records: Callable[[Iterable[str]], Mapping[str, Record]],
        begun: Mapping[str, Begun],
    ) -> None:  # fmt: skip
        """Take over what jobs could not record and handed on with their receipts, as far as the ledger still lacks it.

        Args:
            stacks: The stacks.
            records: Returns the ledger's records of some stacks.
            begun: The announced applies that have not ended.

        Raises:
            RecordError: What was handed on cannot be read.
        """
        if not (handed := unsent.read(self._layout, stacks)):
            return
        held = records(handed)
        for stack, item in handed.items():
            found, known = self.found(stack), self.memory.stacks.get(stack)
            is_here = found is not None and digest(found.receipt) == item.receipt
            if found is None or not is_here or (known is not None and known.local == item.receipt):
                continue
            if digest(found.outputs) != item.outputs:  # its dependents would be compared with those of another apply
                self.late[stack] = "the outputs beside its receipt are not those of its apply: get them, too"
                self._parted.add(stack)
            elif item.is_open(found.receipt, held.get(stack), begun.get(stack)):
                self.memory.stacks[stack] = Known(item.follows, "")
                self._holders[stack] = item.holder
            elif not (there := held.get(stack)) or not order.is_of(there, found.receipt):
                self.late[stack] = "another run has deployed it since, or begun to"

    def holder(self, stack: str, me: str) -> str:
        """The pipeline that a stack's receipt on this disk is of: the one that handed it on, else that of this run."""
        return self._holders.get(stack, me)

    def found(self, stack: str) -> receipts.Record | None:
        """The receipt and outputs of a stack on this disk; None if nothing was applied.

        Raises:
            RecordError: They cannot be read.
        """
        if self._read is None:
            return self._found(stack)
        if stack not in self._read:
            self._read[stack] = self._found(stack)
        return self._read[stack]

    def _found(self, stack: str) -> receipts.Record | None:
        receipt = read_json(self._layout.receipt(stack))
        if not isinstance(receipt, dict):
            return None
        return receipts.Record(receipt, self._outputs(stack))

    def _outputs(self, stack: str) -> JsonObject | None:
        found = read_json(self._layout.outputs(stack))
        return found if isinstance(found, dict) else None

    def is_unrecorded(self, stack: str) -> bool:
        """Whether the ledger lacks this disk's latest apply or check, because it could not be recorded when it ended.

        Raises:
            RecordError: The receipt cannot be read.
        """
        if self._unrecorded is None:
            return self._is_unrecorded(stack)
        if stack not in self._unrecorded:
            self._unrecorded[stack] = self._is_unrecorded(stack)
        return self._unrecorded[stack]

    def _is_unrecorded(self, stack: str) -> bool:
        known = self.memory.stacks.get(stack)
        if known is None and self.memory.mark is None and stack not in self.memory.apart:
            return False  # older than the ledger, so not trusted; a fresh clone opens no file for it
        found = self.found(stack) if stack not in self._parted else None
        return found is not None and (known is None or digest(found.receipt) != known.local)

    def follows(self, stack: str) -> str | None:
        """The change that the next apply of a stack replaces, as far as this disk knows; None for the first one.

        Raises:
            RecordError: The receipt cannot be read.
        """
        known = self.memory.stacks.get(stack)
        found = self.found(stack) if self.is_unrecorded(stack) else None
        last = found.receipt.get("follows") if found is not None else None
        return last if isinstance(last, str) else known.change if known is not None else None

    def unseen(
        self, stacks: Collection[str], held: Mapping[str, Record], begun: Mapping[str, Begun], holder: str
    ) -> dict[str, list[str]]:
        """The stacks that were deployed both here and elsewhere, with the commits that the ledger has of them.

        Args:
            stacks: The stacks.
            held: The ledger's records of them.
            begun: Those whose apply was announced by a run that ended without finishing it.
            holder: The pipeline of this run.

        Raises:
            RecordError: A receipt cannot be read.
        """
        found = {}
        for stack in stacks:
            here = self.found(stack) if self.is_unrecorded(stack) else None
            if here is None:
                continue
            known = self.memory.stacks.get(stack)
            change = known.change if known is not None else None
            mine = self.holder(stack, holder)
            commits = order.unseen(here.receipt, change, held.get(stack), begun.get(stack), mine)
            if commits is not None:
                found[stack] = commits
        return found

    def fill(
        self, stacks: Collection[str], held: Mapping[str, Record], begun: Mapping[str, Begun], environment: str
    ) -> set[str]:
        """Replace the receipts here by the ledger's, but for those that are not recorded yet; returns these stacks.

        Args:
            stacks: The stacks.
            held: The ledger's records of them.
            begun: Those whose apply was announced by a run that ended without finishing it.
            environment: The environment.

        Raises:
            RecordError: A file cannot be read or written.
        """
        written: dict[Path, bytes] = {}
        unrecorded = {stack for stack in stacks if self.is_unrecorded(stack)}
        for stack in stacks:
            if stack not in unrecorded:
                written.update(self._put(stack, held.get(stack), begun.get(stack), environment))
        folder.keep_all(self._layout, written)  # a fresh clone writes the records of all stacks
        return unrecorded

    def _put(self, stack: str, item: Record | None, mark: Begun | None, environment: str) -> dict[Path, bytes]:
        """Remove what the ledger does not have of a stack that is recorded; returns the files to write for the rest."""
        if item is None and mark is None:
            self._remove(stack)
            return {}
        known, here = self.memory.stacks.get(stack), self.found(stack)
        is_known = item is not None and known is not None and known.change == item.change
        if mark is None and item and here and is_known and order.is_of(item, here.receipt):
            return self._put_back(stack, item, here)  # it was applied here: the local receipt has more than the ledger
        receipt: JsonObject = dict(item.receipt) if item else {}
        if mark is not None:
            receipt = receipts.begun(receipt or None, stack, environment, mark)
            self._take(stack, mark.plan_id)
        elif item is not None:
            self._spend(stack, item)
        before = here.outputs if here is not None else self._outputs(stack)
        wanted = receipts.Record(receipt, dict(item.outputs) if item and item.outputs is not None else None)
        wanted = receipts.working_copy(wanted, before)
        data = canonical_json(wanted.receipt)
        self.memory.stacks[stack] = Known(item.change if item else None, sha256_bytes(data))  # as `digest` says
        written = {self._layout.receipt(stack): data + b"\n"}
        if wanted.outputs is None:
            self._drop(self._layout.outputs(stack))
            return written
        # In this order: a receipt beside the outputs of an earlier apply would call its dependents up to date.
        return {self._layout.outputs(stack): json_bytes(wanted.outputs, readable=False), **written}

    def _put_back(self, stack: str, item: Record, here: receipts.Record) -> dict[Path, bytes]:
        """The outputs of a stack, where those here are no longer the ledger's: a run found others in its state."""
        wanted = receipts.Record({}, dict(item.outputs) if item.outputs is not None else None)
        kept = receipts.working_copy(wanted, here.outputs).outputs
        if kept is None or receipts.agree(wanted, here):
            return {}
        return {self._layout.outputs(stack): json_bytes(kept, readable=False)}

    def _take(self, stack: str, plan: str | None) -> None:
        """Remove a plan that was made before the announced apply: it must never be applied."""
        with suppress(RecordError, AttributeError):
            manifest = read_json(self._layout.manifest(stack))
            if manifest is not None and (plan is None or manifest.get("follows") != plan):
                folder.keep(self._layout, self._layout.claim(stack), {"id": manifest.get("id")})

    def _spend(self, stack: str, item: Record) -> None:
        """Claim a handed-over plan that the ledger's receipt names: nothing on this disk says that it was applied.

        The stack is then as its receipt says, as on the disk that applied it: planned again after a failed apply.
        """
        with suppress(RecordError, AttributeError):
            manifest = read_json(self._layout.manifest(stack))
            if manifest is not None and manifest.get("id") in receipts.plans(item.receipt):
                folder.keep(self._layout, self._layout.claim(stack), {"id": manifest.get("id")})

    def _drop(self, path: Path) -> None:
        try:
            folder.drop(self._layout, path)
        except OSError as error:
            raise RecordError(f"cannot remove {path}: {error.strerror}") from error

    def _remove(self, stack: str) -> None:
        self.memory.stacks.pop(stack, None)
        for path in (self._layout.receipt(stack), self._layout.outputs(stack)):
            self._drop(path)


def _remembered(layout: Layout) -> Memory:
    """What this disk knows of the ledger; nothing without the file.

    Raises:
        RecordError: It is damaged. Without it, an earlier ledger that was put back would not be noticed here.
    """
    path = layout.ledger_memory
    with suppress(RecordError, ValidationError):
        found = read_json(path)
        if found is None and not path.exists():
            return Memory()
        if isinstance(found, dict) and found.keys() >= _REQUIRED:
            return _MEMORY.validate_python(found)
    where = layout.relative(path)
    raise RecordError(
        f"{where} cannot be read; by it, this machine notices a ledger that was put back to an earlier version",
        where=where, untouched="nothing was planned or applied",
        next_step=(
            "restore it; or, once ", doit("audit"), " on another machine says that the ledger is intact, remove it:",
            " receipts that exist only here are then replaced by those in the ledger",
        ),
    )  # fmt: skip


def is_ended(found: receipts.Record) -> bool:
    """Whether a receipt says how its apply ended."""
    return found.receipt.get("outcome") != Outcome.STARTED


@overload
def digest(found: JsonObject) -> str: ...


@overload
def digest(found: JsonObject | None) -> str | None: ...


def digest(found: JsonObject | None) -> str | None:
    """Hex SHA-256 over a receipt or outputs on this disk; None without them."""
    return sha256_bytes(canonical_json(found)) if found is not None else None
