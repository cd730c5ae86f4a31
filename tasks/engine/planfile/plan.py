"""The messages of a saved plan, one value each.

https://github.com/opentofu/opentofu/blob/v1.12.6/internal/plans/internal/planproto/planfile.proto
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from enum import IntEnum
from typing import IO, TYPE_CHECKING, TypeAlias

from .packed import untyped
from .wire import Message, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...base.sealed import Sealed

VERSION = 3
PASSED = 1  # the status of a check that holds
_LARGEST = 1 << 30  # bytes of one part, unpacked
_PLAN = frozenset({1, 2, 3, 4, 13, 14, 15, 17, 18, 19, 20, 21, 22})  # without targets and forced replacements
_RESOURCE = frozenset(range(7, 15))
_CHANGE = frozenset(range(1, 9))
_OUTPUT = frozenset({1, 2, 3})
_CHECK = frozenset({1, 2, 3, 4})
_OBJECT = frozenset({1, 2, 3})


class Action(IntEnum):
    """What is done with a resource or output."""

    NOOP = 0
    CREATE = 1
    READ = 2
    UPDATE = 3
    DELETE = 5
    DELETE_THEN_CREATE = 6
    CREATE_THEN_DELETE = 7
    FORGET = 8
    FORGET_THEN_CREATE = 10


_BEFORE = {  # which of a change's values are the one before and the one after
    Action.NOOP: (0, 0), Action.CREATE: (None, 0), Action.DELETE: (0, None), Action.FORGET: (0, None),
}  # fmt: skip

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class Change:
    """What an action changes: the value before and after, packed, and where they are sensitive.

    `imports` is the id by which it is imported, None where it is not; empty where it is imported by its identity.
    """

    action: Action
    before: bytes | None
    after: bytes | None
    before_sensitive: tuple[Path, ...]
    after_sensitive: tuple[Path, ...]
    imports: str | None
    generated: str


@dataclass(frozen=True)
class ResourceChange:
    """The change of a resource instance; `previous` is its address before it was moved, else empty."""

    address: str
    previous: str
    deposed: str
    provider: str
    change: Change
    replaced_by: tuple[Path, ...]
    reason: int


@dataclass(frozen=True)
class OutputChange:
    """The change of an output of the root module."""

    name: str
    change: Change
    sensitive: bool


@dataclass(frozen=True)
class CheckedObject:
    """What was found of one object that a check is about."""

    address: str
    status: int
    messages: list[str]


@dataclass(frozen=True)
class Check:
    """What was found of everything that a check is about."""

    kind: int
    address: str
    status: int
    objects: list[CheckedObject]


@dataclass(frozen=True)
class SavedPlan:
    """A saved plan: its parts by name, and the messages in it.

    `normal` is False for one that destroys everything, or that only refreshes the state. `relevant` are the resources
    and attributes that its changes may follow from.
    """

    parts: Mapping[str, bytes]
    engine_version: str
    normal: bool
    errored: bool
    variables: Mapping[str, bytes]
    resources: list[ResourceChange]
    drift: list[ResourceChange]
    outputs: list[OutputChange]
    checks: list[Check]
    relevant: list[tuple[str, Path]]

    @property
    def changes_nothing(self) -> bool:
        """Whether it neither changes a resource or an output, nor moves, imports or forgets, nor found any drift.

        What the refresh found besides is in the state that the plan carries.
        """
        return (
            self.normal
            and not (self.errored or self.drift)
            and all(item.change.action is Action.NOOP for item in self.resources)
            and all(item.change.action is Action.NOOP for item in self.outputs)
            and not any(item.previous or item.deposed or item.change.imports is not None for item in self.resources)
            and all(check.status == PASSED for check in self.checks)
        )


def read(plan: Sealed, opened: Callable[[bytes], bytes] | None = None) -> SavedPlan:
    """What is in a saved plan.

    Args:
        plan: The plan.
        opened: Decrypts it, where plans have to be encrypted: then one that is not cannot be read.

    Raises:
        UnreadableError: It is encrypted and should not be, or the other way round, or it is not written as we know it.
    """
    try:
        with _content(plan, opened) as stream, zipfile.ZipFile(stream) as archive:
            if any(part.file_size > _LARGEST for part in archive.infolist()):
                raise UnreadableError("too large")
            parts = {name: archive.read(name) for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise UnreadableError("not a saved plan, or encrypted") from error
    message = Message(parts.get("tfplan", b""), _PLAN)
    if message.number(1) != VERSION:
        raise UnreadableError(f"version {message.number(1)} of saved plans is not known")
    return SavedPlan(
        parts, message.text(14), message.number(17) == 0, bool(message.number(20)),
        {name: _value(value) or b"" for name, value in message.mapping(2).items()},
        [_resource(item) for item in message.all(3)], [_resource(item) for item in message.all(18)],
        [_output(item) for item in message.all(4)], [_check(item) for item in message.all(19)],
        [_relevant(item) for item in message.all(15)],
    )  # fmt: skip


def _content(plan: Sealed, opened: Callable[[bytes], bytes] | None) -> IO[bytes]:
    if opened is None:
        return plan.stream()
    with plan.stream() as stream:
        return io.BytesIO(opened(stream.read(_LARGEST)))


def _resource(data: bytes) -> ResourceChange:
    message = Message(data, _RESOURCE)
    return ResourceChange(
        message.text(13), message.text(14), message.text(7), message.text(8), _change(message.one(9)),
        _paths(message.all(11)), message.number(12),
    )  # fmt: skip


def _output(data: bytes) -> OutputChange:
    message = Message(data, _OUTPUT)
    return OutputChange(message.text(1), _change(message.one(2)), bool(message.number(3)))


def _change(data: bytes | None) -> Change:
    if data is None:
        raise UnreadableError("a change is missing")
    message = Message(data, _CHANGE)
    try:
        action = Action(message.number(1))
    except ValueError:
        raise UnreadableError(f"action {message.number(1)} is not known") from None
    values = [_value(value) for value in message.all(2)]
    before, after = _BEFORE.get(action, (0, 1))
    if any(place is not None and place >= len(values) for place in (before, after)):
        raise UnreadableError("a value is missing")
    importing = message.one(5)
    return Change(
        action, None if before is None else values[before], None if after is None else values[after],
        _paths(message.all(3)), _paths(message.all(4)),
        None if importing is None else Message(importing, frozenset({1, 2})).text(1), message.text(6),
    )  # fmt: skip


def _value(data: bytes) -> bytes | None:
    """A packed value, as a message of its own carries it."""
    return Message(data, frozenset({1})).one(1)


def _relevant(data: bytes) -> tuple[str, Path]:
    message = Message(data, frozenset({1, 2}))
    (path,) = _paths([message.one(2) or b""])
    return message.text(1), path


def _paths(found: list[bytes]) -> tuple[Path, ...]:
    return tuple(
        tuple(_step(Message(step, frozenset({1, 2}))) for step in Message(path, frozenset({1})).all(1))
        for path in found
    )


def _step(message: Message) -> str | int:
    key = message.one(2)
    if key is None:
        return message.text(1)
    found = untyped(_value(key) or b"")
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise UnreadableError("an element of a set is named by itself")
    return found


def _check(data: bytes) -> Check:
    message = Message(data, _CHECK)
    objects = [Message(item, _OBJECT) for item in message.all(4)]
    return Check(
        message.number(1), message.text(2), message.number(3),
        [CheckedObject(item.text(1), item.number(2), item.texts(3)) for item in objects],
    )  # fmt: skip
