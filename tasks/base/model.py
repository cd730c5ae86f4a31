"""The base class of all configuration models, and the types they share."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from . import urls

if TYPE_CHECKING:
    from .jsonvalue import Json

# Else it reads the metadata of every installed package for plugins of its own: 3 % of the start of a run.
with suppress(ImportError):
    from pydantic.plugin import _loader

    _loader._plugins = {} if _loader._plugins is None else _loader._plugins  # noqa: SLF001 - its variable would reach the engine

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"
ENVIRONMENT_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"

StackName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
EnvironmentName = Annotated[str, StringConstraints(pattern=ENVIRONMENT_PATTERN)]
PartName = Annotated[str, StringConstraints(pattern=ENVIRONMENT_PATTERN)]
EnvironmentVariable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
OutputReference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*\.[A-Za-z_][A-Za-z0-9_-]*$")]
Seconds = Annotated[float, Field(ge=0, le=86_400)]


class Model(BaseModel):
    """Base class of all parts: unknown keys are errors, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def naming(what: str) -> BeforeValidator:
    """A validator for the name of an environment variable, `NAME` or `${NAME}`.

    Args:
        what: What the variable holds. The error does not show the invalid value, as it may be the secret itself.
    """

    def name_of(value: Json) -> Json:
        match = re.fullmatch(r"\$\{([^}]*)\}|(.*)", value, re.DOTALL) if isinstance(value, str) else None
        found = (match[1] or match[2]) if match else None
        if value is not None and (found is None or not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,49}", found)):
            raise PydanticCustomError(
                "secret_value",
                "expected the name of the environment variable that holds the {what}"
                " (capitals, digits, `_`; at most 50); if this is the {what} itself, rotate it",
                {"what": what},
            )
        return found

    return BeforeValidator(name_of)


KeyVariable = Annotated[str, naming("passphrase")]
TokenVariable = Annotated[str, naming("token")]

PLACES = ("s3", "https", "http")
SERVERS = ("https", "http")


def address(*schemes: str, folder: bool = True) -> AfterValidator:
    """A validator for where files are kept, see `urls.place_problem`; the error does not show the invalid value.

    An address with a variable in it can only be judged where that is filled in.

    Args:
        schemes: The schemes that are known.
        folder: Whether it may be a folder.
    """

    def checked(value: str) -> str:
        if "${" not in value and (wrong := urls.place_problem(value, schemes, folder=folder)):
            raise PydanticCustomError("secret_value", "{wrong}", {"wrong": wrong})
        return value

    return AfterValidator(checked)


PlaceAddress = Annotated[str, address(*PLACES)]
ServerAddress = Annotated[str, address(*SERVERS, folder=False)]
