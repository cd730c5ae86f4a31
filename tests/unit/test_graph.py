"""The graph's four forms, compared in full."""

from __future__ import annotations

from tasks import graph
from tasks.project.stackgraph import StackGraph

STACKS = StackGraph.build({"web": ["network", "db"], "db": ["network"], "network": [], "team/tools": []})


def test_the_text_form_shows_waves_and_needs() -> None:
    assert graph.as_text(STACKS) == (
        "wave 1\n  network\n  team/tools\nwave 2\n  db  needs network\nwave 3\n  web  needs db, network"
    )


def test_the_mermaid_form_has_arrows_the_way_of_the_deploy() -> None:
    assert graph.as_mermaid(STACKS) == (
        "flowchart LR\n"
        '  s0["network"]\n  s1["db"]\n  s2["team/tools"]\n  s3["web"]\n'
        "  s0 --> s1\n  s1 --> s3\n  s0 --> s3"
    )


def test_the_dot_form_has_arrows_the_way_of_the_deploy() -> None:
    assert graph.as_dot(STACKS) == (
        "digraph stacks {\n  rankdir=LR;\n"
        '  "network";\n  "db";\n  "team/tools";\n  "web";\n'
        '  "network" -> "db";\n  "db" -> "web";\n  "network" -> "web";\n}'
    )


def test_the_json_form_says_who_needs_whom_and_when_each_can_run() -> None:
    assert [node.model_dump() for node in graph.nodes(STACKS)] == [
        {"name": "network", "needs": [], "wave": 1},
        {"name": "db", "needs": ["network"], "wave": 2},
        {"name": "team/tools", "needs": [], "wave": 1},
        {"name": "web", "needs": ["db", "network"], "wave": 3},
    ]


def test_no_stacks_are_said_or_an_empty_graph() -> None:
    empty = StackGraph.build({})
    assert graph.as_text(empty) == "no stacks"
    assert graph.as_mermaid(empty) == "flowchart LR"
    assert graph.as_dot(empty) == "digraph stacks {\n  rankdir=LR;\n}"


def test_the_forms_are_those_that_the_command_names() -> None:
    assert list(graph.FORMS) == ["text", "mermaid", "dot"]
