"""Owners of stacks: the configuration's, otherwise those of CODEOWNERS."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.project.ignore import Patterns
from tasks.project.owners import Owners

if TYPE_CHECKING:
    from collections.abc import Callable


class Settings:
    """The settings of a stack."""

    def __init__(self, *owners: str) -> None:
        self.owners = list(owners)


class Named:
    """A stack."""

    def __init__(self, path: str, *owners: str) -> None:
        self.path, self.settings = path, Settings(*owners)


@pytest.fixture
def owners(tmp_path: Path) -> Callable[..., list[str]]:
    """The owners of a stack's folder by a CODEOWNERS of these lines."""

    def of(path: str, *lines: str, place: str = "CODEOWNERS", given: tuple[str, ...] = ()) -> list[str]:
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text("\n".join(lines))
        return Owners(tmp_path).of(Named(path, *given))  # type: ignore[arg-type]

    return of


@pytest.mark.parametrize(
    ("pattern", "path", "owned"),
    [
        ("*", "stacks/web", True),
        ("/stacks/web/", "stacks/web", True),
        ("stacks/web", "stacks/web", True),
        ("stacks/*", "stacks/web", True),
        ("web/", "stacks/web", True),
        ("web", "other/web", True),
        ("**/web", "a/b/web", True),
        ("/web", "stacks/web", False),
        ("stacks/we", "stacks/web", False),
        ("*.md", "stacks/web", False),
        ("/stacks/", "stacks-old/web", False),
        (r"/my\ stacks/", "my stacks/web", True),
    ],
)
def test_a_pattern_owns_the_folders_that_it_matches(
    owners: Callable[..., list[str]], pattern: str, path: str, owned: bool
) -> None:
    assert owners(path, f"{pattern} @team @ada") == (["@team", "@ada"] if owned else [])


def test_the_last_pattern_that_matches_decides_also_for_none(owners: Callable[..., list[str]]) -> None:
    lines = ("# everybody", "* @all", "/stacks/data/ @data # the databases", "/stacks/data/public/", "[[ broken")
    assert owners("stacks/web", *lines) == ["@all"]
    assert owners("stacks/data/orders", *lines) == ["@data"]
    assert owners("stacks/data/public", *lines) == []


def test_a_section_of_gitlab_names_the_owners_of_patterns_without_any(owners: Callable[..., list[str]]) -> None:
    lines = ("[Platform][2] @platform", "/stacks/cluster/", "/stacks/vault/ @security", "^[Docs]", "/docs/")
    assert owners("stacks/cluster", *lines) == ["@platform"]
    assert owners("stacks/vault", *lines) == ["@security"]
    assert owners("docs", *lines) == []


def test_the_configuration_comes_first(owners: Callable[..., list[str]]) -> None:
    assert owners("stacks/web", "* @all", given=("grace",)) == ["grace"]


def test_the_folder_of_the_forge_is_read_and_a_link_out_of_the_repository_is_not(
    owners: Callable[..., list[str]], tmp_path: Path
) -> None:
    assert owners("a", "* @all", place=".github/CODEOWNERS") == ["@all"]
    (tmp_path / ".github/CODEOWNERS").unlink()
    (tmp_path / ".github/CODEOWNERS").symlink_to("/proc/self/environ")
    assert Owners(tmp_path).of(Named("a")) == []  # type: ignore[arg-type]


_PATTERNS = (
    "*", "/stacks/", "stacks/a", "/stacks/a/", "a", "a/", "/a", "*.tf", "stacks/*", "/stacks/*/", "**/a", "stacks/**",
    "/stacks/a*", "main.tf", "/", "s?acks/b", "**/b/**", "/docs/", "b/main.tf", "[", "stacks/[ab]/", "x y\\ z",
)  # fmt: skip


def test_of_any_rules_the_last_one_that_matches_decides_as_if_each_were_tried(tmp_path: Path) -> None:
    chance = random.Random(20)  # noqa: S311
    for _ in range(300):
        lines = [f"{chance.choice(_PATTERNS)} @o{number}" for number in range(chance.randrange(1, 12))]
        (tmp_path / "CODEOWNERS").write_text("\n".join(lines))
        owners = Owners(tmp_path)
        for path in ("stacks/a", "stacks/b", "a", "deep/stacks/a", "stacks/a/b"):
            expected = next((owner for line in reversed(lines) if (owner := _tried(line, path))), None)
            assert owners.of(Named(path)) == ([expected] if expected else []), (lines, path)  # type: ignore[arg-type]


def _tried(line: str, path: str) -> str | None:
    """The owner that a rule alone has for a stack."""
    pattern, owner = line.rsplit(" ", 1)
    inner = pattern.replace("\\ ", " ").strip("/")
    try:
        patterns = Patterns([inner if "/" in pattern.rstrip("/") else f"**/{inner}"])
    except (ValueError, re.error):
        return None
    return owner if " " not in pattern and patterns.ignore(f"{path}/main.tf") else None


def test_thousands_of_rules_cost_a_stack_a_few_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"/stacks/s{number}/ @o{number}" for number in range(2_000)]
    lines += [f"/stacks/s{number}/*.tf @t{number}" for number in range(2_000)]
    (tmp_path / "CODEOWNERS").write_text("\n".join(lines))
    owners, looks = Owners(tmp_path), list[str]()
    found = Patterns.ignore
    monkeypatch.setattr(Patterns, "ignore", lambda self, path: bool(looks.append(path)) or found(self, path))
    for number in range(2_000):
        assert owners.of(Named(f"stacks/s{number}")) == [f"@t{number}"]  # type: ignore[arg-type]
    assert len(looks) == 2_000
