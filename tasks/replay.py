"""Answers a command without loading the project, if a snapshot proves that the answer of its last run still holds.

Nothing that a run has to load is imported here: that is what the time would go into.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .artifact import snapshot, stamps
from .artifact.snapshot import Snapshot, UnusableError
from .base import standard
from .base.clock import now
from .base.errors import DeployError
from .base.files import write_atomic
from .base.layout import Layout
from .history import retention
from .run.lock import EnvironmentLock

if TYPE_CHECKING:
    from array import array

    from .artifact.standing import Standing
    from .base.jsonvalue import JsonObject

COMMANDS = frozenset({"plan", "deploy", "status"})
_ENVIRONMENT = re.compile(r"env=([A-Za-z0-9][A-Za-z0-9_-]*)")


@cache
def began() -> int:
    """When this process began to answer, in nanoseconds."""
    return time.time_ns()


def place(root: Path) -> Path | None:
    """Where the snapshot of this process's command is kept; None for a command line that has none."""
    *before, command = sys.argv[1:] or [""]
    if command not in COMMANDS or len(before) > 1:
        return None
    name = command
    if before:
        match = _ENVIRONMENT.fullmatch(before[0])
        if match is None:
            return None
        name = f"{command}-{match[1]}"
    return Layout(root, "").snapshots / name


def answer() -> dict[str, Standing]:
    """End the process with the answer of the command's last run, if that still holds.

    Returns:
        Otherwise what still holds of single stacks; nothing if another run may be changing it.

    Raises:
        SystemExit: The command was answered.
    """
    began()
    clock = time.monotonic()
    path = place(Path.cwd())
    if path is None:
        return {}
    standard.prepare()
    try:
        known = snapshot.load(path)
    except (UnusableError, OSError):
        return {}
    layout = Layout(path.parents[2].parent, known.environment)
    lock = EnvironmentLock(layout)
    try:
        if known.locking:
            lock.take(f"doit {' '.join(sys.argv[1:])}")
        elif lock.holder() is not None:
            return {}
        now = stamps.read(known.paths)
        if not known.holds(now) or _ignores(layout, known):
            return _standing(known, now)
        _write(layout, known, clock)
    except (DeployError, OSError):
        return {}  # the run itself meets the same, and says so
    finally:
        lock.release()
    took = "" if known.ending is None else f"({time.monotonic() - clock:.1f} s){known.ending}"
    _print(known.said + took, reading=not known.locking)
    raise SystemExit(0)


def _standing(known: Snapshot, now: array[int]) -> dict[str, Standing]:
    """The stacks that are as they were."""
    if not known.standing:
        return {}
    from .artifact import standing

    return standing.decode(known.standing, known.paths, known.stamps, now)


def _ignores(layout: Layout, known: Snapshot) -> bool:
    """Whether doit was told to ignore a task since: the only thing in its database that a run without work heeds."""
    if stamps.read([str(layout.records)]).tolist() == known.database:
        return False
    from .run import doitdb

    return doitdb.ignores(layout.records)


def _write(layout: Layout, known: Snapshot, clock: float) -> None:
    """Write what the run would have written.

    Raises:
        RecordError: A file cannot be written.
    """
    for name, content in known.reports.items():
        write_atomic(layout.reports / name, content, durable=False)
    if known.record is None:
        return
    since = datetime.fromtimestamp(began() / 1e9, UTC)
    run = retention.new_id(since)
    record: JsonObject = {
        **known.record, "id": run, "started_at": since.isoformat(timespec="milliseconds"),
        "ended_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "seconds": round(time.monotonic() - clock, 3), "written_at": now(),
        "process": {"host": socket.gethostname(), "pid": os.getpid()},
    }  # fmt: skip
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    write_atomic(layout.run_record(run), text.encode(errors="surrogatepass"), durable=False)
    retention.prune(layout, *known.kept)


def _as_shown(text: str) -> str:
    """An answer for where it is printed now: it may have been kept on a wider terminal, or with colours."""
    if "\x1b" not in text and not sys.stdout.isatty():
        return text
    from .base import terminal

    colours = terminal.has_colours(sys.stdout, "none")  # a CI job has no snapshot
    return terminal.restyled(text, terminal.columns(), colours=colours)


def _print(text: str, *, reading: bool) -> None:
    """Print; a closed pipe or a full disk does not change how the command ends."""
    try:
        sys.stdout.write(_as_shown(text))
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        from .run.output import complain_of

        standard.silence(sys.stdout)
        complain_of(error, [text], reading=reading)
