"""Reads findings from a checker's output: JSON of any shape, or SARIF 2.1.0."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..base.jsonvalue import fields, records
from .finding import Finding, severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..base.jsonvalue import Json, JsonObject
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
        document: Json = json.loads(text)
    except (ValueError, RecursionError):
        begin = " ".join((text if shown is None else shown).split())[:80]
        raise ValueError(f"its output is not JSON: '{begin}'" if begin else "it printed nothing") from None
    found = _sarif(document, checker) if checker.format == "sarif" else _mapped(document, checker)
    return list(found)


def at(value: Json, path: str) -> list[Json]:
    """The values at a path like `[].failures[]` or `metadata.id`: `[]` is each element of a list.

    A missing key yields no values, as tools omit what is empty.

    Raises:
        ValueError: A value on the path has another type.
    """
    found = [value]
    for step in path.replace("[]", ".[]").strip(".").split("."):
        if step == "[]":
            lists = [item for item in found if isinstance(item, list)]
            if len(lists) < len(found):
                raise ValueError(f"`{path}` does not match its output: no list at `[]`")
            found = [element for item in lists for element in item]
        elif step:
            mappings = [item for item in found if isinstance(item, dict)]
            if len(mappings) < len(found):
                raise ValueError(f"`{path}` does not match its output: no mapping at `{step}`")
            found = [item[step] for item in mappings if item.get(step) is not None]
    return found


def _mapped(document: Json, checker: Checker) -> Iterator[Finding]:
    for path in checker.findings:
        for found in at(document, path):
            if not isinstance(found, str | dict):
                raise TypeError(f"`{path}` in its output is neither a mapping nor text")
            item: JsonObject = found if isinstance(found, dict) else {"message": found}
            part = {name: _first(item, way) for name, way in checker.fields.items()}
            rule = part.get("rule") or "finding"
            yield Finding(
                f"{checker.name}/{rule}", severity(part.get("severity"), checker.severity),
                str(part.get("message") or item.get("message") or rule), _text(part.get("address")),
            )  # fmt: skip


def _first(item: JsonObject, path: str) -> Json:
    try:
        return next(iter(at(item, path)), None)
    except ValueError:
        return None


def _sarif(document: Json, checker: Checker) -> Iterator[Finding]:
    """SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html."""
    if not isinstance(document, dict) or document.get("version") != "2.1.0" or not isinstance(document["runs"], list):
        raise ValueError("its output is not SARIF 2.1.0")
    for run in records(document["runs"]):
        for invocation in records(run.get("invocations")):
            if invocation.get("executionSuccessful") is False:
                raise ValueError("its SARIF reports a failed run (executionSuccessful: false)")
        listed = records(fields(fields(run.get("tool")).get("driver")).get("rules"))
        rules = {str(rule.get("id")): rule for rule in listed}
        for result in records(run.get("results")):
            if result.get("kind", "fail") in ("fail", "open", "review"):
                yield _result(result, rules, listed, checker)


def _result(result: JsonObject, rules: Mapping[str, JsonObject], listed: list[JsonObject], checker: Checker) -> Finding:
    named = fields(result.get("rule"))
    place, name = result.get("ruleIndex", named.get("index", -1)), result.get("ruleId") or named.get("id")
    indexed = listed[place] if isinstance(place, int) and 0 <= place < len(listed) else {}
    rule = rules.get(str(name)) or indexed
    level = result.get("level") or fields(rule.get("defaultConfiguration")).get("level") or "warning"
    score = fields(rule.get("properties")).get("security-severity")
    message = fields(result.get("message"))
    where = [
        logical.get("fullyQualifiedName") or logical.get("name")
        for location in records(result.get("locations"))
        for logical in records(location.get("logicalLocations"))
    ]
    suppressed = [
        str(item.get("justification") or "suppressed in its source")
        for item in records(result.get("suppressions"))
        if item.get("status", "accepted") == "accepted"
    ]
    return Finding(
        f"{checker.name}/{name or rule.get('id') or 'finding'}",
        _by_score(score) or severity(level, checker.severity),
        str(message.get("text") or message.get("id") or name),
        _text(next((item for item in where if item), None)),
        allowed=f"{checker.name}: {suppressed[0]}" if suppressed else None,
    )


def _by_score(score: Json) -> str | None:
    try:
        number = float(str(score))
    except ValueError:
        return None
    return next((word for least, word in _SCORES if number >= least), "info")


def _text(value: Json) -> str | None:
    return None if value is None else str(value)
