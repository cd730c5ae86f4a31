"""Doit processes that need not import anything: forked from one process that has imported the package already.

Importing takes longer than most runs, and the tests run doit more than a thousand times. What is forked runs
`python -m doit` as a fresh interpreter does: with its own session, folder, environment, arguments and files. What is
about the start of Python itself (another interpreter, a `PYTHON...` variable, another locale) has to be started afresh;
with `TESTS_FORK=no` everything is. Scripts that a test runs have it forked by `forkclient`.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import inspect
import json
import os
import pkgutil
import runpy
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

_ROOT = Path(__file__).parent.parent
_LARGEST = 1 << 20
# What the package imports only when it is needed, and many runs do need; some of it is not there in every environment.
_LATE = (
    "rich.console", "requests", "sqlite3", "jinja2", "doit.cmd_run", "doit.loader", "doit.reporter", "dbm", "uuid",
    "jsonschema", "obstore", "kubernetes.client", "kubernetes.config", "apprise",
)  # fmt: skip


class Forked:
    """A forked doit process: what the tests use of `subprocess.Popen`."""

    def __init__(self, pid: int, out: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = os.fdopen(out, encoding="utf-8")
        self._status = status

    def poll(self) -> int | None:
        """The exit code, minus the signal's number for a process that a signal ended; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("doit", timeout or 0)
            text = os.read(self._status, 20)
            os.close(self._status)
            assert text, "the process that all others are forked from has ended"
            self.returncode = int(text)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Read what is printed to its end and wait for the end of the process; returns what was printed, and None.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        end = None if timeout is None else time.monotonic() + timeout
        chunks: list[bytes] = []
        while not self.stdout.closed:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([self.stdout], [], [], left)[0]:
                raise subprocess.TimeoutExpired("doit", timeout or 0, b"".join(chunks))
            if chunk := os.read(self.stdout.fileno(), _LARGEST):
                chunks.append(chunk)
            else:
                self.stdout.close()
        self.wait(None if end is None else max(0.0, end - time.monotonic()))
        return b"".join(chunks).decode().replace("\r\n", "\n").replace("\r", "\n"), None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The process that others are forked from, as a pytest worker sees it; it ends with that worker."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._lock = threading.Lock()  # tests run doit in threads
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.address = f"doit-tofu-tests-{secrets.token_hex(8)}"  # an abstract one: nothing of it is left
        with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
            door.bind(f"\0{self.address}")
            door.listen()
            ends = [theirs.fileno(), door.fileno()]
            self._process = subprocess.Popen(
                [sys.executable, __file__, *map(str, ends)], pass_fds=ends, env=dict(environment),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip

    def stop(self) -> None:
        """End it, not what was forked from it."""
        self._socket.close()
        self._process.wait()

    def start(self, arguments: list[str], folder: Path, environment: Mapping[str, str]) -> Forked:
        """Start `python -m doit` with arguments in a folder."""
        out, out_end = os.pipe()
        status, status_end = os.pipe()
        message = json.dumps({"arguments": arguments, "folder": str(folder), "environment": dict(environment)})
        with self._lock, open(os.devnull) as nothing:  # noqa: PTH123 - as a file of `python -m doit` is
            socket.send_fds(self._socket, [message.encode()], [nothing.fileno(), out_end, out_end, status_end])
            pid = self._socket.recv(20)
        os.close(out_end)
        os.close(status_end)
        assert pid, "the process that all others are forked from has ended"
        return Forked(int(pid), out, status)


def _preload() -> None:
    """Import the package as `dodo.py` will find it, all of it, and leave `sys.path` as it was."""
    path = list(sys.path)
    del sys.path[0]  # this folder
    _keep_entry_points()
    try:
        package = importlib.import_module("doit_tofu")
    except ImportError:
        sys.path.insert(0, str(_ROOT))
        package = importlib.import_module("tasks")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in _LATE:
        with suppress(ImportError):
            importlib.import_module(name)
    if "apprise" in sys.modules:
        sys.modules["apprise"].Apprise.instantiate("json://localhost")  # has it import its hundred services
    _compile_templates(package.__name__)
    _keep_source_lines(package)
    _audit()
    sys.path[:] = path
    gc.collect()
    gc.freeze()  # collecting garbage in a forked process would copy every page that has an object


def _keep_entry_points() -> None:
    """Read the entry points of what is installed once: doit reads them all at each start."""
    read, installed = metadata.entry_points, list(sys.path)
    kept = read()
    selected = cache(kept.select)

    def entry_points(**wanted: str) -> metadata.EntryPoints:
        """What `importlib.metadata` has of this name; where a test brings a distribution of its own, it is found."""
        before, after = sys.path[: -len(installed)], sys.path[-len(installed) :]
        if after != installed or any(map(_has_distribution, before)):
            return read(**wanted)
        return selected(**wanted)

    for group in ("doit.COMMAND", "doit.LOADER", "doit.BACKEND", "doit.REPORTER"):
        selected(group=group)
    metadata.entry_points = entry_points


def _has_distribution(folder: str) -> bool:
    with suppress(OSError):
        return any(name.endswith("-info") for name in os.listdir(folder))  # noqa: PTH208 - three times a run
    return False


def _keep_source_lines(package: ModuleType) -> None:
    """Find the lines of the package's task creators once: doit sorts by them, and reads each one's source for it."""
    read = inspect.getsourcelines
    creators = [value for name, value in vars(package).items() if name.startswith("task_")]
    kept = {creator: read(creator) for creator in creators if inspect.isfunction(creator)}

    def getsourcelines(of: Any) -> tuple[list[str], int]:
        """What `inspect` has of this name."""
        return kept[of] if inspect.isfunction(of) and of in kept else read(of)

    inspect.getsourcelines = getsourcelines


@cache
def _audit() -> Callable[[str, str], None]:
    """What watches a process."""
    install: Callable[[str, str], None] = runpy.run_path(str(_ROOT / "tests/audit.py"))["install"]
    return install


def _compile_templates(package: str) -> None:
    """Compile the templates of the reports, which takes longer than to fill them in."""
    environment = importlib.import_module(f"{package}.reports.environment")
    for template in Path(environment.__file__ or "").parent.glob("templates/*.j2"):
        for name in (template.name, f"builtin/{template.name}"):  # as reports name it, and as templates do
            environment.own().get_template(name)


def _serve(channel: socket.socket, door: socket.socket) -> dict[str, object] | None:
    """Fork a process for each message; returns the message in each of the forked ones, and None when all is over.

    Args:
        channel: Brings the messages of the test process, each with standard streams and where to write the exit code;
            is answered with the process's id.
        door: Where clients connect with one message and standard streams; is answered with the exit code.
    """
    running: dict[int, tuple[int, int]] = {}  # pidfd: its process and where to write its exit code
    while True:
        for ready in select.select([channel, door, *running], [], [])[0]:
            if isinstance(ready, int):
                pid, status = running.pop(ready)
                with suppress(OSError):  # nothing waits for it any more
                    os.write(status, str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
                os.close(status)
                os.close(ready)
                continue
            asking = channel if ready is channel else door.accept()[0]
            text, descriptors, _, _ = socket.recv_fds(asking, _LARGEST, 4)
            if not text:
                if asking is channel:
                    return None
                asking.close()
                continue
            status = descriptors.pop() if asking is channel else asking.detach()
            pid = os.fork()
            if pid == 0:
                os.setsid()
                for number, descriptor in enumerate(descriptors):
                    os.dup2(descriptor, number)
                os.closerange(3, 1 << 16)
                return dict(json.loads(text))
            for descriptor in descriptors:
                os.close(descriptor)
            running[os.pidfd_open(pid)] = (pid, status)
            if ready is channel:
                channel.send(str(pid).encode())


def _keep_in_memory(_descriptor: int) -> None:
    """In place of `os.fsync`: tests end processes, never the machine, and many of them would wait for its disk."""


def _run(message: dict[str, object]) -> NoReturn:
    """Be what `python -m doit` is in its first moment, and go on as that."""
    arguments, folder, environment = message["arguments"], message["folder"], message["environment"]
    assert isinstance(arguments, list)
    assert isinstance(environment, dict)
    os.chdir(str(folder))
    os.environ.clear()
    os.environ.update(environment)
    os.fsync = _keep_in_memory
    time.tzset()
    tempfile.tempdir = None  # it was asked for before TMPDIR was set
    for name, number in (("stdout", 1), ("stderr", 2)):  # those of the server have a pipe where it had something else
        old = getattr(sys, name)
        stream = os.fdopen(number, "w", encoding=old.encoding, errors=old.errors, closefd=False)
        stream.reconfigure(line_buffering=old.line_buffering)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.path[0] = str(folder)
    sys.argv = ["doit", *arguments]
    if "TESTS_AUDIT" in environment:
        package = sys.modules.get("doit_tofu") or sys.modules["tasks"]
        _audit()(environment["TESTS_AUDIT"], str(package.__path__[0]))
    try:
        runpy.run_module("doit", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if isinstance(ended.code, int):
            _end(ended.code)
        raise
    raise SystemExit


def _end(code: int) -> None:
    """End as the interpreter does, but leave the modules: freeing them copies every page that is shared.

    Returns where what was printed cannot be written: the interpreter knows what to do then.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as channel, socket.socket(fileno=int(sys.argv[2])) as door:
        _preload()
        message = _serve(channel, door)
        if message is not None:  # they are closed
            channel.detach()
            door.detach()
    if message is not None:
        _run(message)


if __name__ == "__main__":
    _main()
