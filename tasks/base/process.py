"""The one gate to programs other than the engine: started in their own session, ended with everything they started."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from .stop import Stop

_DROPPED = re.compile(r"^(TF_WORKSPACE|TF_CLI_ARGS.*|TF_DATA_DIR|TF_VAR_.*|TF_INPUT|TF_STATE_PERSIST_INTERVAL)$")

# Tokens of `doit publish`, the ledger and the dashboard: no child has a use for them. Others may be somebody's.
_OURS = frozenset({"DEPLOY_PUBLISH_TOKEN", "DEPLOY_LEDGER_TOKEN", "DASHBOARD_TOKEN"})
_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_LOOK = 0.05
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Ended:
    """An ended program: its exit code, None when it was ended from here; what it printed, not masked.

    `errors` is what it printed on standard error, where that was kept apart from `output`.
    """

    code: int | None
    output: str
    errors: str = ""

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.code == 0


def run(
    stop: Stop, label: str, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float = math.inf,
    descriptors: Collection[int] = (), apart: bool = False, leave: bool = False, last: int = sys.maxsize,
    line: Callable[[str], None] | None = None,
) -> Ended:  # fmt: skip
    """Run a program to its end.

    Args:
        stop: Starts it, and interrupts it when the run is to stop; then it and all it started are ended.
        label: What it is, for messages.
        arguments: The program and its arguments, never secret.
        cwd: Its folder.
        env: Its whole environment.
        timeout: Seconds until it and all it started are ended.
        descriptors: File descriptors that it holds as long as it lives.
        apart: Whether what it prints on standard error is kept apart from its output.
        leave: Whether what it leaves running goes on (it may start a service). Then it also has all of its time after
            a stop, which only interrupts it.
        last: How many bytes of its output are wanted, from the end.
        line: Gets each line of its output as soon as it is printed.

    Raises:
        StoppedError: The run was asked to stop before it began.
        OSError: It cannot be run.
        ValueError: An argument holds a NUL.
    """
    with ExitStack() as files:
        output: IO[bytes] = files.enter_context(tempfile.TemporaryFile())
        errors: IO[bytes] | None = files.enter_context(tempfile.TemporaryFile()) if apart else None
        lines = _Lines(output, line) if line else None
        child = stop.start(
            label, arguments, cwd=cwd, env=dict(env), stdout=output, stderr=errors or subprocess.STDOUT,
            pass_fds=descriptors,
        )  # fmt: skip

        def unwanted() -> bool:
            if lines:
                lines.read()
            return stop.requested and not leave

        try:
            code = wait(child, timeout, unwanted)
        finally:
            if not leave:
                end_group(child)  # what it started must not write on
            stop.ended(child)
        if lines:
            lines.read(to_end=True)
        return Ended(code, _text(output, last), _text(errors, last) if errors else "")


def ask(
    arguments: Sequence[str], *, env: Mapping[str, str], timeout: float, cwd: Path | None = None,
    decoding: str = "replace", given: bytes = b"",
) -> Ended:  # fmt: skip
    """What a short program answers, its standard error apart; it is ended with all it started when it takes too long.

    No stop reaches it: it only looks, or writes what a killed one may leave half done.

    Args:
        arguments: The program and its arguments, never secret.
        env: Its whole environment.
        timeout: Seconds until it is killed.
        cwd: Its folder.
        decoding: What becomes of bytes that are not UTF-8, as `bytes.decode` names it.
        given: What it reads.

    Raises:
        OSError: It cannot be run.
    """
    child = subprocess.Popen(
        arguments, cwd=cwd, env=dict(env), stdin=subprocess.PIPE if given else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    code: int | None = None
    out = said = b""
    try:
        out, said = child.communicate(given or None, timeout=timeout)
        code = child.returncode
    except subprocess.TimeoutExpired:
        pass
    finally:
        if code is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    return Ended(code, out.decode("utf-8", decoding), said.decode("utf-8", decoding))


class _Lines:
    """The lines of a file that another process writes, each handed on once.

    Args:
        file: The file.
        take: Gets a line, without its end.
    """

    def __init__(self, file: IO[bytes], take: Callable[[str], None]) -> None:
        self._file, self._take = file, take
        self._position, self._rest = 0, b""

    def read(self, *, to_end: bool = False) -> None:
        """Hand on the lines that came since the last call; at the end also one that nothing ends."""
        while block := os.pread(self._file.fileno(), _BLOCK, self._position):
            self._position += len(block)
            *lines, self._rest = (self._rest + block).split(b"\n")
            for text in lines:
                self._take(text.decode("utf-8", "replace"))
        if to_end and self._rest:
            self._take(self._rest.decode("utf-8", "replace"))


def _text(file: IO[bytes], last: int) -> str:
    """The end of a file; read at positions of our own, as what was left running goes on writing at the common one."""
    size = os.fstat(file.fileno()).st_size
    blocks, position = [], max(size - last, 0)
    while block := os.pread(file.fileno(), size - position, position):
        blocks.append(block)
        position += len(block)
    return b"".join(blocks).decode("utf-8", "replace")


def wait(child: subprocess.Popen[bytes], seconds: float, unwanted: Callable[[], bool] = lambda: False) -> int | None:
    """The exit code, or None when the child, a leader of its own group, took too long and was ended.

    Args:
        child: The child.
        seconds: How long it may take.
        unwanted: Whether nobody waits for it any more; it is ended then.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not unwanted():
        with suppress(subprocess.TimeoutExpired):
            return child.wait(min(left, _LOOK))
    end_group(child)
    return None


def how(code: int | None, seconds: float) -> str:
    """How a child ended that did not end well, in words; see `wait`."""
    return f"took longer than {seconds:g} s" if code is None else f"ended with {code}"


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End a child, a leader of its own group, and all it started there."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        end = time.monotonic() + _GRACE
        while child.poll() is None and time.monotonic() < end:
            time.sleep(_LOOK)
    child.wait()


def kept_environment(withheld: Collection[str] = ()) -> dict[str, str]:
    """Our environment without what would change the meaning of the engine's commands, and without what is withheld."""
    unwanted = {*_OURS, *withheld}
    kept = {name: value for name, value in os.environ.items() if not _DROPPED.match(name) and name not in unwanted}
    config = kept.get("TF_CLI_CONFIG_FILE")
    if config and not os.path.exists(config):  # noqa: PTH110 - a text from outside
        del kept["TF_CLI_CONFIG_FILE"]  # it would only warn, in every output
    return kept


def dropped_variables() -> list[str]:
    """The names in our environment that the engine does not get, less the `TF_VAR_*` that stacks may declare."""
    return sorted(name for name in os.environ if _DROPPED.match(name) and not name.startswith("TF_VAR_"))
