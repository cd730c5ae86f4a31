"""Sees every write, connection and process start of a doit process, and which module of the package made it.

Reads are seen of what another job or cache may have written: all below `.deploy` and in the user's cache.

Installed in the forked process (see `forkserver`); what goes round the gates is a line in the file that `TESTS_AUDIT` names.
"""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any

# Who may do what. Everything else has to go through one of these.
GATES: dict[str, dict[str, str]] = {
    "write": {
        "base/files.py": "durable records",
        "base/plain.py": "locks, appended lines",
        "base/process.py": "what a child prints, in an unlinked file",
        "engine/engine.py": "what the engine prints, in an unlinked file",
        "artifact/store.py": "the saved plan itself, byte for byte as the engine made it",
        "project/overlay/buildtree.py": "the merged tree: copies of the repositories' own files",
        "project/earlier.py": "the configuration at a base: copies of the repository's own files, in a private folder",
        "builds/images.py": "a builder's private copy of its context, and its login file",
        "builds/imagelayout.py": "blobs of an image layout, each checked against its name",
        "run/errored.py": "a state that could not be saved, as the engine left it",
        "base/standard.py": "/dev/null for a stream that is closed",
        "run/output.py": "/dev/null for a stream that cannot be written",
    },
    "read": {
        "base/plain.py": "plain files alone, of a bounded size, behind no link",
        "project/overlay/buildtree.py": "an upstream's files, compared with git's objects before",
        "policy/checker.py": "the folder of a checker's plan, to remove it",
    },
    "connect": {
        "base/http.py": "every HTTP client",
        "checks/http.py": "a check's own request, by a session of base/http",
        "notifications/webhook.py": "a message of masked text, by a session of base/http",
        "checks/tcp.py": "a check that only connects",
        "checks/kubernetes/api.py": "the Kubernetes client's own connection, its token masked",
        "notifications/services.py": "apprise's own connections: message text is masked before",
        "base/objects/bucket.py": "obstore's own connection to S3, or boto3's where it logs a profile in",
    },
    "start": {
        "base/process.py": "every child that is not the engine",
        "base/stop.py": "the engine, and children that a stop has to reach",
    },
}  # fmt: skip
_TESTS = os.path.dirname(os.path.abspath(__file__)) + os.sep  # noqa: PTH100, PTH120 - no import that a run lacks
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_DEPLOY = ".deploy"
_IMPORT = "<frozen importlib._bootstrap_external>"
_TREE = f"/{_DEPLOY}/.cache/tree"  # the stacks themselves, where links may lead from one file to another
_KINDS = {"open": "write", "socket.connect": "connect", "subprocess.Popen": "start", "os.exec": "start",
          "os.fork": "start", "os.forkpty": "start", "os.posix_spawn": "start", "os.system": "start",
          "os.rename": "", "shutil.copyfile": ""}  # fmt: skip


def install(report: str, package: str) -> None:
    """Watch this process from now on; the package's modules lie below a folder."""
    descriptor = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    inside = package.rstrip("/") + "/"
    cache = os.environ.get("DOIT_TOFU_CACHE", "/nowhere").rstrip("/") + "/"

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        kind = _KINDS.get(event)
        if not kind:
            return
        what = str(arguments[0])
        if event == "open":
            if (
                (arguments[2] or 0) & os.O_DIRECTORY
                or what == os.devnull
                or what.endswith(".pyc")
                or "__pycache__" in what
                or sys._getframe(1).f_code.co_filename == _IMPORT  # Python compiles a library on its first import
            ):
                return
            if not (arguments[2] or 0) & _WRITING:
                if _TREE in what or (f"/{_DEPLOY}/" not in what and not what.startswith(cache)) or os.path.isdir(what):  # noqa: PTH112
                    return
                kind = "read"
        elif event == "socket.connect":
            what = str(arguments[1])
        module = _module(sys._getframe(1), inside)
        if module is not None and module not in GATES[kind]:
            os.write(descriptor, f"{kind} in {module}: {what}\n".encode())

    sys.addaudithook(hook)


def _module(frame: FrameType | None, inside: str) -> str | None:
    """The module of the package that a call comes from; None for what doit and Python do of their own."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_TESTS) or name.endswith("/swapper.py"):
            return None  # what a test does in the process that it watches
        if name.startswith(inside):
            return name.removeprefix(inside)
        frame = frame.f_back
    return None
