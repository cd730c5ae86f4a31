"""The upstream repository of an overlay, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from ...base.problem import Where
    from .. import model


@dataclass(frozen=True)
class Base:
    """The upstream of this run.

    `shown` is its name in messages, without credentials. `pinned` is the file that pins it. `exact` is True if its
    files are exactly those of `commit`. `asked` is True if the ref was compared with the remote in this run. `notes`
    are
    printed, `secrets` are masked.
    """

    folder: Path
    shown: str
    commit: str | None
    dirty: bool = False
    pinned: str | None = None
    exact: bool = False
    asked: bool = False
    notes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    @property
    def revision(self) -> str | None:
        """The commit as manifests and receipts record it, with a `+` if files differ from it."""
        return None if self.commit is None else self.commit + ("+" if self.dirty else "")


class Resolve(Protocol):
    """Obtains a configured upstream; see `overlay.pin.resolve`."""

    def __call__(self, root: Path, settings: model.Upstream, where: Where) -> Base:
        """Obtain its files; `where` is the place of the key, for errors."""
