"""The snapshot of a command: the answer that its last run had, and the stamps of everything that the answer rests on.

It is only a shortcut to the same answer. It proves itself by the stamps, which are read again before it is used, and by
a code over all of it, whose key is made of every environment variable and of the programs that run: a snapshot that was
made in other circumstances does not open, and only those who know a process's secrets can make one for it. `replay`
uses it, `snapshots` makes it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import sys
import zlib
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base import plain
from ..base.files import write_atomic
from . import stamps

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT = b"doit-tofu snapshot 2\n"
_LARGEST = 1 << 28
_SALT, _CODE = 16, 32
_LENGTH = 8  # bytes of the length of a part
_COST = 1 << 10  # of the key: a short secret must not be found by trying, as far as milliseconds can prevent it
_OF_SHELL = frozenset({"_", "SHLVL", "PWD", "OLDPWD"})  # differ from one command to the next, and decide nothing
_SURROGATES = "surrogatepass"


class UnusableError(Exception):
    """There is no snapshot, or it does not hold."""


@dataclass(frozen=True)
class Snapshot:
    """What a run has answered, and when that still holds.

    Args:
        environment: The environment's name.
        names: What was in its folder, see `stamps.names`.
        paths: The files and folders.
        stamps: Their stamps.
        said: What was printed, line ends included; up to how long it took, where that was printed.
        ending: What was printed after that; None where it was not.
        reports: The files that were written into the folder of reports.
        record: The record of the run; None where the history is off.
        kept: How many records are kept, and for how many days.
        locking: Whether the command holds the environment.
        database: The stamp of doit's own database.
        standing: What holds of single stacks where not everything is as it was, see `standing.encode`; may be empty.
    """

    environment: str
    names: list[str]
    paths: list[str]
    stamps: array[int]
    said: str
    ending: str | None
    reports: dict[str, bytes]
    record: dict[str, Any] | None
    kept: tuple[int, float | None]
    locking: bool
    database: list[int]
    standing: bytes = b""

    def holds(self, now: array[int]) -> bool:
        """Whether nothing that the answer rests on has changed.

        Args:
            now: The stamps of its paths in the current folder.
        """
        return stamps.names(self.environment) == self.names and now == self.stamps


def _circumstances() -> str:
    """What an answer rests on besides files and variables: the programs, the folder, and whether this is a terminal."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - a text, and often
    files: list[str] = []
    pending = [package]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.name == "__pycache__":
                    continue
                files.append(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    status = os.stat(".")  # noqa: PTH116 - a text
    return "\n".join(
        [
            sys.version, sys.executable, *sys.argv, os.getcwd(), f"{status.st_dev} {status.st_ino}",  # noqa: PTH109
            _terminal(), f"{os.getuid()} {os.getgid()}",
            hashlib.sha256(stamps.read([*sorted(files), *libraries]).tobytes()).hexdigest(),
        ]
    )  # fmt: skip


def _terminal() -> str:
    """The size of the terminal that is printed to; an empty text for anything else."""
    if not sys.stdout.isatty():
        return ""
    try:
        return str(os.get_terminal_size(sys.stdout.fileno()))
    except (OSError, ValueError):
        return "unknown"


def load(path: Path) -> Snapshot:
    """The snapshot in a file.

    Raises:
        UnusableError: It is missing, belongs to another environment, or was changed.
    """
    try:
        data = memoryview(plain.read(path, _LARGEST))
    except OSError as error:
        raise UnusableError(path.name) from error
    start = len(_FORMAT) + _SALT + _CODE
    salt, code = data[len(_FORMAT) : start - _CODE], data[start - _CODE : start]
    if data[: len(_FORMAT)] != _FORMAT or not hmac.compare_digest(code, _code(bytes(salt), data[start:])):
        raise UnusableError(path.name)
    parts = []
    while start < len(data):
        end = start + _LENGTH + int.from_bytes(data[start : start + _LENGTH], "big")
        parts.append(data[start + _LENGTH : end])
        start = end
    head, names, raw, standing, *reports = parts
    found = json.loads(bytes(head))
    read = array("q")
    read.frombytes(raw)
    listed = bytes(names).decode(errors=_SURROGATES).split("\0")
    contents = [zlib.decompress(report) for report in reports]
    found |= {
        "paths": listed,
        "stamps": read,
        "standing": bytes(standing),
        "reports": dict(zip(found["reports"], contents, strict=True)),
    }
    return Snapshot(**{**found, "kept": tuple(found["kept"])})


def save(path: Path, found: Snapshot) -> None:
    """Keep a snapshot.

    Raises:
        RecordError: It cannot be written.
    """
    head = {**vars(found), "reports": list(found.reports)}
    del head["paths"], head["stamps"], head["standing"]
    parts = [
        json.dumps(head).encode(), "\0".join(found.paths).encode(errors=_SURROGATES), found.stamps.tobytes(),
        found.standing,
        *(zlib.compress(content, 1) for content in found.reports.values()),
    ]  # fmt: skip
    data = b"".join(len(part).to_bytes(_LENGTH, "big") + part for part in parts)
    salt = secrets.token_bytes(_SALT)
    write_atomic(path, _FORMAT + salt + _code(salt, data) + data, durable=False)


def _code(salt: bytes, data: bytes | memoryview) -> bytes:
    """The code of the content of a snapshot in the circumstances of this process."""
    variables = sorted(item for item in os.environ.items() if item[0] not in _OF_SHELL)
    text = json.dumps([_circumstances(), *variables]).encode()
    key = hashlib.scrypt(text, salt=salt, n=_COST, r=8, p=1)
    return hmac.digest(key, data, "sha256")
