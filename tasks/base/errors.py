"""What can go wrong: one exception class per cause; each carries its problem as a value."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Self, TypedDict, Unpack

from .problem import Kind, Problem, Where, doit, steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .problem import Steps


class ExitCode(IntEnum):
    """The exit codes of the process. A failure outranks drift."""

    OK = 0
    FAILED = 1
    DRIFT = 2


class Places(TypedDict, total=False):
    """What an error may say beside its message.

    Args:
        where: `file:line` or another place a person can go to.
        key: The config key path (`stacks.web.inputs`).
        stack: The stack it is about.
        untouched: What was not changed.
        next_step: What to run or edit next.
        details: Further lines.
        log: What the engine or another program said.
    """

    where: Where | str | None
    key: str | None
    stack: str | None
    untouched: str | None
    next_step: Steps | None
    details: Sequence[str]
    log: str


class DeployError(Exception):
    """An expected failure.

    Args:
        message: What happened, in one sentence, without secrets.
        places: What else is known of it, see `Places`.
    """

    kind: ClassVar[Kind] = Kind.ERROR

    def __init__(self, message: str, **places: Unpack[Places]) -> None:
        super().__init__(message)
        self.problem = Problem(
            self.kind,
            message,
            _where(places.get("where"), places.get("key")),
            places.get("stack"),
            places.get("untouched"),
            steps(places.get("next_step")),
            tuple(line for text in places.get("details", ()) for line in text.split("\n")),
            places.get("log", ""),
        )

    @property
    def message(self) -> str:
        """What happened, in one sentence."""
        return self.problem.summary

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong: one problem, or several that were found at once."""
        return (self.problem,)

    def saying(self, problem: Problem) -> Self:
        """The same error with another problem; this one stays as it is."""
        other = type(self).__new__(type(self), problem.summary)
        other.__dict__.update(self.__dict__, problem=problem)
        return other


def _where(place: Where | str | None, key: str | None) -> Where | None:
    found = Where(place) if isinstance(place, str) else place or Where()
    found = Where(found.file, found.line, key or found.key)
    return found if found != Where() else None


class UnexpectedError(DeployError):
    """A bug: an exception that nothing provides for."""

    kind = Kind.UNEXPECTED


class ConfigError(DeployError):
    """The configuration says something that cannot be."""

    kind = Kind.CONFIG


class ConfigErrors(DeployError):  # noqa: N818 - several ConfigErrors
    """Everything that is wrong with the configuration, all at once."""

    kind = Kind.CONFIG

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__(f"{len(errors)} errors in the configuration")
        self.errors = list(errors)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Each error's own problem, in the order they were found."""
        return tuple(problem for error in self.errors for problem in error.problems)


class UpstreamError(DeployError):
    """The repository that this one is an overlay of could not be had as it is pinned."""

    kind = Kind.UPSTREAM


class GitError(DeployError):
    """This is a git repository, and git is not there or refuses to look at it."""

    kind = Kind.GIT


class HookError(DeployError):
    """A hook could not be run, failed, or took too long."""

    kind = Kind.HOOK


class BuildError(DeployError):
    """A build or an image could not be made."""

    kind = Kind.BUILD


class RegistryError(DeployError):
    """A registry of images could not be asked, or refused."""

    kind = Kind.REGISTRY


class EngineError(DeployError):
    """The engine could not be had, or one of its commands failed."""

    kind = Kind.ENGINE


class StateLockedError(EngineError):
    """Somebody else holds the lock of a stack's state; nothing was begun."""

    kind = Kind.STATE_LOCKED


class StateNotSavedError(EngineError):
    """An apply's state could not be saved and waits in a file."""

    kind = Kind.STATE_NOT_SAVED


class StateRefusedError(DeployError):
    """A stack's state is not the one that was deployed."""

    kind = Kind.STATE_REFUSED


class ArtifactRefusedError(DeployError):
    """A plan artifact that deploy must not apply; `reason` is a short stable word for it."""

    kind = Kind.REFUSED

    def __init__(self, reason: str, message: str, *, stack: str, next_step: Steps | None = None) -> None:
        again = (doit(f"plan:{stack}"), " makes a new plan to review; then ", doit("deploy"))
        super().__init__(
            message, stack=stack, untouched="nothing of this stack was changed", next_step=next_step or again
        )
        self.reason = reason


class OlderCommitError(DeployError):
    """What is to be deployed comes before what is deployed, or that is not known."""

    kind = Kind.OLDER


class UnreviewedError(DeployError):
    """What would be deployed is not what was reviewed, or that is not known, and `plan.on_unreviewed` is `fail`."""

    kind = Kind.NOT_REVIEWED


class PolicyError(DeployError):
    """A plan could not be judged: a checker could not be run, or said nothing that can be understood."""

    kind = Kind.POLICY


class RecordError(DeployError):
    """One of the product's own files cannot be read or written."""

    kind = Kind.RECORD


class RunLockedError(DeployError):
    """Another run holds this environment."""

    kind = Kind.RUN_LOCKED


class PublishError(DeployError):
    """Run records could not be published; what was deployed is not concerned."""

    kind = Kind.PUBLISH


class StoppedError(DeployError):
    """The run was asked to stop (SIGINT or SIGTERM)."""

    kind = Kind.STOPPED


def nearest(word: str, candidates: Sequence[str]) -> str:
    """A ` (nearest: 'x')` hint for an error message, or the known names when none is near; empty without candidates."""
    from difflib import get_close_matches

    names = sorted(candidates)
    if not names:
        return ""
    match = get_close_matches(word, names, n=1, cutoff=0.5)
    if match:
        return f" (nearest: '{match[0]}')"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")  # noqa: PLR2004 - what fits one line
    return f" (known: {shown})"
