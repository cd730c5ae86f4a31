"""Reads findings from a checker's output: JSON of any shape, or SARIF 2.1.0."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .finding import Finding, severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..project.model import Checker

_SCORES = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))  # of `security-severity`, as GitHub has it


def parse(checker: Checker, text: str, shown: str | None = None) -> list[Finding]:
    """The findings in a checker's output.

    Args:
        checker: The checker, which says how to read its output.
        text: The checker's output.
        shown: The same, masked for messages.

    Raises:
        ValueError, TypeError: The output has another form; the message says which.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        begin = " ".join((text if shown is None else shown).split())[:80]
        raise ValueError(f"its output is not JSON: '{begin}'" if begin else "it printed nothing") from None
    found = _sarif(document, checker) if checker.format == "sarif" else _mapped(document, checker)
    return list(found)


def at(value: Any, path: str) -> list[Any]:
    """The values at a path like `[].failures[]` or `metadata.id`: `[]` is each element of a list.

    A missing key yields no values, as tools omit what is empty.

    Raises:
        ValueError: A value on the path has another type.
    """
    found = [value]
    for step in path.replace("[]", ".[]").strip(".").split("."):
        if step == "[]":
            if any(not isinstance(item, list) for item in found):
                raise ValueError(f"`{path}` does not match its output: no list at `[]`")
            found = [element for item in found for element in item]
        elif step:
            if any(not isinstance(item, dict) for item in found):
                raise ValueError(f"`{path}` does not match its output: no mapping at `{step}`")
            found = [item[step] for item in found if item.get(step) is not None]
    return found


def _mapped(document: Any, checker: Checker) -> Iterator[Finding]:
    for path in checker.findings:
        for item in at(document, path):
            if isinstance(item, str):
                item = {"message": item}  # noqa: PLW2901 - a finding that is only a message
            if not isinstance(item, dict):
                raise TypeError(f"`{path}` in its output is neither a mapping nor text")
            part = {name: _first(item, way) for name, way in checker.fields.items()}
            rule = part.get("rule") or "finding"
            yield Finding(
                f"{checker.name}/{rule}", severity(part.get("severity"), checker.severity),
                str(part.get("message") or item.get("message") or rule), _text(part.get("address")),
            )  # fmt: skip


def _first(item: dict[str, Any], path: str) -> Any:
    try:
        return next(iter(at(item, path)), None)
    except ValueError:
        return None


def _sarif(document: Any, checker: Checker) -> Iterator[Finding]:
    """SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html."""
    if not isinstance(document, dict) or document.get("version") != "2.1.0" or not isinstance(document["runs"], list):
        raise ValueError("its output is not SARIF 2.1.0")
    for run in document["runs"]:
        for invocation in run.get("invocations") or []:
            if invocation.get("executionSuccessful") is False:
                raise ValueError("its SARIF reports a failed run (executionSuccessful: false)")
        listed = ((run.get("tool") or {}).get("driver") or {}).get("rules") or []
        rules = {str(rule.get("id")): rule for rule in listed}
        for result in run.get("results") or []:
            if result.get("kind", "fail") in ("fail", "open", "review"):
                yield _result(result, rules, listed, checker)


def _result(
    result: Mapping[str, Any], rules: Mapping[str, Any], listed: list[dict[str, Any]], checker: Checker
) -> Finding:
    place = result.get("ruleIndex", (result.get("rule") or {}).get("index", -1))
    name = result.get("ruleId") or (result.get("rule") or {}).get("id")
    rule = rules.get(str(name)) or (listed[place] if 0 <= place < len(listed) else {})
    level = result.get("level") or (rule.get("defaultConfiguration") or {}).get("level") or "warning"
    score = (rule.get("properties") or {}).get("security-severity")
    message = result.get("message") or {}
    where = [
        logical.get("fullyQualifiedName") or logical.get("name")
        for location in result.get("locations") or []
        for logical in location.get("logicalLocations") or []
    ]
    suppressed = [
        str(item.get("justification") or "suppressed in its source")
        for item in result.get("suppressions") or []
        if item.get("status", "accepted") == "accepted"
    ]
    return Finding(
        f"{checker.name}/{name or rule.get('id') or 'finding'}",
        _by_score(score) or severity(level, checker.severity),
        str(message.get("text") or message.get("id") or name),
        _text(next((item for item in where if item), None)),
        allowed=f"{checker.name}: {suppressed[0]}" if suppressed else None,
    )


def _by_score(score: Any) -> str | None:
    try:
        return next((word for least, word in _SCORES if float(score) >= least), "info")
    except (TypeError, ValueError):
        return None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
