"""The project: the sources of one environment, and the relations between its stacks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from .sources import Sources

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..base.errors import ConfigError
    from .catalog import Catalog
    from .remotestate import RemoteRead
    from .stackgraph import StackGraph


@dataclass(kw_only=True)
class Project(Sources):
    """Everything that is known before anything runs; `load.load` makes it.

    Args:
        catalog: Its builds and images; None without any.
        remote_reads: The states of other stacks that each stack reads.
        graph: The stack graph.
        faults: What is wrong with a stack alone, by its name: it is not run, the others are.
    """

    catalog: Catalog | None
    remote_reads: dict[str, list[RemoteRead]] = field(default_factory=dict)
    graph: StackGraph
    faults: dict[str, ConfigError] = field(default_factory=dict)

    def require_sound(self, stack: str) -> None:
        """Refuse a stack that something is wrong with.

        Raises:
            ConfigError: Its fault.
        """
        if (fault := self.faults.get(stack)) is not None:
            raise fault

    @cached_property
    def source_files(self) -> list[str]:
        """Every file of the repository that is neither ignored by git nor made by a build; listed once."""
        return self.list_source_files()

    def list_source_files(self) -> list[str]:
        """`source_files`, listed again and sorted."""
        found = self.list_files()
        return self.catalog.without_made(found) if self.catalog else found

    @cached_property
    def tree_digest(self) -> str:
        """A digest over all source files, for stacks that read files whose names are not known."""
        return self.digest_of_files(self.source_files)

    def digest_of_files(self, paths: Collection[str] | None = None) -> str:
        """`tree_digest`, computed again or over other files."""
        digest = hashlib.sha256()
        for path in self.list_source_files() if paths is None else paths:
            digest.update(f"{path}\0{self.index.digest(path)}\0".encode())
        return digest.hexdigest()
