"""Combines the files of a folder into one module: which files are read, and which override others."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from .facts import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .facts import Facts, Variable

T = TypeVar("T")


def twin(file: str) -> str:
    """The file that replaces a `.tf` file, if it exists."""
    for ending, instead in ((".tf", ".tofu"), (".tf.json", ".tofu.json")):
        if file.endswith(ending):
            return file.removesuffix(ending) + instead
    return ""


def _declared(before: Variable | None, variable: Variable) -> Variable:
    """A variable as declared in a file that may override others; only what that file itself says."""
    if before is None:
        return variable
    ephemeral = before.ephemeral if variable.ephemeral is None else variable.ephemeral
    default = variable if variable.has_default else before
    return replace(
        variable, sensitive=variable.sensitive or before.sensitive, ephemeral=ephemeral,
        type=variable.type or before.type, nullable=variable.nullable and before.nullable,
        has_default=default.has_default, default=default.default,
    )  # fmt: skip


def variables(facts: Iterable[Facts]) -> dict[str, Variable]:
    """The variables that a module's files declare, by name."""
    found: dict[str, Variable] = {}
    for variable in (variable for fact in facts for variable in fact.variables):
        found[variable.name] = _declared(found.get(variable.name), variable)
    return found


def overrides(file: str) -> bool:
    """Whether a file overrides others (https://opentofu.org/docs/language/files/override/)."""
    name = posixpath.basename(file).partition(".")[0]
    return name == "override" or name.endswith("_override")


def together(several: Iterable[Mapping[str, T]]) -> dict[str, T]:
    """Merge mappings; later ones win."""
    found: dict[str, T] = {}
    for each in several:
        found.update(each)
    return found


def calls(facts: Iterable[Facts]) -> dict[str, Call]:
    """The module calls by name; an override replaces only the arguments that it has."""
    found: dict[str, Call] = {}
    for call in (call for fact in facts for call in fact.calls):
        before = found.get(call.name)
        if before is None:
            found[call.name] = call
        else:
            arguments = {**before.arguments, **call.arguments}
            found[call.name] = Call(call.name, call.source or before.source, arguments, call.repeat or before.repeat)
    return found


def state_outputs(facts: Iterable[Facts]) -> dict[str, tuple[str, ...] | None]:
    """The outputs of each remote state that a module's files refer to, see `Facts.state_outputs`."""
    found: dict[str, tuple[str, ...] | None] = {}
    for name, outputs in (pair for fact in facts for pair in fact.state_outputs.items()):
        before = found.get(name, ())
        found[name] = None if outputs is None or before is None else tuple(sorted({*before, *outputs}))
    return found
