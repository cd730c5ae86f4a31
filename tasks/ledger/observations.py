"""What runs observed: since when a drift is known, when a stack was last checked, what each channel was told.

Observations decide what rings, never what is affected or applied: they are a document of their own, on a ref of their
own, signed with a key of their own. If they are lost, everything counts as new.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..base.files import canonical_json
from .record import checked
from .statement import Part, Shown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

FORMAT = 1
NEEDS = "0.1.0"  # the first version of doit-tofu that reads and writes this format


class Drift(Part):
    """A drift of one resource or output.

    Args:
        fingerprint: Equal as long as the same values differ.
        since: When it was first seen, by the clock of that run.
        run: The label of the run that saw it first.
        changed: When its fingerprint last changed; equal to `since` if it never did.
    """

    fingerprint: str
    since: Shown
    run: Shown = ""
    changed: Shown = ""


class Outcome(Part):
    """How a check ended, so that `status` tells of it on every machine.

    Args:
        status: How, as results have it: `ok`, `drifted`, `undeployed`, `failed`.
        began: When the check of the stack began, by the clock of its run, as results have it.
        run: The label of its run.
        plan: The SHA-256 of the plan that was applied last; empty if none was. After a deploy, it is another one.
        drifted: How many differences came from outside of the code.
        pending: How many changes undeployed code would make.
        stopped: Whether it was stopped.
        text: The result in words; empty unless `ledger.public` is set, as it names addresses.
    """

    status: Shown
    began: Shown
    run: Shown = ""
    plan: Shown = ""
    drifted: int = 0
    pending: int = 0
    stopped: bool = False
    text: Shown = ""

    @property
    def failed(self) -> bool:
        """Whether it came to no answer."""
        return self.status == "failed"


class Checked(Part):
    """The latest check of a stack for drift.

    Args:
        at: When it was; empty if none has succeeded yet.
        tried: When a check last failed, or what it found was not recorded, if that was later.
        turn: The number of the latest look at it, over all stacks and runs, as clocks differ and seconds are long.
        drifts: What it found, by the digest of the address.
        last: How the latest check ended.
        ended: How the last one ended that came to an answer, if the latest one failed.
    """

    at: Shown
    tried: Shown = ""
    turn: int = 0
    drifts: dict[str, Drift] = {}  # noqa: RUF012 - pydantic copies it
    last: Outcome | None = None
    ended: Outcome | None = None

    def after(self, outcome: Outcome) -> Checked:
        """It, once another check has ended."""
        answer = self.ended if self.last is None or self.last.failed else self.last
        return self.model_copy(update={"last": outcome, "ended": answer if outcome.failed else None})

    @property
    def looked(self) -> str:
        """When the stack was last looked at, whether or not that succeeded."""
        return max(self.at, self.tried)


class Incident(Part):
    """An ongoing event that a channel was notified of; see `notifications.memory`."""

    event: Shown
    stack: Shown
    stage: Shown
    command: Shown
    kind: Shown
    what: Shown = ""
    fingerprint: str
    since: Shown
    told: Shown


class Observations(Part):
    """All observations of an environment.

    Args:
        format: The format.
        needs: The oldest version of doit-tofu that may write it.
        project: The repository, as its forge names it.
        environment: The environment.
        writes: How often it was written; 0 if there are no observations yet, or if they were lost.
        stacks: The latest check of each stack for drift.
        channels: What each channel was told, by its label and the incident's key.
    """

    format: int = FORMAT
    needs: Shown = NEEDS
    project: Shown
    environment: Shown
    writes: int = 0
    stacks: dict[str, Checked] = {}  # noqa: RUF012 - pydantic copies it
    channels: dict[str, dict[str, Incident]] = {}  # noqa: RUF012 - pydantic copies it

    def content(self) -> bytes:
        """The document as it is signed."""
        return canonical_json(self.model_dump(mode="json"))


@dataclass(frozen=True)
class Update:
    """What one run adds; applied to whatever the newest observations are, so it may be repeated.

    Args:
        at: When, by the run's clock.
        run: The run's label.
        checked: For each stack that was checked for drift: the fingerprint of every drift, by digest of the address.
        tried: The stacks that were looked at, but not `checked`: what was known of them stays.
        order: The stacks in the order in which they were looked at.
        outcomes: How the checks of stacks ended.
        noted: For each channel the incidents that it was notified of, by key.
        ended: For each channel the keys of incidents that are over.
        stacks: The stacks that exist; None keeps those of stacks that no longer do.
    """

    at: str
    run: str
    checked: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tried: Collection[str] = ()
    order: Sequence[str] = ()
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    noted: Mapping[str, Mapping[str, Incident]] = field(default_factory=dict)
    ended: Mapping[str, Collection[str]] = field(default_factory=dict)
    stacks: Collection[str] | None = None

    def over(self, known: Observations) -> Observations:
        """The observations with this update. A drift that goes on keeps its beginning; so does an incident."""
        stacks = {name: item for name, item in known.stacks.items() if self.stacks is None or name in self.stacks}
        for name, found in self.checked.items():
            stacks[name] = self._check(stacks.get(name), found)
        for name in self.tried:
            stacks[name] = (stacks.get(name) or Checked(at="")).model_copy(update={"tried": self.at})
        for name, outcome in self.outcomes.items():
            before = known.stacks.get(name) or Checked(at="")
            after = before.after(outcome)
            stacks[name] = (stacks.get(name) or before).model_copy(update={"last": after.last, "ended": after.ended})
        first = 1 + max((item.turn for item in stacks.values()), default=0)
        for turn, name in enumerate((name for name in self.order if name in stacks), start=first):
            stacks[name] = stacks[name].model_copy(update={"turn": turn})
        channels = {label: dict(incidents) for label, incidents in known.channels.items()}
        for label, keys in self.ended.items():
            for key in keys:
                channels.get(label, {}).pop(key, None)
        for label, incidents in self.noted.items():
            told = channels.setdefault(label, {})
            for key, item in incidents.items():
                earlier = told.get(key)
                told[key] = item.model_copy(update={"since": earlier.since}) if earlier else item
        channels = {label: incidents for label, incidents in channels.items() if incidents}
        following = {"writes": known.writes + 1, "stacks": stacks, "channels": channels}
        return known.model_copy(update={**following, "format": FORMAT, "needs": NEEDS})

    def _check(self, before: Checked | None, found: Mapping[str, str]) -> Checked:
        drifts = {address: self._drift(before, address, mark) for address, mark in found.items()}
        return Checked(at=self.at, turn=before.turn if before else 0, drifts=drifts)

    def _drift(self, before: Checked | None, address: str, fingerprint: str) -> Drift:
        known = before.drifts.get(address) if before else None
        if known is None:
            return Drift(fingerprint=fingerprint, since=self.at, run=self.run, changed=self.at)
        if known.fingerprint == fingerprint:
            return known
        return known.model_copy(update={"fingerprint": fingerprint, "changed": self.at})


def read(content: bytes) -> Observations:
    """The observations in a signed document.

    Raises:
        NewerFormatError: A newer version wrote it.
        FormatError: It is not one.
    """
    return checked(Observations, content)
