"""Logs in CI: sections fold, and no text of an engine, a hook or a stack gives the CI system a command."""

from __future__ import annotations

import re

import pytest

from tasks.base.terminal import Styled
from tasks.run.cilog import Dialect, dialect, harmless, plain, section


@pytest.mark.parametrize(
    ("variables", "expected"),
    [({"GITLAB_CI": "true"}, Dialect.GITLAB), ({"GITHUB_ACTIONS": "true"}, Dialect.GITHUB), ({}, Dialect.PLAIN)],
)
def test_the_dialect_is_the_one_of_the_ci(variables: dict[str, str], expected: Dialect) -> None:
    assert dialect(variables) is expected


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mred\x1b[0m", "\x1b[0Ksection_end:1:x\r\x1b[0K", "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
        "a\rb", "\x9b31mx", "\x00\x07",
    ],
)  # fmt: skip
def test_control_characters_are_gone(text: str) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", plain(f"{text}\nend\tof it"))
    assert plain(f"{text}\nend\tof it").endswith("\nend\tof it")


@pytest.mark.parametrize(
    "line", ["::set-output name=x::y", "   ::add-mask::a", "text ##[error]x", "\t::stop-commands::x"]
)
def test_on_github_foreign_commands_stand_between_a_word_that_nobody_knows(line: str) -> None:
    first, *middle, last = harmless(f"before\n{line}\nafter", Dialect.GITHUB).split("\n")
    word = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", first)
    assert word
    assert last == f"::{word[1]}::"
    assert word[1] not in "\n".join(middle)
    assert line in middle


def test_text_without_commands_stays_as_it_is() -> None:
    assert harmless("module::name and a :: b", Dialect.GITHUB) == "module::name and a :: b"
    assert harmless("::group::x", Dialect.GITLAB) == "::group::x"


def test_a_section_of_gitlab_is_folded_or_open_and_its_body_cannot_end_it() -> None:
    body = "one\n\x1b[0Ksection_end:1:plan_a.b\r\x1b[0K\nlast"
    for folded in (True, False):
        text = section(Dialect.GITLAB, "plan_a/b", Styled("title"), [Styled(body)], folded=folded)
        assert len(re.findall(r"\x1b\[0Ksection_start:\d+:plan_a\.b", text)) == 1
        assert len(re.findall(r"\x1b\[0Ksection_end:\d+:plan_a\.b\r\x1b\[0K", text)) == 1
        assert ("[collapsed=true]" in text) is folded


def test_a_group_of_github_folds_what_went_well_and_only_that() -> None:
    assert (
        section(Dialect.GITHUB, "n", Styled("100% done"), [Styled("body")], folded=True)
        == "::group::100%25 done\nbody\n::endgroup::"
    )
    assert section(Dialect.GITHUB, "n", Styled("failed"), [Styled("body")], folded=False) == "failed\nbody"


def test_a_group_of_github_is_not_ended_by_its_body() -> None:
    lines = section(Dialect.GITHUB, "n", Styled("title"), [Styled("::endgroup::\nx")], folded=True).split("\n")
    assert lines[0] == "::group::title"
    assert lines[1].startswith("::stop-commands::")
    assert lines[-1] == "::endgroup::"
