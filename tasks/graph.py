"""`doit graph`: prints the stack graph as text, Mermaid, DOT or JSON; starts no engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .run.action import ProgramText, printing
from .run.commandline import json_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .project.stackgraph import StackGraph
    from .run.commandline import OptionDict
    from .run.documentparts import NodePart
    from .run.run import Run
    from .run.taskdict import TaskDict

STAGE = "graph"
_REMARKS = {"text": "", "mermaid": "%% ", "dot": "// "}  # how a line begins that is no part of the graph; JSON has none


def tasks(run: Run) -> Iterator[TaskDict]:
    """`graph`: prints the graph; `-f` sets the format."""
    params: list[OptionDict] = [
        {"name": "form", "short": "f", "long": "format", "default": "text",
         "choices": [*((name, "") for name in FORMS), ("json", "")], "help": "text, mermaid, dot or json"},
        *json_option(),
    ]  # fmt: skip
    yield printing(run, STAGE, _text, params)


def _text(run: Run, form: str, as_json: bool = False) -> str:
    """The graph in a form; stacks that need each other stand in it without an edge, and a line each says so."""
    if as_json or form == "json":
        return as_document(run)
    shown, remark = FORMS[form](run.project.graph), _REMARKS[form]
    said = (f"{name}: {fault.message.splitlines()[0]}" for name, fault in run.project.faults.items())
    text = "\n".join([shown, *(f"{remark}{line}" for line in said)])
    return ProgramText(text) if remark else text


def as_text(graph: StackGraph) -> str:
    """One line per stack, by waves: each needs only stacks of the waves above."""
    lines = []
    for number, wave in enumerate(graph.waves(), 1):
        lines.append(f"wave {number}")
        lines += [
            f"  {name}" + (f"  needs {', '.join(graph.needs[name])}" if graph.needs[name] else "") for name in wave
        ]
    return "\n".join(lines) or "no stacks"


def as_mermaid(graph: StackGraph) -> str:
    """A Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html): arrows go the way of the deploy."""
    ids = {name: f"s{position}" for position, name in enumerate(graph.order)}
    lines = ["flowchart LR", *(f'  {ids[name]}["{name}"]' for name in graph.order)]
    lines += [f"  {ids[upstream]} --> {ids[name]}" for name in graph.order for upstream in graph.needs[name]]
    return "\n".join(lines)


def as_dot(graph: StackGraph) -> str:
    """A Graphviz digraph (https://graphviz.org/doc/info/lang.html): arrows go the way of the deploy."""
    lines = ["digraph stacks {", "  rankdir=LR;", *(f'  "{name}";' for name in graph.order)]
    lines += [f'  "{upstream}" -> "{name}";' for name in graph.order for upstream in graph.needs[name]]
    return "\n".join([*lines, "}"])


def nodes(graph: StackGraph) -> list[NodePart]:
    """The stacks in the order of a deploy, for programs: each with what it needs, and its wave."""
    from .run.documentparts import NodePart

    waves = {name: number for number, wave in enumerate(graph.waves(), 1) for name in wave}
    return [NodePart(name=name, needs=sorted(graph.needs[name]), wave=waves[name]) for name in graph.order]


def as_document(run: Run) -> str:
    """The graph as the document of `--json`; stacks that need each other are among its problems."""
    from .run.documentparts import ProblemPart
    from .run.documents import GraphDocument, text

    stacks = nodes(run.project.graph)
    problems = [ProblemPart.of(each) for fault in run.project.faults.values() for each in run.problems(fault)]
    return text(GraphDocument(environment=run.project.environment, stacks=stacks, problems=problems))


FORMS = {"text": as_text, "mermaid": as_mermaid, "dot": as_dot}
