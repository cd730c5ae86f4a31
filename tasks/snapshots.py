"""Keeps the answer of a run that changed nothing, with the stamps of all that it rests on, for `replay`.

What a snapshot cannot prove has none: then the next run finds its answer as this one did.
"""

from __future__ import annotations

import posixpath
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from . import replay, standings, wanted
from .artifact import snapshot, stamps, standing
from .artifact.inputs import InputKind
from .artifact.snapshot import Snapshot
from .base import ci, git, plain
from .base.errors import DeployError
from .forges import place as places
from .run import doitdb
from .run.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .artifact.affected import Assessment
    from .base.jsonvalue import Json
    from .project.project import Project
    from .run.run import Run

_TOOK = re.compile(r"\(\d+\.\d s\)((?:\x1b\[[0-9;]*m)*\n)\Z")
_UNPROVEN = frozenset({InputKind.ANY_FILE, InputKind.OBSERVED})
_LONGEST = 1 << 22  # characters of an answer
_LARGEST = 1 << 26  # bytes of a report
_COARSE_NS = 20_000_000  # the clock of the file system may be so much behind ours


def keep(run: Run, record: Mapping[str, Json] | None) -> None:
    """Keep the answer of a run that has ended well; what prevents that only costs the next run time.

    Args:
        run: The run, all of whose output was printed.
        record: The run's record, where there is one.
    """
    path = replay.place(run.layout.root)
    if path is None or run.output.written is None:
        return
    showing = sys.argv[-1] == "status"
    said = "".join(run.output.written)
    took = None if showing else _TOOK.search(said)
    if len(said) > _LONGEST or not (showing or (took and _did_nothing(run))) or any(_unproven(run)):
        return
    if doitdb.ignores(run.layout.records):
        return
    with suppress(stamps.OddError, DeployError, OSError, ValueError):
        listed = _listed(run)
        each = standings.of(run, listed) if showing else {}
        listed += standings.missing(each, listed)
        read = stamps.read(listed)
        if not stamps.settled(listed, read, replay.began(), {run.layout.relative(run.layout.overview)}):
            return
        kept, environment = run.project.config.history, run.project.environment
        found = Snapshot(
            environment=environment,
            names=stamps.names(environment),
            paths=listed,
            stamps=read,
            said=said[: took.start()] if took else said,
            ending=took[1] if took else None,
            reports=_reports(run),
            record=dict(record) if record else None,
            kept=(kept.keep, kept.days),
            locking=not showing,
            database=stamps.read([str(run.layout.records)]).tolist(),
            standing=standing.encode(standings.certain(each, listed, read), listed) if each else b"",
        )
        snapshot.save(path, found)


def _did_nothing(run: Run) -> bool:
    found = run.results.values()
    return bool(found) and all(item.status is Status.UNAFFECTED and item.stage != "build" for item in found)


def _reports(run: Run) -> dict[str, bytes]:
    """The reports that this run has written."""
    folder = run.layout.reports
    files = folder.iterdir() if folder.is_dir() else ()
    young = [path for path in files if path.lstat().st_mtime_ns >= replay.began() - _COARSE_NS]
    return {path.name: plain.read(path, _LARGEST) for path in young}


def _listed(run: Run) -> list[str]:
    """Every file and folder that the answer may rest on.

    Raises:
        OddError: The stamp of one proves too little.
    """
    skipped: set[str] = set()

    def skip(folders: list[str]) -> set[str]:
        skipped.update(git.ignored(run.layout.root, folders))
        return skipped

    files = stamps.tree(skip)
    if skipped and any(_reads_installed(run, skipped)):
        raise stamps.OddError(min(skipped))
    records = stamps.records(run.project.environment)
    excludes = git.excludes_file(run.layout.root)
    return [*files, *stamps.of_git(), *([excludes] if excludes else []), *records]


def _unproven(run: Run) -> Iterator[bool]:
    """What an answer may rest on that no stamp proves: the ledger, a forge, programs, a key that verifies files."""
    project = run.project
    config = project.config
    yield run.ages
    yield run.recording is not None or config.ledger != "none"
    yield run.baseline is not None or (config.deploy.tag is not None and run.asked.deploying)
    yield project.keyring.signs or project.keyring.is_set
    yield project.tree is not None
    if (catalog := project.catalog) is not None:
        yield any(_is_outside(path) for name in catalog.builds for path in catalog.folders(name, image=False))
        yield any(_is_outside(path) for name in catalog.images for path in catalog.folders(name, image=True))
    yield bool(config.hooks or config.notify or config.publish.automatic or project.faults)
    yield ci.kind() != "none" or places.find(config.forge) is not None
    yield not wanted.is_plain(run.layout.root / "dodo.py")
    yield bool(project.index.unreadable)
    for name in project.stacks:
        if name in run.standing:
            continue  # proven by the run that looked at it
        found = run.assessed[name][1] if name in run.assessed else None
        yield found is None or any(_unproven_by(project, name, found))
        yield config.deploy.tag is not None and (found is None or found.receipt is None)  # the tag may decide


def _unproven_by(project: Project, name: str, found: Assessment) -> Iterator[bool]:
    """Whether a stack rests on something that is not a file of the repository, or not known by name."""
    stack, module = project.stacks[name], project.module(name)
    known = (found.inputs, found.receipt.inputs) if found.receipt else (found.inputs,)
    yield any(item.kind in _UNPROVEN for inputs in known for item in inputs.digests)
    yield bool(module.unknown) or stack.path != stack.named
    yield any(map(_is_outside, (module.path, *module.modules, *(named.path for named in module.named))))
    files = [entry if isinstance(entry, str) else entry.path for entry in stack.settings.var_files]
    for text in (*files, *stack.settings.watch):
        yield "{" in text.replace("{environment}", "") or _is_outside(posixpath.join(stack.named, text))


def _is_outside(path: str) -> bool:
    parts = posixpath.normpath(path).split("/")
    return path.startswith(("/", "~")) or parts[0] in ("..", ".git", ".deploy")


def _reads_installed(run: Run, skipped: set[str]) -> Iterator[bool]:
    """Whether something reads below the folders of installed packages, which have no stamps."""
    project, inside = run.project, tuple(f"{folder}/" for folder in skipped)
    yield any("**" in pattern for pattern in project.config.discover)
    for name, stack in project.stacks.items():
        if (known := run.standing.get(name)) is not None:
            yield any(path.startswith(inside) for path in known.rests)
            continue
        yield bool(stack.settings.watch)
        module = project.module(name)
        for path in (*module.modules, *(named.path for named in module.named)):
            yield f"{path}/".startswith(inside) or any(folder.startswith(f"{path}/") for folder in inside)
