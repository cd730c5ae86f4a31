"""The inputs digest: everything that can change a stack's plan, each part with a label that says what it is."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.files import canonical_json, sha256_bytes
from ..base.layout import ENGINE_LOCK_FILE
from ..project import variables
from ..project.backend import settings as backend_settings
from . import outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from ..project.hcl.facts import NamedPath
    from ..project.project import Project
    from ..project.stack import Stack

ABSENT = "absent"
_NOT_CONFIGURATION = (".md", ".tfstate", ".tfstate.backup", ".lock.info", ".pyc")
_NO_FILES = ("/proc/", "/sys/", "/dev/")  # what the kernel makes up anew for every reader
_SHOWN = 3


@dataclass(frozen=True)
class Inputs:
    """Labels such as `file stacks/web/main.tf` or `output network.subnet_id`, each with the digest of its content."""

    labels: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Hex SHA-256 over all labels: equal exactly when nothing that can change the plan has changed."""
        return sha256_bytes(canonical_json(dict(self.labels)))


def gather(project: Project, stack: Stack, *, produced: Collection[str] = ()) -> Inputs:
    """The inputs of a stack as they are now; cheap where files are unchanged since they were last read.

    Args:
        project: The project.
        stack: The stack.
        produced: Files that the stack's own applies wrote: they are no inputs.

    Raises:
        ConfigError: A var file is missing, or a setting cannot be filled in.
        RecordError: The outputs of an upstream cannot be read.
    """
    return Inputs(dict(sorted(_labels(project, stack, produced))))


def reasons(
    before: Mapping[str, str], after: Mapping[str, str], why_read: Callable[[str], str | None] = lambda _: None
) -> list[str]:
    """Why two sets of labels differ, in words, the likeliest cause first; `why_read` says why a file counts."""
    changed = [label for label in sorted({*before, *after}, key=_rank) if before.get(label) != after.get(label)]
    words = []
    for label in changed:
        verb = "added" if label not in before else "removed" if label not in after else "changed"
        if after.get(label) == ABSENT:
            verb = "is missing"
        kind, _, path = label.partition(" ")
        why = why_read(path) if kind == "file" else None
        words.append(f"{label} {verb}" + (f" ({why})" if why else ""))
    return words


def summary(words: list[str]) -> str:
    """A list of reasons on one line: the first few, and how many more."""
    more = len(words) - _SHOWN
    return "; ".join(words[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def upstream_labels(project: Project, stack: Stack, among: Collection[str] | None = None) -> dict[str, str]:
    """The labels of the upstream outputs that a stack gets or reads; of some upstreams only where `among` names them.

    Raises:
        RecordError: The outputs of an upstream cannot be read.
    """
    labels = {}
    for variable, reference in stack.inputs.items():
        if among is None or reference.stack in among:
            known = outputs.stored(project.layout, reference.stack) or {}
            found = known.get(reference.output)
            labels[f"output {reference} (variable {variable})"] = found.digest if found else ABSENT
    for read in project.remote_reads.get(stack.name, ()):
        if among is None or read.stack in among:
            known = outputs.stored(project.layout, read.stack) or {}
            names = sorted(known) if read.outputs is None else read.outputs
            digests = {name: known[name].digest if name in known else ABSENT for name in names}
            shown = "any output" if read.outputs is None else "output " + ", ".join(read.outputs)
            labels[f"{shown} of {read.stack} (terraform_remote_state.{read.name})"] = _digest(digests)
    return labels


def written_since(project: Project, stack: Stack, planned: Mapping[str, str]) -> list[str]:
    """The files that a stack's apply wrote: named by its configuration, not as they were planned, not in git.

    They are what the stack makes, not what it is made of, though its configuration names them, or reads them to see
    what is there. A file that git tracks is
    somebody's source, whoever changed it meanwhile. Without git, only a file that was not there before counts.
    """
    found: dict[str, str] = {}
    for named in project.module(stack.name).named:
        found.update(item for item in _files_of(project, named) if item[1] != ABSENT)
    labels = {path: planned.get(f"file {path}", ABSENT) for path in found if f"module {path}" not in planned}
    changed = sorted(path for path, before in labels.items() if before != found[path])
    tracked = project.tracked(changed) if changed else set()
    if tracked is None:
        return [path for path in changed if labels[path] == ABSENT]
    return [path for path in changed if path not in tracked]


def _rank(label: str) -> tuple[int, str]:
    order = ("file", "module", "build", "image", "variable", "output", "var file", "watched")
    return next((index for index, kind in enumerate(order) if label.startswith(kind + " ")), len(order)), label


def _labels(project: Project, stack: Stack, produced: Collection[str]) -> Iterator[tuple[str, str]]:
    module, index = project.module(stack.name), project.index
    own = [*module.files, *variables.automatic_var_files(project, stack)]
    called = [file for files in module.modules.values() for file in files]
    for kind, paths in (("file", own), ("module", called)):
        for path in paths:
            yield f"{kind} {path}", index.digest(path) or ABSENT
    configuration = {*own, *called}
    lock = f"{stack.path}/{ENGINE_LOCK_FILE}"
    if (digest := index.digest(lock)) is not None:
        yield f"lock file {lock}", digest
    for named in module.named:
        for path, digest in _files_of(project, named):
            if path not in configuration and path not in produced:
                yield f"file {path}", digest
    for path in _watched(project, stack):
        yield f"watched file {path}", index.digest(path) or ABSENT
    for position, path in enumerate(variables.var_files(project, stack)):
        yield f"var file {path}", f"{position} {index.digest(path)}"
    for name, value in variables.configured(project, stack).items():
        yield f"variable {name}", _digest(value)
    for name, text in variables.from_environment(project, stack).items():
        yield f"environment variable {name}", _digest(text)
    yield from upstream_labels(project, stack).items()
    if module.unknown:
        where = ", ".join(sorted(module.unknown))
        yield f"any file (one whose name cannot be told is read in {where})", project.tree_digest
    if project.catalog is not None:
        yield from project.catalog.labels(stack).items()
    if (settings := backend_settings(project, stack)) is not None:
        yield "backend settings", _digest(settings)
    yield "engine version", f"{project.config.engine.kind} {project.config.engine.version}"


def _files_of(project: Project, named: NamedPath) -> Iterator[tuple[str, str]]:
    """The files that a named path stands for, with their digests; a file that is read and not there is absent."""
    index, catalog = project.index, project.catalog
    if named.path.startswith(_NO_FILES) or (catalog is not None and catalog.makes(named.path)):
        return  # what a build makes counts by what it is made of
    if not index.is_folder(named.path):
        if not named.read and named.path.endswith(_NOT_CONFIGURATION):
            return
        digest = index.digest(named.path)
        if digest is not None:
            yield named.path, digest
        elif named.read and named.exact:
            yield named.path, ABSENT
        return
    for path in index.meant(named):
        name = posixpath.basename(path)
        if catalog is not None and catalog.makes(path):
            continue
        if not named.read and (name.startswith(".") or name.endswith(_NOT_CONFIGURATION)):
            continue
        if name.endswith((".tfstate", ".tfstate.backup")):
            continue  # what an apply writes is no input of the plan
        if (digest := index.digest(path)) is not None:
            yield path, digest


def _watched(project: Project, stack: Stack) -> Iterator[str]:
    """The files that the `watch` globs match, relative to the repository's root."""
    from pathlib import Path

    for position, pattern in enumerate(stack.settings.watch):
        joined = posixpath.normpath(posixpath.join(stack.path, pattern))
        parts = joined.split("/")
        fixed = next((at for at, part in enumerate(parts) if any(mark in part for mark in "*?[")), len(parts) - 1)
        base = Path(project.root, *parts[:fixed])
        try:
            matches = sorted(base.glob("/".join(parts[fixed:])))
        except (ValueError, NotImplementedError, IndexError) as error:
            message = f"'{pattern}' is not a glob: {error}"
            raise project.loaded.error(message, "stacks", stack.name, "watch", position) from None
        for path in matches:
            if path.is_file():
                found = posixpath.join(*parts[:fixed], path.relative_to(base).as_posix()) if fixed else path.name
                if project.catalog is None or not project.catalog.makes(found):
                    yield found


def _digest(value: object) -> str:
    return sha256_bytes(canonical_json(value))
