"""A stack's outputs after its last apply: values for its dependents, and digests that show changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base import jsontext
from ..base.errors import RecordError
from ..base.files import canonical_json, read_json, sha256_bytes
from ..project.config.signature import sealed
from . import folder

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..base.layout import Layout
    from ..base.masking import Masker
    from ..project.config.keyring import Key


@dataclass(frozen=True)
class Output:
    """An output; a sensitive value is None unless it was just read from the engine.

    `known` is False if the record has no value although it is not sensitive: it came from the ledger.
    """

    digest: str
    sensitive: bool = False
    value: Any = None
    known: bool = True


def parse(values: Mapping[str, Any], declared: Collection[str] = ()) -> dict[str, Output]:
    """Outputs from `tofu output -json` (https://opentofu.org/docs/cli/commands/output/).

    Args:
        values: What it prints: a state has no outputs that are null.
        declared: The outputs of the configuration that was applied: those that are not there are null.
    """
    found = {
        name: Output(_digest(item["value"]), bool(item.get("sensitive")), item["value"])
        for name, item in values.items()
    }
    null = dict.fromkeys((name for name in declared if name not in found), NULL)
    return dict(sorted({**null, **found}.items()))


def store(layout: Layout, stack: str, outputs: Mapping[str, Output], mask: Masker, key: Key | None = None) -> None:
    """Save outputs durably: only digests for sensitive ones and those with a known secret, else values.

    The digests use the key if there is one, as a short secret is easily found from a plain digest.

    Raises:
        RecordError: The file cannot be written.
    """
    record = {
        name: {"sensitive": True, "digest": sealed(output.digest.encode(), key) if key else output.digest}
        if output.sensitive or _holds_secret(output.value, mask)
        else {"sensitive": False, "digest": output.digest, "value": output.value}
        for name, output in outputs.items()
    }
    folder.keep(layout, layout.outputs(stack), {"outputs": record})


def agree(recorded: Output, found: Output, keys: Collection[Key]) -> bool:
    """Whether a value that was read is the recorded one, as far as its digest tells; by any of the keys."""
    return recorded.digest in {found.digest, *(sealed(found.digest.encode(), key) for key in keys)}


def _holds_secret(value: Any, mask: Masker) -> bool:
    """Whether a known secret is in a value, or in a key of it."""
    text = jsontext.dumps(value)
    return mask.text(text) != text or mask.value(value) != value


def stored(layout: Layout, stack: str) -> dict[str, Output] | None:
    """The outputs of the last apply; None if none is recorded.

    Raises:
        RecordError: The record cannot be read.
    """
    path = layout.outputs(stack)
    record = read_json(path)
    if record is None:
        return None
    try:
        return {
            name: Output(
                str(item["digest"]),
                bool(item["sensitive"]),
                item.get("value"),
                bool(item["sensitive"]) or "value" in item,
            )
            for name, item in record["outputs"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            f"{layout.relative(path)} is not a record of outputs",
            where=layout.relative(path),
            next_step="remove it; the next run reads the outputs from the state again",
        ) from error


def _digest(value: Any) -> str:
    return sha256_bytes(canonical_json(value))


NULL = Output(_digest(None))  # what the engine neither keeps in a state nor prints
