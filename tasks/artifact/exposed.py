"""Secrets in names: addresses and keys are never masked, so a plan with a secret in one is not shown at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..base.errors import ExposedError
from ..base.jsonvalue import fields, named, records
from ..base.problem import Untouched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..base.jsonvalue import Json
    from ..base.masking import Secrets

_UNTOUCHED = Untouched(
    "nothing was applied, and no plan of this stack is left to be applied",
    "nothing was applied, and no plan of these stacks is left to be applied",
)
_INSTANCE_KEY = re.compile(r'\["((?:[^"\\]|\\.)*)"\]')
_NUMBER = re.compile(r"\[\d+\]")
_LISTS = ("resource_changes", "resource_drift")


def require_hidden(plan: Mapping[str, Json], mask: Secrets) -> None:
    """Make sure that what a report shows unmasked contains no known secret.

    Args:
        plan: What `show -json` says of a plan.
        mask: The known secrets, including those of the plan.

    Raises:
        ExposedError: It does; the first such name is shown, masked.
    """
    for address, record in _records(plan):
        for place, name, is_identifier in _names(address, record):
            if mask.exposed(name, words=not is_identifier):
                raise ExposedError(
                    f"a secret is in {place} {mask.text(address)}",
                    untouched=_UNTOUCHED,
                    next_step="names are never masked: use something else as the key (an index, an id, a digest) in"
                    " `for_each`, in the map or in the resource's name, then run the same command again; or, if it is"
                    " no secret, do not mark it as one",
                )

    for address, _ in _records(plan):
        mask.add_names(_identifiers(address))


def _records(plan: Mapping[str, Json]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    for kind in _LISTS:
        for record in records(plan.get(kind)):
            if fields(record.get("change")).get("actions") not in (["no-op"], ["read"]) or record.get(
                "previous_address"
            ):
                yield str(record.get("address")), record
    for name, change in named(plan.get("output_changes")).items():
        yield f"output {name}", {"change": change}


def _names(address: str, record: Mapping[str, Json]) -> Iterator[tuple[str, str, bool]]:
    """Each name that is shown of a change: its place, the name, whether it is an identifier in the code."""
    for found in (address, str(record.get("previous_address") or "")):
        yield "the address", _INSTANCE_KEY.sub("[]", found), True
        yield from (("an instance key of", key, False) for key in _INSTANCE_KEY.findall(found))
    change = fields(record.get("change"))
    for side in ("before", "after"):
        value, marks = change.get(side), change.get(f"{side}_sensitive")
        if isinstance(value, dict) and record.get("address"):  # the attributes: their names are the provider's
            keys = (key for name, item in value.items() for key in _keys(item, _below(marks, name)))
            yield from (("a map key of", key, False) for key in keys)
        else:
            yield from (("a map key of", key, False) for key in _keys(value, marks))


def _identifiers(address: str) -> Iterator[str]:
    """The address without the keys of instances, and without their numbers, too."""
    plain = _INSTANCE_KEY.sub("", address)
    yield plain
    yield _NUMBER.sub("", plain)


def _keys(value: Json, marks: Json) -> Iterator[str]:
    """The keys of mappings in a value, as far as that is shown."""
    if marks is True:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _keys(item, _below(marks, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _keys(item, marks[place] if isinstance(marks, list) and place < len(marks) else None)


def _below(marks: Json, name: str) -> Json:
    return marks is True or (marks.get(name) if isinstance(marks, dict) else None)
