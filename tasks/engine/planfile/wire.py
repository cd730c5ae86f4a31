"""Protocol buffers, as far as a saved plan is written in them (https://protobuf.dev/programming-guides/encoding/)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_VARINT, _LENGTH = 0, 2  # the wire types that a plan has; the two fixed ones are not used in it
_LONGEST_VARINT = 10
_CONTINUES, _BITS = 0x80, 0x7F


class UnreadableError(Exception):
    """A plan is not written as we know it, so only the engine can read it."""


class Message:
    """The fields of a message by number.

    Args:
        data: The message.
        known: The fields that it may have. One that is not known may change what the others mean.

    Raises:
        UnreadableError: It is not a message, or it has another field.
    """

    __slots__ = ("_fields",)

    def __init__(self, data: bytes, known: frozenset[int]) -> None:
        self._fields: dict[int, list[int | bytes]] = {}
        for number, value in _fields(data):
            if number not in known:
                raise UnreadableError(f"field {number} is not known")
            self._fields.setdefault(number, []).append(value)

    def number(self, field: int) -> int:
        """A number or flag; 0 where it is not set."""
        found = self._fields.get(field)
        value = found[-1] if found else 0
        if not isinstance(value, int):
            raise UnreadableError(f"field {field} is no number")
        return value

    def all(self, field: int) -> list[bytes]:
        """A repeated field."""
        found = [value for value in self._fields.get(field, ()) if isinstance(value, bytes)]
        if len(found) != len(self._fields.get(field, ())):
            raise UnreadableError(f"field {field} is a number")
        return found

    def one(self, field: int) -> bytes | None:
        """A field that holds a message or bytes; None where it is not set."""
        found = self.all(field)
        return found[-1] if found else None

    def text(self, field: int) -> str:
        """A text; empty where it is not set."""
        return _text(self.one(field) or b"")

    def texts(self, field: int) -> list[str]:
        """A repeated text."""
        return [_text(value) for value in self.all(field)]

    def mapping(self, field: int) -> Mapping[str, bytes]:
        """A map from texts to messages."""
        pairs = [Message(entry, frozenset({1, 2})) for entry in self.all(field)]
        return {pair.text(1): pair.one(2) or b"" for pair in pairs}


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise UnreadableError("a text is not UTF-8") from None


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        value, position = _varint(data, position)
        kind = tag & 7
        if kind == _VARINT:
            yield tag >> 3, value
        elif kind == _LENGTH and position + value <= len(data):
            yield tag >> 3, data[position : position + value]
            position += value
        else:
            raise UnreadableError("not a message")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for place in range(_LONGEST_VARINT):
        if position + place >= len(data):
            break
        byte = data[position + place]
        value |= (byte & _BITS) << (7 * place)
        if not byte & _CONTINUES:
            return value, position + place + 1
    raise UnreadableError("a number is cut off")
