"""Markdown quoting: whatever a value is, it stays within its code span, cell or block."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.reports.markdown import cell, fenced

HARSH = st.text(alphabet="`|\\ \n\ta<>&*_[]~")


def cells(row: str) -> list[str]:
    """The cells of a table's row, split as cmark-gfm does: a backslash takes the next mark with it."""
    return re.findall(r"(?:\\.|[^\\|])+|\\$", row)


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("plain", "`plain`"),
        ("", ""),
        ("a`b", "``a`b``"),
        ("`a`", "`` `a` ``"),
        ("a``b`c", "```a``b`c```"),
        ("a|b", r"`a\|b`"),
        (r"a\|b", r"`a\\\|b`"),
        ("two\n  lines", "`two lines`"),
        ("<b>*x*</b>", "`<b>*x*</b>`"),
        (3, "`3`"),
        (None, "`None`"),
    ],
)
def test_code_is_quoted_as_it_stands_in_a_line_or_a_table(text: object, markdown: str) -> None:
    assert cell(text) == markdown


@given(HARSH)
def test_no_text_ends_its_line_its_cell_or_its_code_span(text: str) -> None:
    quoted = cell(text)
    assert "\n" not in quoted
    if not quoted:
        assert text == ""
        return
    assert cells(f"{quoted} ") == [f"{quoted} "]
    fence = re.match("`+", quoted)
    assert fence is not None
    runs = re.findall("`+", quoted)
    assert runs[0] == runs[-1] == fence[0]
    assert fence[0] not in runs[1:-1]


@pytest.mark.parametrize(
    ("text", "language", "markdown"),
    [
        ("a\nb\n\n", "text", "```text\na\nb\n```"),
        ("", "", "```\n\n```"),
        ("x\n```\ny", "", "````\nx\n```\ny\n````"),
        ("`````", "hcl", "``````hcl\n`````\n``````"),
        ("~~~", "", "```\n~~~\n```"),
    ],
)
def test_a_block_has_a_fence_that_nothing_in_it_ends(text: str, language: str, markdown: str) -> None:
    assert fenced(text, language) == markdown


@given(st.text(alphabet="`~ \n\ta"))
def test_no_text_ends_its_block(text: str) -> None:
    first, *inner, last = fenced(text, "text").split("\n")
    fence = first.removesuffix("text")
    assert last == fence
    assert set(fence) == {"`"}
    assert not [line for line in inner if re.fullmatch(rf" {{0,3}}`{{{len(fence)},}}\s*", line)]
    assert "\n".join(inner) == text.rstrip()
