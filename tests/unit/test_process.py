"""Child processes: one module starts those that are not the engine, and ends what they leave."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tasks.base import gittree, process
from tasks.base.errors import StoppedError
from tasks.base.masking import Secrets
from tasks.base.stop import Stop
from tests.repository import alive

PACKAGE = Path(process.__file__).parent.parent
GATES = {"base/process.py", "base/stop.py"}
STARTS = ("fork", "forkpty", "exec", "spawn", "posix_spawn", "popen", "system", "startfile")
MODULES = {"subprocess", "multiprocessing", "pty", "pexpect"}


def starts(tree: ast.AST) -> set[str]:
    """The names in a module with which processes are started."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            module = node.module or ""
            found |= {module} if module.partition(".")[0] in MODULES else set()
            found |= {f"os.{alias.name}" for alias in node.names if module == "os" and alias.name.startswith(STARTS)}
            if module == "asyncio":
                found |= {alias.name for alias in node.names if alias.name.startswith("create_subprocess")}
        elif isinstance(node, ast.Attribute):
            of_os = isinstance(node.value, ast.Name) and node.value.id == "os" and node.attr.startswith(STARTS)
            found |= (
                {f"os.{node.attr}"} if of_os else {node.attr} if node.attr.startswith("create_subprocess") else set()
            )
    return found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import subprocess", {"subprocess"}),
        ("from subprocess import run", {"subprocess"}),
        ("if x:\n    import multiprocessing.pool", {"multiprocessing.pool"}),
        ("import os\nos.execvp('a', [])", {"os.execvp"}),
        ("from os import posix_spawn", {"os.posix_spawn"}),
        ("import os\nstart = os.system", {"os.system"}),
        ("import os\nos.getpid()", set()),
        ("from .subprocess import run", set()),
    ],
)
def test_the_ways_to_start_a_process_are_recognized(source: str, found: set[str]) -> None:
    assert starts(ast.parse(source)) == found


def test_no_module_but_the_gates_starts_processes() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): names
        for path in PACKAGE.rglob("*.py")
        if (names := starts(ast.parse(path.read_text())))
    }

    assert set(found) == GATES, found


@pytest.fixture
def stop() -> Stop:
    return Stop(lambda _: None)


def shell(stop: Stop, script: str, **options: object) -> process.Ended:
    return process.run(
        stop, "test", ["sh", "-c", script], mask=Secrets(), cwd=Path.cwd(), env=dict(os.environ), **options
    )  # type: ignore[arg-type]


def has_gone(pid: int) -> bool:
    """Whether a process that was killed has gone, for which a moment may pass."""
    end = time.monotonic() + 10
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(pid)


LEAVES_ONE = "sleep 60 >/dev/null 2>&1 & echo $!"


def test_what_a_program_leaves_running_is_ended(stop: Stop) -> None:
    assert has_gone(int(shell(stop, LEAVES_ONE, timeout=30).output))


def test_what_a_program_leaves_running_goes_on_where_that_is_asked_for(stop: Stop) -> None:
    left = int(shell(stop, LEAVES_ONE, timeout=30, leave=True).output)

    try:
        assert alive(left)
    finally:
        with suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)


def test_a_program_that_takes_too_long_is_ended_with_what_it_started(stop: Stop, tmp_path: Path) -> None:
    ended = shell(stop, f"sleep 60 & echo $! > {tmp_path}/pid; wait", timeout=0.5, leave=True)

    assert ended.code is None
    assert not ended.ok
    assert has_gone(int((tmp_path / "pid").read_text()))
    assert process.how(ended.code, 0.5) == "took longer than 0.5 s"


def test_standard_error_is_kept_apart_where_asked(stop: Stop) -> None:
    script = "echo out; echo err >&2; exit 3"

    assert shell(stop, script) == process.Ended(3, "out\nerr\n", raw="out\nerr\n")
    assert shell(stop, script, apart=True) == process.Ended(3, "out\n", "err\n", "out\n")


def test_only_the_end_of_a_long_output_is_kept(stop: Stop) -> None:
    assert shell(stop, "seq 100000", last=12).output == "99999\n100000\n"[-12:]


@pytest.mark.parametrize("cut", [1, 5, 9, 30, 31])
@pytest.mark.parametrize("apart", [False, True])
def test_a_secret_is_not_cut_in_half_before_it_is_masked(stop: Stop, cut: int, *, apart: bool) -> None:
    mask = Secrets()
    mask.add(["hunter2-secret-of-the-database"])
    script = f"echo before hunter2-secret-of-the-database {'>&2' if apart else ''}"
    ended = process.run(
        stop, "it", ["sh", "-c", script], mask=mask, cwd=Path(), env=dict(os.environ), last=cut, apart=apart
    )
    shown = ended.errors if apart else ended.output
    assert shown == "before (sensitive value)\n"[-cut:]


def test_lines_are_handed_on_as_they_come(stop: Stop, tmp_path: Path) -> None:
    seen: list[str] = []

    def take(line: str) -> None:
        seen.append(line)
        if line == "one":
            (tmp_path / "go").touch()  # the program waits for it: so it was not at its end when the line came

    ended = shell(
        stop, f"echo one; until [ -e {tmp_path}/go ]; do sleep 0.05; done; printf 'tw'; sleep 0.2; printf 'o\nlast'",
        timeout=20, line=take,
    )  # fmt: skip

    assert ended.code == 0
    assert seen == ["one", "two", "last"]
    assert ended.output == "one\ntwo\nlast"


def test_nothing_is_started_after_a_stop(stop: Stop, tmp_path: Path) -> None:
    stop.requested = True

    with pytest.raises(StoppedError):
        shell(stop, f"touch {tmp_path}/ran")

    assert list(tmp_path.iterdir()) == []


def test_a_question_that_takes_too_long_is_killed_with_what_it_started(tmp_path: Path) -> None:
    began = time.monotonic()
    ended = process.ask(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait"], env=dict(os.environ), timeout=0.5)

    assert ended.code is None
    assert time.monotonic() - began < 20  # not the 60 s that its child holds the output open
    assert has_gone(int((tmp_path / "pid").read_text()))


def test_a_question_has_no_input_and_a_session_of_its_own() -> None:
    program = "import os, sys; print(sys.stdin.read() == '', os.getsid(0) == os.getpid())"

    assert process.ask([sys.executable, "-c", program], env=dict(os.environ), timeout=60).output == "True True\n"


def test_a_program_that_is_not_there_is_an_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        process.ask(["there-is-no-such-program"], env={"PATH": "/nowhere"}, timeout=5)


def test_a_file_of_a_commit_is_read_byte_for_byte(tmp_path: Path) -> None:
    content = b"name: caf\xe9\r\nother: 1\n"
    (tmp_path / "a.yaml").write_bytes(content)
    settings = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "core.autocrlf=false"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=one"]):
        subprocess.run(["git", *settings, *arguments], cwd=tmp_path, check=True)

    commit = gittree.read(tmp_path, "HEAD")
    assert commit is not None
    assert commit.content("a.yaml") == content
