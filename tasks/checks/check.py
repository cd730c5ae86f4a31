"""The interface of a check: a model of its keys, and one look at what is there. A plug-in needs nothing else."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from ..base.model import Model, Seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ..base.masking import Masker
    from ..base.problem import Command
    from ..base.stop import Stop


def _names_a_secret(value: object) -> object:
    """`NAME` or `${NAME}`; what is found is not shown, as it may be the secret itself."""
    name = re.fullmatch(r"(?:\$\{)?([A-Za-z_][A-Za-z0-9_]{0,79})\}?", value) if isinstance(value, str) else None
    if value is not None and name is None:
        message = "this names the environment variable that holds the secret, never the secret itself"
        raise PydanticCustomError("secret_value", f"{message}; if it is one, it must be replaced")
    return name[1] if name else value


SecretName = Annotated[str, BeforeValidator(_names_a_secret)]


@dataclass(frozen=True)
class Observation:
    """What one look found.

    Args:
        met: Whether it is as it should be.
        text: What was seen, in words for people.
        final: Whether looking again is in vain: the wait ends at once.
        commands: Commands with which a person looks further: for a shell, or a `doit` one as a value.
        pause: Seconds to wait at least before the next look, when what was asked said so.
    """

    met: bool
    text: str
    final: bool = False
    commands: tuple[str | Command, ...] = ()
    pause: float = 0.0


class Counts(Protocol):
    """How many changes a plan has."""

    @property
    def empty(self) -> bool:
        """Whether it has none."""

    def text(self) -> str:
        """The numbers in words."""


class FreshPlan(Protocol):
    """What a check may know of a plan that was just made."""

    @property
    def counts(self) -> Counts:
        """How many changes there are."""

    @property
    def resources(self) -> Sequence[Mapping[str, Any]]:
        """The changed resources, each with its `address`."""

    @property
    def outputs(self) -> Sequence[Mapping[str, Any]]:
        """The changed outputs, each with its `name`."""


@dataclass
class Look:
    """What a check knows while it looks.

    Args:
        stack: The stack's name.
        environment: The environment's name.
        root: The folder that relative paths are seen from: the repository's root.
        deadline: The moment (of `time.monotonic`) at which this look is given up.
        since: When the deploy that is checked began, in UTC; None when that is not known.
        stop: What starts child processes, and says whether the run was asked to stop.
        mask: The known secrets; a check adds those that it reads.
        plan: Makes a fresh plan of the stack and gives its changes.
        withheld: Variables that no child process gets.
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

    @property
    def seconds(self) -> float:
        """The seconds that are left for this look; never none at all."""
        return max(self.deadline - time.monotonic(), 0.05)

    def note(self, text: str) -> None:
        """Say how far this look has come: it is what is told when the look has to be given up."""
        self.noted = text

    def secret(self, name: str) -> str | None:
        """A secret from the environment, masked from now on; None when it is not set, or empty."""
        value = os.environ.get(name) or None
        if value is not None:
            self.mask.add([value])
        return value


class Check(Model):
    """What every kind of check has; a kind is a subclass with `kind: Literal["its_name"]`."""

    #: A look that ends by itself in time, and on a stop: it is not run apart, and never left behind.
    ends_by_itself: ClassVar[bool] = False

    kind: str = Field(description="Which kind it is.")
    name: str | None = Field(None, description="What it is called in results; by default what it looks at.")
    timeout: Seconds = Field(60, description="Seconds until the check has failed; 0 looks once.")
    interval: Annotated[float, Field(gt=0, le=3600)] = Field(1, description="Seconds between the first two looks.")
    backoff: Annotated[float, Field(ge=1, le=10)] = Field(
        1.5, description="By what the interval grows with each look in vain."
    )
    max_interval: Annotated[float, Field(gt=0, le=3600)] = Field(15, description="Seconds that it grows to at most.")
    consecutive: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="How many looks in a row must find it true; a flapping service fails."
    )
    look_timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(10, description="Seconds that one look may take.")

    def title(self) -> str:
        """What it looks at, in few words and without secrets."""
        return self.kind

    def observe(self, look: Look) -> Observation:
        """Look once; an exception counts as an observation in vain, and is told by its text."""
        raise NotImplementedError

    def commands(self) -> tuple[str, ...]:
        """Shell commands with which a person looks further, where the observation has none."""
        return ()


def shown(value: Any, most: int = 120) -> str:
    """A text from outside on one line, cut where it is long, without control characters."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", str(value)).strip()
    return text if len(text) <= most else text[: most - 3] + "..."
