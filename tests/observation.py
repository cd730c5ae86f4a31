"""What the real engine reads: its file accesses, recorded by strace, and whether a stack's inputs have them all."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks import start
from tasks.artifact import inputs
from tasks.artifact.inputs import InputKind
from tasks.project.hcl import reader

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.project.hcl.facts import NamedPath

STRACE = ("strace", "-D", "--seccomp-bpf", "-f", "-qq", "-y", "-s", "4096", "-e", "trace=%file,getdents64")
_CALL = re.compile(r'^\d+ +(\w+)\((?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
_LISTED = re.compile(r"^\d+ +getdents64\(\d+<([^>]*)>")
_KEPT_BY_ENGINE = re.compile(
    r"(^|/)(\.terraform($|/)|\.terraform\.lock\.hcl$|terraform\.d($|/)|[^/]*\.tfstate($|\.)|\.terraform\.tfstate)"
)


@dataclass(frozen=True, order=True)
class Access:
    """One thing that the engine did with a path of the repository: `opened`, `listed`, `looked up` or `missed`."""

    path: str
    how: str


@dataclass
class Observed:
    """A plan that was watched."""

    code: int
    output: str
    accesses: set[Access] = field(default_factory=set)
    raw: int = 0


def plan(tofu: Path, repository: Path, stack: str, variables: dict[str, str], trace: Path) -> Observed:
    """Plan a stack under strace; the engine's configuration and home are outside of the repository."""
    home = trace.parent / "home"
    home.mkdir(exist_ok=True)
    (home / "empty.tfrc").touch()
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "TF_CLI_CONFIG_FILE": str(home / "empty.tfrc"),
        "CHECKPOINT_DISABLE": "1", **{f"TF_VAR_{name}": value for name, value in variables.items()},
    }  # fmt: skip
    folder = repository / stack
    ready = subprocess.run(
        [tofu, "init", "-no-color", "-input=false"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ready.returncode != 0:
        return Observed(ready.returncode, ready.stdout + ready.stderr)
    done = subprocess.run(
        [*STRACE, "-o", trace, tofu, "plan", "-no-color", "-input=false", "-lock=false"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    observed = Observed(done.returncode, done.stdout + done.stderr)
    for line in trace.read_text(errors="surrogateescape").splitlines():
        _note(line, repository, folder, observed)
    return observed


def _note(line: str, repository: Path, folder: Path, observed: Observed) -> None:
    listed, call = _LISTED.match(line), _CALL.match(line)
    if listed is not None:
        path, how = listed[1], "listed"
    elif call is not None:
        path = posixpath.join(call[2] or str(folder), call[3])
        is_open = call[1].startswith("open") and "O_DIRECTORY" not in line and not os.path.isdir(path)  # noqa: PTH112
        how = "missed" if not os.path.lexists(path) else "opened" if is_open else "looked up"
    else:
        return
    path = posixpath.normpath(path)
    if not path.startswith(f"{repository}/"):
        return
    relative = path.removeprefix(f"{repository}/")
    if not _KEPT_BY_ENGINE.search(relative):
        observed.raw += 1
        observed.accesses.add(Access(relative, how))


@dataclass
class Known:
    """What counts for a stack: its files, the folders of which all counts or what matches, whether any file does."""

    root: Path
    files: set[str]
    folders: list[NamedPath]
    homes: set[str]
    any_file: bool

    @classmethod
    def of(cls, repository: Path, stack: str) -> Known:
        """As the product has it."""
        project = start.load(repository, None)
        module = project.module(stack)
        found = inputs.gather(project, project.stacks[stack]).digests
        files = {item.name for item in found if item.kind in (InputKind.FILE, InputKind.MODULE, InputKind.WATCHED)}
        folders = [named for named in module.named if not named.exact and named.read]
        return cls(repository, files, folders, {module.path, *module.modules}, bool(module.unknown))

    def missing(self, observed: Observed) -> list[Access]:
        """The accesses that no input stands for."""
        if self.any_file:
            return []
        real = {self._real(path) for path in self.files}
        above = {parent for path in (*self.files, *self.homes) for parent in _above(path)}
        return sorted(each for each in observed.accesses if not self._has(each, real, above))

    def _has(self, access: Access, real: set[str], above: set[str]) -> bool:
        path, how = access.path, access.how
        if path in self.files or self._real(path) in real:
            return True
        within = any(path == named.path or path.startswith(f"{named.path}/") for named in self.folders)
        if how == "opened":
            return False
        if how == "listed":
            return path in self.homes or within or self._is_linked_into_folder(path)
        if how == "missed":
            name = posixpath.basename(path)
            own = posixpath.dirname(path) in self.homes and (reader.is_configuration(name) or ".tfvars" in name)
            return own or within
        own = posixpath.dirname(path) in self.homes  # the engine looks at each entry of a folder that it lists
        return own or within or path in self.homes or path in above or self._is_linked_into_folder(path)

    def _is_linked_into_folder(self, path: str) -> bool:
        """Whether a path is what a link in a folder that counts leads to."""
        return any(
            (self.root / named.path).is_dir() and self._real(path).startswith(self._real(f"{named.path}/{name}"))
            for named in self.folders
            for name in os.listdir(self.root / named.path if (self.root / named.path).is_dir() else self.root)  # noqa: PTH208
            if (self.root / named.path / name).is_symlink()
        ) or any(named.path.startswith(f"{path}/") for named in self.folders)

    def _real(self, path: str) -> str:
        return os.path.realpath(self.root / path)


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def needed() -> None:
    """Fail clearly where the engine cannot be watched."""
    assert shutil.which("strace"), "the oracle needs strace: apt-get install strace"
