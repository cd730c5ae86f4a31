"""Who owns a stack: `owners` in the configuration, otherwise the repository's CODEOWNERS.

The format: https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners
and https://docs.gitlab.com/user/project/codeowners/reference/, whose sections may name default owners.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base import plain
from .ignore import Patterns

if TYPE_CHECKING:
    from pathlib import Path

    from .stack import Stack

_FILES = (".github/CODEOWNERS", ".gitlab/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
_SECTION = re.compile(r"\^?\[[^\]]+\](?:\[\d+\])?\s*(?P<owners>.*)")
_LARGEST = 3 * 1024 * 1024  # as on GitHub


@dataclass(frozen=True)
class _Rule:
    """The owners of the files that a pattern matches."""

    patterns: Patterns
    owners: list[str]


class Owners:
    """The owners of a repository's stacks, from its CODEOWNERS if there is one."""

    def __init__(self, root: Path) -> None:
        self._rules = _read(root)

    def of(self, stack: Stack) -> list[str]:
        """The owners of a stack; the last rule that matches its folder decides."""
        if stack.settings.owners:
            return stack.settings.owners
        for rule in reversed(self._rules):
            if rule.patterns.ignore(f"{stack.path}/main.tf"):
                return rule.owners
        return []


def _read(root: Path) -> list[_Rule]:
    for name in _FILES:
        try:
            text = plain.read_within(root, root / name, _LARGEST).decode(errors="replace")
        except OSError:
            continue
        return _rules(text)
    return []


def _rules(text: str) -> list[_Rule]:
    """The rules of a file in their order; lines that are not understood are left out, as on the forges."""
    found, default = [], list[str]()
    for line in text.splitlines():
        content = line.strip()
        if not content or content.startswith(("#", "!")):
            continue
        if section := _SECTION.fullmatch(content):
            default = section["owners"].split()
            continue
        pattern, *owners = re.split(r"(?<!\\)\s+", content.partition(" #")[0].strip())
        try:
            found.append(_Rule(Patterns([_anchored(pattern.replace("\\ ", " "))]), owners or default))
        except (ValueError, re.error):
            continue
    return found


def _anchored(pattern: str) -> str:
    """A pattern of CODEOWNERS as one that begins at the root: without a slash inside, it matches in any folder."""
    inner = pattern.strip("/")
    return inner if "/" in pattern.rstrip("/") else f"**/{inner}"
