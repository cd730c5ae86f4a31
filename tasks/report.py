"""Reports for people: Markdown files made from results alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import RecordError
from .files import write_atomic
from .result import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .layout import Layout
    from .result import Result

_SIGNS = {
    "add": "+",
    "change": "~",
    "replace": "±",
    "destroy": "-",
    "forget": "forget",
    "move": "move",
    "import": "import",
}


def write(layout: Layout, stage: str, results: Iterable[Result], *, commit: str) -> str | None:
    """Write the report of a stage; gives its path for people, or None when it could not be written.

    Args:
        layout: Where it goes: `reports/<stage>.md`.
        stage: `plan` or `drift`.
        results: The results to show, in the order to show them.
        commit: The revision that the run was at.
    """
    path = layout.reports / f"{stage}.md"
    text = render(f"{stage}.md.j2", environment=layout.environment, results=list(results), commit=commit)
    try:
        write_atomic(path, text.encode(), durable=False)
    except RecordError:
        return None
    return layout.relative(path)


def render(template: str, **values: Any) -> str:
    """A template of this package, filled in; values are quoted for Markdown where the template says so."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=loader, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined, autoescape=False,  # noqa: S701 - Markdown, quoted by the filters below
    )  # fmt: skip
    environment.filters |= {"code": code, "fenced": fenced, "json": _json, "sign": lambda kind: _SIGNS.get(kind, kind)}
    environment.globals |= {"Status": Status}
    return environment.get_template(template).render(**values)


def code(text: Any) -> str:
    """Text as Markdown code within a line or a table cell, whatever is in it."""
    # In a table a bar ends the cell, in code too, unless an odd number of backslashes stands before it.
    plain = re.sub(r"(\\*)\|", r"\1\1\\|", re.sub(r"\s+", " ", str(text)))
    longest = max((len(ticks) for ticks in re.findall(r"`+", plain)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}" if plain else ""


def fenced(text: str, language: str = "") -> str:
    """Text as a fenced block that nothing in it can end."""
    longest = max((len(ticks) for ticks in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
