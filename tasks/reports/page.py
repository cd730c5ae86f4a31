"""The report as a self-contained HTML page without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .template import Templates

if TYPE_CHECKING:
    from .model import Report

_OWN = Templates()


def render(report: Report, *, templates: Templates = _OWN) -> str:
    """The report as HTML: all of it, folded, for light and dark, any width, and the keyboard.

    It may be opened from anywhere: its own policy (a `Content-Security-Policy` element) forbids scripts and all that
    comes from elsewhere, and every value is escaped.

    Args:
        report: The report.
        templates: Where the template `page.html.j2` comes from.
    """
    return templates.render("page.html.j2", report=report)
