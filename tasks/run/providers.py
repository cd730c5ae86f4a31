"""The providers that an `init` of a stack will take from the cache, as far as its files show."""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..base.files import canonical_json
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
_VERSIONS = re.compile(rb"\brequired_|\bprovider_meta\b|\bencryption\b")
_CHOSEN = re.compile(rb"^\s*provider\s*=\s*(\S+)", re.MULTILINE)
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


def wanted(run: Run, stack: Stack) -> str:
    """The digest of everything in a stack's configuration that an `init` looks at: backend, modules, providers.

    A file that says which versions are required counts as a whole, and so does one in JSON or with errors.
    """
    index, digest = run.project.index, hashlib.sha256()
    for path in run.project.module(stack.name).configuration():
        facts = index.facts(path)
        content = _content(run, path)
        if content is None or facts.broken or path.endswith(".json") or _VERSIONS.search(content):
            digest.update(f"{path}\0{index.digest(path)}\0".encode())
            continue
        calls = [[call.name, call.source, call.arguments.get("version")] for call in facts.calls]
        used = sorted({(match[1] or match[2]).decode() for match in _USED.finditer(content)})
        asked = sorted(match[1].decode(errors="replace") for match in _CHOSEN.finditer(content))
        said = [path, facts.backend, facts.backend_settings, calls, used, asked]
        digest.update(canonical_json(said))
    return digest.hexdigest()


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
        content = _content(run, path)
        if content is None:
            certain = False
            continue
        names |= {(match[1] or match[2]).decode() for match in _USED.finditer(content)}
        if b"required_providers" in content:
            names |= {match[1].decode().rpartition("/")[2] for match in _REQUIRED.finditer(content)}
    return names, certain


def _content(run: Run, path: str) -> bytes | None:
    try:
        with open(run.project.index.absolute(path), "rb") as stream:  # noqa: PTH123 - an indexed path
            return stream.read()
    except OSError:
        return None


def _is_local(source: Expression) -> bool:
    """Whether a module's source is certainly a folder beside: its files are read here too."""
    return source[0] == expressions.LITERAL and str(source[1]).startswith(("./", "../"))
