"""What the tag of `deploy.tag` says beside its commit: what no commit contains, and which deploys have not ended."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from ..project.config.signature import fits, sign
from .inputs import Input, InputKind

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..project.config.signer import Signer

_HEAD = "deployed by doit-tofu"
_PURPOSE = "deployed tag"


@dataclass(frozen=True)
class TagNote:
    """The note of a tag, by stack.

    Attributes:
        commit: The commit that was deployed, which is the tag's unless somebody has moved it since.
        environment_variables: The environment variables that its inputs came from when it was deployed.
        observed: What its plan was seen to read that nothing else names: paths, and how each was read.
        begun: The revision of a deploy that was about to apply it, and has not ended for all stacks since.
    """

    commit: str = ""
    environment_variables: dict[str, list[str]] = field(default_factory=dict)
    observed: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    begun: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, commit: str, tag: str, keys: Collection[Signer]) -> TagNote | None:
        """The note that a tag's text ends with; None where no deploy of the commit that is tagged wrote it.

        Args:
            text: The text.
            commit: The commit that is tagged.
            tag: The tag.
            keys: The keys by one of which the note has to be signed; without any, each note counts.
        """
        try:
            written = _adapter().validate_json(text.rpartition("\n")[2])
        except ValidationError:
            return None
        note = cls(**{item.name: getattr(written, item.name) for item in fields(cls)})
        body = {"tag": tag, **asdict(note)}
        is_signed = not keys or any(fits(body, written.signature, key, purpose=_PURPOSE) for key in keys)
        return note if is_signed and note.commit == commit else None

    def text(self, tag: str, key: Signer | None) -> str:
        """The text of a tag with this note, signed if there is a key."""
        body = asdict(self)
        signature = sign({"tag": tag, **body}, key, purpose=_PURPOSE) if key else ""
        return f"{_HEAD}\n\n{json.dumps({**body, 'signature': signature}, sort_keys=True)}\n"

    def seen(self, stack: str) -> set[Input]:
        """What a stack's plan was seen to read, as inputs."""
        return {Input(InputKind.OBSERVED, path, target=how) for path, how in self.observed.get(stack, ())}


@dataclass(frozen=True)
class _Written(TagNote):
    """A note as a tag has it."""

    signature: str = ""


@cache
def _adapter() -> TypeAdapter[_Written]:
    return TypeAdapter(_Written)
