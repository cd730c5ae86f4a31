"""Ignore files: Docker's rules, as its own matcher (github.com/moby/patternmatcher) has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.base.errors import ConfigError
from tasks.project.hcl.fileindex import FileIndex
from tasks.project.ignore import Patterns, clean

if TYPE_CHECKING:
    from pathlib import Path


def _index(folder: Path) -> FileIndex:
    return FileIndex(folder, folder / "cache.json")


@pytest.mark.parametrize(
    ("text", "ignored", "kept"),
    [
        ("*.md", ["a.md"], ["docs/a.md", "a.mdx"]),
        ("**/*.md", ["a.md", "docs/a.md", "x/y/a.md"], ["a.txt"]),
        ("docs", ["docs", "docs/a", "docs/x/y"], ["docs2", "x/docs"]),
        ("/docs/", ["docs/a"], ["x/docs/a"]),
        ("./docs/../docs", ["docs/a"], ["x"]),
        ("*/temp*", ["a/temp", "a/temporary/x"], ["temp", "a/b/temp"]),
        ("temp?", ["temps", "tempa/x"], ["temp", "tempss"]),
        ("[ab]c", ["ac", "bc/x"], ["cc"]),
        ("[^a]c", ["bc"], ["ac"]),
        ("a/**", ["a/x", "a/x/y"], ["a", "b"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z/file"], ["a/b/zz"]),
        ("**", ["a", "a/b"], []),
        ("**x", ["x", "ax", "a/bx"], ["xa"]),
        (r"a\*", ["a*"], ["ab"]),
        ("a.b", ["a.b"], ["axb"]),
        ("*.md\n!README.md", ["a.md"], ["README.md", "x/README.md"]),
        ("!README.md\n*.md", ["README.md"], []),
        ("docs\n!docs/keep.md\ndocs/keep.md.bak", ["docs/a", "docs/keep.md.bak"], ["docs/keep.md"]),
        ("*\n!src", ["a"], ["src/x", "src"]),
        ("# a comment\n\n  a  \n #b", ["a", "#b"], ["# a comment", "b"]),
        ("\ufeffa", ["a"], []),
        ("a\r\nb\r\n", ["a", "b"], []),
        ("..", [], ["a"]),
        (".", [], ["a"]),
        ("", [], ["a"]),
        ("(a|b)+$", ["(a|b)+$"], ["a"]),
    ],
)
def test_a_pattern_leaves_out_what_docker_leaves_out(
    tmp_path: Path, text: str, ignored: list[str], kept: list[str]
) -> None:
    file = tmp_path / ".dockerignore"
    file.write_bytes(text.encode())
    patterns = Patterns.read(_index(tmp_path), file.name)
    assert [path for path in ignored if not patterns.ignore(path)] == []
    assert [path for path in kept if patterns.ignore(path)] == []


@pytest.mark.parametrize("text", ["!", "[a", "a/[b-a]"])
def test_what_is_no_pattern_names_the_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / ".dockerignore"
    file.write_text(text)
    with pytest.raises(ConfigError, match="cannot use this ignore file") as caught:
        Patterns.read(_index(tmp_path), file.name)
    assert str(caught.value.problem.where) == file.name


def test_a_pattern_in_its_plainest_form_stays_as_it_is() -> None:
    assert clean("/a/b/\n! ./c\n**/d/") == ["a/b", "!c", "**/d"]
    assert clean("\n".join(clean("/a/b/\n! ./c\n**/d/"))) == ["a/b", "!c", "**/d"]
