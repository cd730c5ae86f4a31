"""The keys `plan` and `encryption`: rules for plan artifacts, and how they are protected."""

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
        description="The environment variable that holds the passphrase (16 characters or more). The default one"
        " enables encryption if it is set; any other must be set. `null`: no encryption. Instead of the default one,"
        " `DEPLOY_STATE_KEY` may hold a key: 32 bytes as one line of base64.",
    )
    artifact_key: Annotated[str | None, naming("key")] = Field(
        "DEPLOY_ARTIFACT_KEY",
        description="The environment variable that holds the key (32 bytes as one line of base64) that signs what the"
        " plan and deploy jobs of the protected branch hand over. When it is set, nothing unsigned is trusted there.",
    )
    review_key: Annotated[str | None, naming("key")] = Field(
        "DEPLOY_REVIEW_KEY",
        description="The environment variable that holds the key (32 bytes as one line of base64) that signs the record"
        " of what was reviewed. Merge request jobs have it, so it is no proof against the author.",
    )
    previous: list[KeyVariable] = Field(
        default_factory=list,
        description="Variables that hold former passphrases: states are read with them and written with `key`.",
    )
    state: bool = Field(True, description="Whether states are encrypted too; plans always are if a key is set.")
    migrate: bool = Field(
        False,
        description="True: unencrypted states are accepted, and encrypted by the next deploy (with `state: false`,"
        " the other way round). Set it back to false afterwards: until then, an unencrypted state is trusted.",
    )
    remote_state: Literal["encrypted", "any"] = Field(
        "encrypted", description="`any`: terraform_remote_state may also read unencrypted states."
    )


class Inputs(Model):
    """What counts as an input of a stack beside what its files say."""

    observe: bool | Literal["auto"] = Field(
        False,
        description="True: the engine is watched while it plans (Linux, strace), and what it was seen to read counts"
        " too; an error where it cannot be watched. `auto`: where it can.",
    )


class Plan(Model):
    """Rules for plan artifacts."""

    max_age: float = Field(168, gt=0, le=8760, description="Hours after which a plan artifact is too old to apply.")
    require_encryption: bool = Field(False, description="True: plan and apply only if an encryption key is set.")
    require_clean: bool = Field(
        False,
        description="True: neither plan a tree with uncommitted changes nor apply such a plan. What a plan reads"
        " is compared with the commit by its content: files that git ignores or does not look at, and those outside of"
        " the repository, count as well.",
    )
    on_stale: Literal["refuse", "replan"] = Field(
        "refuse",
        description="If the state has changed since the plan was made: `refuse` it, or `replan` and apply that.",
    )
    on_unreviewed: Literal["warn", "fail"] = Field(
        "warn",
        description="If a deploy would do something that the merge request's plan did not show, or if no reviewed"
        " plan was found: `warn`, or `fail` before anything is applied.",
    )
    on_failed_check: Literal["warn", "fail"] = Field(
        "warn",
        description="If a `check` block fails: `warn` and continue, or `fail` the plan, which is then discarded.",
    )
    values: Literal["shown", "hidden"] = Field(
        "shown",
        description="`hidden`: leave attribute and output values out of plan.json, results and reports; addresses,"
        " actions and field names stay.",
    )
