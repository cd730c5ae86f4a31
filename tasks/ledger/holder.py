"""Who holds a lease: a pipeline of a forge, which all of its jobs and retries share."""

from __future__ import annotations

from dataclasses import dataclass

_FORGES = ("gitlab", "github")


@dataclass(frozen=True)
class Pipeline:
    """A pipeline as a lease names it: its forge, its project (GitLab's id, GitHub's `owner/name`) and its id."""

    forge: str
    project: str
    id: str

    @property
    def text(self) -> str:
        """As it is stored in leases."""
        return f"{self.forge}:{self.project}:{self.id}"


def pipeline(holder: str) -> Pipeline | None:
    """The pipeline that a lease names; None if the holder is a clone or another system's pipeline."""
    forge, _, rest = holder.partition(":")
    project, _, number = rest.rpartition(":")
    return Pipeline(forge, project, number) if forge in _FORGES and project and number.isdigit() else None
