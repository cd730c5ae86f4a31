"""The help of one command."""

from __future__ import annotations

from tasks import helptext
from tasks.run.commandline import COMMANDS, TAKEN_BY, VARIABLES


def test_help_about_a_command_names_only_what_that_command_takes() -> None:
    said = {name: helptext.about(name, "doit") for name in COMMANDS}
    assert [name for name, text in said.items() if "shard=" in text] == ["drift"]
    assert [name for name, text in said.items() if "allow=" in text] == ["plan", "deploy"]
    assert [name for name, text in said.items() if "--repair" in text] == ["deploy"]
    assert [name for name, text in said.items() if "[:STACK]" in text] == [
        "validate", "plan", "deploy", "verify", "drift",
    ]  # fmt: skip
    assert "--most NUMBER" in said["log"]
    assert all("env=..." in text for text in said.values())


def test_only_known_variables_are_limited_to_known_commands() -> None:
    assert TAKEN_BY.keys() <= VARIABLES.keys()
    assert all(commands <= COMMANDS.keys() for commands in TAKEN_BY.values())
