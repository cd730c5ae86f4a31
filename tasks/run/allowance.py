"""What may override a policy, and which plans were let through; plain values that stages and reports share."""

from __future__ import annotations

from typing import NamedTuple


class Allowance(NamedTuple):
    """`allow=RULE[:STACK]` on the command line."""

    rule: str
    stack: str
    reason: str


class Judged(NamedTuple):
    """A plan that was let through: its id and SHA-256, and what was overridden for it, each a line."""

    plan_id: str
    plan_sha256: str
    allowed: list[str]
