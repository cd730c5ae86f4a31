"""The state of one run that its tasks share."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from ..base import ci, crashlog, git, whence
from ..base.errors import EngineError, GitError
from ..base.limit import Limit
from ..base.masking import Masker
from ..base.problem import doit
from ..base.stop import Stop
from ..engine.encryption import Encryption
from . import commandline
from .custody import Custody
from .lock import EnvironmentLock
from .output import Output
from .request import Asked, Request
from .selection import Demand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..artifact.affected import Assessment
    from ..artifact.baseline import Baseline
    from ..artifact.standing import Standing
    from ..base.errors import DeployError
    from ..base.git import Relation, Revision
    from ..base.problem import Command, Problem
    from ..drifts.repairs import Repairing
    from ..engine.diagnostics import Diagnostic
    from ..engine.engine import Engine
    from ..engine.progress import Progress
    from ..project.project import Project
    from .recorded import Recorded
    from .result import Result


T = TypeVar("T")
_RECEIPTS = ("deploy", "verify")  # the stages that write receipts


class Run:
    """The shared state of one `doit` process; each attribute is written in one module, which is named here.

    Args:
        project: What is to be run on.
        request: What the command line asks for.

    Attributes:
        output: Prints.
        lock: The environment's lock.
        custody: Verifies the environment's folder, and signs what this run leaves in it.
        encryption: The keys, as the engine gets them.
        asked: What the selected tasks amount to (`reporter`).
        active: Whether our reporter has begun the run (`reporter`).
        demand: What the builds and images of this run are for (`build`).
        baseline: What counts as deployed where there are no receipts (`deployed`).
        results: The result of each task that ended, by doit's name of it (`keep`).
        applied: The stacks whose plan was applied in this run (`mark_applied`).
        reused: The stacks whose artifact was found to fit as it is (`plan`).
        replanned: Why a stack's artifact was replaced although it had been handed over, where allowed (`acceptance`).
        repairs: What this run undoes of each stack that has drifted (`repair`).
        standing: What is known of stacks as an earlier run of the same command found them (`start`).
        settled: The stacks that are up to date, each with what is said of its last deploy (`status`).
        assessed: What is affected, as found before anything ran (`assessment`).
        waiting: What a task that is under way waits for, by task: its checks or its apply (`waits`).
        recording: The ledger, where the configuration names one (`start`).
        began: When the run began.
        record: The id of the run's record; empty if runs are not recorded (`reporter`).
        ages: Whether what was said of a plan depends on how old it is (`status`).
        notes: What readers of this run's reports must know besides its results, a sentence each (`note`).
    """

    def __init__(self, project: Project, request: Request | None = None) -> None:
        self.project = project
        self.request = request or Request()
        self.layout = project.layout
        self.mask = Masker(project.config.secrets)
        self.mask.add_given(project.keyring.passphrases)
        self.output = Output(self.mask, aside=self.request.as_json)
        self.lock = EnvironmentLock(project.layout)
        self.custody = Custody(project, self.request.part)
        self.encryption = Encryption(project.keyring)
        self.stop = Stop(self.say, project.config.engine.grace)
        self.asked = Asked()
        self.active = False
        self.demand = Demand()
        self.baseline: Baseline | None = None
        self.results: dict[str, Result] = {}
        self.applied: set[str] = set()
        self.reused: set[str] = set()
        self.replanned: dict[str, str] = {}
        self.repairs: dict[str, Repairing] = {}
        self.assessed: dict[str, tuple[tuple[str, ...], Assessment]] = {}
        self.standing: Mapping[str, Standing] = {}
        self.settled: dict[str, str] = {}
        self._heard: dict[str, list[Diagnostic]] = {}
        self.waiting: dict[str, Callable[[], str]] = {}
        self.ages = False
        self.notes: list[str] = []
        self.recording: Recorded | None = None
        self.started = time.monotonic()
        self.began = datetime.now(UTC)
        self.record = ""
        self._engine: Engine | None = None
        self._no_engine: EngineError | None = None
        self._engine_lock = threading.Lock()
        self._stack_locks: dict[str, threading.RLock] = {}
        self._stack_locks_lock = threading.Lock()
        self._once: dict[Callable[[Run], Any], Any] = {}
        self._relations: dict[str, Relation] = {}
        self._limits = threading.local()

    def once(self, make: Callable[[Run], T]) -> T:
        """What a function makes of this run, made once: state that only the function's module reads and writes."""
        if make not in self._once:
            self._once.setdefault(make, make(self))  # another thread may have been first
        found: T = self._once[make]
        return found

    @contextmanager
    def within(self, seconds: float) -> Iterator[Limit]:
        """Limit the engine commands of this thread to a time."""
        self._limits.limit = Limit(seconds)
        try:
            yield self._limits.limit
        finally:
            self._limits.limit = None

    @property
    def limit(self) -> Limit | None:
        """The time that the engine commands of this thread may take; None for any."""
        found: Limit | None = getattr(self._limits, "limit", None)
        return found

    @contextmanager
    def waits(self, task: str, shown: Callable[[], str]) -> Iterator[None]:
        """Let a terminal show, within this, what a task waits for."""
        self.waiting[task] = shown
        try:
            yield
        finally:
            self.waiting.pop(task, None)

    def note(self, text: str) -> None:
        """Add a sentence to the reports of this run."""
        self.notes.append(text)

    def keep(self, task: str, outcome: Result) -> None:
        """Hold the result of a task."""
        self.results[task] = outcome
        if self.recording is not None and outcome.stage in _RECEIPTS:
            self.recording.note(outcome.stack)

    def mark_applied(self, stack: str) -> None:
        """Note that a stack's plan was applied in this run."""
        self.applied.add(stack)
        if self.recording is not None:
            self.recording.note(stack)

    def alone_with(self, stack: str) -> threading.RLock:
        """The lock of a stack's data directory among the threads of this run."""
        with self._stack_locks_lock:
            return self._stack_locks.setdefault(stack, threading.RLock())

    @property
    def parallel(self) -> int:
        """How many tasks are under way at once: what `-n` says, else the default."""
        return commandline.parallel()

    @property
    def hides_values(self) -> bool:
        """Whether values of attributes and outputs are left out of results and reports."""
        return self.project.config.plan.values == "hidden"

    @cached_property
    def revision(self) -> Revision:
        """The commit of the repository, of an overlay its own; asked of git once, when it is first needed."""
        return git.revision(self.layout.root)

    @property
    def signed_commit(self) -> str | None:
        """The commit that an index names; git is asked only where there is a key to sign one with."""
        return self.revision.commit if self.project.keyring.signs else None

    def relation_to(self, other: str) -> Relation:
        """Where the commit of this run stands to another one; each is asked of git once.

        Raises:
            GitError: This is a repository, and git does not answer.
        """
        if other not in self._relations:
            self._relations[other] = git.relation(self.layout.root, other, self.revision.commit or "")
        return self._relations[other]

    @property
    def is_unpushed(self) -> bool:
        """Whether no other clone can have the commit of this run; a pipeline's was pushed, wherever its clone has it.

        Raises:
            GitError: This is a repository, and git does not answer.
        """
        here = self.revision.commit
        return here is not None and ci.kind() == "none" and git.is_unpushed(self.layout.root, here)

    @property
    def shown_revision(self) -> Revision:
        """`revision` for reports and records, which no refusal of git may end: no commit then."""
        try:
            return self.revision
        except GitError:
            return git.Revision(None, dirty=False)

    @property
    def upstream(self) -> str | None:
        """The commit of what this repository is an overlay of."""
        base = self.project.loaded.base
        return base.revision if base else None

    def engine(self) -> Engine:
        """The engine, found, downloaded or built when it is first needed.

        Raises:
            EngineError: It cannot be obtained.
        """
        with self._engine_lock:
            if self._no_engine is not None:
                raise self._no_engine
            if self._engine is None:
                from ..engine import obtain, providercache
                from ..engine.admission import Admission
                from ..engine.engine import Engine

                settings = self.project.config.engine
                try:
                    found = obtain.obtain(settings, self.stop, self.say)
                    plugins = providercache.folder()
                except EngineError as error:
                    self._no_engine = error  # every stack would try, and fail, again
                    raise
                self.mask.add_given(key.encoded for key in self.project.keyring.all)
                engine = Engine(
                    found.binary, settings.kind, found.version, plugin_cache=plugins, encryption=self.encryption,
                    stop=self.stop, mask=self.mask, hear=self._hear, terse=self.hides_values,
                    tell=self._tell, every=settings.progress, watch=self._watch,
                    admission=Admission(settings.provider_memory, self.parallel, self.stop, self.say),
                )  # fmt: skip
                if self.project.keyring.is_set and not engine.takes_keys:
                    raise EngineError(
                        f"{engine.kind} {engine.version} cannot encrypt; OpenTofu 1.10.0 and newer can",
                        untouched="nothing was planned or applied",
                        next_step=f"set engine.version to a newer one; or unset {self.project.config.encryption.key}",
                    )
                self._engine = engine
            return self._engine

    def _tell(self, label: str, seconds: float, what: str) -> None:
        """Say that an apply goes on, unless a terminal shows it anyway."""
        if self.output.live is None:
            self.say(f"{label}: applying for {seconds:.0f} s" + (f", waiting for {what}" if what else ""))

    def _watch(self, label: str, under_way: Progress | None) -> None:
        """An apply begins, or ends: what it is at work on belongs to what its task waits for."""
        task = label.replace(" ", ":", 1)
        if under_way is None:
            self.waiting.pop(task, None)
        else:
            self.waiting[task] = lambda: under_way.look("\n")

    def _hear(self, label: str, found: list[Diagnostic]) -> None:
        self._heard.setdefault(label, []).extend(found)

    def heard(self, stage: str, stack: str) -> list[Diagnostic]:
        """What the engine has warned of in a task of a stack, each once; masked."""
        known = dict.fromkeys(self._heard.get(f"{stage} {stack}", ()))
        return [item.mapped(self.mask.text) for item in known]

    def keep_crash(self, task: str, error: BaseException) -> str:
        """Add an unexpected error to the crash log; returns the next step."""
        path, engine = self.layout.crash_log, self._engine
        used = f"{engine.kind} {engine.version}" if engine else None
        return crashlog.keep(path, self.layout.relative(path), task, error, self.mask, engine=used)

    def say(self, text: str, *, quoted: bool = False) -> None:
        """Print lines, with secrets masked; what is quoted, as for a program, is not fitted to the terminal."""
        self.output.say(text, quoted=quoted)

    def say_once(self, text: str) -> None:
        """`say`, unless this run has said it already."""
        self.output.say_once(text)

    @property
    def named_environment(self) -> str | None:
        """The environment as commands have to name it; None for the default one."""
        project = self.project
        return None if project.environment == project.config.default_environment else project.environment

    def command(self, *arguments: str) -> Command:
        """The command `doit ARGUMENTS` in this environment, to be shown to people."""
        return doit(*arguments, environment=self.named_environment)

    def typed(self, *arguments: str) -> str:
        """The command `doit ARGUMENTS` in this environment, in backquotes, for the shell that started us."""
        return whence.typed(self.command(*arguments))

    def problems(self, error: DeployError) -> list[Problem]:
        """Everything that an error says, as `problem` has it: of several errors in one, each."""
        return [found.within(self.named_environment).mapped(self.mask.text) for found in error.problems]

    def problem(self, error: DeployError, stack: str | None = None) -> Problem:
        """What an error says, as every face shows it: its commands in this environment, secrets masked.

        Args:
            error: The error.
            stack: The stack it is about, where the error does not say.
        """
        found = error.problem if error.problem.stack else replace(error.problem, stack=stack)
        return found.within(self.named_environment).mapped(self.mask.text)
