"""One run: what its tasks share, and the lock that keeps two runs from changing one environment at once."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import threading
import time
from dataclasses import replace
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from ..artifact.receipt import now
from ..base import git
from ..base.errors import EngineError, RecordError, RunLockedError
from ..base.layout import cache_dir, prepare
from ..base.masking import Masker
from ..base.problem import doit
from ..base.stop import Stop
from ..engine import obtain
from ..engine.encryption import Encryption
from ..engine.engine import Engine
from . import cilog
from .selection import Demand

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..artifact.affected import Assessment
    from ..artifact.baseline import Baseline
    from ..artifact.outputs import Output
    from ..base.errors import DeployError
    from ..base.git import Revision
    from ..base.problem import Command, Problem
    from ..project.project import Project
    from .allowance import Allowance, Judged
    from .result import Result
    from .selection import Part


class Run:
    """The shared state of one `doit` process.

    Args:
        project: What is to be run on.

    Attributes:
        results: The result of each task that ended, by doit's name of it.
        encryption: The keys, as the engine gets them.
        replanned: Why a stack's artifact was replaced although it had been handed over, where that is allowed.
        deploying: Whether a deploy was selected: artifacts that are there must then fit, not be replaced.
        planning: Whether anything was selected that needs the stacks' backends.
        applied: Stacks whose plan was applied in this run.
        assessed: What is affected, as found before anything ran, see `assessment.assess_once`.
        reused: Stacks whose artifact was found to fit as it is.
        reviewed: What was reviewed, once it was asked for, see `review.gate`; `reviewed_file` is where, when named.
        notes: What readers of this run's reports must know besides its results, a sentence each.
        part: Which part of a generated pipeline this run is, see `fanout`; None where it is a run of its own.
        mocking: Whether plans may be made with stand-ins; `mocks=no` on the command line forbids it.
        baseline: What counts as deployed where there are no receipts.
        base_given: The base that was named on the command line, when it is another one than the deployed tag.
        waiting: What the checks of a task that is under way wait for, by the task.
        demand: What the builds and images of this run are for.
        allowances: The findings of policies that the command line allows.
        judged: The plan that policy let through in this run, by stack.
        current: Tasks that were found up to date; one of them that runs all the same was forced (`doit -a`).
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.layout = project.layout
        self.mask = Masker(project.config.secrets)
        self.mask.add(project.keyring.passphrases)
        self.encryption = Encryption(project.keyring)
        self.stop = Stop(self.say, project.config.engine.grace)
        self.results: dict[str, Result] = {}
        self.replanned: dict[str, str] = {}
        self._said: set[str] = set()
        self.active = False
        self.deploying = False
        self.planning = False
        self.part: Part | None = None
        self.mocking = True
        self.base_given: str | None = None
        self.baseline: Baseline | None = None
        self.allowances: list[Allowance] = []
        self.judged: dict[str, Judged] = {}
        self.current: set[str] = set()
        self.demand = Demand()
        self.reused: set[str] = set()
        self.applied: set[str] = set()
        self.assessed: dict[str, tuple[tuple[str, ...], Assessment]] = {}
        self.initialized: dict[str, bool] = {}
        self.started = time.monotonic()
        self._engine: Engine | None = None
        self._engine_lock = threading.Lock()
        self._print_lock = threading.Lock()
        self.reading_lock = threading.Lock()
        self._stack_locks: dict[str, threading.RLock] = {}
        self.read_outputs: dict[str, dict[str, Output]] = {}
        self._lock_file: IO[str] | None = None
        self.live: Any = None
        self.waiting: dict[str, Callable[[], str]] = {}
        self.dialect = cilog.dialect()
        self.reviewed: Any = None
        self.reviewed_file: str | None = None
        self.notes: list[str] = []

    def alone_with(self, stack: str) -> threading.RLock:
        """The lock of a stack's data directory among the threads of this run."""
        with self._print_lock:
            return self._stack_locks.setdefault(stack, threading.RLock())

    @property
    def hides_values(self) -> bool:
        """Whether values of attributes and outputs are left out of results and reports."""
        return self.project.config.plan.values == "hidden"

    @cached_property
    def revision(self) -> Revision:
        """The commit of the repository, of an overlay its own; asked of git once, when it is first needed."""
        return git.revision(self.layout.root)

    @property
    def upstream(self) -> str | None:
        """The commit of what this repository is an overlay of."""
        base = self.project.loaded.base
        return base.revision if base else None

    def engine(self) -> Engine:
        """The engine, found, downloaded or built when it is first needed.

        Raises:
            EngineError: It cannot be had.
        """
        with self._engine_lock:
            if self._engine is None:
                settings = self.project.config.engine
                found = obtain.obtain(settings, self.stop, self.say)
                plugins = cache_dir() / "providers"
                plugins.mkdir(parents=True, exist_ok=True)
                self.mask.add(key.encoded for key in self.project.keyring.all)
                engine = Engine(
                    found.binary, settings.kind, found.version, plugin_cache=plugins, encryption=self.encryption,
                    stop=self.stop, mask=self.mask, terse=self.hides_values,
                )  # fmt: skip
                if self.project.keyring.is_set and not engine.takes_keys:
                    raise EngineError(
                        f"{engine.kind} {engine.version} cannot be given keys, OpenTofu 1.10.0 and newer can",
                        untouched="nothing was planned or applied",
                        next_step=f"set engine.version to a newer one; or unset {self.project.config.encryption.key}",
                    )
                self._engine = engine
            return self._engine

    def say(self, text: str) -> None:
        """Print lines for people, secrets masked, one caller at a time."""
        masked = self.mask.text(text)
        with self._print_lock:
            if self.live is not None:
                self.live.console.print(cilog.plain(masked), markup=False, highlight=False, soft_wrap=True)
                return
        self._write(cilog.harmless(masked, self.dialect))

    def show(self, text: str) -> None:
        """Print text that is made to be read by a terminal or a CI system: its colours and commands count."""
        self._write(self.mask.text(text))

    def section(self, name: str, title: str, body: str, *, folded: bool) -> None:
        """`say`, the body in a section that the CI system's log folds.

        Args:
            name: The section's name, unique in the log.
            title: Its first line.
            body: What folds.
            folded: Whether it is folded at first.
        """
        title, body = self.mask.text(title), self.mask.text(body)
        self._write(cilog.section(self.dialect, name, title, body, folded=folded))

    def _write(self, text: str) -> None:
        with self._print_lock:
            try:
                sys.stdout.write(text + "\n")
                sys.stdout.flush()
            except BrokenPipeError:  # nobody reads any more (`doit deploy | head`): that ends no deploy
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    @property
    def named_environment(self) -> str | None:
        """The environment as commands have to name it; None for the default one."""
        project = self.project
        return None if project.environment == project.config.default_environment else project.environment

    def command(self, *arguments: str) -> Command:
        """The command `doit ARGUMENTS` in this environment, to be shown to people."""
        return doit(*arguments, environment=self.named_environment)

    def problem(self, error: DeployError, stack: str | None = None) -> Problem:
        """What an error says, as every face shows it: its commands in this environment, secrets masked.

        Args:
            error: The error.
            stack: The stack it is about, where the error does not say.
        """
        found = error.problem if error.problem.stack else replace(error.problem, stack=stack)
        return found.within(self.named_environment).mapped(self.mask.text)

    def say_once(self, text: str) -> None:
        """`say`, unless this run has said it already."""
        with self._print_lock:
            known = text in self._said
            self._said.add(text)
        if not known:
            self.say(text)

    def take_lock(self, command: str) -> None:
        """Hold this environment until the process ends.

        Raises:
            RunLockedError: Another run holds it; says which.
            RecordError: The folder cannot be written.
        """
        path = self.layout.run_lock
        try:
            prepare(self.layout, path.parent)
            stream = path.open("a+")
        except OSError as error:
            raise RecordError(
                f"cannot write in {self.layout.relative(path.parent)}: {error.strerror}",
                untouched="nothing was planned or applied",
                next_step="make room or make the folder writable, then run the same command again",
            ) from error
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(stream)
            stream.close()
            raise RunLockedError(
                f"another run holds environment '{self.layout.environment}': {holder}",
                where=self.layout.relative(path),
                untouched="nothing was planned or applied",
                next_step="wait for it to end, then run the same command again; the lock ends with that process",
            ) from None
        stream.seek(0)
        stream.truncate()
        stream.write(f"`{command}`, pid {os.getpid()} on {socket.gethostname()}, since {now()}\n")
        stream.flush()
        self._lock_file = stream

    def under_way(self) -> str | None:
        """The other run that holds this environment at this moment, in words; None when none does."""
        try:
            with self.layout.run_lock.open() as stream:
                try:
                    fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return _holder(stream)
        except OSError:  # there never was one, or it cannot be known
            return None
        return None

    def release_lock(self) -> None:
        """Give the environment back."""
        if self._lock_file is not None:
            self._lock_file.seek(0)
            self._lock_file.truncate()
            self._lock_file.close()
            self._lock_file = None


def _holder(stream: IO[str]) -> str:
    stream.seek(0)
    return stream.read().strip() or "an unknown process"
