"""doit's own database: checked before doit opens it, and saved after every task instead of at the end of the run."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..base import plain
from ..base.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


_BESIDE = ("-journal", "-wal", "-shm")  # the files that SQLite opens with it


def prepare(path: Path, say: Callable[[str], None]) -> None:
    """Make sure that doit can open its database; a corrupt one is moved aside, as it only saves work.

    Raises:
        RecordError: The folder or file cannot be used.
    """
    import sqlite3

    try:
        plain.make_folder(path.parent)
        for file in (path, *(path.with_name(f"{path.name}{end}") for end in _BESIDE)):
            with contextlib.suppress(FileNotFoundError):
                os.close(plain.opened(file))
        connection = sqlite3.connect(path)
        try:
            connection.execute("create table if not exists doit (task_id text not null primary key, task_data json)")
            sound = connection.execute("pragma quick_check(1)").fetchone() == ("ok",)
            connection.commit()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return  # by another run, which is reported elsewhere
        raise RecordError(
            f"cannot use {path}: {error}",
            untouched="nothing was planned or applied",
            next_step="free disk space or make the folder writable, then run the same command again",
        ) from error
    except sqlite3.DatabaseError:
        sound = False
    except OSError as error:
        is_file = next((str(folder) for folder in path.parents if folder.exists() and not folder.is_dir()), "")
        step = f"{is_file} is not a folder: move it away" if is_file else "free disk space or make the folder writable"
        raise RecordError(
            f"cannot use {path}: {error.strerror}",
            untouched="nothing was planned or applied",
            next_step=f"{step}, then run the same command again",
        ) from error
    if not sound:
        aside = path.with_name(f"{path.name}.corrupt")
        path.replace(aside)
        say(f"{path.name} was corrupt; it was renamed to {aside.name}, and doit starts a new one")


def ignores(path: Path) -> bool:
    """Whether a task is to be ignored because of an earlier `doit ignore`; true if that cannot be read."""
    import sqlite3

    try:
        os.close(plain.opened(path))
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        try:
            found = connection.execute("select 1 from doit where task_data like '%\"ignore:\"%' limit 1").fetchone()
        finally:
            connection.close()
    except (OSError, sqlite3.Error):
        return True
    return found is not None


def flush() -> str | None:
    """Save what doit has recorded so far, as doit only does so at the end of a run, which a kill prevents.

    A commit without an fsync survives a kill; a power loss may corrupt it, and then `prepare` starts a new one.

    Returns:
        Why it could not be written; doit then forgets this part, as records only save work and receipts decide.
    """
    import sqlite3

    from doit.globals import Globals

    backend: Any = getattr(Globals.dep_manager, "backend", None)
    connection, dirty = getattr(backend, "_conn", None), getattr(backend, "_dirty", None)
    if connection is None or dirty is None:
        return None  # another backend was chosen on the command line
    problem = None
    try:
        if not connection.in_transaction:
            connection.execute("pragma synchronous=off")
        for task_id in dirty:
            row = (task_id, backend.codec.encode(backend._cache[task_id]))  # noqa: SLF001 - doit has no public way to do it
            connection.execute("insert or replace into doit values (?, ?)", row)
        connection.commit()
    except sqlite3.Error as error:
        problem = str(error)
        with contextlib.suppress(sqlite3.Error):
            connection.rollback()
    dirty.clear()  # otherwise doit would try again when it closes the file, and fail with a traceback
    return problem
