"""Templates of reports, in jinja2's sandbox: this package's own, and what a project puts over them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import DeployError
from ..base.problem import Kind, Where
from ..base.text import literal, shorten, visible
from . import markdown

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Environment

_OWN = Path(__file__).parent / "templates"
SIGNS = {
    "add": "+",
    "change": "~",
    "replace": "±",
    "destroy": "-",
    "forget": "forget",
    "move": "move",
    "import": "import",
}


class BrokenTemplateError(DeployError):
    """A project's template cannot be used."""

    kind = Kind.TEMPLATE


@dataclass(frozen=True)
class Templates:
    """Where templates come from.

    A project's template that is broken never fails a plan: the built-in one is used, and `broken` is told so, once.

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
        if self.folder is not None and (self.folder / name).is_file() and name not in self._told:
            try:
                return self._with_overrides.get_template(name).render(**values)
            except Exception as error:  # noqa: BLE001 - whatever somebody's template does
                self._told.add(name)
                self.broken(self._problem(name, error))
        return self._own.get_template(name).render(**values)

    @cached_property
    def _own(self) -> Environment:
        return _environment([_OWN])

    @cached_property
    def _with_overrides(self) -> Environment:
        assert self.folder is not None  # noqa: S101 - for the type checker
        return _environment([self.folder, _OWN])

    def _problem(self, name: str, error: Exception) -> BrokenTemplateError:
        """What is wrong, with the place in the template."""
        import traceback

        line, place = getattr(error, "lineno", None), getattr(error, "name", None) or name
        if line is None:
            for frame in traceback.extract_tb(error.__traceback__):
                path = Path(frame.filename)
                if self.folder is not None and path.is_relative_to(self.folder):
                    line, place = frame.lineno, path.relative_to(self.folder).as_posix()
        return BrokenTemplateError(
            f"{shorten(visible(str(error) or type(error).__name__))}; the built-in template is used instead",
            where=Where(f"{self.shown}/{place}", line),
            untouched="the outcome: no template changes what is planned or deployed",
            next_step="correct the template, or remove it",
        )


def _environment(folders: list[Path]) -> Environment:
    """An environment over these folders; text is escaped for HTML in `*.html.j2`, and quoted by filters elsewhere."""
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.ChoiceLoader(
            [jinja2.FileSystemLoader(folders), jinja2.PrefixLoader({"builtin": jinja2.FileSystemLoader(_OWN)})]
        ),
        autoescape=lambda name: bool(name and name.endswith((".html.j2", ".html"))),
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters |= {
        "cell": markdown.cell,
        "code": markdown.code,
        "diff": markdown.diff,
        "fenced": markdown.fenced,
        "html_code": markdown.html_code,
        "literal": literal,
        "number": lambda number: f"{number:,}",
        "one_line": markdown.one_line,
        "url": markdown.url,
        "sign": lambda kind: SIGNS.get(kind, kind),
    }
    return environment
