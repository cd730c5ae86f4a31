"""What the command line says to words and options that it does not understand."""

from __future__ import annotations

import pytest
from doit import doit_cmd
from doit.exceptions import InvalidCommand

from tasks import refusals
from tasks.base.errors import ConfigError
from tasks.run import commandline

COMMANDS = ["setup", "build", "validate", "plan", "deploy", "verify", "drift", "status", "graph"]
STACKS = ["network", "web-app"]
EVERY = [*COMMANDS, "_planned"] + [
    f"{stage}:{stack}" for stage in ("validate", "plan", "deploy", "drift") for stack in STACKS
]


def of_name(*words: str, tasks: list[str] = EVERY) -> str:
    """What is said of the last word, in one line."""
    return refusals.of_name(words[-1], tasks, refusals.before(words[-1], words)).splitlines()[0]


@pytest.mark.parametrize("stage", ["validate", "plan", "deploy", "drift"])
def test_a_stack_after_a_command_is_written_with_that_command(stage: str) -> None:
    assert of_name(stage, "network") == f"there is no task 'network': it is a stack; write `{stage}:network`"
    assert of_name(f"{stage}:web-app", "network").endswith(f"write `{stage}:network`")
    assert of_name(stage, "netwrok") == f"there is no task 'netwrok' (did you mean '{stage}:network'?)"


def test_a_stack_without_a_command_is_written_with_plan() -> None:
    assert of_name("network").endswith(": it is a stack; write `plan:network`")
    assert of_name("netwrok").endswith("(did you mean 'plan:network'?)")


@pytest.mark.parametrize("command", ["status", "graph", "setup", "build"])
def test_a_command_that_takes_no_stack_is_said_to_take_none(command: str) -> None:
    assert of_name(command, "network").endswith(f": it is a stack, and `{command}` takes none")
    assert of_name(command, "netwrok").endswith(f"(the nearest stack is 'network', and `{command}` takes none)")


def test_the_nearest_command_comes_before_the_nearest_stack() -> None:
    tasks = [*EVERY, "plan:deplyo-x"]
    assert of_name("plan", "deplyo", tasks=tasks).endswith("(did you mean 'deploy'?)")


def test_an_option_after_a_pattern_is_no_task() -> None:
    assert of_name("pla*", "--json") == "a pattern takes no options, so --json has no meaning here"
    assert of_name("plan", "-").startswith("there is no task '-'")


def test_a_command_without_parts_says_why_it_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of_name("verify:network", tasks=["verify"]).endswith(": no stack has checks")
    assert of_name("build:foo", tasks=["build"]).endswith(": there are no builds")
    assert of_name("graph:network", tasks=["graph"]).endswith(": `graph` is for all stacks at once")
    assert of_name("verify", "network").endswith(": it is a stack, and it has no checks")
    monkeypatch.setattr(refusals, "_stacks", lambda: ["network", "network-b"])
    checked = ["verify", "verify:network-b"]
    assert of_name("verify:network", tasks=checked).endswith(": the stack 'network' has no checks")
    assert of_name("verify:netwrok-b", tasks=checked).endswith("(did you mean 'verify:network-b'?)")


@pytest.mark.parametrize(
    ("words", "option", "command"),
    [
        (["--json", "status"], "--json", "status"),
        (["-a", "--json", "plan"], "--json", "plan"),
        (["--repair", "web", "deploy"], "--repair", "deploy"),
        (["--json", "env=prod", "plan:network"], "--json", "plan"),
    ],
)
def test_an_option_before_its_command_is_said_to_come_after_it(words: list[str], option: str, command: str) -> None:
    said = refusals.of_option(words, f"Error parsing Command: option {option} not recognized (parsing options: [])")
    assert said == (
        f"`{option}` is an option of `{command}`, which comes after it\n  untouched: nothing was run\n"
        f"  next: write {option} after `{command}`"
    )


@pytest.mark.parametrize(
    ("words", "told", "said", "shows"),
    [
        (["-n", "x", "plan"],
         "Error parsing parameter 'num_process' <class 'int'>.\ninvalid literal for int() with base 10: 'x'\n",
         "`-n` takes a whole number, not 'x'", "doit help run"),
        (["log", "--most", "x"],
         "Error parsing parameter 'most' <class 'int'>.\ninvalid literal for int() with base 10: 'x'\n",
         "`--most` takes a whole number, not 'x'", "doit help log"),
        (["graph", "-f", "dott"],
         "Error parsing parameter 'form'. Provided 'dott' but available choices are: 'text', 'mermaid', 'dot', 'json'.",
         "`-f` takes no 'dott' (did you mean 'dot'?)", "doit help graph"),
        (["ci", "-f", "zzz"],
         "Error parsing parameter 'forge'. Provided 'zzz' but available choices are: '', 'gitlab', 'github'.",
         "`-f` takes no 'zzz' (known: github, gitlab)", "doit help ci"),
    ],
)  # fmt: skip
def test_a_wrong_value_of_an_option_is_said_in_plain_words(words: list[str], told: str, said: str, shows: str) -> None:
    assert refusals.of_option(words, told) == (
        f"{said}\n  untouched: nothing was run\n  next: `{shows}` shows the options"
    )


@pytest.mark.parametrize("value", ["nah", "No", "false", "0"])
def test_a_value_that_would_not_forbid_mocks_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setattr(doit_cmd, "_CMDLINE_VARS", {"mocks": value})
    with pytest.raises(ConfigError, match=f"`mocks={value}` is not valid: it is `no`, or `yes`, the default"):
        commandline.check_variables()


@pytest.mark.parametrize("value", ["no", "yes"])
def test_mocks_are_forbidden_or_not(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setattr(doit_cmd, "_CMDLINE_VARS", {"mocks": value})
    commandline.check_variables()


def test_a_stack_is_known_by_its_folder_and_in_the_wrong_order() -> None:
    assert of_name("plan", "stacks/network/").endswith(": it is the folder of a stack; write `plan:network`")
    assert of_name("network:plan") == "there is no task 'network:plan' (did you mean 'plan:network'?)"
    assert of_name("stacks/nothing").startswith("there is no task 'stacks/nothing' (known: ")


def test_a_dodo_file_without_tasks_is_said_to_have_none() -> None:
    expected = "there is no task 'plan': dodo.py has none; it needs `from doit_tofu import *`"
    assert of_name("plan", tasks=[]) == expected
    assert refusals.of(InvalidCommand(not_found="plan"), "run", ["plan"], []).splitlines()[0] == expected


@pytest.mark.parametrize(
    ("words", "said", "meant"),
    [
        (["\u2013json", "plan"], "\u2013json", "--json"),
        (["plan", "\u2014json"], "\u2014json", "--json"),
        (["-\u2013version"], "-\u2013version", "--version"),
        (["\u2212a", "plan"], "\u2212a", "-a"),
        (["deploy", "\u2014repair=web"], "\u2014repair=web", "--repair=web"),
    ],
)
def test_a_dash_that_a_page_made_of_a_hyphen_is_named(words: list[str], said: str, meant: str) -> None:
    error = InvalidCommand(not_found=said)
    assert refusals.of(error, "run", words, ["plan"]) == (
        f"'{said}' begins with a typographic dash, not a hyphen\n  untouched: nothing was run\n  next: write {meant}"
    )
