"""Engine versions: what is a constraint, and which versions it allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.version import VersionConstraint

EXPECTED = "a version like 1.12.6, or a constraint like '>=1.12, <2' or '~> 1.12.0'"


@pytest.mark.parametrize(
    ("text", "allowed", "refused"),
    [
        ("1.12.6", ["1.12.6"], ["1.12.5", "1.12.60", "1.12.6-beta1", "v1.12.6"]),
        ("v1.12.6", ["1.12.6"], ["1.12.7"]),
        ("= 1.12.6", ["1.12.6"], ["1.12.7"]),
        ("1.12.0-beta1", ["1.12.0-beta1"], ["1.12.0"]),
        (">=1.12, <2", ["1.12.0", "1.99.9"], ["1.11.9", "2.0.0"]),
        (">= 1.12 , < 2", ["1.12.0"], ["2.0.0"]),
        ("~> 1.12.0", ["1.12.0", "1.12.9"], ["1.13.0", "1.11.9"]),
        ("~> 1.12", ["1.12.0", "1.13.0"], ["2.0.0", "1.11.0"]),
        ("!= 1.12.5, >= 1.12", ["1.12.4", "1.12.6"], ["1.12.5"]),
        (">= 1.12", ["1.13.0-beta1"], ["1.11.0", "my-own-build", ""]),
    ],
)
def test_a_constraint_allows_what_it_says(text: str, allowed: list[str], refused: list[str]) -> None:
    constraint = VersionConstraint.parse(text)
    assert [version for version in allowed if not constraint.allows(version)] == []
    assert [version for version in refused if constraint.allows(version)] == []


@pytest.mark.parametrize(
    ("text", "exact"), [("1.12.6", "1.12.6"), (" v1.12.6 ", "1.12.6"), ("1.12", None), ("~> 1.12.6", None)]
)
def test_only_a_full_version_is_exact(text: str, exact: str | None) -> None:
    assert VersionConstraint.parse(text).exact == exact


@pytest.mark.parametrize("text", ["", "latest", "1.x", ">= one", "~> 1", ">=", "1.2,,", "=> 1.2", "1 2 3"])
def test_what_is_no_constraint_says_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared in full
        VersionConstraint.parse(text)
    assert str(caught.value) == EXPECTED


@given(st.text(alphabet="0123456789.,<>=~! v-+*ab\n"), st.text(alphabet="0123456789.-+ab"))
def test_any_text_is_a_constraint_or_a_value_error(text: str, version: str) -> None:
    try:
        constraint = VersionConstraint.parse(text)
    except ValueError as error:
        assert str(error) == EXPECTED  # noqa: PT017 - either answer will do
    else:
        assert constraint.allows(version) in (True, False)
