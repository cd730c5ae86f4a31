"""What a draft leaves to a person, in words: which attribute of what has to become which value, and why it is left."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from ..artifact.changes import HIDDEN, UNKNOWN
from ..base import jsontext
from ..base.masking import MASK
from ..base.text import few
from ..base.valuepath import dotted
from . import hclwrite
from .classes import DriftClass

if TYPE_CHECKING:
    from ..base.jsonvalue import Json
    from ..base.valuepath import Path
    from .classes import Finding

_MOST = 120
_HIDDEN = frozenset({MASK, HIDDEN, UNKNOWN})
_MODULE = re.compile(r"(?P<module>module\..+?)\.(?:data\.)?[A-Za-z][\w-]*\.[A-Za-z_][\w-]*(?:\[.+\])?")
_INSTANCE = re.compile(r"(?P<resource>[^\[]+)\[(?P<key>.+)\]")


class ByHandError(Exception):
    """A difference that has to be taken over by hand; the message says what to do."""


def leave(message: str) -> NoReturn:
    """Leave a difference to a person.

    Raises:
        ByHandError: Always.
    """
    raise ByHandError(message)


def following(found: Finding) -> str:
    """What to say of a change that follows from others and that the code cannot take over; empty for any other."""
    if found.kind is not DriftClass.CHANGED or not found.causes:
        return ""
    return f"{found.address} follows from {few(found.causes, 2)}: fix that first, or deploy it"


def should_be(exists: Json) -> str:
    """What an expression has to become."""
    return (
        "change it so that no difference remains"
        if exists is None
        else f"it has to become {hclwrite.value(exists)[:_MOST]}"
    )


def has_hidden(found: Json) -> bool:
    """Whether a value has parts that are not shown."""
    if isinstance(found, dict):
        return any(map(has_hidden, found.values()))
    if isinstance(found, list):
        return any(map(has_hidden, found))
    return isinstance(found, str) and (found in _HIDDEN or MASK in found)


def of_json(exists: Json, what: str) -> Json:
    """The value that the code's `jsonencode` has to have so that this text exists.

    Raises:
        ByHandError: It is not JSON.
    """
    try:
        if isinstance(exists, str):
            return jsontext.loads(exists)
    except (ValueError, RecursionError):
        pass
    leave(f"{what} is JSON in the code, but not outside; {should_be(exists)}")


def of_state_alone(found: Finding) -> str:
    """What to say of a difference that only the state knows, so that no code can take it over; empty for any other."""
    item = found.item or {}
    if item.get("deposed"):
        return f"{found.address} is left over from a replacement, and no code describes it: a deploy destroys it"
    if item.get("reason") == "replace_because_tainted":
        return (
            f"{found.address} is marked as tainted, which code cannot express: a deploy replaces it; `untaint` keeps it"
        )
    return ""


def of_another_address(address: str, path: Path, exists: Json) -> str:
    """What to say of an instance, or of a resource in a module: the root module's code is not that of it alone.

    Args:
        address: Its address.
        path: What differs in it; empty if it does not exist any more.
        exists: What this is now.
    """
    what = f"{address}.{dotted(path)}" if path else address
    becomes = f"{what} {should_be(exists).replace('it has', 'has', 1)}" if exists is not None else f"{what} is not set"
    if match := _MODULE.fullmatch(address):
        where = f"in the code of {match['module']} or in what its block passes on"
        return f"{becomes}, {where}" if path else f"{address} no longer exists: change that {where}"
    match = _INSTANCE.fullmatch(address)
    if match is None:
        return f"{what}: change its code by hand"
    by_key = match["key"].startswith('"')
    if not path:
        step = f"take {match['key']} out of its `for_each`" if by_key else "lower its `count`, if it was the last one"
        return f"{address} no longer exists: {step}"
    how = "`each.value`" if by_key else "`count.index`"
    return f"{becomes} for this instance alone: the code of {match['resource']} is that of all; let it depend on {how}"
