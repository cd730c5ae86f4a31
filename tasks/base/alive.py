"""Names a process, so that another run on the same machine can tell whether it is still there."""

from __future__ import annotations

import os
from pathlib import Path

from .files import sha256_bytes

_PROC = Path("/proc")
_BOOT = _PROC / "sys/kernel/random/boot_id"  # random since the machine has started
_DIGITS = 16
_STATE, _START = (
    0,
    19,
)  # fields after the name in /proc/<pid>/stat: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
_OVER = ("Z", "X")


def this() -> str:
    """The name of this process: a digest, which tells nothing of the machine; empty where the system has no /proc."""
    return _name(os.getpid(), _boot())


def pid(name: str) -> int | None:
    """The process that has a name; None if there is none here: it has ended, or it is not on this machine."""
    boot = _boot()
    found = (int(path.name) for path in _PROC.glob("[0-9]*")) if boot and name else ()
    return next((number for number in found if _name(number, boot) == name), None)


def _boot() -> str:
    try:
        return _BOOT.read_text()
    except OSError:
        return ""


def _name(number: int, boot: str) -> str:
    """A process number is used again after its process has ended, but not with the same time of its start."""
    try:
        fields = (_PROC / str(number) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    if not boot or len(fields) <= _START or fields[_STATE] in _OVER:
        return ""
    return sha256_bytes(f"{boot} {number} {fields[_START]}".encode())[:_DIGITS]
