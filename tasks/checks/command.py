"""The `command` check: a command of yours exits as expected."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ..base import process
from ..base.errors import StoppedError
from ..base.process import kept_environment
from .check import Check, Lack, Observation, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .check import Look

_LAST = 1 << 13


class CommandCheck(Check):
    """True if a command exits with the expected code; it runs without a shell."""

    ends_by_itself: ClassVar[bool] = True  # it is ended together with everything it started, not left behind

    kind: Literal["command"] = Field(description="`command`.")
    command: list[str] = Field(
        min_length=1,
        description="Program and arguments, run in the repository's root; pass secrets in environment variables.",
    )
    exit_code: Annotated[int, Field(ge=0, le=255)] = Field(0, description="The expected exit code.")

    def title(self) -> str:
        """The command's line."""
        return f"`{shown(shlex.join(self.command), 80)}`"

    def commands(self) -> tuple[str, ...]:
        """The command itself."""
        return (shlex.join(self.command),)

    def lacks(self, root: Path) -> Iterator[Lack]:
        """The secrets, and the program."""
        yield from super().lacks(root)
        program = self.command[0]
        if "{" not in program and shutil.which(root / program if "/" in program else program) is None:
            yield Lack(f"{program} is not a program here", key="command", may_come=True)

    def observe(self, look: Look) -> Observation:
        """Run it once."""
        limit = look.seconds
        try:
            ended = process.run(
                look.stop, f"check of {look.stack}", self.command, mask=look.mask, cwd=look.root,
                env=kept_environment(look.withheld), timeout=limit, last=_LAST,
            )  # fmt: skip
        except StoppedError:
            return Observation(False, "not started")
        except (OSError, ValueError) as error:
            return Observation(False, f"cannot run: {getattr(error, 'strerror', None) or error}", final=True)
        lines = ended.output.strip().splitlines()
        said = f": {shown(lines[-1], 200)}" if lines else ""
        if look.stop.requested:
            return Observation(False, "was ended")
        if ended.code is None:
            return Observation(False, f"took longer than {round(limit, 1):g} s{said}")
        if ended.code < 0:
            return Observation(False, f"was ended by signal {-ended.code}{said}")
        return Observation(ended.code == self.exit_code, f"exited with {ended.code}{said}")
