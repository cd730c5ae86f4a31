"""The sandboxed jinja2 environments for built-in and custom templates."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import jsontext, plain
from ..base.text import literal
from . import markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import BaseLoader, Environment

_LARGEST = 1 << 20  # bytes of a template
_READABLE, _UNIQUE = 40, 8  # characters
_OWN = Path(__file__).parent / "templates"
SIGNS = {
    "add": "+",
    "change": "~",
    "replace": "±",
    "destroy": "-",
    "forget": "forget",
    "move": "move",
    "import": "import",
    "check": "!",
    "state": "!",
    "create": "+",  # of an output
    "update": "~",
    "delete": "-",
}


@cache
def own() -> Environment:
    """The environment of the built-in templates: those that the wheel has compiled with this jinja2, or the sources."""
    import jinja2

    environment = over([])
    compiled = _OWN.parent / "compiled" / version("jinja2")
    if compiled.is_dir():
        environment.loader = jinja2.ModuleLoader(compiled)
    return environment


def over(folders: Sequence[Path]) -> Environment:
    """An environment over these folders and this package's own templates, which are also `builtin/NAME`.

    Text is escaped for HTML in `*.html.j2`, and quoted by filters elsewhere.
    """
    import jinja2

    loaders = [*map(plain_loader, folders), jinja2.FileSystemLoader(_OWN)]
    environment = sandboxed(
        jinja2.ChoiceLoader([*loaders, jinja2.PrefixLoader({"builtin": jinja2.FileSystemLoader(_OWN)})]),
        strict_lines=True,
    )
    environment.filters |= {
        "anchor": anchor,
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


def anchor(names: Sequence[str]) -> str:
    """The id of an element of a page for what these names name: readable, and different for different names."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", names[0]).strip("-").lower()[:_READABLE]
    return f"{readable}-{hashlib.sha256(jsontext.dumps([*names]).encode()).hexdigest()[:_UNIQUE]}"


def sandboxed(loader: BaseLoader | None = None, *, strict_lines: bool = False) -> Environment:
    """jinja2's sandbox, in which nothing can be changed.

    Args:
        loader: Where templates come from.
        strict_lines: Whether the end of a template's last line is kept.
    """
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        loader=loader, autoescape=lambda name: bool(name and name.endswith((".html.j2", ".html"))),
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=strict_lines, undefined=jinja2.StrictUndefined,
    )  # fmt: skip


def plain_loader(folder: Path) -> BaseLoader:
    """Loads templates of a folder that are plain files, behind no link."""
    import jinja2
    from jinja2.loaders import split_template_path

    def load(name: str) -> tuple[str, str, None] | None:
        parts = split_template_path(name)
        try:
            content = plain.read_below(folder, "/".join(parts), _LARGEST)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except plain.NotPlainError as error:
            raise jinja2.TemplateSyntaxError(error.strerror or str(error), 1, name) from None
        return content.decode(), str(folder.joinpath(*parts)), None

    return jinja2.FunctionLoader(load)
