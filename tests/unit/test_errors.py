"""Errors: how they are shown, and which name they hold for the nearest."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.errors import (
    ArtifactRefusedError,
    ConfigError,
    ConfigErrors,
    DeployError,
    ExitCode,
    HookError,
    StateLockedError,
    StoppedError,
    nearest,
)
from tasks.base.masking import Masker
from tasks.base.problem import Command, Kind, Problem, Untouched, Where, doit, listed


def test_an_error_is_shown_with_all_that_is_known_of_it_in_a_fixed_order() -> None:
    error = DeployError("it broke", where="f:1", key="a.b", stack="web", untouched="all", next_step="try again")
    assert error.problem.text() == (
        "error: a.b: it broke\n  where: f:1\n  stack: web\n  untouched: all\n  next: try again"
    )  # fmt: skip
    assert DeployError("it broke").problem.text() == "error: it broke"


def test_several_config_errors_are_shown_one_after_the_other() -> None:
    errors = ConfigErrors([ConfigError("a", where="f:1"), ConfigError("b", key="k")])
    assert listed(errors.problems) == "config error: a\n  where: f:1\nconfig error: k: b"
    assert str(errors) == "2 errors in the configuration"


def test_what_ends_a_command_before_it_began_says_what_is_untouched_and_what_to_do() -> None:
    first, second = (ConfigError(text, where="f:1").problem.before_anything() for text in ("a", "b"))
    assert listed([first]) == (
        "config error: a\n  where: f:1\n  untouched: nothing was planned or applied\n"
        "  next: correct it, then run the same command again"
    )
    told = replace(second, next=("rename it",))
    assert listed([first, told]) == (
        "config error: a\n  where: f:1\nconfig error: b\n  where: f:1\n  next: rename it\n"
        "2 errors in the configuration\n  untouched: nothing was planned or applied\n"
        "  next: correct them, then run the same command again"
    )
    other = ConfigError("c", untouched="no file was changed", next_step="undo it").problem
    assert other.before_anything() == other
    assert "\n  untouched: no file was changed\n" in listed([first, other])
    locked = StateLockedError("d").problem.before_anything()
    assert locked.rows() == ["  untouched: nothing was planned or applied"]


def test_a_refusal_says_that_nothing_was_changed_and_how_to_plan_anew() -> None:
    assert ArtifactRefusedError("commit", "it is of another commit", stack="web").problem.text() == (
        "refused: it is of another commit\n  stack: web\n  untouched: nothing in this stack was changed\n"
        "  next: `doit plan:web` makes a new plan to review; then `doit deploy`"
    )


def test_every_command_of_a_problem_names_the_environment_unless_it_is_the_default() -> None:
    problem = ArtifactRefusedError("commit", "it is of another commit", stack="web").problem
    assert problem.within(None) == problem
    found = problem.within("prod")
    assert found.next_text == "`doit env=prod plan:web` makes a new plan to review; then `doit env=prod deploy`"
    assert found.next_command == Command(("plan:web",), "prod")
    assert found.within("other") == found


def test_a_command_says_itself_which_environment_it_is_for() -> None:
    assert str(doit("plan:web", environment="dev").within("prod")) == "doit env=dev plan:web"


@pytest.mark.parametrize(
    ("command", "typed"),
    [
        (doit("plan:web", "mocks=no"), "doit plan:web mocks=no"),
        (doit("-a", "deploy:web", "deploy:edge/cdn"), "doit -a deploy:web deploy:edge/cdn"),
        (doit("plan", "reason=why this once"), "doit plan reason='why this once'"),
        (doit("plan", "allow=x; rm -r /"), "doit plan allow='x; rm -r /'"),
        (doit("forget", "a b"), "doit forget 'a b'"),
        (doit("deploy", X_Y="w n"), "X_Y='w n' doit deploy"),
    ],
)
def test_a_command_is_shown_as_a_shell_reads_it(command: Command, typed: str) -> None:
    assert str(command) == typed
    assert tuple(shlex.split(typed)) == command.words


TEXTS = st.text(alphabet=st.characters(exclude_characters="\n"))
COMMANDS = st.builds(
    Command,
    st.lists(TEXTS).map(tuple),
    st.none() | TEXTS,
    st.lists(st.tuples(TEXTS, TEXTS), max_size=2).map(tuple),
)
PROBLEMS = st.builds(
    Problem,
    st.sampled_from(Kind),
    TEXTS,
    st.none() | st.builds(Where, st.none() | TEXTS, st.none() | st.integers(1), st.none() | TEXTS),
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.lists(TEXTS | COMMANDS, max_size=4).map(tuple),
    st.lists(TEXTS.filter(bool), max_size=3).map(tuple),
    st.text(),
    st.none() | TEXTS,
)


@settings(max_examples=40, deadline=None)
@given(PROBLEMS)
def test_a_problem_is_read_from_its_record_as_it_was_written(problem: Problem) -> None:
    assert Problem.from_json(json.loads(json.dumps(problem.to_json()))) == problem


def test_the_record_of_a_problem_has_the_shape_that_its_readers_expect() -> None:
    error = HookError(
        "it broke", where=Where("config/pipeline.yaml", 7), key="hooks[0]", stack="web", untouched=Untouched("all", "both"),
        next_step=("look, then ", doit("plan:web")), details=["a\nb", "c"], log="said",
    )  # fmt: skip
    assert error.problem.within("prod").to_json() == {
        "kind": "hook failed",
        "summary": "it broke",
        "where": {"file": "config/pipeline.yaml", "line": 7, "key": "hooks[0]"},
        "stack": "web",
        "untouched": "all",
        "untouched_of_several": "both",
        "next": {
            "command": ["doit", "env=prod", "plan:web"],
            "text": "look, then `doit env=prod plan:web`",
            "parts": ["look, then ", {"arguments": ("plan:web",), "environment": "prod", "variables": ()}],
        },
        "details": "a\nb\nc",
        "log": "said",
    }


def test_every_text_of_a_problem_is_masked() -> None:
    mask, secret = Masker(), "hunter2-known"
    mask.add([secret])
    error = DeployError(
        f"a {secret}", where=secret, key=secret, stack=secret, untouched=secret,
        next_step=(secret, doit(secret, X=secret)), details=[secret], log=secret,
    )  # fmt: skip
    assert secret in str(error.problem)
    assert secret not in str(error.problem.mapped(mask.text))


def test_an_error_that_says_more_is_another_error_of_the_same_kind() -> None:
    stopped = StoppedError("stopped", next_step="again")
    other = stopped.saying(replace(stopped.problem, summary="the stage was done, but: stopped"))
    assert type(other) is StoppedError
    assert (other.message, str(other)) == ("the stage was done, but: stopped",) * 2
    assert (stopped.message, str(stopped)) == ("stopped",) * 2
    refused = ArtifactRefusedError("commit", "x", stack="web")
    assert refused.saying(refused.problem).reason == "commit"


@pytest.mark.parametrize(
    ("word", "candidates", "hint"),
    [
        ("netwrok", ["network", "web"], " (did you mean 'network'?)"),
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
