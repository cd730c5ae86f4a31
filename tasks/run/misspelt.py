"""Environment variables that look like a misspelt name of ours: they do nothing, and a run says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..project.model import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

_PREFIX = "DEPLOY_"
_CLOSE = 0.8
_OTHERS = (
    "DEPLOY_ENV",
    "DEPLOY_STATE_KEY",
    "DEPLOY_ARTIFACT_KEY",
    "DEPLOY_REVIEW_KEY",
    "DEPLOY_LEDGER_KEY",
    "DEPLOY_LEDGER_NEXT_KEY",
    "DEPLOY_LEDGER_TOKEN",
    "DEPLOY_LEDGER_READ_TOKEN",
    "DEPLOY_OBSERVATIONS_KEY",
    "DEPLOY_OBSERVATIONS_TOKEN",
    "DEPLOY_ENCRYPTION_KEY",
    "DEPLOY_PUBLISH_TOKEN",
    "DEPLOY_ADOPTION_TOKEN",
    "DEPLOY_REGISTRY_USER",
    "DEPLOY_REGISTRY_PASSWORD",
    "DEPLOY_UPSTREAM",
)
_MEANT = {"ENVIRONMENT": "DEPLOY_ENV"}


def notes(variables: Iterable[str], stacks: Callable[[], Collection[str]]) -> Iterator[str]:
    """A sentence for each variable that is nearly one of ours.

    Args:
        variables: The names in the environment.
        stacks: Returns the stacks, disabled ones included; asked once, and only where a variable is about one.
    """
    known = [*(name.upper() for name in Config.model_fields), *(name.removeprefix(_PREFIX) for name in _OTHERS)]
    names: list[str] | None = None
    for variable in sorted(name for name in variables if name.startswith(_PREFIX)):
        head, *rest = variable.removeprefix(_PREFIX).split("__")
        if head not in known:
            near = [_MEANT[head].removeprefix(_PREFIX)] if head in _MEANT else _nearest(head, known)
            if near:
                yield _note(variable, "__".join([near[0], *rest]))
        elif head == "STACKS" and rest:
            names = [name.upper() for name in stacks()] if names is None else names
            near = _nearest(rest[0], names)
            if rest[0] not in names and near:
                yield _note(variable, "__".join([head, near[0], *rest[1:]]))


def _nearest(name: str, known: Sequence[str]) -> list[str]:
    from difflib import get_close_matches  # nearly no run needs it

    return get_close_matches(name, known, n=1, cutoff=_CLOSE)


def _note(variable: str, meant: str) -> str:
    return f"the environment variable {variable} is not used (did you mean {_PREFIX}{meant}?)"
