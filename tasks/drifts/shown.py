"""What a plan would change, as a digest of each change: two plans with the same digests do the same to the same things.

Digests of what a check for drift has shown are handed to the job that undoes it, which compares them with its own plan.
The bytes of two plans always differ; what counts is what is done to each resource, what it is now and what it becomes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..artifact.changes import sides
from ..base.files import canonical_json, sha256_bytes
from ..base.jsonvalue import fields, named, records
from ..project.config import signature
from .looks import settled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..base.jsonvalue import Json
    from ..project.config.keyring import Key

_PURPOSE = b"doit-tofu shown drift 1\0"
_DIGITS = 32


def digests(plan: Mapping[str, Json], key: Key | None) -> dict[str, str]:
    """A digest of each change of a plan, by the address of the resource or as `output NAME`.

    Args:
        plan: The plan, in `show -json` form.
        key: The key of states: sensitive values count only with it, as they could be guessed from any other digest.
    """
    found: dict[str, str] = {}
    for item in records(plan.get("resource_changes")):
        change = fields(item.get("change"))
        actions = change.get("actions") or []
        moved, importing = item.get("previous_address"), change.get("importing")
        if actions in ([], ["read"]) or (actions == ["no-op"] and not moved and not importing):
            continue
        address = str(item.get("address"))
        name = f"{address} (deposed {item['deposed']})" if item.get("deposed") else address
        how = [actions, moved, bool(importing), change.get("replace_paths") or []]
        found[name] = _digest([name, *how, *sides(change, redacted=key is None)], key)
    for name, change in named(plan.get("output_changes")).items():
        if change.get("actions") not in (["no-op"], None):
            what = [change["actions"], *sides(change, redacted=key is None)]
            found[f"output {name}"] = _digest([f"output {name}", *what], key)
    return found


def differences(shown: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """How a plan differs from the one that was shown, a few words for each address; empty if they do the same."""
    texts = {
        **{name: "now differs in another way" for name in shown if name in now and shown[name] != now[name]},
        **{name: "no longer differs" for name in shown if name not in now},
        **{name: "differs only since then" for name in now if name not in shown},
    }
    return [f"{name}: {text}" for name, text in sorted(texts.items())]


def _digest(value: Json, key: Key | None) -> str:
    content = _PURPOSE + canonical_json(settled(value))
    return (signature.sealed(content, key) if key else sha256_bytes(content))[:_DIGITS]
