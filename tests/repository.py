"""Builds real repositories of stacks in a temporary folder and runs doit in them, as a user would."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tests.forkserver import Forked, ForkServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.snapshots import Snapshots

T = TypeVar("T")

ROOT = Path(__file__).parent.parent
PATIENCE = 120.0

# As an infrastructure repository has it when the wheel is installed; else the package of this tree.
INSTALLED = importlib.util.find_spec("doit_tofu") is not None
DODO = (
    "from doit_tofu import *\n"
    if INSTALLED
    else f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom tasks import *\n"
)

ENGINE_VERSION = "1.12.6"
# Its processes are short and small: collecting garbage is a third of their work. The fixture `tofu` has asked for its
# version: that is not asked again in each test.
LOGGING_ENGINE = """\
#!/bin/sh
printf '%s\\n' "${{PWD##*/}} $*" >> '{log}'
[ "$*" = version ] && echo 'OpenTofu vENGINE_VERSION' && exit
GOGC=off exec '{tofu}' "$@"
""".replace("ENGINE_VERSION", ENGINE_VERSION)

# No test's tree gets byte code. What pip installed has its own; for the package of this tree it is kept elsewhere.
BYTE_CODE = (
    {"PYTHONDONTWRITEBYTECODE": "1"}
    if INSTALLED
    else {"PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / f"doit-tofu-tests-{os.getuid()}")}
)
_GIT_DATES = ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE")
_FIRST_COMMIT = 1_767_225_600  # 2026-01-01: commits of the same content are the same commit in every test


@dataclass
class Done:
    """An ended doit process."""

    code: int
    out: str

    def task(self, stage: str, stack: str) -> str:
        """The line of a task; one that failed as another above has that one's cause in it."""
        uncounted = {line: re.sub(r"^(\w+ +)\d+/\d+ ", r"\1", line) for line in self.out.splitlines()}
        found = [line for line, words in uncounted.items() if words.split()[:2] == [stage, stack]]
        assert len(found) == 1, f"{len(found)} lines for {stage} {stack} in:\n{self.out}"
        if first := re.search(r"\bas (\S+) above\b", found[0]):
            return found[0][: first.start()] + self.task(stage, first[1]).partition("FAILED")[2].lstrip()
        return found[0]

    def line(self, *words: str) -> str:
        """The one line of output that has all these words, before what failed is told again at the end."""
        told = re.split(r"\n(?:\x1b\[[\d;]*m)?FAILED  ", self.out)[0]
        lines = [line for line in told.splitlines() if not line.startswith("::error")]
        found = [line for line in lines if all(word in line for word in words)]
        assert len(found) == 1, f"{len(found)} lines with {words} in:\n{self.out}"
        return found[0]


@dataclass
class Repository:
    """A git repository with stacks, an own HOME and identity, and an engine whose every start is logged."""

    path: Path
    home: Path
    tofu: Path
    variables: dict[str, str] = field(default_factory=dict)
    python: Path = Path(sys.executable)
    fresh: bool = os.environ.get("TESTS_FORK") == "no"  # whether doit runs in interpreters of their own
    commits: int = 0

    snapshots: ClassVar[Snapshots | None] = None
    _server: ClassVar[ForkServer | None] = None
    _starting: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def create(cls, base: Path, tofu: Path, *files: str) -> Repository:
        """A repository with files, each given as `path:content` (content is dedented) or `path` for an empty one."""
        repository = cls(base / "repo", base / "home", tofu, commits=1)

        def make() -> None:
            repository.path.mkdir(parents=True)
            repository.home.mkdir(parents=True, exist_ok=True)
            repository.engine_script(LOGGING_ENGINE.format(log=repository.log, tofu=tofu))
            repository.write("dodo.py:" + DODO, ".gitignore:.deploy/\n*.tfstate*\n.terraform/\n__pycache__/\n", *files)
            repository.git("init", "--quiet", "--initial-branch=main", "--template=")
            repository.git("add", "--all")
            repository.git("commit", "--quiet", "--allow-empty", "--message", "begin", number=0)

        repository.once(make, files)
        return repository

    def once(self, act: Callable[[], T], *key: object) -> T:
        """Act, or copy what the very same act once left; only in the folder of a test, which is always at one place.

        Args:
            act: Depends on this repository and the key alone, and leaves something in the test's folder alone.
            key: What distinguishes the act from others.
        """
        kept = Repository.snapshots
        if kept is None or not (self.path.is_relative_to(kept.world) and self.home.is_relative_to(kept.world)):
            return act()

        def acted() -> tuple[T, int]:
            return act(), self.commits

        result, self.commits = kept.after(acted, str(self.path), str(self.tofu), str(self.python), *key)
        return result

    @property
    def log(self) -> Path:
        """The engine's log: a line per process, the folder's name and the arguments."""
        return self.home / "engine.log"

    @property
    def bin(self) -> Path:
        """The folder that comes first on PATH."""
        return self.home / "bin"

    def engine_script(self, text: str) -> None:
        """Put a script in front of the engine."""
        self.bin.mkdir(exist_ok=True)
        script = self.bin / "tofu"
        script.write_text(text)
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def write(self, *files: str) -> None:
        """Write files given as `path:content`."""
        for text in files:
            name, _, content = text.partition(":")
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(content))

    def environment(self, **more: str) -> dict[str, str]:
        """A small environment of its own: nothing of the machine's but what is needed to run."""
        return {
            "PATH": f"{self.bin}:{self.python.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "DOIT_TOFU_CACHE": str(self.home / "cache"),
            "TESTS_AUDIT": str(self.home / "audit.log"),
            "GIT_CONFIG_GLOBAL": str(ROOT / "tests/git.config"),
            "GIT_AUTHOR_NAME": "Test", "GIT_AUTHOR_EMAIL": "test@example.test",
            "GIT_COMMITTER_NAME": "Test", "GIT_COMMITTER_EMAIL": "test@example.test",
            "LANG": "C.UTF-8", **BYTE_CODE,
            **self.variables, **more,
        }  # fmt: skip

    def git(self, *arguments: str, number: int | None = None, folder: Path | None = None) -> str:
        """Run git here, or in another folder; what is done has the time of the commit of a number, else the time of now."""
        when = {} if number is None else dict.fromkeys(_GIT_DATES, f"{_FIRST_COMMIT + number} +0000")
        return subprocess.run(
            ["git", *arguments],
            cwd=folder or self.path,
            env=self.environment(**when),
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def commit(self, message: str = "change") -> str:
        """Commit everything; gives the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message, number=self.commits)
        self.commits += 1
        return self.git("rev-parse", "HEAD")

    def start(self, *arguments: str, folder: Path | None = None, **variables: str) -> subprocess.Popen[str] | Forked:
        """Start doit in a session of its own, here or in another folder."""
        environment = self.environment(**variables)
        if self._is_fresh() or _is_about_python({**self.variables, **variables}):
            return subprocess.Popen(
                [str(self.python), "-m", "doit", *arguments], cwd=folder or self.path, env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                start_new_session=True,
            )  # fmt: skip
        return self._forking().start(list(arguments), folder or self.path, environment)

    def fork_for_scripts(self) -> None:
        """Have scripts of this repository's environment find a `doit` that is forked, too."""
        if self._is_fresh():
            return
        client = [sys.executable, "-I", "-S", "-B", str(ROOT / "tests/forkclient.py"), self._forking().address]
        script = self.bin / "doit"
        script.write_text(f'#!/bin/sh\nexec {shlex.join(client)} "$@"\n')
        script.chmod(0o755)

    def _is_fresh(self) -> bool:
        return self.fresh or self.python != Path(sys.executable)

    @classmethod
    def _forking(cls) -> ForkServer:
        """What doit processes are forked from, started when it is needed first."""
        with cls._starting:
            if cls._server is None:
                cls._server = ForkServer({"PATH": os.defpath, "LANG": "C.UTF-8", **BYTE_CODE})
        return cls._server

    @classmethod
    def end(cls) -> None:
        """End what the doit processes of this test process were forked from; the next one starts it again."""
        if cls._server is not None:
            cls._server.stop()
            cls._server = None

    def doit(self, *arguments: str, code: int | None = 0, **variables: str) -> Done:
        """Run doit to its end; its exit code must be the given one, unless that is None."""
        process = self.start(*arguments, **variables)
        out, _ = process.communicate(timeout=PATIENCE)
        assert code is None or process.returncode == code, f"exit code {process.returncode}, expected {code}:\n{out}"
        assert "Traceback" not in out, out
        round_it = self.went_round_a_gate()
        assert not round_it, f"this went round a gate (tests/audit.py):\n{round_it}"
        return Done(process.returncode, out)

    def went_round_a_gate(self) -> str:
        """What doit wrote, connected to or started since the last look without going through a gate, see `audit`."""
        report = self.home / "audit.log"
        found = report.read_text() if report.exists() else ""
        report.unlink(missing_ok=True)
        return found

    def prepare(self, *arguments: str, code: int = 0, **variables: str) -> Done:
        """As `doit`, for what a test begins with and does not look into: done once, then copied from what that left.

        For runs that leave something in the test's folder alone, and nothing at a server.
        """
        return self.once(
            lambda: self.doit(*arguments, code=code, **variables),
            arguments,
            code,
            sorted(self.environment(**variables).items()),
        )

    def engine_calls(self, command: str | None = None) -> list[str]:
        """The engine processes since the last call of this, as `folder command arguments`, without `version`."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        calls = [line for line in lines if line.split()[1] != "version"]
        return [line for line in calls if command is None or line.split()[1] == command]

    def planned(self) -> list[str]:
        """The stacks' folders that the engine planned since the last look, sorted."""
        return sorted(line.split()[0] for line in self.engine_calls("plan"))

    def deploy_dir(self, *parts: str, environment: str = "local") -> Path:
        """A path below `.deploy/<env>`."""
        return self.path.joinpath(".deploy", environment, *parts)

    def json(self, *parts: str, environment: str = "local") -> Any:
        """A JSON file below `.deploy/<env>`."""
        return json.loads(self.deploy_dir(*parts, environment=environment).read_text())

    def inputs(self, *parts: str, environment: str = "local") -> dict[tuple[str, str], str]:
        """The digest of each input in a receipt or manifest, by kind and name."""
        entries = self.json(*parts, environment=environment)["inputs"]["digests"]
        return {(entry["kind"], entry.get("name", "")): entry["digest"] for entry in entries}

    def state(self, stack: str, environment: str = "local") -> dict[str, Any]:
        """A stack's state, as `minimal_config` places it."""
        value: dict[str, Any] = json.loads((self.path / ".state" / f"{stack}-{environment}.tfstate").read_text())
        return value

    def forget_addresses(self, stack: str) -> None:
        """Take what exists out of a receipt, as an older one has it: what left the state is drift then, not a loss."""
        path = self.deploy_dir("receipts", f"{stack}.json")
        path.write_text(json.dumps({**json.loads(path.read_text()), "exists": []}))

    def clone(self, base: Path) -> Repository:
        """A fresh clone at another place, with a HOME of its own."""
        other = Repository(base / "clone", base / "clone-home", self.tofu, dict(self.variables))
        other.home.mkdir(parents=True)
        other.engine_script(LOGGING_ENGINE.format(log=other.log, tofu=self.tofu))
        base.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "clone", "--quiet", str(self.path), str(other.path)], env=self.environment(), check=True)
        return other


def _is_about_python(variables: dict[str, str]) -> bool:
    """Whether variables are for the start of an interpreter, and so no process that was forked can heed them."""
    return any(name.startswith(("PYTHON", "LC_")) or name == "LANG" for name in variables)


def resource(value: str = "1", *, extra: str = "") -> str:
    """A small root module with a local backend, one resource and one output `value`."""
    return (
        'terraform {\n  backend "local" {}\n}\n\n'
        f'resource "terraform_data" "it" {{\n  input = "{value}"\n}}\n\n'
        f'output "value" {{\n  value = terraform_data.it.output\n}}\n{extra}'
    )


def reader(*names: str) -> str:
    """A root module with a local backend that takes variables and keeps them in a resource; output `value` is them."""
    declared = "".join(f'\nvariable "{name}" {{\n  type = any\n}}\n' for name in names)
    values = ", ".join(f"var.{name}" for name in names)
    return (
        f'terraform {{\n  backend "local" {{}}\n}}\n{declared}\n'
        f'resource "terraform_data" "it" {{\n  input = [{values}]\n}}\n\n'
        'output "value" {\n  value = terraform_data.it.output\n}\n'
    )


def minimal_config(more: str = "") -> str:
    """A pipeline file with a local backend of one state per stack and environment."""
    head = 'version: 1\nbackend: {kind: local, settings: {path: "{root}/.state/{stack}-{environment}.tfstate"}}\n'
    return "config/pipeline.yaml:" + head + dedent(more)


def wait_for(condition: Any, what: str, patience: float = PATIENCE) -> None:
    """Wait until a condition is true."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"waited too long for {what}"
        time.sleep(0.02)


def alive(pid: str | int) -> bool:
    """Whether a process exists and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send a signal to a process and all that share its group."""
    os.killpg(process.pid, number)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder, replacing what is there."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, and every file within a plan, which is a zip."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        found[str(path)] = path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found.update({f"{path}!{name}": archive.read(name) for name in archive.namelist()})
    return found
