"""Who owns a stack: `owners` in the configuration, otherwise the repository's CODEOWNERS.

The format: https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners
and https://docs.gitlab.com/user/project/codeowners/reference/, whose sections may name default owners.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..base import plain
from .ignore import Patterns

if TYPE_CHECKING:
    from pathlib import Path

    from .stack import Stack

_FILES = (".github/CODEOWNERS", ".gitlab/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
_SECTION = re.compile(r"\^?\[[^\]]+\](?:\[\d+\])?\s*(?P<owners>.*)")
_LARGEST = 3 * 1024 * 1024  # as on GitHub


_WILD = re.compile(r"[*?\[\]\\]")
_ANYWHERE = "**/"


@dataclass(frozen=True)
class _Rule:
    """The owners of the files that a pattern matches."""

    pattern: str
    owners: list[str]

    @cached_property
    def patterns(self) -> Patterns:
        """What it matches, with wildcards.

        Raises:
            ValueError: It is not a pattern.
        """
        return Patterns([self.pattern])


class Owners:
    """The owners of a repository's stacks, from its CODEOWNERS if there is one.

    Large repositories have thousands of rules, mostly for one folder each: those are found by the folder's name. Rules
    with wildcards are kept by the folder that they begin with, so that a stack is compared with few of them.
    """

    def __init__(self, root: Path) -> None:
        self._rules = _read(root)
        self._exact: dict[str, int] = {}
        self._named: dict[str, int] = {}
        self._wild: dict[str, list[int]] = {}
        for position, rule in enumerate(self._rules):
            anywhere = rule.pattern.removeprefix(_ANYWHERE)
            if not _WILD.search(rule.pattern):
                self._exact[rule.pattern] = position
            elif anywhere != rule.pattern and anywhere and not _WILD.search(anywhere) and "/" not in anywhere:
                self._named[anywhere] = position
            else:
                fixed = posixpath.dirname(_WILD.split(rule.pattern, maxsplit=1)[0])
                self._wild.setdefault(fixed, []).append(position)

    def of(self, stack: Stack) -> list[str]:
        """The owners of a stack; the last rule that matches its folder decides."""
        if stack.settings.owners:
            return stack.settings.owners
        path = f"{stack.path}/main.tf"
        parts = path.split("/")
        above = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        found = max(
            (*(self._exact.get(folder, -1) for folder in above), *(self._named.get(part, -1) for part in parts))
        )
        for folder in ("", *above):
            for position in reversed(self._wild.get(folder, ())):
                if position <= found:
                    break
                if self._rules[position].patterns.ignore(path):
                    found = position
                    break
        return self._rules[found].owners if found >= 0 else []


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
        rule = _Rule(_anchored(pattern.replace("\\ ", " ")), owners or default)
        if _WILD.search(rule.pattern):
            try:
                _ = rule.patterns
            except (ValueError, re.error):
                continue
        found.append(rule)
    return found


def _anchored(pattern: str) -> str:
    """A pattern of CODEOWNERS as one that begins at the root: without a slash inside, it matches in any folder."""
    inner = pattern.strip("/")
    return inner if "/" in pattern.rstrip("/") else f"**/{inner}"
