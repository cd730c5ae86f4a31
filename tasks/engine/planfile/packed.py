"""The engine's values in MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), as JSON values.

A value whose type a schema says is written without it; any other is a pair of its type and itself.
https://github.com/zclconf/go-cty/blob/main/docs/serialization.md
"""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from ...base import jsontext
from .wire import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Packed: TypeAlias = "bool | int | float | Decimal | str | bytes | Unknown | list[Packed] | dict[str, Packed] | None"
CtyType: TypeAlias = "str | Sequence[CtyType] | Mapping[str, CtyType]"  # as JSON has types: ["list", "string"]


class Unknown:
    """A value that will be known after the apply."""


UNKNOWN: Final = Unknown()
DYNAMIC: Final = "dynamic"
_PAIR = 2  # a type and a value
_FIXED = {  # the head of a number: its form and its size
    0xCA: (">f", 4), 0xCB: (">d", 8), 0xCC: (">B", 1), 0xCD: (">H", 2), 0xCE: (">I", 4), 0xCF: (">Q", 8),
    0xD0: (">b", 1), 0xD1: (">h", 2), 0xD2: (">i", 4), 0xD3: (">q", 8),
}  # fmt: skip
_SIZED = {  # the head of what has a size: what it is, and the size of its size
    0xC4: ("bin", 1), 0xC5: ("bin", 2), 0xC6: ("bin", 4), 0xC7: ("ext", 1), 0xC8: ("ext", 2), 0xC9: ("ext", 4),
    0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4), 0xDC: ("array", 2), 0xDD: ("array", 4),
    0xDE: ("map", 2), 0xDF: ("map", 4),
}  # fmt: skip
_FIXED_EXT = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_CONSTANTS: dict[int, bool | None] = {0xC0: None, 0xC2: False, 0xC3: True}
_UNKNOWNS = (0, 12)  # the extensions: unknown, and unknown of which something is known


def decode(data: bytes, kind: CtyType = DYNAMIC) -> Packed:
    """A value of a type; numbers as `jsontext` reads them, sets as lists, `UNKNOWN` where it is not known.

    Raises:
        UnreadableError: It is not such a value.
    """
    return typed(untyped(data), kind)


def untyped(data: bytes) -> Packed:
    """A value as it is written, whatever its type is.

    Raises:
        UnreadableError: It is no value.
    """
    reader = _Reader(data)
    try:
        value = reader.value()
    except (IndexError, struct.error, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError("a value is cut off") from error
    if reader.position != len(data):
        raise UnreadableError("more than one value")
    return value


def typed(value: Packed, kind: CtyType) -> Packed:
    """A value as its type has it: a number that no float holds is written as a text.

    Raises:
        UnreadableError: It is not of this type.
    """
    if isinstance(value, list) and len(value) == _PAIR and isinstance(value[0], bytes):
        return typed(value[1], _type(value[0]))
    if value is None or value is UNKNOWN:
        return value
    if isinstance(kind, str):
        return _primitive(value, kind)
    name, inside = kind[0], kind[1]  # type: ignore[index] # a list of two or three
    if name == "map" and isinstance(value, dict):
        return {key: typed(item, inside) for key, item in value.items()}
    if name == "object" and isinstance(value, dict) and isinstance(inside, dict) and value.keys() == inside.keys():
        return {key: typed(item, inside[key]) for key, item in value.items()}
    if name in ("list", "set") and isinstance(value, list):
        return [typed(item, inside) for item in value]
    if name == "tuple" and isinstance(value, list) and isinstance(inside, list) and len(inside) == len(value):
        return [typed(item, each) for item, each in zip(value, inside, strict=True)]
    raise UnreadableError(f"a value is not the {name} that it should be")


def _primitive(value: Packed, kind: str) -> Packed:
    if kind == "number" and isinstance(value, int | float | str) and not isinstance(value, bool):
        return _number(value)
    if (kind == "string" and isinstance(value, str)) or (kind == "bool" and isinstance(value, bool)):
        return value
    raise UnreadableError(f"a value is not the {kind} that it should be")


def _number(value: float | str) -> int | float | Decimal:
    """A number as JSON has it: whole ones without a point."""
    if isinstance(value, int):
        return value
    exact = Decimal(value if isinstance(value, str) else repr(value))
    if not exact.is_finite():
        raise UnreadableError("a number is infinite")
    found = jsontext.loads(format(exact, "f"))
    if isinstance(found, float) and found.is_integer():
        return int(exact)
    if isinstance(found, int | float | Decimal):
        return found
    raise UnreadableError("not a number")


def _type(text: bytes) -> CtyType:
    try:
        found = cast("CtyType", jsontext.loads(text))
    except ValueError:
        raise UnreadableError("a type is not JSON") from None
    return found


class _Reader:
    """Reads values one after the other.

    Args:
        data: The values.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def value(self) -> Packed:
        """The next value."""
        head = self._data[self.position]
        self.position += 1
        if head <= 0x7F:  # noqa: PLR2004 - the heads are numbers in the specification, too
            return head
        if head >= 0xE0:  # noqa: PLR2004
            return head - 0x100
        if head <= 0x8F:  # noqa: PLR2004
            return self._map(head & 0x0F)
        if head <= 0x9F:  # noqa: PLR2004
            return [self.value() for _ in range(head & 0x0F)]
        if head <= 0xBF:  # noqa: PLR2004
            return self._take(head & 0x1F).decode()
        if head in _CONSTANTS:
            return _CONSTANTS[head]
        if head in _FIXED:
            form, size = _FIXED[head]
            number: int | float = struct.unpack(form, self._take(size))[0]
            return number
        if head in _FIXED_EXT:
            return self._extension(_FIXED_EXT[head])
        if head in _SIZED:
            return self._sized(*_SIZED[head])
        raise UnreadableError("not a value")

    def _sized(self, kind: str, width: int) -> Packed:
        size = int.from_bytes(self._take(width), "big")
        match kind:
            case "str":
                return self._take(size).decode()
            case "bin":
                return self._take(size)
            case "array":
                return [self.value() for _ in range(size)]
            case "map":
                return self._map(size)
        return self._extension(size)

    def _map(self, size: int) -> dict[str, Packed]:
        found: dict[str, Packed] = {}
        for _ in range(size):
            key = self.value()
            if not isinstance(key, str):
                raise UnreadableError("a key is not a text")
            found[key] = self.value()
        return found

    def _extension(self, size: int) -> Unknown:
        kind = self._take(1)[0]
        self._take(size)
        if kind not in _UNKNOWNS:
            raise UnreadableError(f"extension {kind} is not known")
        return UNKNOWN

    def _take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._data):
            raise IndexError
        found = self._data[self.position : end]
        self.position = end
        return found
