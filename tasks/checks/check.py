"""The interface of a check: a model of its keys, and one look. A plug-in needs nothing else."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, get_args

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from ..base.model import Model, Seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from ..base.jsonvalue import Json, JsonObject
    from ..base.masking import Masker
    from ..base.problem import Command
    from ..base.stop import Stop


def _names_a_secret(value: Json) -> Json:
    """`NAME` or `${NAME}`; the invalid value is not shown, as it may be the secret itself."""
    name = re.fullmatch(r"(?:\$\{)?([A-Za-z_][A-Za-z0-9_]{0,79})\}?", value) if isinstance(value, str) else None
    if value is not None and name is None:
        message = "expected the name of the environment variable that holds the secret"
        raise PydanticCustomError("secret_value", f"{message}; if this is the secret itself, rotate it")
    return name[1] if name else value


_SECRET = BeforeValidator(_names_a_secret)
SecretName = Annotated[str, _SECRET]


@dataclass(frozen=True)
class Lack:
    """What a check needs and does not find on this machine, before anything is applied.

    Args:
        text: What it is, as a sentence: `the environment variable X is not set`.
        step: What to do about it.
        key: The check's key that names it, if one does.
        may_come: Whether an apply may still make it, as with a file.
    """

    text: str
    step: str = ""
    key: str | None = None
    may_come: bool = False


@dataclass(frozen=True)
class Observation:
    """What one look found.

    Args:
        met: Whether the check is true.
        text: What was seen, in words.
        final: Whether further looks are pointless: the wait ends at once.
        commands: Commands for a closer look: shell commands, or `doit` commands as values.
        pause: Minimum seconds before the next look, if the server asked for that.
    """

    met: bool
    text: str
    final: bool = False
    commands: tuple[str | Command, ...] = ()
    pause: float = 0.0


class Counts(Protocol):
    """The number of changes in a plan."""

    @property
    def empty(self) -> bool:
        """Whether nothing changes."""

    def text(self) -> str:
        """The numbers in words."""


class FreshPlan(Protocol):
    """What a check may know about a fresh plan."""

    @property
    def counts(self) -> Counts:
        """The number of changes."""

    @property
    def resources(self) -> Sequence[JsonObject]:
        """The changed resources, each with its `address`."""

    @property
    def outputs(self) -> Sequence[JsonObject]:
        """The changed outputs, each with its `name`."""


@dataclass
class Look:
    """What a look is given.

    Args:
        stack: The stack's name.
        environment: The environment's name.
        root: The folder that paths are relative to: the repository's root.
        deadline: When this look is given up, on the clock of `time.monotonic`.
        since: When the deploy being checked began, in UTC; None if unknown.
        stop: Starts child processes, and knows whether the run was asked to stop.
        mask: The known secrets; a check adds the ones that it reads.
        plan: Makes a fresh plan of the stack and returns its changes.
        withheld: Variables that child processes do not get.
    """

    stack: str
    environment: str
    root: Path
    deadline: float
    since: datetime | None
    stop: Stop
    mask: Masker
    plan: Callable[[], FreshPlan]
    withheld: tuple[str, ...] = ()
    noted: str = field(default="", init=False)
    #: On the same clock: it must not show what was seen before. Looks that begin together have one, and may share.
    moment: float = field(default_factory=time.monotonic, init=False)

    @property
    def seconds(self) -> float:
        """The seconds left for this look; always more than zero."""
        return max(self.deadline - time.monotonic(), 0.05)

    def note(self, text: str) -> None:
        """Record how far this look has come: the text that is shown if it has to be given up."""
        self.noted = text

    def secret(self, name: str) -> str | None:
        """A secret from the environment, masked from now on; None if it is unset or empty."""
        value = os.environ.get(name) or None
        if value is not None:
            self.mask.add([value])
        return value


class Check(Model):
    """The base class of all kinds; a kind is a subclass with `kind: Literal["its_name"]`."""

    #: Whether its looks end by themselves in time and on a stop: they are then waited for, never left behind.
    ends_by_itself: ClassVar[bool] = False

    kind: str = Field(description="The kind of check.")
    name: str | None = Field(None, description="Its name in results; by default what it looks at.")
    timeout: Seconds = Field(60, description="Seconds until the check fails; 0 looks once.")
    interval: Annotated[float, Field(gt=0, le=3600)] = Field(1, description="Seconds between the first two looks.")
    backoff: Annotated[float, Field(ge=1, le=10)] = Field(
        1.5, description="Factor by which the interval grows after each failed look."
    )
    max_interval: Annotated[float, Field(gt=0, le=3600)] = Field(15, description="The longest interval, in seconds.")
    consecutive: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="How many looks in a row must succeed, so that a flapping service fails."
    )
    look_timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(
        10, description="Time limit of one look, in seconds."
    )

    def lacks(self, root: Path) -> Iterator[Lack]:  # noqa: ARG002 - for kinds that read files
        """What its looks need and would not find, asked before anything is applied: here, variables with secrets.

        Templates are not filled in yet: a key with `{` in it says nothing.

        Args:
            root: The folder that paths are relative to: the repository's root.
        """
        for key, variable in self._secrets():
            if not os.environ.get(variable):
                yield Lack(f"the environment variable {variable} is not set", f"set {variable}", key)

    def _secrets(self) -> Iterator[tuple[str, str]]:
        """The keys that name a variable with a secret, each with that name."""
        for key in _secret_keys(type(self)):
            if (variable := getattr(self, key)) is not None:
                yield key, variable

    @classmethod
    def prepare(cls) -> None:
        """Import what its looks need, before the first: thousands that begin at once would all wait for the imports."""

    def title(self) -> str:
        """What it looks at, briefly and without secrets."""
        return self.kind

    def observe(self, look: Look) -> Observation:
        """Look once; an exception counts as a failed look, with its message as the observation."""
        raise NotImplementedError

    def commands(self) -> tuple[str, ...]:
        """Shell commands for a closer look, used if the observation has none."""
        return ()


@cache
def _secret_keys(kind: type[Check]) -> tuple[str, ...]:
    """The keys of a kind that are a `SecretName`, whether or not they may be left out."""
    return tuple(
        name
        for name, field_of in kind.model_fields.items()
        if _SECRET in field_of.metadata or _is_marked(field_of.annotation)
    )


def _is_marked(annotation: Any) -> bool:
    return any(part is _SECRET or _is_marked(part) for part in get_args(annotation))


def shown(value: Json | Exception, most: int = 120) -> str:
    """A text from outside on one line, without control characters, cut if it is long."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", str(value)).strip()
    return text if len(text) <= most else text[: most - 3] + "..."
