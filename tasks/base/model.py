"""What all parts of the configuration share: names, numbers, and variables that hold secrets."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

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
    """Base of all parts: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def naming(what: str) -> BeforeValidator:
    """Takes the name of an environment variable, `NAME` or `${NAME}`.

    Args:
        what: What the variable holds. What else is found is not shown in the error, as it may be that very thing.
    """

    def name_of(value: object) -> object:
        match = re.fullmatch(r"\$\{([^}]*)\}|(.*)", value, re.DOTALL) if isinstance(value, str) else None
        found = (match[1] or match[2]) if match else None
        if value is not None and (found is None or not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,49}", found)):
            raise PydanticCustomError(
                "secret_value",
                "this names the environment variable that holds the {what} (capitals, digits, `_`; at most 50),"
                " never the {what} itself; if it is one, it must be replaced",
                {"what": what},
            )
        return found

    return BeforeValidator(name_of)


KeyVariable = Annotated[str, naming("passphrase")]
TokenVariable = Annotated[str, naming("token")]
