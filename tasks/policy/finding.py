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
    """What a rule says about a plan.

    Args:
        rule: The rule's name; that of a checker is `checker/rule`.
        severity: One of `SEVERITIES`.
        message: What is wrong, one sentence, without secrets.
        address: The resource it is about, where it is about one.
        allowed: Why it is allowed all the same; None if it is not.
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
    """The severity that a checker's word for it means; what nobody knows is as severe as the checker is said to be."""
    if word is None:
        return otherwise
    text = str(word).strip().lower()
    return text if text in SEVERITIES else _WORDS.get(text, otherwise)


def at_least(found: str, threshold: str) -> bool:
    """Whether a severity is the threshold's or worse."""
    return SEVERITIES.index(found) <= SEVERITIES.index(threshold)
