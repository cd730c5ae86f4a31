"""The upstream repository that a configuration lies over, as a value."""

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

    `shown` names it for people, without credentials. `pinned` is the file that pins it. `exact` is True where its
    files are those of `commit` and no others. `asked` is True when the ref was compared with the remote in this run.
    `notes` are to be told, `secrets` to be masked.
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
        """What manifests and receipts record: the commit, with a `+` when files differ from it."""
        return None if self.commit is None else self.commit + ("+" if self.dirty else "")


class Resolve(Protocol):
    """Obtains the upstream that a configuration names; see `overlay.pin.resolve`."""

    def __call__(self, root: Path, settings: model.Upstream, where: Where) -> Base:
        """The upstream's files; `where` is the place of the key, for errors."""
