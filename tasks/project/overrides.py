"""Lists how an overlay differs from its upstream: the pin, files replaced and added, keys overridden."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from ..base.layout import ENVIRONMENTS_DIR, PIPELINE_FILE
from .config.explaining import UPSTREAM
from .config.yamlfile import dotted
from .overlay.buildtree import OVERLAY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .config.loading import Loaded
    from .config.yamlfile import Document, KeyPath
    from .project import Project

_MERGED = (PIPELINE_FILE, f"{ENVIRONMENTS_DIR}/")


def lines(project: Project) -> Iterator[str]:
    """The whole list, one line per item; only reads files."""
    base, tree = project.loaded.base, project.tree
    if base is None or tree is None:
        return
    pinned = f"pinned by {base.pinned}" if base.pinned else "not pinned: it is a folder"
    yield f"overlay of {base.shown}, at {base.revision or 'no commit'}, {pinned}"
    for path, same in sorted(tree.replaced.items()):
        if not path.startswith(_MERGED):
            yield f"  replaces  {path}{'  (same content)' if same else ''}"
    added: dict[str, int] = {}
    for stack in project.stacks.values():
        files = [path for path in project.index.configuration(stack.path) if path in tree.files]
        if files and all(tree.files[path] == OVERLAY and path not in tree.replaced for path in files):
            added[stack.path] = len(files)
    yield from (f"  adds      stack {path}" for path in sorted(added))
    own = {path for path, owner in tree.files.items() if owner == OVERLAY and path not in tree.replaced}
    for stack in project.stacks.values():
        inside = sorted(path for path in own if posixpath.dirname(path) == stack.path and stack.path not in added)
        yield from (f"  adds      {path}" for path in inside)
    for key, above, below in keys(project.loaded):
        yield f"  key       {key}  {above} over {below}"


def keys(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Each upstream key that the overlay overrides: the key, its place here, its place in the upstream."""
    lower = [document for document in loaded.documents if document.name.startswith(UPSTREAM)]
    upper = [document for document in loaded.documents if not document.name.startswith(UPSTREAM)]
    found = {}
    for document in upper:
        for path, value in _leaves(document.data, ()):
            for below in reversed(lower):
                stood = _longest(below, path)
                if stood and (stood == path or not isinstance(_at(below.data, stood), dict)):
                    if _at(below.data, path) != value or stood != path:
                        places = (f"{document.name}:{document.lines[path]}", f"{below.name}:{below.lines[stood]}")
                        found[dotted(path)] = places
                    break
    return [(key, *places) for key, places in sorted(found.items())]


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    elif path:
        yield path, value


def _longest(document: Document, path: KeyPath) -> KeyPath:
    """The longest prefix of a key path that a document contains."""
    return next((path[:end] for end in range(len(path), 0, -1) if path[:end] in document.lines), ())


def _at(data: Mapping[str, Any], path: KeyPath) -> Any:
    node: Any = data
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
    return node
