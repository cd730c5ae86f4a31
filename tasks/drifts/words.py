"""Findings in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base import clock
from ..base.text import few, plural, short
from .classes import Delta, DriftClass, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..base.jsonvalue import Json
    from .author import Author
    from .classes import Finding
    from .delta import Resolved

LEGEND = "red (-): as it is outside; green (+): as the code says"
_MOST = 5
_SEVERITIES = list(Severity)
_HAPPENED = {
    DriftClass.CHANGED: "changed outside",
    DriftClass.DELETED: "deleted outside",
    DriftClass.APPEARED: "appeared outside",
    DriftClass.OUTPUTS: "changed outside",
    DriftClass.CHECK: "does not hold",
    DriftClass.STATE: "written outside",
    DriftClass.UNDEPLOYED: "undeployed code",
}
_LOOKS = {
    "json": "only the spelling of its JSON differs",
    "order": "only the order differs",
    "case": "only upper and lower case differ",
}


def happened(found: Finding) -> str:
    """What a finding's class means: `changed outside`."""
    text = _HAPPENED[found.kind]
    if found.causes and found.kind is not DriftClass.UNDEPLOYED:
        text = f"follows from {few(found.causes, 2)}"
    return text


def remarks(found: Finding) -> list[str]:
    """What else there is to say of a finding, each a few words."""
    texts = [happened(found)]
    if found.delta is not Delta.UNKNOWN:
        texts.append(f"{found.delta}, first seen {clock.shown(found.since)}" if found.since else str(found.delta))
    if found.code_too:
        texts.append("undeployed code uses or changes it, too")
    if found.looks:
        texts.append(_LOOKS[found.looks])
    if found.author is not None:
        texts.append(said(found.author))
    return texts


def said(author: Author) -> str:
    """What a provider says of the last change: `last changed by anna at 2026-02-03T04:05:06Z, says the provider`."""
    by, when = f" by {author.by}" if author.by else "", f" at {author.at}" if author.at else ""
    return f"last changed{by}{when}, says the provider"


def few_of(findings: Sequence[Finding]) -> str:
    """The first few findings on one line, grouped by what happened: the worst, then the newest first."""
    groups: dict[str, list[str]] = {}
    undeployed = all(not found.outside for found in findings)
    for found in sorted(findings, key=_rank):
        known = "known" if found.delta is Delta.KNOWN else str(found.delta) if found.delta is not Delta.UNKNOWN else ""
        title = ", ".join(part for part in ("" if undeployed else happened(found), known) if part)
        groups.setdefault(title, []).append(found.address)
    left, parts = _MOST, []
    for title, names in groups.items():
        if left <= 0:
            break
        parts.append(", ".join(names[:left]) + (f" ({title})" if title else ""))
        left -= len(names)
    more = len(findings) - _MOST
    return ", ".join(parts) + (f" and {more} more" if more > 0 else "")


def _rank(found: Finding) -> tuple[int, bool, str]:
    return _SEVERITIES.index(found.severity), not found.fresh, found.address


def ignored(findings: Iterable[Finding]) -> list[str]:
    """What rules ignore, a line each."""
    return [
        f"{found.address} ({happened(found)}): {found.ignored.reason}, until {found.ignored.until}"
        for found in findings
        if found.ignored is not None
    ]


def counted(news: Mapping[str, int]) -> str:
    """What is new, changed again, known and resolved, in numbers: `1 new, 2 known`; empty if there is nothing."""
    return ", ".join(f"{number} {word}" for word, number in news.items())


def resolved(over: Sequence[Resolved]) -> str:
    """The drift that is over, on one line; empty without any."""
    named = [item.address for item in over if item.address]
    if not named:
        return f"{plural(len(over), 'difference')} resolved" if over else ""
    return f"resolved: {few(named, _MOST)}"


def deployed(place: Mapping[str, Json] | None) -> str:
    """The deploy that a check compares with: its commit and time; empty without one."""
    if not place:
        return ""
    return f"{short(str(place.get('commit') or ''))} {place.get('at') or ''}".strip()


def quiet(findings: Iterable[Finding]) -> str:
    """The line of a stack without an alert; what is ignored or only noted is counted."""
    found = list(findings)
    ignored = [item for item in found if item.ignored is not None]
    noted = [item for item in found if item.ignored is None and item.item is not None]
    parts = ["as deployed"] if not ignored and not noted else []
    if noted:
        parts.append(f"no alert, only noted: {few_of(noted)}")
    if ignored:
        parts.append(f"{plural(len(ignored), 'difference')} ignored ({few([item.address for item in ignored], 3)})")
    return "; ".join(parts)
