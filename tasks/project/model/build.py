"""Builds and images."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from ...base.model import EnvironmentVariable, Model, PartName

REPOSITORY_PATTERN = r"^[A-Za-z0-9$][A-Za-z0-9._:${}/-]*[A-Za-z0-9}]$"


class Build(Model):
    """Something that is made of sources before stacks are planned: outputs in its folder."""

    kind: Literal["node", "command"] = Field(description="`node`: a package's script by npm or pnpm; `command`: yours.")
    path: str = Field(description="The folder of its sources, relative to the repository's root.")
    script: str = Field("build", description="For `node`: the script of package.json that makes the outputs.")
    command: list[str] = Field(
        default_factory=list, description="For `command`: program and arguments, no shell; run in the folder."
    )
    outputs: list[str] = Field(
        default=["build"], min_length=1, description="What it makes: folders or files, relative to its folder."
    )
    depends_on: list[PartName] = Field(default_factory=list, description="Builds that are made before this one.")
    environment: list[EnvironmentVariable] = Field(
        default_factory=list, description="Environment variables that change what is made: their values count."
    )
    secrets: list[EnvironmentVariable] = Field(
        default_factory=list, description="Environment variables that it gets although their names say they are secret."
    )
    toolchain: list[list[str]] = Field(
        default_factory=list, description="For `command`: commands that print a version that counts: `[[go, version]]`."
    )
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(1800, description="Seconds until it is ended and failed.")

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if (self.kind == "command") != bool(self.command):
            raise ValueError("`command` is for the kind `command`, which needs one")
        if self.kind == "node" and self.toolchain:
            raise ValueError("`toolchain` is for the kind `command`: of the kind `node` it is known")
        if any(not command for command in self.toolchain):
            raise ValueError("a command of `toolchain` is empty")
        return self


class Login(Model):
    """Which environment variables hold the login of a registry."""

    user: EnvironmentVariable = Field(description="Names the variable that holds the user.")
    password: EnvironmentVariable = Field(description="Names the variable that holds the password or token.")


class Image(Model):
    """An OCI image, whose tag is the digest of what it is made of."""

    repository: Annotated[str, StringConstraints(pattern=REPOSITORY_PATTERN)] = Field(
        description="Where it is pushed, without a tag: `registry.example.com/team/app`; or a folder: `oci:FOLDER`,"
        " an OCI image layout. `${ENV}` is filled in."
    )
    context: str = Field(description="The folder that the builder sees, relative to the repository's root.")
    containerfile: str | None = Field(
        None, description="Relative to the context; by default `Containerfile`, else `Dockerfile`."
    )
    builds: list[PartName] = Field(
        default_factory=list,
        description="Builds that it contains; found by itself where their outputs lie in the context.",
    )
    target: str | None = Field(None, description="The stage of the Containerfile to build; by default the last one.")
    args: dict[EnvironmentVariable, str] = Field(
        default_factory=dict,
        description="Build arguments, never secret: they stay in the image. `${ENV}` is filled in.",
    )
    secrets: dict[PartName, EnvironmentVariable] = Field(
        default_factory=dict, description="Secret mounts: their id, and the environment variable that holds the secret."
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels; `{revision}` is the last commit that changed its folders, `${ENV}` is filled in.",
    )
    platforms: list[Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?$")]] = Field(
        default=["linux/amd64"], min_length=1, description="For which platforms; several make one multi-platform image."
    )
    builder: Literal["auto", "buildah", "podman", "docker"] = Field(
        "auto", description="Which program builds it; `auto`: the first of these that is there and works."
    )
    attest: list[Literal["sbom", "provenance"]] = Field(
        default_factory=list,
        description="What docker buildx attaches; an image with provenance is no longer reproducible.",
    )
    login: Login | None = Field(None, description="Its registry's login; see docs/builds.md for what is tried without.")
    insecure: bool = Field(False, description="True: plain HTTP, or a certificate that nobody vouches for, is fine.")
    optional: bool = Field(
        False, description="True: where nothing can build or push it, say so once and go on with the tag."
    )
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(3600, description="Seconds until it is ended and failed.")
