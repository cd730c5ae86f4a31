"""The settings of a remote state: one set per possible configuration."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from . import values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .values import Values


def ways(config: values.Alternative) -> Iterator[dict[str, str | None] | None]:
    """The possible settings of a backend; None for an unknown setting, or if none is known."""
    if not isinstance(config, values.Fields) or config.other:
        yield None
        return
    known = {name: found for name, found in _leaves(config) if found != (None,)}
    texts = [[values.text_of(item) for item in found] for found in known.values()]
    for way in itertools.islice(itertools.product(*texts), values.MOST):
        yield dict(zip(known, way, strict=True))


def _leaves(config: values.Fields, before: str = "") -> Iterator[tuple[str, Values]]:
    """The values in an object and its nested objects, with dotted names."""
    for name, found in config.pairs:
        if len(found) == 1 and isinstance(found[0], values.Fields) and not found[0].other:
            yield from _leaves(found[0], f"{before}{name}.")
        else:
            yield before + name, found
