"""Runs programs other than the engine: each in its own session, ended together with everything it started."""

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
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from .limit import Limit
    from .masking import Secrets
    from .stop import Stop

_DROPPED = re.compile(r"^(TF_WORKSPACE|TF_CLI_ARGS.*|TF_DATA_DIR|TF_VAR_.*|TF_INPUT|TF_STATE_PERSIST_INTERVAL)$")

# Secrets of `doit publish`, ledger and dashboard, which no child needs. Under other names, children may need them.
_OURS = frozenset({
    "DEPLOY_PUBLISH_TOKEN", "DEPLOY_LEDGER_TOKEN", "DEPLOY_LEDGER_READ_TOKEN", "DEPLOY_LEDGER_KEY",
    "DEPLOY_OBSERVATIONS_TOKEN", "DEPLOY_OBSERVATIONS_KEY", "DEPLOY_ADOPTION_TOKEN", "DASHBOARD_TOKEN",
})  # fmt: skip
_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_INTERRUPTED = 10.0  # seconds that an interrupted child has to end by itself
_LOOK = 0.05
_BLOCK = 1 << 20
_LONGEST_SECRET = 1 << 20  # bytes, however it is encoded


@dataclass(frozen=True)
class Ended:
    """A finished program: its exit code (None if we ended it) and its output, secrets masked.

    `errors` is its standard error, if that was kept apart from `output`. `raw` is its output as it is: for programs to
    read, never to be shown.
    """

    code: int | None
    output: str
    errors: str = ""
    raw: str = field(repr=False, default="")

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.code == 0


def run(
    stop: Stop, label: str, arguments: Sequence[str], *, mask: Secrets, cwd: Path, env: Mapping[str, str],
    timeout: float = math.inf, descriptors: Collection[int] = (), apart: bool = False, leave: bool = False,
    last: int = sys.maxsize, line: Callable[[str], None] | None = None,
) -> Ended:  # fmt: skip
    """Run a program to its end.

    Args:
        stop: Starts it, and interrupts it on a stop; then it and everything it started are ended.
        label: Its name in messages.
        arguments: The program and its arguments, never secret.
        mask: The known secrets.
        cwd: Its working directory.
        env: Its whole environment.
        timeout: Seconds until it and everything it started are ended.
        descriptors: File descriptors that it inherits.
        apart: Whether standard error is kept apart from its output.
        leave: Whether processes that it leaves running live on (it may start a service). Then a stop only interrupts
            it, and it keeps its full time.
        last: How much of its output to return, counted from the end: bytes of `raw`, characters of what is masked.
        line: Called with each line of its output as soon as it is printed.

    Raises:
        StoppedError: The run was asked to stop before the program started.
        OSError: It cannot be started.
        ValueError: An argument contains a NUL.
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
                end_group(child)  # its children must not go on writing
            stop.ended(child)
        if lines:
            lines.read(to_end=True)
        return Ended(
            code, _masked(output, last, mask), _masked(errors, last, mask) if errors else "", _text(output, last)
        )


def ask(
    arguments: Sequence[str], *, env: Mapping[str, str], timeout: float, cwd: Path | None = None,
    decoding: str = "replace", given: bytes = b"",
) -> Ended:  # fmt: skip
    """Run a short program, with standard error kept apart; on a timeout it is ended with everything it started.

    A stop does not reach it: it only reads, or it writes what would be left half done if it were killed.

    Args:
        arguments: The program and its arguments, never secret.
        env: Its whole environment.
        timeout: Seconds until it is killed.
        cwd: Its working directory.
        decoding: How to decode bytes that are not UTF-8, see `errors` of `bytes.decode`.
        given: Its standard input.

    Raises:
        OSError: It cannot be started.
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
    answer = out.decode("utf-8", decoding)
    return Ended(code, answer, said.decode("utf-8", decoding), answer)


class _Lines:
    """Follows a file that another process writes, and passes on each line once.

    Args:
        file: The file.
        take: Called with a line, without its line end.
    """

    def __init__(self, file: IO[bytes], take: Callable[[str], None]) -> None:
        self._file, self._take = file, take
        self._position, self._rest = 0, b""

    def read(self, *, to_end: bool = False) -> None:
        """Pass on the lines written since the last call; at the end also an unterminated one."""
        while block := os.pread(self._file.fileno(), _BLOCK, self._position):
            self._position += len(block)
            *lines, self._rest = (self._rest + block).split(b"\n")
            for text in lines:
                self._take(text.decode("utf-8", "replace"))
        if to_end and self._rest:
            self._take(self._rest.decode("utf-8", "replace"))


def _masked(file: IO[bytes], last: int, mask: Secrets) -> str:
    """The end of a file without secrets; they are taken out of more than that, as half a secret is not recognized."""
    text = mask.text(_text(file, last + _LONGEST_SECRET))
    return text[-last:] if last else ""


def _text(file: IO[bytes], last: int) -> str:
    """The end of a file, read by offset, because processes left running write at the shared file position."""
    size = os.fstat(file.fileno()).st_size
    blocks, position = [], max(size - last, 0)
    while block := os.pread(file.fileno(), size - position, position):
        blocks.append(block)
        position += len(block)
    return b"".join(blocks).decode("utf-8", "replace")


def wait(child: subprocess.Popen[bytes], seconds: float, unwanted: Callable[[], bool] = lambda: False) -> int | None:
    """The exit code, or None if the child, a process group leader, timed out and was ended.

    Args:
        child: The child.
        seconds: How long it may take.
        unwanted: Tells whether its result is no longer needed; it is ended then.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not unwanted():
        with suppress(subprocess.TimeoutExpired):
            return child.wait(min(left, _LOOK))
    end_group(child)
    return None


def within(child: subprocess.Popen[bytes], limit: Limit | None) -> int | None:
    """The exit code, or None if the child had to be ended because its time was over.

    It is interrupted first, which the engine takes as the request to unlock a state and end.

    Args:
        child: The child, a process group leader.
        limit: Its time; None if it may take any.
    """
    if limit is None:
        return child.wait()
    with suppress(subprocess.TimeoutExpired):
        return child.wait(max(limit.end - time.monotonic(), 0))
    with suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGINT)
    wait(child, _INTERRUPTED)
    return None


def how(code: int | None, seconds: float) -> str:
    """How a child failed, in words; see `wait`."""
    return f"took longer than {seconds:g} s" if code is None else f"exited with {code}"


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End a child, a process group leader, and everything in its group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        end = time.monotonic() + _GRACE
        while child.poll() is None and time.monotonic() < end:
            time.sleep(_LOOK)
    child.wait()


def kept_environment(withheld: Collection[str] = ()) -> dict[str, str]:
    """Our environment without variables that change what engine commands do, and without withheld ones."""
    unwanted = {*_OURS, *withheld}
    kept = {name: value for name, value in os.environ.items() if not _DROPPED.match(name) and name not in unwanted}
    config = kept.get("TF_CLI_CONFIG_FILE")
    if config and not os.path.exists(config):  # noqa: PTH110 - a text from outside
        del kept["TF_CLI_CONFIG_FILE"]  # it would only add a warning to every output
    return kept


def dropped_variables() -> list[str]:
    """The variables of our environment that the engine does not get, except `TF_VAR_*`, which stacks may declare."""
    return sorted(name for name in os.environ if _DROPPED.match(name) and not name.startswith("TF_VAR_"))
