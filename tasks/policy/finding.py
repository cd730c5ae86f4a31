"""The findings of a policy, with severities."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..base.jsonvalue import Json, JsonObject

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

    def to_json(self) -> JsonObject:
        """The finding as a JSON value."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: JsonObject) -> Finding:
        """The finding that `to_json` was called on."""
        address, allowed = (None if record.get(key) is None else str(record[key]) for key in ("address", "allowed"))
        rule, severity, message = (str(record.get(key)) for key in ("rule", "severity", "message"))
        return cls(rule, severity, message, address, allowed, record.get("blocking") is True)


def severity(word: Json, otherwise: str) -> str:
    """The severity behind a checker's word; for an unknown word it is the severity configured for the checker."""
    if word is None:
        return otherwise
    text = str(word).strip().lower()
    return text if text in SEVERITIES else _WORDS.get(text, otherwise)


def at_least(found: str, threshold: str) -> bool:
    """Whether a severity reaches the threshold."""
    return SEVERITIES.index(found) <= SEVERITIES.index(threshold)
