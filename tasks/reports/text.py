"""The report for a terminal or job log: dangerous changes first, then each stack's changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..drifts.classes import Severity
from .environment import SIGNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .diff import Line
    from .model import Change, Report, StackReport

MOST_LINES = 60  # of one stack; the rest is in the report's files
_COLOURS = {"+": "32", "-": "31", "±": "31;1", "~": "33", "@": "36", "!": "33"}


def render(report: Report, *, colour: bool = False, most_lines: int | None = MOST_LINES) -> str:
    """What there is to say beyond the one line of each stack; empty when there is nothing.

    Args:
        report: The report.
        colour: Whether to use the colours of terminals.
        most_lines: Of each stack; how many more there are is said. None for all.
    """
    lines: list[str] = []
    for stack in report.shown:
        if stack.differs:
            lines += ["", *stack_lines(stack, colour=colour, most_lines=most_lines)]
    for name, text in report.ignored:
        lines += [f"ignored in {name}: {text}"]
    if report.legend:
        lines += ["", report.legend]
    if report.stage == "plan" and report.destructive:
        lines += ["", _painted("DESTROYED OR REPLACED", "-", colour=colour)]
        shown = report.destructive[:most_lines]
        lines += [f"  {_painted(_title(change), _sign(change), colour=colour)}  in {name}" for name, change in shown]
        if len(report.destructive) > len(shown):
            lines.append(f"  … {len(report.destructive) - len(shown):,} more")
    if report.findings:
        lines += ["", "POLICY"]
        for name, finding in report.findings:
            allowed = f"  (allowed: {finding.allowed})" if finding.allowed else ""
            place = f"{finding.address}: " if finding.address else ""
            refused = " REFUSED" if finding.blocking else ""
            lines.append(f"  {finding.severity}{refused}  {finding.rule}  {name}  {place}{finding.message}{allowed}")
    return "\n".join(_harmless(line) for line in lines)


def stack_lines(stack: StackReport, *, colour: bool = False, most_lines: int | None = None) -> list[str]:
    """The changes of one stack; no line begins with what a forge would take for a command."""
    body = list(_body(stack, colour=colour))
    shown = body if most_lines is None or len(body) <= most_lines else body[:most_lines]
    lines = [f"{stack.name}  {stack.counts_text}".rstrip(), *(f"  | {line}" for line in shown)]
    if len(body) > len(shown):
        lines.append(f"  … {len(body) - len(shown):,} more lines in the report")
    return [_harmless(line) for line in lines]


def _body(stack: StackReport, *, colour: bool) -> Iterator[str]:
    for change in stack.changes:
        yield _painted(_title(change), _sign(change), colour=colour)
        yield from (_line(line, colour=colour) for line in change.lines)
    for output in stack.outputs:
        yield f"output {output.address}{_remarks(output)}"
        yield from (_line(line, colour=colour) for line in output.lines)


def _line(line: Line, *, colour: bool) -> str:
    text = line.text if line.sign == "@" else f"{line.sign} {line.text}"
    return f"    {_painted(text, line.sign, colour=colour)}"


def _title(change: Change) -> str:
    parts = [f"{_sign(change)} {change.address}"]
    if change.moved_from:
        parts.append(f"moved from {change.moved_from}")
    if change.imported:
        parts.append(f"imported as {change.import_id}" if change.import_id else "imported")
    if change.why:
        parts.append(f"({change.why})")
    if change.forces:
        parts.append(f"forced by {', '.join(change.forces)}")
    return " ".join(parts) + _remarks(change)


def _remarks(change: Change) -> str:
    severity = [change.severity] if change.severity == Severity.CRITICAL else []
    return f"  [{'; '.join([*severity, *change.remarks])}]" if change.remarks else ""


def _sign(change: Change) -> str:
    return SIGNS.get(change.kind, change.kind)


def _painted(text: str, sign: str, *, colour: bool) -> str:
    return f"\x1b[{_COLOURS[sign]}m{text}\x1b[0m" if colour and sign in _COLOURS else text


def _harmless(line: str) -> str:
    """The line without `##[`, which GitHub's runner takes for a command wherever it stands."""
    return line.replace("##[", "## [")
