"""What a task creator hands to doit: https://pydoit.org/tasks.html."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from doit.action import BaseAction
    from doit.exceptions import TaskFailed

    from .commandline import OptionDict
    from .run import Run


class TaskDict(TypedDict, total=False):
    """A task, or with `name` a sub-task, as doit's dictionaries have it; the keys that we use."""

    basename: str
    name: str | None
    doc: str
    actions: Sequence[BaseAction | Callable[..., bool | TaskFailed | None]] | None
    params: Sequence[OptionDict]
    pos_arg: str
    file_dep: Sequence[str]
    targets: Sequence[str]
    task_dep: Sequence[str]
    setup: Sequence[str]
    uptodate: Sequence[bool | Callable[..., bool | None]]
    clean: bool | Sequence[Callable[..., None] | tuple[Callable[..., None], Sequence[Run | str]]]
    verbosity: int
