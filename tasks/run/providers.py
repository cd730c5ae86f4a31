"""The providers that an `init` of a stack will take from the cache, as far as its files show."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..base.layout import ENGINE_LOCK_FILE
from ..engine import providercache
from ..project.hcl import expressions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..engine.command import Context
    from ..project.hcl.expressions import Expression
    from ..project.stack import Stack
    from .run import Run

_USED = re.compile(
    rb'^\s*(?:resource|data|ephemeral)\s+"(?!terraform_)([a-z0-9-]+)|^\s*provider\s+"([^"]+)"', re.MULTILINE
)
_REQUIRED = re.compile(rb'\bsource\s*=\s*"([^"./][^"]*)"')


@contextlib.contextmanager
def at_hand(run: Run, stack: Stack, where: Context) -> Iterator[Context]:
    """The context for an `init`: no other one fills the provider cache at the same time, if this one needs it.

    Raises:
        StoppedError: The run was asked to stop while it waited.
        EngineError: The cache cannot be written.
    """
    names, certain = _needed(run, stack)
    if not names and certain:
        yield where
        return
    locked = providercache.locked_providers(where.folder / ENGINE_LOCK_FILE)
    known = certain and names <= {name.split("/")[2] for name in locked}
    with run.engine().providers.filled(locked if known else ()) as descriptors:
        yield replace(where, descriptors=(*where.descriptors, *descriptors))
        providercache.link_directly(where.data_dir / "providers")


def are_there(where: Context) -> bool:
    """Whether a stack's data directory has every provider that its lock file names."""
    return not providercache.missing(
        where.data_dir / "providers", providercache.locked_providers(where.folder / ENGINE_LOCK_FILE)
    )


def _needed(run: Run, stack: Stack) -> tuple[set[str], bool]:
    """The types of the providers that a stack's files name, and whether there can be no others."""
    index, names, certain = run.project.index, set(), True
    for path in run.project.module(stack.name).configuration():
        certain &= not path.endswith(".json")
        certain &= all(call.source is None or _is_local(call.source) for call in index.facts(path).calls)
        try:
            with open(index.absolute(path), "rb") as stream:  # noqa: PTH123 - an indexed path
                content = stream.read()
        except OSError:
            certain = False
            continue
        names |= {(match[1] or match[2]).decode() for match in _USED.finditer(content)}
        if b"required_providers" in content:
            names |= {match[1].decode().rpartition("/")[2] for match in _REQUIRED.finditer(content)}
    return names, certain


def _is_local(source: Expression) -> bool:
    """Whether a module's source is certainly a folder beside: its files are read here too."""
    return source[0] == expressions.LITERAL and str(source[1]).startswith(("./", "../"))
