"""Stacks that read each other's state: which of them cannot be ordered, where it is written, and the key that helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.base.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project


def reading(*others: str, name: str = "x") -> str:
    """A stack with a local state that reads the states of others."""
    blocks = "".join(
        f'\ndata "terraform_remote_state" "{name}{number}" {{\n  backend = "local"\n'
        f'  config = {{\n    path = "../{other}/terraform.tfstate"\n  }}\n}}\n'
        for number, other in enumerate(others)
    )
    return "locals {}\n" + blocks


def stacks(**reads: str) -> list[str]:
    """Files of stacks, each with the stacks that it reads, separated by spaces."""
    return [f"stacks/{name}/main.tf:{reading(*text.split())}" for name, text in reads.items()]


def faults(project: Project) -> dict[str, str]:
    return {name: fault.problem.text() for name, fault in project.faults.items()}


def test_a_cycle_of_reads_is_the_fault_of_its_stacks_alone(load: Callable[..., Project]) -> None:
    found = load("", *stacks(a="b", b="a", c="", d="a"))
    assert sorted(found.faults) == ["a", "b"]
    assert found.graph.needs == {"a": (), "b": (), "c": (), "d": ("a",)}
    assert faults(found)["a"] == (
        "config error: stacks.a: these stacks read each other's state, so none can be deployed first: a -> b -> a\n"
        "  a reads the state of b: stacks/a/main.tf:3 (data.terraform_remote_state.x0)\n"
        "  b reads the state of a: stacks/b/main.tf:3 (data.terraform_remote_state.x0)\n"
        "  where: stacks/a/main.tf:3\n"
        "  stack: a\n"
        "  untouched: nothing in this stack was planned or applied\n"
        "  next: name the stack that need not be deployed first: `stacks: {a: {independent_of: [b]}}`"
    )
    assert "a -> b -> a" in faults(found)["a"]
    assert "b -> a -> b" in faults(found)["b"]


@pytest.mark.parametrize(
    ("reads", "concerned"),
    [
        ({"a": "b", "b": "c", "c": "a", "d": ""}, "a b c"),
        ({"a": "b", "b": "a", "c": "d", "d": "c", "e": "a c"}, "a b c d"),
        ({"a": "b c", "b": "a", "c": "a", "d": "e", "e": ""}, "a b c"),
        ({"a": "b", "b": "a", "c": "b d", "d": ""}, "a b"),
    ],
)
def test_every_stack_on_a_cycle_is_concerned_and_no_other(
    load: Callable[..., Project], reads: dict[str, str], concerned: str
) -> None:
    found = load("", *stacks(**reads))
    assert sorted(found.faults) == concerned.split()
    assert set(found.graph.order) == set(reads)


def test_a_cycle_of_a_read_and_a_key_names_both(load: Callable[..., Project]) -> None:
    found = load("stacks:\n  b:\n    depends_on: [a]\n", *stacks(a="b", b=""))
    assert sorted(found.faults) == ["a", "b"]
    assert found.graph.needs["b"] == ("a",)
    shown = faults(found)["b"]
    assert "b depends on a: config/pipeline.yaml:4 (stacks.b.depends_on)" in shown
    assert "a reads the state of b: stacks/a/main.tf:3" in shown
    assert "`stacks: {a: {independent_of: [b]}}`" in shown


def test_a_cycle_of_a_read_and_an_input_names_both(load: Callable[..., Project]) -> None:
    value = 'variable "x" {}\noutput "v" {\n  value = 1\n}\n'
    found = load(
        "stacks:\n  b:\n    inputs:\n      x: a.v\n",
        f"stacks/a/main.tf:{value}{reading('b')}", f"stacks/b/main.tf:{value}",
    )  # fmt: skip
    assert "b gets an output of a: config/pipeline.yaml:5 (stacks.b.inputs)" in faults(found)["b"]


def test_a_cycle_of_keys_alone_is_an_error_of_the_configuration(load: Callable[..., Project]) -> None:
    with pytest.raises(ConfigError, match="these stacks need each other: a -> b -> a"):
        load("stacks:\n  a: {depends_on: [b]}\n  b: {depends_on: [a]}\n", *stacks(a="b", b="c", c="a"))


def test_independent_of_takes_the_edge_away_and_the_reading_stays_an_input(load: Callable[..., Project]) -> None:
    found = load("stacks:\n  a: {independent_of: [b]}\n", *stacks(a="b", b="a"))
    assert found.faults == {}
    assert found.graph.needs == {"a": (), "b": ("a",)}
    assert [read.stack for read in found.remote_reads["a"]] == ["b"]


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        (
            "stacks:\n  a:\n    independent_of: [bb]\n",
            (
                "config error: stacks.a.independent_of[0]: unknown stack 'bb' (did you mean 'b'?)\n"
                "  where: config/pipeline.yaml:4"
            ),
        ),
        (
            "stacks:\n  a: {depends_on: [b], independent_of: [b]}\n",
            (
                "config error: stacks.a.independent_of[0]: 'b' is also named in `depends_on`: it cannot be both\n"
                "  where: config/pipeline.yaml:3"
            ),
        ),
    ],
)
def test_what_independent_of_cannot_say(errors: Callable[..., str], text: str, rendered: str) -> None:
    assert errors(text, *stacks(a="b", b="")) == rendered


def test_independent_of_cannot_take_an_input_away(errors: Callable[..., str]) -> None:
    value = 'variable "x" {}\noutput "v" {\n  value = 1\n}\n'
    shown = errors(
        "stacks:\n  a: {inputs: {x: b.v}, independent_of: [b]}\n",
        f"stacks/a/main.tf:{value}", f"stacks/b/main.tf:{value}",
    )  # fmt: skip
    assert "'b' is also named in `inputs`: it cannot be both" in shown


def test_a_read_in_json_syntax_names_its_file(load: Callable[..., Project]) -> None:
    text = '{"data": {"terraform_remote_state": {"x": {"backend": "local", "config": {"path": "../b/terraform.tfstate"}}}}}'
    found = load("", f"stacks/a/main.tf.json:{text}", f"stacks/b/main.tf:{reading('a')}")
    assert "a reads the state of b: stacks/a/main.tf.json (data.terraform_remote_state.x)" in faults(found)["a"]
