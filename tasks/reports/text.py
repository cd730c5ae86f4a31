"""The report for a terminal or job log: dangerous changes first, then each stack's changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.terminal import Style, Styled
from ..base.text import few, plural
from ..drifts.classes import Severity
from .environment import SIGNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .diff import Line
    from .model import Report
    from .shared import SharedFinding
    from .stackreport import Change, StackReport

MOST_LINES = 60  # of one stack; the rest is in the report's files
_ALIKE = 20  # names of stacks that change alike
_NAMES = 5  # stacks, and resources, of one line
_STYLES = {
    "+": Style.ADDED,
    "-": Style.REMOVED,
    "±": Style.FAILED,
    "~": Style.WARNING,
    "@": Style.PLACE,
    "!": Style.WARNING,
}


def render(report: Report, *, most_lines: int | None = MOST_LINES) -> list[Styled]:
    """The details beyond the line of each stack; empty without any.

    Args:
        report: The report.
        most_lines: Of each stack; how many more there are is said. None for all.
    """
    lines: list[Styled] = []
    for row in report.sections:
        lines += [Styled(""), *stack_lines(row.first, others=row.others, most_lines=most_lines)]
    lines += [Styled(f"ignored in {name}: {text}") for name, text in report.ignored]
    if report.legend:
        lines += [Styled(""), Styled(report.legend, Style.QUIET)]
    if report.stage == "plan" and report.lost:
        lines += [Styled(""), Styled("DESTROYED OR REPLACED", Style.REMOVED)]
        shown = report.lost[:most_lines]
        lines += [
            _styled(f"  {_title(lost.change)}  in {few(lost.stacks, _NAMES)}", _sign(lost.change)) for lost in shown
        ]
        if len(report.lost) > len(shown):
            lines.append(Styled(f"  … {len(report.lost) - len(shown):,} more"))
    if report.judged:
        lines += [Styled(""), Styled("POLICY")]
        lines += [_judged(found) for found in report.judged[:most_lines]]
        if most_lines is not None and len(report.judged) > most_lines:
            lines.append(Styled(f"  … {len(report.judged) - most_lines:,} more in the report"))
    return [_harmless(line) for line in lines]


def _judged(found: SharedFinding) -> Styled:
    """A finding and the stacks and resources that it is about, the first few of each."""
    finding, addresses = found.finding, found.addresses
    allowed = f"  (allowed: {finding.allowed})" if finding.allowed else ""
    place = f"{few(addresses, _NAMES)}: " if addresses else ""
    refused = " REFUSED" if finding.blocking else ""
    stacks = few(found.stacks, _NAMES)
    text = f"  {finding.severity}{refused}  {finding.rule}  {stacks}  {place}{finding.message}{allowed}"
    return Styled(text, Style.FAILED if finding.blocking else Style.PLAIN)


def stack_lines(
    stack: StackReport, *, others: Sequence[str] = (), most_lines: int | None = None
) -> list[Styled]:  # fmt: skip
    """The changes of one stack, and the names of others that change alike; no line begins like a command to a forge."""
    body = list(_body(stack))
    shown = body if most_lines is None or len(body) <= most_lines else body[:most_lines]
    counts = f"  {stack.counts_text}" if stack.counts_text else ""
    head = Styled(f"{stack.name}{f' and {len(others):,} more, each' if others else ''}{counts}")
    lines = [head, *(line._replace(text=f"  | {line.text}") for line in shown)]
    if len(body) > len(shown):
        lines.append(Styled(f"  … {plural(len(body) - len(shown), 'more line')} in the report"))
    if others:
        lines.append(Styled(f"  the same, but for their names, in {few(others, _ALIKE)}"))
    return [_harmless(line) for line in lines]


def _body(stack: StackReport) -> Iterator[Styled]:
    if stack.deployed:
        yield Styled(f"last deployed: {stack.deployed}", Style.QUIET)
    for change in stack.changes:
        yield _styled(_title(change), _sign(change))
        yield from map(_line, change.lines)
    for output in stack.outputs:
        yield Styled(f"output {output.address}{_remarks(output)}")
        yield from map(_line, output.lines)


def _line(line: Line) -> Styled:
    text = line.text if line.sign == "@" else f"{line.sign} {line.text}"
    return _styled(f"    {text}", line.sign)._replace(quoted=line.sign != "!")


def _styled(text: str, sign: str) -> Styled:
    return Styled(text, _STYLES.get(sign, Style.PLAIN))


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


def _harmless(line: Styled) -> Styled:
    """The line without `##[`, which GitHub's runner takes for a command wherever it stands."""
    return line._replace(text=line.text.replace("##[", "## ["))
