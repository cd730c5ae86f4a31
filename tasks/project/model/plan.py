"""Plan artifacts: what is asked of them, and how they are kept from other eyes and hands."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ...base.model import KeyVariable, Model, naming

DEFAULT_KEY_VARIABLE = "DEPLOY_ENCRYPTION_KEY"
STATE_KEY_VARIABLE = "DEPLOY_STATE_KEY"


class Encryption(Model):
    """Encryption of plans and states by the engine (`engine.kind: tofu`), and keys that sign what jobs hand over."""

    key: Annotated[str | None, naming("passphrase")] = Field(
        DEFAULT_KEY_VARIABLE,
        description="The environment variable that holds the passphrase (16 characters or more), never the passphrase."
        " The default one turns encryption on when it is set; any other must be set. `null`: no encryption."
        " Instead of the default one, `DEPLOY_STATE_KEY` may hold a key: 32 bytes as one line of base64.",
    )
    artifact_key: Annotated[str | None, naming("key")] = Field(
        "DEPLOY_ARTIFACT_KEY",
        description="The environment variable that holds the key (32 bytes as one line of base64) that signs what the"
        " plan and deploy jobs of the protected branch hand over. When it is set, nothing else is believed there.",
    )
    review_key: Annotated[str | None, naming("key")] = Field(
        "DEPLOY_REVIEW_KEY",
        description="The environment variable that holds the key (32 bytes as one line of base64) that signs the record"
        " of what was reviewed. The job of a merge request has it, so it proves nothing against the author.",
    )
    previous: list[KeyVariable] = Field(
        default_factory=list,
        description="Variables that hold former passphrases: states are read with them, and written with `key`.",
    )
    state: bool = Field(True, description="Whether states are encrypted too; plans are, whenever a key is set.")
    migrate: bool = Field(
        False,
        description="True: states in clear are read, and encrypted by the next deploy (with `state: false`, the other"
        " way round). Set it back to false then: until that, a state in clear is taken for a good one.",
    )
    remote_state: Literal["encrypted", "any"] = Field(
        "encrypted", description="`any`: terraform_remote_state may also read states that are in clear."
    )


class Plan(Model):
    """What is asked of a plan artifact."""

    max_age: float = Field(
        168, gt=0, le=8760, description="Hours after which a plan artifact is too old to be applied."
    )
    require_encryption: bool = Field(False, description="True: no plan is made or applied unless a key is set.")
    require_clean: bool = Field(
        False, description="True: a tree with uncommitted changes is not planned, nor a plan of such a tree applied."
    )
    on_stale: Literal["refuse", "replan"] = Field(
        "refuse",
        description="When the state moved on since a plan was made: `refuse` it, or `replan` and apply the new plan.",
    )
    on_unreviewed: Literal["warn", "fail"] = Field(
        "warn",
        description="When a deploy would do what its merge request's plan did not show, or came without one: `warn`, or"
        " `fail` before anything is applied.",
    )
    values: Literal["shown", "hidden"] = Field(
        "shown",
        description="`hidden`: no attribute or output values in plan.json, results and reports; addresses, actions and"
        " field names stay.",
    )
