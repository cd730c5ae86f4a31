"""The settings of a remote state: one set per possible configuration."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from . import values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .values import Values


def ways(config: values.Alternative) -> Iterator[dict[str, str | None] | None]:
    """The settings that a backend may have; None for a setting, or for all, that is not known."""
    if not isinstance(config, values.Fields) or config.other:
        yield None
        return
    known = {name: found for name, found in _leaves(config) if found != (None,)}
    texts = [[values.text_of(item) for item in found] for found in known.values()]
    for way in itertools.islice(itertools.product(*texts), values.MOST):
        yield dict(zip(known, way, strict=True))


def _leaves(config: values.Fields, before: str = "") -> Iterator[tuple[str, Values]]:
    """What stands in an object and in the objects in it, with dotted names."""
    for name, found in config.pairs:
        if len(found) == 1 and isinstance(found[0], values.Fields) and not found[0].other:
            yield from _leaves(found[0], f"{before}{name}.")
        else:
            yield before + name, found
