"""Explains a state lock that another process holds: by whom, since when, for what, and how to release it."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.problem import Shell
from ..base.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..base.problem import Steps
    from .command import Completed, Context

_FIELD = re.compile(r"^[│| ]*(ID|Path|Operation|Who|Version|Created|Info):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_GO_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d+)?(?: ?([+-]\d\d):?(\d\d))?")
_UNSET = 1  # the year of a Go time that is not set
_SCHEMA = "terraform_remote_state"  # the default schema of the pg backend


@dataclass(frozen=True)
class Lock:
    """The `Lock Info` of the engine's message; unknown parts are empty."""

    id: str
    path: str = ""
    operation: str = ""
    who: str = ""
    created: str = ""

    @property
    def since(self) -> datetime | None:
        """When it was taken, in UTC; None if that is not known."""
        match = _GO_TIME.search(self.created)
        try:
            offset = f"{match[3]}:{match[4]}" if match and match[3] else "+00:00"
            found = datetime.fromisoformat(f"{match[1]}T{match[2]}{offset}") if match else None
            return found.astimezone(UTC) if found and found.year != _UNSET else None
        except (ValueError, OverflowError):
            return None

    def age(self, now: datetime) -> str | None:
        """How long it has been held, in words; None if that is not known."""
        since = self.since
        if since is None:
            return None
        seconds = (now - since).total_seconds()
        for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
            if seconds >= size:
                return plural(int(seconds // size), word)
        return f"{max(int(seconds), 0)} seconds"


def held(done: Completed, kind: str) -> Lock | None:
    """The lock that kept a command from starting; None if it failed for another reason.

    Args:
        done: The command.
        kind: The backend's type. PostgreSQL's lock has no holder: there the engine prints its own attempt, even if the
            database cannot be reached at all.
    """
    text = done.output
    if done.ok or not any("acquiring the state lock" in summary for summary in done.summaries()):
        return None
    if kind == "pg":
        return Lock("") if re.search("already locked", text, re.IGNORECASE) else None
    fields = dict(_FIELD.findall(text.partition("Lock Info:")[2]))
    if not fields.get("ID"):
        return None
    return Lock(fields["ID"], *(fields.get(name, "") for name in ("Path", "Operation", "Who", "Created")))


def describe(lock: Lock, now: datetime | None = None) -> str:
    """Who holds a lock, for what and since when, on one line."""
    if not lock.id:
        return "its state is locked by another session of the database"
    words = [f"its state is locked by {lock.who or 'an unknown holder'}"]
    if lock.operation:
        words.append(f"for {lock.operation.removeprefix('OperationType').lower()}")
    if age := lock.age(now or datetime.now(UTC)):
        words.append(f"for {age} now (since {lock.since:%Y-%m-%d %H:%M:%S} UTC)")
    return ", ".join(words) + f"; lock {lock.id}"


def way_out(lock: Lock, context: Context) -> Steps:
    """How to release a lock whose holder is gone: a command, if the backend has one."""
    if context.backend == "local":
        return _local_way_out(lock, context)
    if context.backend == "pg":
        return _database_way_out(context.schema or os.environ.get("PG_SCHEMA_NAME") or _SCHEMA)
    return "if no process uses it any more:", Shell(f"{context.by_hand} force-unlock -force {lock.id}", alone=True)


def _database_way_out(schema: str) -> Steps:
    """A PostgreSQL lock belongs to a session and ends with it.

    Its key is the id of the state's row, or without a row the negative FNV-1 hash of schema and table.
    """
    creation = 2166136261
    for byte in f"{schema}\0states".encode():
        creation = creation * 16777619 % 2**32 ^ byte
    table = '"' + schema.replace('"', '""') + '".states'
    sql = (
        "select pid, pg_terminate_backend(pid) from pg_locks where locktype = $$advisory$$ and granted"  # noqa: S608 - for a person to run
        f" and (classid::bigint << 32 | objid::bigint) in (select id from {table} union select {-creation})"
    )
    return (
        "the lock ends with the engine that holds it; if that is gone, but its database session is not:",
        Shell(f'psql ${{PG_CONN_STR:+"$PG_CONN_STR"}} -c {shlex.quote(sql)}', alone=True, anywhere=True),
    )


def _local_way_out(lock: Lock, context: Context) -> Steps:
    """A local lock is a file lock held by a process; it only ends with that process."""
    path = context.folder / lock.path if lock.path else None
    pids = _holders(path) if path else []
    if pids:
        numbers = " ".join(map(str, pids))
        said = "the lock ends with the process that holds it; wait for it, or stop it cleanly:"
        return said, Shell(f"kill -INT {numbers}", alone=True, anywhere=True)
    said = "the lock ends with the process that holds it, on that machine"
    return (f"{said}; there: ", Shell(f"fuser {shlex.quote(str(path))}", anywhere=True)) if path else said


def _holders(path: Path) -> list[int]:
    """The processes on this machine that hold a lock on a file; see proc_locks(5)."""
    try:
        inode = path.stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    return sorted(set(_pids(lines, inode)))


def _pids(lines: Iterable[str], inode: int) -> Iterable[int]:
    for line in lines:
        fields = line.split()
        if "->" not in fields and len(fields) > 5 and fields[5].endswith(f":{inode}") and int(fields[4]) > 0:  # noqa: PLR2004 - the sixth field is the file
            yield int(fields[4])


def vanished(done: Completed) -> bool:
    """Whether a local lock disappeared before the engine could read its holder.

    A state that is cut short is said to end in mid-JSON, too: only what is said of the lock's own file counts.
    """
    said = " ".join(re.sub(r"[│|]", " ", done.output).split())  # the engine wraps it, wherever the path's length has it
    return (
        not done.ok
        and "Lock Info:" not in said
        and any("acquiring the state lock" in summary for summary in done.summaries())
        and ("lock.info: no such file" in said or "could not unmarshal lock info" in said)
    )
