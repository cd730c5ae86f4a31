"""Starts a run: loads the project for an environment and configures doit; errors here exit with 1."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from doit import get_var

from . import wanted
from .base import crashlog, ownenvironment, standard, terminal, urls, whence
from .base.errors import ConfigError, ConfigErrors, DeployError, ExitCode, UnexpectedError
from .base.layout import DEPLOY_DIR, prepare
from .base.masking import SECRET_NAME, Masker
from .base.problem import doit
from .engine import encryption
from .project import backend, references, stateid, volatile
from .project import load as loading
from .project.config.keyring import Keyring
from .run import cilog, commandline, deployed, doitdb, fanout, misspelt, stateguard, turns, urgency
from .run.request import Request
from .run.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .artifact.standing import Standing
    from .base.layout import Layout
    from .base.problem import Problem
    from .ledger.holder import Pipeline
    from .project.config.loading import Loaded
    from .project.load import Configured
    from .project.model import Config
    from .project.model.ledger import Ledger
    from .project.project import Project
    from .project.statekinds import StateId
    from .run.allowance import Allowance
    from .run.early import Early
    from .run.reviewing import Review

ENVIRONMENT_VARIABLE = "DEPLOY_ENV"
_SECRET = re.compile(f"{SECRET_NAME.pattern}|KEY")  # before the configuration is read, it may name others
_READING = frozenset({"plan", "deploy", "verify", "drift", "status", "ci"})  # what begins with the ledger


def _check_environment_variable() -> None:
    """Refuse an empty name of an environment: another one than the default was meant.

    Raises:
        ConfigError: It is such, and the command line names none.
    """
    if not get_var("env") and os.environ.get(ENVIRONMENT_VARIABLE) == "":
        raise ConfigError(
            f"the environment variable {ENVIRONMENT_VARIABLE} is empty",
            untouched="nothing was planned or applied",
            next_step="set it to an environment, or unset it for the default one",
        )


def start(standing: Mapping[str, Standing] | None = None) -> Run:
    """Load the project in the current folder, which doit has set to that of `dodo.py`.

    The environment is `env=NAME` on the command line, else `DEPLOY_ENV`, else the configuration's default.
    `upstream=update` there updates an overlay's pinned upstream; `from=` takes what another job handed over; `allow=`
    overrides a policy and `accept=` accepts a state, both with a `reason=`.

    Args:
        standing: What is known of stacks on which nothing has changed since the last run of the same command.

    Raises:
        SystemExit: The project has errors, which were printed.
    """
    root = Path.cwd()
    standard.prepare()
    ownenvironment.hide(name for name in os.environ if _SECRET.search(name.upper()) or "://" in os.environ[name])
    if any(word == "-r" or word.startswith("--reporter") for word in sys.argv[1:]):
        _end("doit-tofu needs its own reporter for its exit codes\n  next: omit `-r`")
    environment = get_var("env") or os.environ.get(ENVIRONMENT_VARIABLE) or None
    try:
        return _made(root, environment, standing or {})
    except DeployError as error:
        problems = [problem.within(environment).before_anything() for problem in error.problems]
        _tell_reviewers(environment, problems)
        if commandline.wants_json():
            _print_failure(environment, problems)
        _end(whence.listed(problems))
    except Exception as error:  # noqa: BLE001 - the boundary: a person gets a sentence, the traceback goes to a file
        shown = f"{DEPLOY_DIR}/crash.log"
        step = crashlog.keep(root / shown, shown, "start", error, Masker())
        _end(UnexpectedError(f"{type(error).__name__}: {error}", next_step=step).problem.before_anything().text())


def _made(root: Path, environment: str | None, standing: Mapping[str, Standing]) -> Run:
    """The run that the command line asks for, checked, and with the secrets that its configuration names masked.

    Raises:
        DeployError: The project or the command line has errors.
    """
    commandline.check_variables()
    _check_environment_variable()
    commandline.check_order()
    commandline.check_parallel()
    begun = _Beginning()
    try:
        states = {name: found.state for name, found in standing.items()}
        project = load(root, environment, update=_update(), checked=states, configured=begun.configured)
        return _opened(Run(_taken_over(project), _request()), standing, begun)
    except DeployError:
        begun.leave()
        raise


def _opened(run: Run, standing: Mapping[str, Standing], begun: _Beginning) -> Run:
    """A run that is checked and ready to begin.

    Raises:
        DeployError: As `_made`.
    """
    run.standing = standing
    stateguard.check_names(run.request.accepted, run.project.stacks)
    if run.request.allowances:
        _check_allowances(run)
    if run.request.adopt is not None:
        from .plans import adoption

        adoption.check_name(run, run.request.adopt)
    if run.request.repair is not None:
        from . import repair

        repair.check(run)
    for note in misspelt.notes(os.environ, partial(_folders, run.project)):
        run.say(note)
    if run.project.config.notify:
        from .notifications import channels

        run.mask.add(channels.secrets(run.project.config.notify))
    if run.project.loaded.base is not None:
        run.mask.add(run.project.loaded.base.secrets)
        for note in run.project.loaded.base.notes:
            run.say(note)
    with suppress(OSError):  # reported by the first record that cannot be written
        prepare(run.layout, run.layout.base)
    if run.project.config.ledger != "none":
        _open_ledger(run, begun.early)
    deployed.choose_base(run)
    doitdb.prepare(run.layout.records, run.say)
    return run


class _Beginning:
    """What begins once the configuration is read, while the stacks' code is."""

    early: Early | None = None

    def configured(self, loaded: Loaded, layout: Layout) -> None:
        """Hide what the configuration says is a secret, and ask the ledger, for a command that begins with it."""
        ownenvironment.hide(_declared_secrets(loaded.config))
        settings: Ledger | Literal["none"] = loaded.config.ledger
        if settings != "none" and commandline.names(_READING):
            from .run import early

            with suppress(OSError):  # see `_made`
                prepare(layout, layout.base)
            self.early = early.begin(settings, loaded, layout)

    def leave(self) -> None:
        """Leave no process behind that this began."""
        if self.early is not None:
            self.early.leave()


def _folders(project: Project) -> set[str]:
    """The stacks that have a folder, whether or not this environment has them."""
    configured = project.config.stacks.items()
    found = {name for name, stack in configured if (project.root / (stack.path or f"stacks/{name}")).is_dir()}
    return found | {*project.stacks}


def load(
    root: Path, environment: str | None = None, *, update: bool = False,
    checked: Mapping[str, StateId | None] | None = None, configured: Configured | None = None,
) -> Project:  # fmt: skip
    """Load the project and check everything that its configuration refers to.

    A command that needs nothing of the stacks' code gets it without what is read there, and without these checks.

    Args:
        root: The repository's root.
        environment: The environment's name; by default the configuration's default.
        update: Whether an overlay's upstream may be pinned to a new commit.
        checked: See `Sources.checked`.
        configured: See `project.load.load`.

    Raises:
        DeployError: It cannot be loaded; `ConfigErrors` lists all broken references at once.
    """
    if not wanted.looks_at_code():
        return loading.load(root, environment, update=update, code=False, configured=configured)
    project = loading.load(root, environment, update=update, checked=checked, configured=configured)
    errors = [error for find in _checks(project) for error in find(project)]
    if errors:
        raise ConfigErrors(errors)
    return project


def _checks(project: Project) -> Iterator[Callable[[Project], Iterable[ConfigError]]]:
    """The checks of a project, in the order of their error messages; unused modules are not imported."""
    config, stacks = project.config, project.stacks.values()
    yield encryption.conflicts
    yield references.check
    if config.volatile_variables or any(stack.settings.volatile_variables for stack in stacks):
        yield volatile.wrong
    yield backend.check
    yield stateid.check
    if any(stack.settings.verify for stack in stacks):
        from .run import filling

        yield filling.wrong
    if config.hooks:
        from .run import hooks

        yield hooks.check
    if any((project.catalog, *(stack.settings.builds or stack.settings.images for stack in stacks))):
        from .builds import check

        yield check.check
    if config.policy.checkers:
        from .policy import checker

        yield checker.check


def doit_config(run: Run) -> dict[str, Any]:
    """The value of `DOIT_CONFIG`."""
    from .reporter import bound

    in_turn = run.project.config.drift.budget is not None
    urgency.install(urgency.Chains(run.layout, run.project.graph, in_turn=in_turn).urgency)
    return {
        "default_tasks": [],
        "backend": "sqlite3",
        "dep_file": str(run.layout.records),
        "reporter": bound(run),
        "continue": True,
        "num_process": commandline.threads(commandline.default_parallel()),
        "par_type": "thread",
        "verbosity": 2,
    }


def _open_ledger(run: Run, early: Early | None) -> None:
    """Begin to read the ledger, for a command that begins with it.

    Raises:
        ConfigError: A setting or a key is not what it should be.
        LedgerError: It cannot be opened.
    """
    from .run import ledgerof

    run.recording = ledgerof.attach(run, _has_ended, _review, early)
    if run.recording is not None and commandline.names(_READING):
        run.recording.begin(verifying=commandline.names({"deploy"}))


def _has_ended(run: Run, pipeline: Pipeline) -> bool:
    """Ask the forge; its modules are only needed if a pipeline holds the lease."""
    from .forges import ended

    return ended.has_ended(run, pipeline)


def _review(run: Run) -> Review | None:
    """Ask the forge; its modules are only needed by a run that applies."""
    from .forges import approvals

    return approvals.review(run)


def _request() -> Request:
    """The request that the command-line variables make.

    Raises:
        ConfigError: A variable has an invalid value.
    """
    allow = get_var("allow")
    reason = " ".join((get_var("reason") or "").split()) or None  # one line, wherever it is shown
    allowed: tuple[Allowance, ...] = ()
    if allow is not None:
        from .policy.judge import allowances

        allowed = allowances(allow, reason)
    accept = get_var("accept")
    return Request(
        accepted=stateguard.parse(accept, reason) if accept is not None else (),
        part=fanout.part(get_var("ci")), mocking=get_var("mocks") != "no", reviewed_file=get_var("reviewed"),
        allowances=allowed, base=get_var("base"), reason=reason, as_json=commandline.wants_json(),
        shard=turns.shard(get_var("shard")), adopt=commandline.adopting(),
        repair=commandline.repairing(),
    )  # fmt: skip


def _check_allowances(run: Run) -> None:
    """Refuse an `allow=` of a rule or a stack that does not exist; its modules are only needed if there is one.

    Raises:
        ConfigError: There is one.
    """
    from . import releasing
    from .policy.judge import check_names
    from .run import succession, without

    others = [without.RULE, releasing.RULE, succession.RULE]
    check_names(run.request.allowances, run.project.config.policy, others, run.project.stacks)


def _taken_over(project: Project) -> Project:
    """The project, once what `from=` names was taken over; loaded again, as outputs of builds may be sources of stacks.

    Raises:
        RecordError: What was handed over cannot be taken.
    """
    folder = get_var("from")
    if folder is None:
        return project
    from .forges.pipelines import takeover

    if commandline.repairing() is not None:
        takeover.take_drift(project, Path(folder))
        return project
    alone = get_var("ci") is None and commandline.names({"deploy", "plan"})
    takeover.take(project, Path(folder), receipts=not alone)
    return load(project.layout.root, project.environment)


def _declared_secrets(config: Config) -> Iterator[str]:
    """The variables that hold secrets by what the configuration says of them."""
    yield from Keyring(config.encryption).variables
    yield from (name for name in os.environ if any(fnmatchcase(name, glob) for glob in config.secrets))
    yield from (
        name
        for name in (config.publish.token, *(text for each in config.notify for text in (each.url, each.secret)))
        if name
    )


def _update() -> bool:
    """Whether `upstream=update` stands on the command line."""
    value = get_var("upstream")
    if value not in (None, "update"):
        raise ConfigError(
            f"`upstream={value}` is not valid", next_step=(doit("upstream=update", "plan"), " updates the pin")
        )
    return bool(value)


def _tell_reviewers(environment: str | None, problems: list[Problem]) -> None:
    """In a merge request, replace the comment of an earlier push. The key `forge` is not known here."""
    stage = next((stage for stage in ("deploy", "plan") if stage in sys.argv[1:]), None)
    if environment is None or stage is None:
        return
    from .forges import publisher
    from .project.model import Forge

    mask, settings = Masker(), Forge()  # type: ignore[call-arg]
    publisher.broke(settings, environment, problems, mask, lambda text: _print(mask.text(text)), stage=stage)


def _print_failure(environment: str | None, problems: list[Problem]) -> None:
    """Print why the command could not begin as the document that a program waits for."""
    from .run.documents import failed

    mask = Masker()
    found = [each.mapped(lambda words: urls.scrub(mask.text(words))) for each in problems]
    _print(failed(environment, found))


def _print(text: str) -> None:
    """Print, as there is no run yet; where that is not possible, what went wrong stands on standard error anyway."""
    try:
        print(text, flush=True)  # noqa: T201 - what was asked for
    except OSError:
        standard.silence(sys.stdout)


def _end(text: str) -> NoReturn:
    said = terminal.fit(urls.scrub(Masker().text(text)), sys.stderr)
    standard.complain(cilog.harmless(said, cilog.dialect()) + "\n")
    raise SystemExit(int(ExitCode.FAILED))
