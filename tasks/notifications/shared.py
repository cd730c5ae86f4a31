"""The incidents that channels were notified of by any machine, kept with the ledger's observations."""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, Any

from ..base import whence
from ..base.clock import now
from ..base.errors import DeployError
from ..ledger.observations import Incident, Update
from ..run import ledgers, observing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..ledger.observations import Observations
    from ..project import model
    from ..run.run import Run

Incidents = dict[str, dict[str, Any]]
_KEYED = b"doit-tofu incident 1\0"
_DIGITS = 16


def read(run: Run) -> dict[str, Incidents] | None:
    """The incidents by channel; None without a ledger, or if they cannot be read, which is reported."""
    try:
        found = run.once(observing.attach)
        return _channels(found.read()) if found else None
    except DeployError as error:
        run.say(f"{run.problem(error).summary}: what other machines have sent may be sent again")
        return None


def write(run: Run, before: Mapping[str, Incidents], after: Mapping[str, Incidents]) -> bool:
    """Add what this run changed to what others have written meanwhile; false if that fails, which is reported.

    It is written after the channels answered: a run that dies in between makes the next one send again.

    Args:
        run: The run.
        before: What was read.
        after: What is known now.
    """
    settings = {item.label: item for item in run.project.config.notify}
    ledger = ledgers.settings_of(run)
    noted, ended = {}, {}
    for label in {*before, *after}:
        known, told = before.get(label, {}), after.get(label, {})
        ended[label] = [key for key in known if key not in told]
        noted[label] = {
            key: _incident(settings.get(label), item, shown=ledger is not None and ledger.public)
            for key, item in told.items()
            if item != known.get(key)
        }
    try:
        found = run.once(observing.attach)
        if found is None:
            return False
        found.write(update=Update(now(), found.label, noted=noted, ended=ended))
    except DeployError as error:
        run.say(f"{whence.text(run.problem(error))}\n  only this machine remembers what was sent now")
        return False
    return True


def is_same(settings: model.Channel, known: str, fingerprint: str) -> bool:
    """Whether a recorded fingerprint, sealed or not, is this one."""
    return known == fingerprint or (bool(known) and known == sealed(settings, fingerprint))


def sealed(settings: model.Channel, fingerprint: str) -> str:
    """A fingerprint that does not let anyone guess the values or the message that it is of.

    The key is the channel's URL, a secret that everyone who sends to the channel has.
    """
    url = os.environ.get(settings.url, "").strip()
    return hmac.digest(url.encode(), _KEYED + fingerprint.encode(), "sha256").hex()[:_DIGITS] if url else ""


def _incident(settings: model.Channel | None, known: Mapping[str, str], *, shown: bool) -> Incident:
    """An incident as readers of the repository may see it: without addresses and messages, unless they are public."""
    mark = sealed(settings, known["fingerprint"]) if settings else ""
    return Incident.model_validate({**known, "fingerprint": mark, **({} if shown else {"what": ""})})


def _channels(found: Observations) -> dict[str, Incidents]:
    return {
        label: {key: item.model_dump() for key, item in incidents.items()}
        for label, incidents in found.channels.items()
    }
