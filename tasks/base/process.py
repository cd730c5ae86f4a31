"""Child processes other than the engine: started in their own session, ended with everything they started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from .stop import Stop

_DROPPED = re.compile(r"^(TF_WORKSPACE|TF_CLI_ARGS.*|TF_DATA_DIR|TF_VAR_.*|TF_INPUT|TF_STATE_PERSIST_INTERVAL)$")

# Tokens of `doit publish` and of the dashboard: no child has a use for them. One under another name may be somebody's.
_OURS = frozenset({"DEPLOY_PUBLISH_TOKEN", "DASHBOARD_TOKEN"})
_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_LOOK = 0.05


@dataclass(frozen=True)
class Ended:
    """An ended program: its exit code, None when it was ended from here; what it printed, not masked."""

    code: int | None
    output: str

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.code == 0


def run(
    stop: Stop, label: str, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float,
    descriptors: Collection[int] = (),
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

    Raises:
        StoppedError: The run was asked to stop before it began.
        OSError: It cannot be run.
    """
    with tempfile.TemporaryFile() as output:
        child = stop.start(
            label, arguments, cwd=cwd, env=dict(env), stdout=output, stderr=subprocess.STDOUT, pass_fds=descriptors
        )
        try:
            code = wait(child, timeout, lambda: stop.requested)
        finally:
            end_group(child)  # what it started must not write on
            stop.ended(child)
        output.seek(0)
        return Ended(code, output.read().decode("utf-8", "replace"))


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
