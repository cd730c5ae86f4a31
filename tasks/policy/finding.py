"""The findings of a policy, with severities."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SEVERITIES = ("critical", "high", "medium", "low", "info")  # worst first
_WORDS = {
    "error": "high", "failure": "high", "serious": "high", "moderate": "medium", "warning": "medium", "warn": "medium",
    "negligible": "low", "note": "low", "minor": "low", "notice": "info", "informational": "info", "none": "info",
    "unknown": "high",
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """A rule's statement about a plan.

    Args:
        rule: The rule's name; for a checker it is `checker/rule`.
        severity: One of `SEVERITIES`.
        message: What is wrong, in one sentence without secrets.
        address: The resource it is about, if any.
        allowed: Why it is allowed nevertheless; None if it is not.
        blocking: Whether the plan is refused because of it.
    """

    rule: str
    severity: str
    message: str
    address: str | None = None
    allowed: str | None = None
    blocking: bool = False

    def to_json(self) -> dict[str, Any]:
        """The finding as a JSON value."""
        return asdict(self)


def severity(word: object, otherwise: str) -> str:
    """The severity behind a checker's word; for an unknown word it is the severity configured for the checker."""
    if word is None:
        return otherwise
    text = str(word).strip().lower()
    return text if text in SEVERITIES else _WORDS.get(text, otherwise)


def at_least(found: str, threshold: str) -> bool:
    """Whether a severity reaches the threshold."""
    return SEVERITIES.index(found) <= SEVERITIES.index(threshold)
