"""Formats output for CI logs: foldable sections, and text that cannot issue CI commands.

GitLab: https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections. GitHub:
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from enum import Enum
from typing import TYPE_CHECKING

from ..base import ci, terminal
from ..base.terminal import Styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")
# The runner reads `::name …::` at the start of a line, also after white space, and `##[name]` anywhere.
_COMMAND = re.compile(r"^\s*::|##\[", re.MULTILINE)
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]")


class Dialect(Enum):
    """The kinds of CI logs."""

    PLAIN = "plain"
    GITLAB = "gitlab"
    GITHUB = "github"


def dialect(environment: Mapping[str, str] = os.environ) -> Dialect:
    """The dialect of the current CI system."""
    kind = ci.kind(environment)
    return Dialect.GITLAB if kind == "gitlab" else Dialect.GITHUB if kind == "github" else Dialect.PLAIN


def plain(text: str) -> str:
    """The text without colours, cursor movements and other control characters; line ends are kept.

    GitLab's section markers need them, so text without them cannot start or end a section.
    """
    return _CONTROL.sub("", _ESCAPE.sub("", text.replace("\r\n", "\n")))


def harmless(text: str, of: Dialect) -> str:
    """Untrusted text in a form that cannot issue CI commands."""
    return coloured([Styled(text)], of, colours=False)


def coloured(lines: Sequence[Styled], of: Dialect, *, colours: bool, columns: int | None = None) -> str:
    """Untrusted lines, each in its style, in a form that cannot issue CI commands.

    Args:
        lines: The lines; control characters and colours of their own are removed.
        of: The dialect.
        colours: Whether to use the styles.
        columns: How many columns there are; None if lines have no limit.
    """
    clean = [line._replace(text=part) for line in lines for part in plain(line.text).split("\n")]
    clean = terminal.fitted(clean, columns)
    shown = "\n".join(terminal.painted(line.text, line.style) if colours else line.text for line in clean)
    if of is not Dialect.GITHUB or not _COMMAND.search(terminal.joined(clean)):
        return shown
    word = secrets.token_hex(16)  # unguessable, so nothing in the text can end this
    return f"::stop-commands::{word}\n{shown}\n::{word}::"


def section(
    of: Dialect, name: str, title: Styled, body: Sequence[Styled], *, folded: bool, colours: bool = False
) -> str:  # fmt: skip
    """A section of a log; outside of CI, the title and the body.

    Args:
        of: The dialect.
        name: Its name, unique in the log.
        title: Its first line, always visible.
        body: The foldable part.
        folded: Whether it starts folded; GitHub folds every group, so an unfolded section is not a group there.
        colours: Whether to use the styles.
    """
    inner, head = coloured(body, of, colours=colours), coloured([title], of, colours=colours)
    if of is Dialect.GITLAB:
        now, safe = int(time.time()), _NO_NAME.sub(".", name)
        options = "[collapsed=true]" if folded else ""
        start = f"\x1b[0Ksection_start:{now}:{safe}{options}\r\x1b[0K{head}"
        return f"{start}\n{inner}\n\x1b[0Ksection_end:{now}:{safe}\r\x1b[0K"
    if of is Dialect.GITHUB and folded and "\n" not in head:
        return f"::group::{coloured([title], of, colours=False).replace('%', '%25')}\n{inner}\n::endgroup::"
    return f"{head}\n{inner}"
