"""What can go wrong, said for the person at 3 a.m.: one exception class per cause, one way to show it."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class ExitCode(IntEnum):
    """The exit codes of the process. A failure outranks drift."""

    OK = 0
    FAILED = 1
    DRIFT = 2


class DeployError(Exception):
    """An expected failure.

    Args:
        message: What happened, in one sentence, without secrets.
        where: `file:line` or another place a person can go to.
        key: The config key path (`stacks.web.inputs`).
        stack: The stack it is about.
        untouched: What was not changed.
        next_step: What to run or edit next.
    """

    kind = "error"

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        key: str | None = None,
        stack: str | None = None,
        untouched: str | None = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.key = key
        self.stack = stack
        self.untouched = untouched
        self.next_step = next_step

    def render(self) -> str:
        """The message with its place, what is untouched and what to do next; several lines, no trailing newline."""
        head = f"{self.kind}: " + (f"{self.key}: " if self.key else "") + self.message
        rows = [("where", self.where), ("stack", self.stack), ("untouched", self.untouched), ("next", self.next_step)]
        return "\n".join([head, *(f"  {name}: {text}" for name, text in rows if text)])


class ConfigError(DeployError):
    """The configuration says something that cannot be."""

    kind = "config error"


class ConfigErrors(DeployError):  # noqa: N818 - several ConfigErrors
    """Everything that is wrong with the configuration, all at once."""

    kind = "config error"

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__(f"{len(errors)} errors in the configuration")
        self.errors = list(errors)

    def render(self) -> str:
        """Each error's own text, in the order they were found."""
        return "\n".join(error.render() for error in self.errors)


class UpstreamError(DeployError):
    """The repository that this one is an overlay of could not be had as it is pinned."""

    kind = "upstream error"


class GitError(DeployError):
    """This is a git repository, and git is not there or refuses to look at it."""

    kind = "git error"


class HookError(DeployError):
    """A hook could not be run, failed, or took too long."""

    kind = "hook failed"

    def __init__(self, message: str, *, log: str = "", **places: str | None) -> None:
        super().__init__(message, **places)
        self.log = log


class BuildError(DeployError):
    """A build or an image could not be made."""

    kind = "build failed"

    def __init__(self, message: str, *, log: str = "", **places: str | None) -> None:
        super().__init__(message, **places)
        self.log = log


class RegistryError(DeployError):
    """A registry of images could not be asked, or refused."""

    kind = "registry error"


class EngineError(DeployError):
    """The engine could not be had, or one of its commands failed."""

    kind = "engine error"

    def __init__(self, message: str, *, log: str = "", **places: str | None) -> None:
        super().__init__(message, **places)
        self.log = log


class StateLockedError(EngineError):
    """Somebody else holds the lock of a stack's state; nothing was begun."""

    kind = "state locked"


class StateNotSavedError(EngineError):
    """An apply's state could not be saved and waits in a file."""

    kind = "state not saved"


class StateRefusedError(DeployError):
    """A stack's state is not the one that was deployed; `details` say what was found, for the result."""

    kind = "state refused"

    def __init__(self, message: str, *, details: dict[str, Any] | None = None, **places: str | None) -> None:
        super().__init__(message, **places)
        self.details = details or {}


class ArtifactRefusedError(DeployError):
    """A plan artifact that deploy must not apply; `reason` is a short stable word for it."""

    kind = "refused"

    def __init__(self, reason: str, message: str, *, stack: str, next_step: str | None = None) -> None:
        super().__init__(
            message,
            stack=stack,
            untouched="nothing of this stack was changed",
            next_step=next_step or f"`doit plan:{stack}` makes a new plan to review; then `doit deploy`",
        )
        self.reason = reason


class UnreviewedError(DeployError):
    """What would be deployed is not what was reviewed, or that is not known, and `plan.on_unreviewed` is `fail`."""

    kind = "not reviewed"

    def __init__(self, message: str, *, differences: Sequence[str] = (), **places: str | None) -> None:
        super().__init__(message, **places)
        self.differences = list(differences)

    def render(self) -> str:
        """The message, what differs, then as every error."""
        head, *rows = super().render().split("\n")
        return "\n".join([head, *(f"  {line}" for line in self.differences), *rows])


class PolicyError(DeployError):
    """A plan could not be judged: a checker could not be run, or said nothing that can be understood."""

    kind = "policy error"

    def __init__(self, message: str, *, log: str = "", **places: str | None) -> None:
        super().__init__(message, **places)
        self.log = log


class PolicyRefusedError(DeployError):
    """A plan that policy does not let through; `findings` are all that was said of it, as JSON values."""

    kind = "refused by policy"

    def __init__(self, message: str, *, findings: list[dict[str, Any]], log: str = "", **places: str | None) -> None:
        super().__init__(message, **places)
        self.log = log
        self.details: dict[str, Any] = {"findings": findings}


class RecordError(DeployError):
    """One of the product's own files cannot be read or written."""

    kind = "record error"


class CheckFailedError(DeployError):
    """Checks of a deployed stack did not come true in time.

    Args:
        message: Which, and what each observed last.
        deployed: What they looked at, in words.
        commands: Shell commands with which a person looks further.
        details: The same for the result.
        places: As for every error.
    """

    kind = "check failed"

    def __init__(
        self, message: str, *, deployed: str, commands: Sequence[str], details: dict[str, Any], **places: str | None
    ) -> None:
        super().__init__(message, **places)
        self.deployed = deployed
        self.commands = commands
        self.details = details

    def render(self) -> str:
        """The message with what was deployed and how to look further before what every error says."""
        head, *rest = super().render().splitlines()
        rows = [f"  deployed: {self.deployed}"] if self.deployed else []
        return "\n".join([head, *rows, *(f"  look: `{command}`" for command in self.commands), *rest])


class RunLockedError(DeployError):
    """Another run holds this environment."""

    kind = "locked"


class PublishError(DeployError):
    """Run records could not be published; what was deployed is not concerned."""

    kind = "publish failed"


class StoppedError(DeployError):
    """The run was asked to stop (SIGINT or SIGTERM)."""

    kind = "stopped"


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
