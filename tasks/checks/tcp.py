"""The `tcp` check: a port accepts connections."""

from __future__ import annotations

import shlex
import socket
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from .check import Check, Observation

if TYPE_CHECKING:
    from .check import Look


class TcpCheck(Check):
    """True if a TCP port accepts a connection."""

    kind: Literal["tcp"] = Field(description="`tcp`.")
    host: str = Field(description="A host name or address.")
    port: Annotated[int, Field(ge=1, le=65_535)] | str = Field(description="The port, a number or a template.")

    def title(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    def commands(self) -> tuple[str, ...]:
        """An `nc` command that does the same."""
        return (f"nc -vz {shlex.quote(self.host)} {shlex.quote(str(self.port))}",)

    def observe(self, look: Look) -> Observation:
        """Connect once."""
        try:
            port = int(self.port)
        except ValueError:
            return Observation(False, f"{self.port!r:.80} is not a port number", final=True)
        look.note("no connection in time")
        try:
            with socket.create_connection((self.host, port), timeout=look.seconds):
                return Observation(True, "accepts connections")
        except (socket.gaierror, UnicodeError):
            return Observation(False, "the host name cannot be resolved")
        except TimeoutError:
            return Observation(False, "no connection in time")
        except ConnectionRefusedError:
            return Observation(False, "connection refused")
        except (OSError, OverflowError) as error:
            return Observation(False, str(getattr(error, "strerror", None) or error))
