"""The ledger: where deployments are recorded for every machine to read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ...base.model import Model, Seconds, ServerAddress, TokenVariable, address, naming

if TYPE_CHECKING:
    from ...base.jsonvalue import Json

DEFAULT_REF = "refs/heads/doit-tofu/{environment}/ledger"
PUBLIC_KEY_PATTERN = r"^[A-Za-z0-9+/]{43}=$"
PublicKeyLine = Annotated[str, StringConstraints(pattern=PUBLIC_KEY_PATTERN)]
SCHEMES = ("s3", "az", "https", "http")
_GIT_ONLY = ("ref", "remote")
_STORE_ONLY = ("url", "endpoint", "read_token")


class Observations(Model):
    """What runs observed (drift since when, what each channel was told), which drift and verify jobs write, too."""

    token: TokenVariable = Field(
        "DEPLOY_OBSERVATIONS_TOKEN",
        description="The environment variable that holds the token for writing observations over HTTPS; without it,"
        " the ledger's own.",
    )
    key: Annotated[str, naming("signing key")] = Field(
        "DEPLOY_OBSERVATIONS_KEY",
        description="The environment variable that holds the private key that observations are signed with.",
    )
    public_key: Annotated[str, StringConstraints(pattern=PUBLIC_KEY_PATTERN)] | None = Field(
        None,
        description="The public key that observations are verified with. Without one they are unsigned.",
    )

    @property
    def public_keys(self) -> tuple[str, ...]:
        """The public keys that are trusted."""
        return (self.public_key,) if self.public_key else ()


class Ledger(Model):
    """The durable record of what was deployed, which every job reads and deploy jobs alone write."""

    kind: Literal["git", "store"] = Field(
        description="`git`: a branch of a git remote; `store`: an object store, a folder, or an HTTP server with ETags."
    )
    ref: Annotated[str, StringConstraints(pattern=r"^refs/[a-z]+/[A-Za-z0-9{][A-Za-z0-9_./{}-]*$")] = Field(
        DEFAULT_REF,
        description="For `git`: the full name of the branch; the branch `observations` beside it holds what drift jobs"
        " record.",
    )
    remote: Annotated[str, StringConstraints(min_length=1)] = Field(
        "origin",
        description="For `git`: a remote of the clone, or a git URL without credentials; `${ENV}` is filled in.",
    )
    url: Annotated[str, address(*SCHEMES)] | None = Field(
        None,
        description="For `store`: `s3://bucket/prefix`, `az://container/prefix`, an `https://` URL whose server"
        " honours `If-Match`, or a folder; `${ENV}` is filled in.",
    )
    endpoint: ServerAddress | None = Field(
        None,
        description="For `store`: the endpoint of S3 or Azure, if it is not the default one; `${ENV}` is filled in.",
    )
    token: TokenVariable = Field(
        "DEPLOY_LEDGER_TOKEN",
        description="The environment variable that holds the token (or `user:token`) for writing over HTTPS; without"
        " it, the clone's own credentials are used.",
    )
    read_token: TokenVariable = Field(
        "DEPLOY_LEDGER_READ_TOKEN",
        description="For an `https://` store: the environment variable that holds the token for reading, in jobs that"
        " do not have the one for writing.",
    )
    key: Annotated[str, naming("signing key")] = Field(
        "DEPLOY_LEDGER_KEY",
        description="The environment variable that holds the private key with which deploy jobs sign.",
    )
    public_key: PublicKeyLine | Annotated[list[PublicKeyLine], Field(min_length=1)] | None = Field(
        None,
        description="The public key that entries are verified with: one line of base64; while it is replaced, a list of"
        " both. Without one they are unsigned.",
    )
    required: bool = Field(
        True,
        description="False: a deploy continues if the ledger cannot be read or written; then all stacks count as"
        " affected.",
    )
    every: Annotated[float, Field(ge=1, le=3600)] = Field(
        30,
        description="Seconds between two writes, or looks at what others wrote, while a deploy runs; the last comes"
        " before the run ends.",
    )
    wait: Seconds = Field(0, description="Seconds that a deploy waits while another pipeline is deploying.")
    public: bool = Field(
        False, description="True: entries also contain resource addresses, names of people and reasons in plain text."
    )
    observations: Observations = Field(
        default_factory=Observations,  # type: ignore[arg-type]
        description="What runs observed, beside the ledger: written by drift and verify jobs, too.",
    )
    timeout: Annotated[float, Field(gt=0, le=3600)] = Field(60, description="Seconds that one read or write may take.")

    @property
    def public_keys(self) -> tuple[str, ...]:
        """The public keys that are trusted."""
        return (self.public_key,) if isinstance(self.public_key, str) else tuple(self.public_key or ())

    @field_validator("ref")
    @classmethod
    def _ref_is_one_that_git_takes(cls, value: str) -> str:
        if re.search(r"\.\.|//|/\.|\./|\.lock(/|$)|[/.]$", value) or re.search(
            r"[{}]", value.replace("{environment}", "")
        ):
            raise ValueError("not a valid git ref; `{environment}` is filled in")
        return value

    @field_validator("remote")
    @classmethod
    def _remote_holds_no_credentials(cls, value: str) -> str:
        if "://" in value and "@" in urlsplit(value).netloc and not value.startswith("ssh://"):
            raise PydanticCustomError(
                "secret_value",
                "a URL here must not contain credentials, as everyone could read them; put the token into the"
                " variable that `ledger.token` names",
            )
        return value

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        given = self.model_fields_set
        if self.kind == "store" and not self.url:
            raise ValueError("a ledger of the kind `store` needs a `url`")
        if wrong := [key for key in (_STORE_ONLY if self.kind == "git" else _GIT_ONLY) if key in given]:
            other = "store" if self.kind == "git" else "git"
            raise ValueError(f"`{wrong[0]}` is for the kind `{other}`")
        return self


def _is_a_mapping(value: Json) -> Json:
    if isinstance(value, str) and value != "none":
        raise ValueError("this is `none`, or a mapping that begins with a kind: `{kind: git}`")
    return value


AnyLedger = Annotated[Ledger | Literal["none"], BeforeValidator(_is_a_mapping)]
