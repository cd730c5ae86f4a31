"""The expected errors: one exception class per cause, each with its problem as a value."""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Self, TypedDict, Unpack

from .problem import NOTHING_CHANGED, Kind, Problem, Untouched, Where, doit, steps
from .unseen import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .problem import Steps


class ExitCode(IntEnum):
    """The exit codes of the process. A failure outranks drift."""

    OK = 0
    FAILED = 1
    DRIFT = 2

    @property
    def failed(self) -> bool:
        """Whether something failed, for whatever reason; drift that was found is no failure."""
        return self not in (ExitCode.OK, ExitCode.DRIFT)


class Places(TypedDict, total=False):
    """What an error can say besides its message.

    Args:
        where: `file:line`, or another place to look at.
        key: The config key path (`stacks.web.inputs`).
        stack: The stack concerned.
        untouched: What was not changed.
        next_step: What to run or edit next.
        details: Further lines.
        log: The output of the engine or another program.
    """

    where: Where | str | None
    key: str | None
    stack: str | None
    untouched: Untouched | str | None
    next_step: Steps | None
    details: Sequence[str]
    log: str


class DeployError(Exception):
    """An expected failure.

    Args:
        message: What happened, in one sentence, without secrets.
        places: Anything else that is known; see `Places`.
    """

    kind: ClassVar[Kind] = Kind.ERROR

    def __init__(self, message: str, **places: Unpack[Places]) -> None:
        super().__init__(message)
        untouched = places.get("untouched")
        one, several = untouched if isinstance(untouched, Untouched) else (untouched, None)
        self.problem = Problem(
            self.kind,
            message,
            _where(places.get("where"), places.get("key")),
            places.get("stack"),
            one,
            steps(places.get("next_step")),
            tuple(line for text in places.get("details", ()) for line in text.split("\n")),
            places.get("log", ""),
            several,
        )

    @property
    def message(self) -> str:
        """What happened, in one sentence."""
        return self.problem.summary

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems: one, or several that were found at once."""
        return (self.problem,)

    def about(self, stack: str) -> Self:
        """The same error, which is about a stack."""
        return self if self.problem.stack else self.saying(replace(self.problem, stack=stack))

    def saying(self, problem: Problem) -> Self:
        """A copy of this error with another problem."""
        other = type(self).__new__(type(self), problem.summary)
        other.__dict__.update(self.__dict__, problem=problem)
        return other


def _where(place: Where | str | None, key: str | None) -> Where | None:
    found = Where(place) if isinstance(place, str) else place or Where()
    found = Where(found.file, found.line, key or found.key)
    return found if found != Where() else None


class ShapeError(DeployError, ValueError):
    """A JSON document does not have the form that its reader expects."""


class UnexpectedError(DeployError):
    """A bug: an exception that nothing handles."""

    kind = Kind.UNEXPECTED


class ConfigError(DeployError):
    """The configuration is invalid."""

    kind = Kind.CONFIG


class SeveralErrors(DeployError):  # noqa: N818 - several DeployErrors
    """Several things that went wrong independently, all at once."""

    def __init__(self, message: str, errors: Sequence[DeployError]) -> None:
        super().__init__(message)
        self.errors = list(errors)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Each error's own problem, in the order they were found."""
        return tuple(problem for error in self.errors for problem in error.problems)


class ConfigErrors(SeveralErrors):
    """All errors of the configuration at once."""

    kind = Kind.CONFIG

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        many = "1 error" if len(errors) == 1 else f"{len(errors):,} errors"
        super().__init__(f"{many} in the configuration", errors)


class UpstreamError(DeployError):
    """The upstream repository could not be obtained at its pinned commit."""

    kind = Kind.UPSTREAM


class GitError(DeployError):
    """This is a git repository, but git is missing or refuses to read it."""

    kind = Kind.GIT


class HookError(DeployError):
    """A hook could not be started, failed, or timed out."""

    kind = Kind.HOOK


class BuildError(DeployError):
    """A build or an image failed."""

    kind = Kind.BUILD


class RegistryError(DeployError):
    """An image registry was unreachable or refused."""

    kind = Kind.REGISTRY


class EngineError(DeployError):
    """The engine could not be obtained, or one of its commands failed."""

    kind = Kind.ENGINE


class UnformattedError(EngineError):
    """Files of a stack are not formatted; nothing else is wrong with them."""

    kind = Kind.UNFORMATTED


class ExposedError(DeployError):
    """A secret stands where nothing can be masked: in an address, or in a key."""

    kind = Kind.EXPOSED


class StateLockedError(EngineError):
    """Another process holds the lock on a stack's state; nothing was started."""

    kind = Kind.STATE_LOCKED


class StateEncryptionError(EngineError):
    """A state or plan is not encrypted as the keys of this run expect."""


class StateNotSavedError(EngineError):
    """The state of an apply could not be saved to the backend and is kept in a file."""

    kind = Kind.STATE_NOT_SAVED


class StateRefusedError(DeployError):
    """A stack's state is not the one that its receipt records."""

    kind = Kind.STATE_REFUSED


class DriftAdoptionError(DeployError):
    """A drift could not be taken over into the code."""

    kind = Kind.DRIFT_NOT_ADOPTED


class DriftRepairError(DeployError):
    """A drift was not deployed away: what would be applied is not what was shown, or nothing was shown."""

    kind = Kind.DRIFT_NOT_REPAIRED


class ArtifactRefusedError(DeployError):
    """A plan artifact that deploy must not apply; `reason` is a short, stable identifier."""

    kind = Kind.REFUSED

    def __init__(self, reason: str, message: str, *, stack: str, next_step: Steps | None = None) -> None:
        again = (doit(f"plan:{stack}"), " makes a new plan to review; then ", doit("deploy"))
        super().__init__(message, stack=stack, untouched=NOTHING_CHANGED, next_step=next_step or again)
        self.reason = reason


class FolderRefusedError(DeployError):
    """An environment's folder is not as it was handed over; `reason` is a short stable word for it."""

    kind = Kind.REFUSED

    def __init__(self, reason: str, message: str, **places: Unpack[Places]) -> None:
        super().__init__(message, **places)
        self.reason = reason


class OlderCommitError(DeployError):
    """What is to be deployed comes before what is deployed, or that is not known."""

    kind = Kind.OLDER


class UnreviewedError(DeployError):
    """The plan differs from the reviewed one, or no review was found, and `plan.on_unreviewed` is `fail`."""

    kind = Kind.NOT_REVIEWED


class PolicyError(DeployError):
    """A plan could not be judged: a checker failed to run, or its output could not be read."""

    kind = Kind.POLICY


class RecordError(DeployError):
    """One of the product's own files cannot be read or written."""

    kind = Kind.RECORD


class RunLockedError(DeployError):
    """Another run holds the environment lock."""

    kind = Kind.RUN_LOCKED


class PublishError(DeployError):
    """Run records could not be published; the deploy itself is not affected."""

    kind = Kind.PUBLISH


class LedgerError(DeployError):
    """The ledger cannot be read, believed or written, or another run holds its lease.

    Its message may repeat what the ledger or its server says, which anyone who can write there may have written.
    """

    kind = Kind.LEDGER

    def __init__(self, message: str, **places: Unpack[Places]) -> None:
        super().__init__(one_line(message), **places)


class StoppedError(DeployError):
    """The run was asked to stop (SIGINT or SIGTERM)."""

    kind = Kind.STOPPED


def nearest(word: str, candidates: Collection[str]) -> str:
    """A ` (did you mean 'x'?)` hint for an error message, else the known names; empty without candidates."""
    from difflib import get_close_matches

    names = sorted(candidates)
    if not names:
        return ""
    match = get_close_matches(word, names, n=1, cutoff=0.5)
    if match:
        return f" (did you mean '{match[0]}'?)"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")  # noqa: PLR2004 - what fits one line
    return f" (known: {shown})"
