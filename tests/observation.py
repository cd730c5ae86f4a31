"""What the real engine reads, by the product's own reading of traces: whether a stack's inputs have all of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks import start
from tasks.artifact import accesses, inputs
from tasks.artifact import observed as product

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.artifact.accesses import Access


STRACE = ("strace", *accesses.OPTIONS)
_KEPT_BY_ENGINE = re.compile(
    r"(^|/)(\.terraform($|/)|\.terraform\.lock\.hcl$|terraform\.d($|/)|[^/]*\.tfstate($|\.)|\.terraform\.tfstate)"
)


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
    for access in accesses.read(trace.read_text(errors="surrogateescape").splitlines(), str(folder)):
        relative = access.path.removeprefix(f"{repository}/")
        if relative != access.path and not _KEPT_BY_ENGINE.search(relative):
            observed.raw += 1
            observed.accesses.add(access._replace(path=relative))
    return observed


@dataclass
class Known:
    """What counts for a stack, as the product has it; `any_file`: also any file."""

    counts: product.Known
    any_file: bool

    @classmethod
    def of(cls, repository: Path, stack: str) -> Known:
        """As the product has it."""
        project = start.load(repository, None)
        found = inputs.gather(project, project.stacks[stack])
        return cls(product.Known.of(project, project.stacks[stack], found), bool(project.module(stack).unknown))

    @property
    def files(self) -> set[str]:
        """The files that count."""
        return self.counts.files

    def missing(self, observed: Observed) -> list[Access]:
        """The accesses that no input stands for."""
        return [] if self.any_file else self.counts.missing(observed.accesses)


def needed() -> None:
    """Fail clearly where the engine cannot be watched."""
    assert shutil.which("strace"), "the oracle needs strace: apt-get install strace"
