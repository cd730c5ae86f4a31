"""The keys `forge`, `reports`, `history`, `publish` and `notify`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from ...base.model import ENVIRONMENT_PATTERN, Model, PlaceAddress, ServerAddress, TokenVariable

if TYPE_CHECKING:
    from ...base.jsonvalue import Json


class Forge(Model):
    """The forge, GitLab or GitHub, for comments on merge requests and commit statuses."""

    kind: Literal["auto", "gitlab", "github", "none"] = Field(
        "auto", description="`auto`: detect it from the CI's variables. `none`: use no forge."
    )
    url: str | None = Field(
        None,
        pattern=r"^https?://[^@\s]+$",
        description="The API's base URL, `https://gitlab.example.com/api/v4`; by default that of the CI.",
    )
    project: str | None = Field(
        None, description="The project of the merge requests: GitLab's id or path, GitHub's `owner/name`."
    )
    token: TokenVariable | None = Field(
        None,
        description="The environment variable that holds the token; by default `GITLAB_TOKEN` or `GITHUB_TOKEN`.",
    )
    comment: bool = Field(True, description="False: no comments on merge requests.")
    status: bool = Field(True, description="False: no commit statuses.")
    timeout: Annotated[float, Field(gt=0, le=3600)] = Field(
        60, description="Time limit of all requests of a run to the forge, retries included, in seconds."
    )


class Reports(Model):
    """How reports look."""

    templates: str | None = Field(
        None, description="A folder of custom templates, relative to the repository's root: `config/templates`."
    )
    dashboard: Annotated[str, StringConstraints(pattern=r"^https?://")] | None = Field(
        None, description="The dashboard's address, which reports and comments link to: `https://deploys.example.com`."
    )


class History(Model):
    """How many run records to keep in `.deploy/<env>/runs`."""

    keep: int = Field(1000, ge=0, le=100_000, description="The number of runs to keep; 0: do not record runs.")
    days: Annotated[float, Field(gt=0, le=3650)] | None = Field(
        None, description="Days after which a run record is removed; by default only their number counts."
    )


class Publish(Model):
    """Where `doit publish` puts run records and reports for the dashboard."""

    to: PlaceAddress | None = Field(
        None,
        description="A folder, an `http(s)://` URL that accepts PUT, or `s3://bucket/prefix`; `${ENV}` is filled in.",
    )
    token: TokenVariable | None = Field(
        "DEPLOY_PUBLISH_TOKEN",
        description="The environment variable that holds the token for an HTTP URL.",
    )
    header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")] = Field(
        "Authorization",
        description="The header for the token: `Authorization` as a bearer token, any other as it is (`JOB-TOKEN`).",
    )
    endpoint: ServerAddress | None = Field(
        None, description="The S3 endpoint, if it is not Amazon's; `${ENV}` is filled in."
    )
    automatic: bool = Field(
        False,
        description="True: every run publishes at its end; a failure is reported, but does not change the exit code.",
    )
    timeout: Annotated[float, Field(gt=0, le=600)] = Field(30, description="Time limit of one request, in seconds.")


def _names_a_url(value: Json) -> Json:
    """`${NAME}` only; the invalid value is not shown, as it may be a URL with credentials."""
    name = re.fullmatch(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,99})\}", value) if isinstance(value, str) else None
    if value is not None and name is None:
        raise PydanticCustomError(
            "secret_value",
            "expected the name of an environment variable, as in ${SLACK_URL}: notification URLs and signing secrets"
            " must not be written here; if this was one, rotate it",
        )
    return name[1] if name else None


UrlVariable = Annotated[
    str, BeforeValidator(_names_a_url), WithJsonSchema({"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"})
]

Event = Literal["failure", "drift", "recovery", "deploy"]
Command = Literal["validate", "plan", "deploy", "verify", "drift"]


class Channel(Model):
    """A channel for notifications."""

    url: UrlVariable = Field(
        description="`${NAME}`: the environment variable that holds the URL of apprise or of a webhook."
    )
    name: Annotated[str, StringConstraints(pattern=ENVIRONMENT_PATTERN)] | None = Field(
        None, description="Its name in messages and records; by default the variable's name."
    )
    kind: Literal["apprise", "webhook"] = Field(
        "apprise", description="`apprise`: chat, mail and similar; `webhook`: signed JSON (Standard Webhooks)."
    )
    secret: UrlVariable | None = Field(
        None, description="`${NAME}`: the environment variable that holds a webhook's signing secret."
    )
    on: list[Event] = Field(
        default=["failure", "drift", "recovery"], min_length=1, description="The events that it receives."
    )
    environments: list[str] = Field(default=["*"], min_length=1, description="Globs of environments.")
    stacks: list[str] = Field(default=["*"], min_length=1, description="Globs of stack names.")
    commands: list[Command] = Field(
        default=["deploy", "verify", "drift"],
        min_length=1,
        description="The commands whose runs are reported to it; by default not the `plan` of a merge request.",
    )
    repeat: Annotated[float, Field(gt=0, le=8760)] | None = Field(
        None, description="Hours after which ongoing failures and drift are sent again; by default never."
    )
    timeout: Annotated[float, Field(gt=0, le=300)] = Field(10, description="Time limit of sending, in seconds.")
    title: str | None = Field(None, description="A Jinja2 template for the title, instead of the built-in one.")
    body: str | None = Field(None, description="A Jinja2 template for the text, instead of the built-in one.")

    @property
    def label(self) -> str:
        """Its name; never the URL."""
        return self.name or self.url

    @model_validator(mode="after")
    def _webhooks_are_signed(self) -> Self:
        if (self.kind == "webhook") != (self.secret is not None):
            raise ValueError("`secret` is required for `kind: webhook` and not allowed for others")
        return self
