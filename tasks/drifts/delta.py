"""Compares the findings of a check with those of the previous one: new, known, changed again, resolved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .classes import Delta, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..ledger.observations import Checked, Drift

_NOTED = "noted "  # before the mark of what was found, but no alert
_OF_CODE = "undeployed "  # drift and undeployed code at one address are two things


@dataclass(frozen=True)
class Resolved:
    """Drift that the previous check found and this one did not.

    Args:
        address: Its address; empty if it is not known any more.
        since: When a check first found it.
    """

    address: str
    since: str


class Marks:
    """How findings are recorded: by the digests of their addresses and changes.

    Args:
        address: Returns an address as records contain it.
        fingerprint: Returns a digest of a change as records contain it; empty if they must not contain one.
    """

    def __init__(self, address: Callable[[str], str], fingerprint: Callable[[bytes], str]) -> None:
        self._address, self._fingerprint = address, fingerprint

    def key(self, found: Finding) -> str:
        """What identifies a finding within its stack."""
        return self._address(found.address if found.outside else _OF_CODE + found.address)

    def mark(self, found: Finding) -> str:
        """Equal for the same change; where values must not be recorded, for the same attributes."""
        return self._fingerprint(found.print.encode()) or found.shape

    def of(self, findings: Iterable[Finding]) -> dict[str, str]:
        """What is recorded of findings, so that each is new once it is an alert: of ignored ones nothing."""
        return {
            self.key(found): self.mark(found) if found.alerting else _NOTED + self.mark(found)
            for found in findings if found.ignored is None
        }  # fmt: skip

    def compared(self, findings: Iterable[Finding], known: Checked | None) -> list[Finding]:
        """Findings with what they are compared with the previous check; without one, all are new.

        Args:
            findings: Those of this check.
            known: The record of the previous one; None if there was none.
        """
        return [self._compared(found, known) for found in findings]

    def _compared(self, found: Finding, known: Checked | None) -> Finding:
        before = self._before(found, known) if known is not None else None
        if before is None:
            return replace(found, delta=Delta.NEW)
        mark = before.fingerprint.removeprefix(_NOTED)
        if mark != before.fingerprint and found.alerting:
            return replace(found, delta=Delta.NEW, since=before.since)
        return replace(found, delta=Delta.KNOWN if mark == self.mark(found) else Delta.CHANGED, since=before.since)

    def _before(self, found: Finding, known: Checked) -> Drift | None:
        """The record of a finding, under the address that its resource had before it moved if need be."""
        same = known.drifts.get(self.key(found))
        if same is None and found.moved_from and found.outside:
            return known.drifts.get(self._address(found.moved_from))
        return same

    def resolved(
        self, findings: Iterable[Finding], known: Checked | None, addresses: Iterable[str]
    ) -> list[Resolved]:  # fmt: skip
        """The drift that was known and is over; undeployed code that was deployed is no news.

        What undeployed code would change or move may have drifted as before: only a check after its deploy can tell.

        Args:
            findings: Those of this check, ignored ones included.
            known: The record of the previous one.
            addresses: Everything in the stack that can have drifted, to name what is over.
        """
        if known is None:
            return []
        names = {self._address(address): address for address in addresses}
        of_code = {self._address(_OF_CODE + address) for address in names.values()}
        there = [found.address for found in findings] + [found.moved_from for found in findings]
        left = {self.key(found) for found in findings} | {self._address(address) for address in there} | of_code
        over = [Resolved(names.get(key, ""), item.since) for key, item in known.drifts.items() if key not in left]
        return sorted(over, key=lambda item: (not item.address, item.address))


def news(findings: Iterable[Finding], over: Sequence[Resolved]) -> dict[str, int]:
    """How many alerts are new, changed again and known, and how much is resolved; only what there is."""
    alerts = [found for found in findings if found.alerting]
    counts = {
        str(delta): sum(found.delta is delta for found in alerts) for delta in Delta if delta is not Delta.UNKNOWN
    }
    return {word: number for word, number in {**counts, "resolved": len(over)}.items() if number}
