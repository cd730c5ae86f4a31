"""What the tag of `deploy.tag` says beside its commit: what no commit contains, and which deploys have not ended."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cache

from pydantic import TypeAdapter, ValidationError

from .inputs import Input, InputKind

_HEAD = "deployed by doit-tofu"


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
    def parse(cls, text: str, commit: str) -> TagNote | None:
        """The note that a tag's text ends with; None where no deploy of the commit that is tagged wrote it."""
        try:
            note = _adapter().validate_json(text.rpartition("\n")[2])
        except ValidationError:
            return None
        return note if note.commit == commit else None

    @property
    def text(self) -> str:
        """The text of a tag with this note."""
        return f"{_HEAD}\n\n{json.dumps(asdict(self), sort_keys=True)}\n"

    def seen(self, stack: str) -> set[Input]:
        """What a stack's plan was seen to read, as inputs."""
        return {Input(InputKind.OBSERVED, path, target=how) for path, how in self.observed.get(stack, ())}


@cache
def _adapter() -> TypeAdapter[TagNote]:
    return TypeAdapter(TagNote)
