"""The parts of a stack's receipt and outputs that go into the ledger, for every reader of the repository to see.

Names, digests, commits and outcomes; no addresses, values or reasons. A value that is not in the repository could be
guessed from its digest, so that digest is only included if it was made with a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..artifact import outputs as recorded
from ..artifact import statecheck
from ..artifact.inputs import NOT_RECORDED, OUTPUTS, InputKind
from ..artifact.receipt import FORMAT, Outcome
from ..base.unseen import one_line
from .record import deployed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..base.jsonvalue import Json, JsonObject
    from ..project.project import Project
    from ..project.stack import Stack
    from .record import Begun

_WITHHELD: JsonObject = {"allowed": []}
# The parts of a receipt that are shown as they are; whoever can write to the ledger may have written anything there.
_FOR_PEOPLE = frozenset({
    "accepted", "allowed", "besides", "commit", "deployed", "failed_checks", "finished_at", "lineage", "repaired",
    "started_at",
})  # fmt: skip
_PLAIN_OUTPUT = ("sensitive", "digest")


@dataclass(frozen=True)
class Record:
    """A receipt and the outputs beside it, as JSON."""

    receipt: JsonObject
    outputs: JsonObject | None


def shown(project: Project, stack: Stack, found: Record, *, public: bool) -> Record:
    """The ledger's version of a receipt and its outputs.

    Args:
        project: The project.
        stack: The stack.
        found: The receipt and outputs on disk.
        public: Whether addresses, reasons and values that are not sensitive may be shown.
    """
    withheld = _withheld(project, stack, found.receipt)
    receipt = {**found.receipt, "inputs": _inputs(found.receipt.get("inputs"), withheld)}
    if withheld:  # each of them could be guessed from the digest of all inputs
        receipt["inputs_digest"] = NOT_RECORDED
    if not public:
        exists = _exists(project, found.receipt.get("exists"))
        receipt |= {**_WITHHELD, "exists": exists, "accepted": _without_reason(found.receipt.get("accepted"))}
    return Record(receipt, _outputs(found.outputs, keyed=project.keyring.is_set, public=public))


def working_copy(found: Record, before: JsonObject | None) -> Record:
    """The receipt and outputs to write to disk for a ledger record; values on disk that still apply are kept."""
    receipt = {name: _shown(item) if name in _FOR_PEOPLE else item for name, item in found.receipt.items()}
    found = Record(receipt, found.outputs)
    if found.outputs is None:
        return found
    known = _mapping((before or {}).get("outputs"))
    outputs: JsonObject = {name: _with_value(_mapping(item), known.get(name)) for name, item in found.outputs.items()}
    return Record(found.receipt, {"outputs": outputs})


def agree(held: Record, here: Record) -> bool:
    """Whether the outputs on disk are those of a ledger record, as far as that has digests of them."""
    known, found = _mapping(held.outputs or {}), _mapping((here.outputs or {}).get("outputs"))
    digests = {name: _mapping(item).get("digest") for name, item in known.items()}
    return found.keys() == known.keys() and all(
        digest in (NOT_RECORDED, _mapping(found[name]).get("digest")) for name, digest in digests.items()
    )


def _withheld(project: Project, stack: Stack, receipt: JsonObject) -> Collection[tuple[str, str]]:
    """The inputs, by kind and name, whose digests would reveal a value that is not in the repository."""
    inputs = _mapping(receipt.get("inputs"))
    if inputs.get("key") is not None:
        return ()
    given = _mapping(_mapping(_mapping(project.loaded.variables.get("stacks")).get(stack.name)).get("variables"))
    names = {
        name for name, value in stack.settings.variables.items() if name in given or "${" in str(value)
    }  # values from the environment
    found = {(str(InputKind.VARIABLE), name) for name in names}
    entries = inputs.get("digests")
    for entry in map(_mapping, entries if isinstance(entries, list) else ()):
        if entry.get("kind") == InputKind.ENVIRONMENT_VARIABLE:
            found.add((str(InputKind.ENVIRONMENT_VARIABLE), str(entry.get("name", ""))))
    return found | _sensitive(project, inputs)


def _sensitive(project: Project, inputs: JsonObject) -> set[tuple[str, str]]:
    """The outputs that were read and are, or may be, sensitive."""
    found = set()
    entries = inputs.get("digests")
    for entry in map(_mapping, entries if isinstance(entries, list) else ()):
        if entry.get("kind") not in OUTPUTS:
            continue
        known = recorded.stored(project.layout, str(entry.get("stack", ""))) or {}
        name = str(entry.get("name", ""))
        read = [known[name]] if name in known else list(known.values())
        if any(output.sensitive for output in read):
            found.add((str(entry.get("kind")), name))
    return found


def _inputs(inputs: Json, withheld: Collection[tuple[str, str]]) -> JsonObject:
    known = _mapping(inputs)
    entries = known.get("digests")
    digests: list[Json] = [
        {**entry, "digest": NOT_RECORDED} if (str(entry.get("kind")), str(entry.get("name", ""))) in withheld else entry
        for entry in map(_mapping, entries if isinstance(entries, list) else ())
    ]
    return {**known, "digests": digests}


def _outputs(found: JsonObject | None, *, keyed: bool, public: bool) -> JsonObject | None:
    if found is None:
        return None
    outputs: JsonObject = {}
    for name, item in _mapping(found.get("outputs")).items():
        output = _mapping(item)
        kept = dict(output) if public else {field: output[field] for field in _PLAIN_OUTPUT if field in output}
        if output.get("sensitive") and not keyed:
            kept["digest"] = NOT_RECORDED
        outputs[name] = kept
    return outputs


def _with_value(output: JsonObject, before: Json) -> JsonObject:
    known = _mapping(before)
    same = known.get("digest") == output.get("digest") and not output.get("sensitive")
    return {**output, "value": known["value"]} if same and "value" in known else output


def _exists(project: Project, digests: Json) -> list[Json]:
    """The digests of the addresses that exist, made with the key; none without one, as addresses are easily guessed."""
    key = project.keyring.current
    known = [item for item in digests if isinstance(item, str)] if isinstance(digests, list) else []
    plain = [item for item in known if ":" not in item]
    return [*(item for item in known if ":" in item), *(statecheck.keyed(plain, key) if key else ())]


def _without_reason(accepted: Json) -> Json:
    return {**accepted, "reason": ""} if isinstance(accepted, dict) else accepted


def _shown(value: Json) -> Json:
    """A value with all texts in it on one line, and nothing invisible in them."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return {name: _shown(item) for name, item in value.items()} if isinstance(value, dict) else value


def _mapping(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def plans(receipt: Mapping[str, Json]) -> list[str]:
    """The ids of the plans that a receipt says were applied, the latest last."""
    earlier = receipt.get("spent")
    found = [*(earlier if isinstance(earlier, list) else ()), receipt.get("plan_id")]
    return [plan for plan in found if isinstance(plan, str)]


def begun(receipt: JsonObject | None, stack: str, environment: str, mark: Begun) -> JsonObject:
    """The receipt of a stack whose apply was announced and has not ended: it counts as cut off.

    What was deployed before and what was announced may both be there: all of these commits are in it.

    Args:
        receipt: The receipt of the previous apply, if there was one.
        stack: The stack.
        environment: The environment.
        mark: The announcement.
    """
    never: JsonObject = {"inputs_digest": "", "inputs": {"key": None, "digests": []}, "format": FORMAT}
    last: JsonObject = dict(receipt) if receipt else {"stack": stack, "environment": environment, **never}
    known: JsonObject = {"lineage": mark.lineage, "serial": mark.serial}
    commits = [commit for commit in dict.fromkeys((*mark.commits, *deployed(last))) if commit]
    return {
        **last, **{name: value for name, value in known.items() if value is not None},
        "outcome": str(Outcome.STARTED), "plan_sha256": mark.plan_sha256 or "", "plan_id": mark.plan_id,
        "started_at": mark.since, "finished_at": None, "commit": commits[0] if commits else None,
        "besides": list(commits[1:]), "spent": [*plans(last)],
    }  # fmt: skip
