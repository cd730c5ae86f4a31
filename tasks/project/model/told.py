"""Who is told what, and where: comments, reports, records of runs, notifications."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from ...base.model import ENVIRONMENT_PATTERN, Model, TokenVariable


class Forge(Model):
    """GitLab or GitHub: where comments on merge requests and commit statuses go."""

    kind: Literal["auto", "gitlab", "github", "none"] = Field(
        "auto", description="`auto`: as the CI's variables tell. `none`: no forge is told or asked anything."
    )
    url: str | None = Field(
        None,
        pattern=r"^https?://[^@\s]+$",
        description="The API's base URL; by default the CI's: `https://gitlab.example.com/api/v4`.",
    )
    project: str | None = Field(
        None, description="The project that has the merge requests: GitLab's id or path, GitHub's `owner/name`."
    )
    token: TokenVariable | None = Field(
        None,
        description="The environment variable that holds the token, never the token; by default `GITLAB_TOKEN` or"
        " `GITHUB_TOKEN`.",
    )
    comment: bool = Field(True, description="False: no comments on merge requests.")
    status: bool = Field(True, description="False: no commit statuses.")
    timeout: Annotated[float, Field(gt=0, le=3600)] = Field(
        60, description="Seconds that a run may spend on telling, or asking, the forge, retries included."
    )


class Reports(Model):
    """How reports look."""

    templates: str | None = Field(
        None, description="A folder of your own templates, relative to the repository's root: `config/templates`."
    )


class History(Model):
    """How many records of runs are kept in `.deploy/<env>/runs`."""

    keep: int = Field(1000, ge=0, le=100_000, description="The latest runs that are kept; 0: none is recorded.")
    days: Annotated[float, Field(gt=0, le=3650)] | None = Field(
        None, description="Days after which a run's record is removed; by default only their number counts."
    )


class Publish(Model):
    """Where `doit publish` puts run records and reports for the dashboard."""

    to: str | None = Field(
        None,
        description="A folder, an `http(s)://` address that takes PUT, or `s3://bucket/prefix`; `${ENV}` is filled in.",
    )
    token: TokenVariable | None = Field(
        "DEPLOY_PUBLISH_TOKEN",
        description="The environment variable that holds the token for an HTTP address, never the token itself.",
    )
    header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")] = Field(
        "Authorization",
        description="The header that carries it: `Authorization` as a bearer token, any other as it is (`JOB-TOKEN`).",
    )
    endpoint: str | None = Field(None, description="The S3 endpoint, where it is not Amazon's; `${ENV}` is filled in.")
    automatic: bool = Field(
        False, description="True: every run publishes when it ends; a failure is told, and changes no exit code."
    )
    timeout: Annotated[float, Field(gt=0, le=600)] = Field(30, description="Seconds that one request may take.")


def _names_a_url(value: object) -> object:
    """`${NAME}` alone; what is found is not shown, as it may be a URL with its credentials."""
    name = re.fullmatch(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,99})\}", value) if isinstance(value, str) else None
    if value is not None and name is None:
        raise PydanticCustomError(
            "secret_value",
            "this names an environment variable, as in ${SLACK_URL}, and nothing else: URLs of notifications and"
            " signing secrets are secrets, never written here; if this was one, it must be replaced",
        )
    return name[1] if name else None


UrlVariable = Annotated[
    str, BeforeValidator(_names_a_url), WithJsonSchema({"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"})
]

Event = Literal["failure", "drift", "recovery", "deploy"]
Command = Literal["validate", "plan", "deploy", "verify", "drift"]


class Channel(Model):
    """Somebody who is told what happened."""

    url: UrlVariable = Field(
        description="`${NAME}`: the environment variable that holds the URL, one of apprise or of a webhook."
    )
    name: Annotated[str, StringConstraints(pattern=ENVIRONMENT_PATTERN)] | None = Field(
        None, description="What it is called in messages and records; by default the variable's name."
    )
    kind: Literal["apprise", "webhook"] = Field(
        "apprise", description="`apprise`: chat, mail and the like; `webhook`: signed JSON (Standard Webhooks)."
    )
    secret: UrlVariable | None = Field(
        None, description="`${NAME}`: the environment variable that holds a webhook's signing secret."
    )
    on: list[Event] = Field(default=["failure", "drift", "recovery"], min_length=1, description="What it is told.")
    environments: list[str] = Field(default=["*"], min_length=1, description="Globs of environments.")
    stacks: list[str] = Field(default=["*"], min_length=1, description="Globs of stack names.")
    commands: list[Command] = Field(
        default=["deploy", "verify", "drift"],
        min_length=1,
        description="The commands whose runs it is told of; a merge request's `plan` is not one by default.",
    )
    repeat: Annotated[float, Field(gt=0, le=8760)] | None = Field(
        None, description="Hours after which what still fails or drifts is told again; by default never."
    )
    timeout: Annotated[float, Field(gt=0, le=300)] = Field(10, description="Seconds that telling it may take in all.")
    title: str | None = Field(None, description="A Jinja2 template of the title, in place of the built-in one.")
    body: str | None = Field(None, description="A Jinja2 template of the text, in place of the built-in one.")

    @property
    def label(self) -> str:
        """What it is called; never the URL."""
        return self.name or self.url

    @model_validator(mode="after")
    def _webhooks_are_signed(self) -> Self:
        if (self.kind == "webhook") != (self.secret is not None):
            raise ValueError("`kind: webhook` and `secret` belong together: a webhook is signed, nothing else is")
        return self
