"""Errors: how they are shown, and which name they hold for the nearest."""

from __future__ import annotations

import pytest

from tasks.base.errors import ArtifactRefusedError, ConfigError, ConfigErrors, DeployError, ExitCode, nearest


def test_an_error_is_shown_with_all_that_is_known_of_it_in_a_fixed_order() -> None:
    error = DeployError("it broke", where="f:1", key="a.b", stack="web", untouched="all", next_step="try again")
    assert error.render() == (
        "error: a.b: it broke\n  where: f:1\n  stack: web\n  untouched: all\n  next: try again"
    )  # fmt: skip
    assert DeployError("it broke").render() == "error: it broke"


def test_several_config_errors_are_shown_one_after_the_other() -> None:
    errors = ConfigErrors([ConfigError("a", where="f:1"), ConfigError("b", key="k")])
    assert errors.render() == "config error: a\n  where: f:1\nconfig error: k: b"
    assert str(errors) == "2 errors in the configuration"


def test_a_refusal_says_that_nothing_was_changed_and_how_to_plan_anew() -> None:
    assert ArtifactRefusedError("commit", "it is of another commit", stack="web").render() == (
        "refused: it is of another commit\n  stack: web\n  untouched: nothing of this stack was changed\n"
        "  next: `doit plan:web` makes a new plan to review; then `doit deploy`"
    )


@pytest.mark.parametrize(
    ("word", "candidates", "hint"),
    [
        ("netwrok", ["network", "web"], " (nearest: 'network')"),
        ("zzz", ["web", "network"], " (known: network, web)"),
        ("x", [], ""),
        ("zzz", [f"s{n:02}" for n in range(14)],
         " (known: s00, s01, s02, s03, s04, s05, s06, s07, s08, s09, s10, s11, ...)"),
    ],
)  # fmt: skip
def test_the_nearest_name_is_told_or_those_that_are_known(word: str, candidates: list[str], hint: str) -> None:
    assert nearest(word, candidates) == hint


def test_the_exit_codes_are_those_of_the_contract() -> None:
    assert (int(ExitCode.OK), int(ExitCode.FAILED), int(ExitCode.DRIFT)) == (0, 1, 2)
