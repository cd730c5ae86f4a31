"""Compares the state that a plan was made for with the state that the last receipt records."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..base.files import sha256_bytes
from ..base.jsonvalue import fields, records
from ..project.config.signature import sealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..base.jsonvalue import Json, JsonObject
    from ..project.config.keyring import Key, Keyring
    from .manifest import Manifest
    from .receipt import Receipt

_DIGITS = 16  # digits of an address digest: enough to tell the resources of one stack apart
_SHOWN = 3


@dataclass(frozen=True)
class Seen:
    """A state as a plan found it, and what the plan would make of it.

    `lineage` is None without a state. `empty` is True if it has no resources. `creates` are the digests of the
    addresses that would be created, except those that this plan's refresh found deleted; `exists` those of everything
    that is in the state after the plan is applied. `addresses` are the created ones in plain text, if known.
    """

    lineage: str | None
    serial: int | None
    empty: bool
    creates: tuple[str, ...] = ()
    exists: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    @classmethod
    def read(cls, document: Mapping[str, Json], lineage: str | None, serial: int | None) -> Seen:
        """What a plan, in `show -json` form, found in its state."""
        gone = {str(item.get("address")) for item in records(document.get("resource_drift"))}
        creates = tuple(
            str(item.get("address"))
            for item in records(document.get("resource_changes"))
            if fields(item.get("change")).get("actions") == ["create"] and item.get("address") not in gone
        )
        forgotten = {
            str(item.get("address"))
            for item in records(document.get("resource_changes"))
            if fields(item.get("change")).get("actions") == ["forget"]
        }
        before = fields(fields(fields(document.get("prior_state")).get("values")).get("root_module"))
        after = fields(fields(document.get("planned_values")).get("root_module"))
        exists = sorted(digest(address) for address in _managed(after) if address not in forgotten)
        return cls(
            lineage or None, serial, not gone and not any(True for _ in _managed(before)),
            tuple(map(digest, creates)), tuple(exists), creates,
        )  # fmt: skip

    @classmethod
    def of(cls, manifest: Manifest) -> Seen:
        """The same from a manifest."""
        return cls(
            manifest.lineage, manifest.serial, manifest.state_empty, tuple(manifest.creates), tuple(manifest.exists)
        )

    @property
    def shown(self) -> str:
        """Lineage and serial, for people."""
        return f"lineage {self.lineage}, serial {self.serial}" if self.lineage else "no state"


def keyed(exists: Iterable[str], key: Key) -> list[str]:
    """Digests of addresses for others to see: made with the key, which they name, so that no address can be guessed.

    Args:
        exists: The digests of the addresses.
        key: The key.
    """
    return [f"{key.fingerprint}:{sealed(f'address {item}'.encode(), key)[:_DIGITS]}" for item in exists]


def resolved(last: Receipt, seen: Seen, keyring: Keyring, others: Iterable[str] = ()) -> Receipt:
    """A receipt from the ledger whose keyed digests are plain again where they are of an address that a plan names.

    Args:
        last: The receipt.
        seen: What the plan creates and leaves.
        keyring: The keys.
        others: The digests of further addresses.
    """
    fingerprints = {item.partition(":")[0] for item in last.exists if ":" in item}
    known: dict[str, str] = {}
    for key in filter(None, map(keyring.find, sorted(fingerprints))):
        addresses = sorted({*seen.creates, *seen.exists, *others})
        known |= dict(zip(keyed(addresses, key), addresses, strict=True))
    return replace(last, exists=[known.get(item, item) for item in last.exists]) if fingerprints else last


def compared(last: Receipt | None, seen: Seen, keyring: Keyring, addresses: Iterable[str]) -> Receipt | None:
    """A receipt that says of each address whether the last apply left it, or of none if that cannot be known.

    Args:
        last: The receipt, maybe from a ledger.
        seen: The state.
        keyring: The keys.
        addresses: What is in the state.
    """
    if last is None:
        return None
    if any(keyring.find(item.partition(":")[0]) is None for item in last.exists if ":" in item):
        return replace(last, exists=[])
    return resolved(last, seen, keyring, map(digest, addresses))


def digest(address: str) -> str:
    """The digest that records contain in place of a resource's address."""
    return sha256_bytes(address.encode(errors="surrogatepass"))[:_DIGITS]


def problem(last: Receipt | None, seen: Seen) -> str | None:
    """What is wrong with a state according to the last receipt, in words; None if nothing is."""
    if last is None:
        return None
    exists = set(last.exists)
    left = f"serial {last.serial} of lineage {last.lineage}" if last.lineage else "a state"
    if not seen.lineage:
        return (
            f"its state is gone: the last apply left {left}, but no state was found" if last.lineage or exists else None
        )
    if last.lineage and seen.lineage != last.lineage:
        return f"its state is a different one: found {seen.shown}, but the last apply left {left}"
    known, serial = last.serial or 0, seen.serial or 0
    if serial < known:
        return f"its state is older: found serial {serial}, but the last apply left serial {known}"
    if seen.empty and exists and serial <= known:
        return f"its state is empty: the last apply left {_count(len(exists))} in it at the same serial {serial}"
    if again := [item for item in seen.creates if item in exists]:
        names = [name for name in seen.addresses if digest(name) in exists]
        shown = f" ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})" if names else ""
        what = f"{_count(len(again))} that the last apply left in place{shown}"
        return f"the state at {seen.shown} has lost resources: the plan would create {what}"
    return None


def ahead(last: Receipt | None, seen: Seen) -> tuple[int, int] | None:
    """The serial that the last apply left, and the one found, if the state was written since without us."""
    if last is None or not last.applied or last.serial is None or seen.lineage != last.lineage:
        return None
    found = seen.serial or 0
    return (last.serial, found) if found > last.serial else None


def moved(last: Receipt | None, seen: Seen) -> str | None:
    """A note if the state has changed since the last apply without us, else None."""
    serials = ahead(last, seen)
    return f"state serial {serials[0]} -> {serials[1]} outside doit-tofu" if serials else None


def _count(number: int) -> str:
    return f"{number} resource{'s' if number > 1 else ''}"


def _managed(module: JsonObject) -> Iterator[str]:
    """The addresses of the resources in a module and the modules that it calls."""
    pending = [module]
    while pending:
        current = pending.pop()
        for item in records(current.get("resources")):
            if item.get("mode") == "managed":
                yield str(item.get("address"))
        pending += records(current.get("child_modules"))
