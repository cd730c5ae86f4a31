"""The address of a resource instance, taken apart; addresses are ordered as the engine orders them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from ...base import jsontext
from .wire import UnreadableError

_STEP = re.compile(r'([^.\[\]"]+)(?:\[(?:(\d+)|("(?:[^"\\]|\\.)*"))\])?(?:\.|$)')
_MODES = {"data": "data", "ephemeral": "ephemeral"}

_Key = tuple[int, int, str]  # none, a number or a text, in this order


@dataclass(frozen=True)
class Address:
    """The parts of an address."""

    modules: tuple[tuple[str, _Key], ...]
    mode: str
    type: str
    name: str
    key: _Key

    @cached_property
    def rank(self) -> tuple[int, tuple[tuple[str, _Key], ...], bool, str, str, _Key]:
        """What the engine orders instances by: shallow modules and data sources first."""
        return len(self.modules), self.modules, self.mode != "data", self.type, self.name, self.key


def parse(text: str) -> Address:
    """The parts of an address: `module.a["x"].data.aws_ami.it[0]`.

    Raises:
        UnreadableError: It is not an address.
    """
    steps: list[tuple[str, _Key]] = []
    position = 0
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None:
            raise UnreadableError("not an address")
        steps.append((found[1], _key(found[2], found[3])))
        position = found.end()
    modules = []
    while len(steps) > 1 and steps[0][0] == "module":
        modules.append(steps[1])
        del steps[:2]
    mode = _MODES.get(steps[0][0], "managed") if steps else ""
    if mode != "managed":
        del steps[:1]
    if len(steps) != 2:  # noqa: PLR2004 - a type and a name
        raise UnreadableError("not an address of a resource")
    return Address(tuple(modules), mode, steps[0][0], *steps[1])


def _key(number: str | None, text: str | None) -> _Key:
    if number is not None:
        return 1, int(number), ""
    if text is None:
        return 0, 0, ""
    try:
        return 2, 0, str(jsontext.loads(text)).replace("$${", "${").replace("%%{", "%{")
    except ValueError:
        return 2, 0, text
