"""Report templates in jinja2's sandbox: built-in ones, and a project's replacements."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..base.errors import DeployError
from ..base.problem import Kind, Where
from ..base.text import shorten
from ..base.unseen import visible
from . import environment, sandbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class BrokenTemplateError(DeployError):
    """A project's template cannot be used."""

    kind = Kind.TEMPLATE


@dataclass(frozen=True)
class Templates:
    """Where templates come from.

    A project's template that is broken never fails a plan: the built-in one is used, and `broken` is called once.

    Args:
        folder: The project's own, which win; `builtin/NAME` in one of them is the one it covers.
        shown: That folder as people write it.
        broken: Called with what is wrong.
    """

    folder: Path | None = None
    shown: str = ""
    broken: Callable[[BrokenTemplateError], None] = lambda _: None
    _told: set[str] = field(default_factory=set)

    def render(self, name: str, **values: Any) -> str:
        """A template, filled in."""
        if self.folder is not None and os.path.lexists(self.folder / name) and name not in self._told:
            try:
                return sandbox.render(name, values, [self.folder])
            except sandbox.TemplateFailedError as error:
                self._told.add(name)
                self.broken(self._problem(name, error))
        return environment.own().get_template(name).render(**values)

    def _problem(self, name: str, error: sandbox.TemplateFailedError) -> BrokenTemplateError:
        """What is wrong, with the place in the template."""
        return BrokenTemplateError(
            f"{shorten(visible(str(error)))}; the built-in template is used instead",
            where=Where(f"{self.shown}/{error.place or name}", error.line),
            untouched="the outcome of the run: templates only affect reports",
            next_step="fix or remove the template",
        )
