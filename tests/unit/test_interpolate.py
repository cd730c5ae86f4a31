"""Placeholders: what is filled in, what is left alone, and what an unknown name says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base import interpolate
from tasks.base.errors import ConfigError
from tasks.base.problem import Where

VALUES = {"stack": "web", "environment": "prod", "outputs.url": "http://x"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{stack}-{environment}", "web-prod"),
        ("{outputs.url}/healthz", "http://x/healthz"),
        ("${REGION}/{stack}", "eu/web"),
        ("${MISSING:-a default}", "a default"),
        ("${MISSING:-}", ""),
        ("${REGION:-other}", "eu"),
        ("$${REGION}", "${REGION}"),
        ('{"json": {"a": 1}}', '{"json": {"a": 1}}'),
        ("$REGION {} {Stack} {1}", "$REGION {} {Stack} {1}"),
        ("", ""),
    ],
)
def test_placeholders_and_variables_are_filled_in_and_all_else_stays(
    monkeypatch: pytest.MonkeyPatch, text: str, filled: str
) -> None:
    monkeypatch.setenv("REGION", "eu")
    monkeypatch.delenv("MISSING", raising=False)
    assert interpolate.fill(text, VALUES, key="k") == filled


def test_what_is_filled_in_is_never_read_as_a_placeholder_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRICK", "{stack} ${HOME}")
    assert interpolate.fill("${TRICK} {stack}", {"stack": "${TRICK}"}, key="k") == "{stack} ${HOME} ${TRICK}"


def test_an_unknown_placeholder_is_named_with_the_nearest_its_key_and_place() -> None:
    with pytest.raises(ConfigError) as caught:
        interpolate.fill("{stak}", VALUES, key="backend.settings.path", where="config/pipeline.yaml:3")
    assert caught.value.problem.text() == (
        "config error: backend.settings.path: {stak} has no value here (did you mean 'stack'?)\n"
        "  where: config/pipeline.yaml:3"
    )


def test_a_variable_that_is_not_set_is_named_with_two_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOPE", raising=False)
    with pytest.raises(ConfigError) as caught:
        interpolate.expand_environment({"a": ["x", "${NOPE}"]}, key="stacks.web.variables.v", where="f.yaml:9")
    assert caught.value.problem.text() == (
        "config error: stacks.web.variables.v.a[1]: the environment variable NOPE is not set\n"
        "  where: f.yaml:9\n"
        "  next: set NOPE, or add a default: ${NOPE:-value}"
    )


def test_expanding_reaches_every_string_within_and_changes_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGION", "eu")
    value = {"a": ["${REGION}", 1, None, True, {"b": "{stack} ${REGION}"}], "c": 1.5, "${REGION}": "x"}
    assert interpolate.expand_environment(value, key="k") == {
        "a": ["eu", 1, None, True, {"b": "{stack} eu"}], "c": 1.5, "${REGION}": "x",
    }  # fmt: skip


def test_placeholders_are_listed_in_order_without_the_variables() -> None:
    assert interpolate.placeholders("{b} ${A} $${C} {outputs.x-y} {b}") == ["b", "outputs.x-y", "b"]


@given(st.text())
def test_any_text_is_filled_in_or_is_a_config_error(text: str) -> None:
    try:
        assert isinstance(interpolate.fill(text, VALUES, key="k"), str)
    except ConfigError as error:
        assert error.problem.where == Where(key="k")  # noqa: PT017 - either answer will do


@given(st.text(alphabet=st.characters(exclude_characters="{}$")))
def test_text_without_braces_stays_as_it_is(text: str) -> None:
    assert interpolate.fill(text, {}, key="k") == text
