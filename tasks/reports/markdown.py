"""Escapes any text for Markdown: code spans, fenced blocks, folded parts."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..base.text import shorten
from ..base.unseen import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .diff import Line


def code(text: str | int) -> str:
    """Text as Markdown code within a line, whatever is in it."""
    return _span(shorten(one_line(text)))


def cell(text: str | int) -> str:
    """Text as Markdown code within a cell of a table, whatever is in it."""
    # A bar ends the cell, in code too, unless an odd number of backslashes stands before it.
    return _span(re.sub(r"(\\*)\|", r"\1\1\\|", shorten(one_line(text))))


def _span(plain: str) -> str:
    longest = max((len(ticks) for ticks in re.findall(r"`+", plain)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}" if plain else ""


def fenced(text: str, language: str = "") -> str:
    """Text as a fenced block that nothing in it can end."""
    longest = max((len(ticks) for ticks in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def diff(lines: Iterable[Line]) -> str:
    """The lines of a change as a fenced block of a diff."""
    return fenced("\n".join(line.text if line.sign == "@" else f"{line.sign} {line.text}" for line in lines), "diff")


def html_code(text: str | int) -> str:
    """Text as code within HTML within Markdown: no line of it ends the HTML, and nothing in it is a mention or link."""
    return f"<code>{escape(shorten(one_line(text)))}</code>"


def one_line(text: str | int) -> str:
    """Text on one line."""
    return re.sub(r"\s+", " ", visible(str(text)))


def url(text: str) -> str:
    """A URL as a link's target; empty for anything else."""
    return quote(text, safe=":/?#[]@!$&'*+,;=%~") if text.startswith(("https://", "http://")) else ""
