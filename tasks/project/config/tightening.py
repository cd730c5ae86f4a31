"""What `DEPLOY_*` variables may change: they tighten what the files say, and never loosen it.

The files were reviewed, and variables of a pipeline were not. `RULES` has a rule for each key of the configuration. A
looser value than that of the files is an error; where the files say nothing of a key, most rules leave it to variables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

from ...base import urls
from ..model import Config
from ..model.policy import Severity
from .yamlfile import merge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...base.jsonvalue import Json, JsonObject

KeyPath = tuple[str, ...]


class Rule(NamedTuple):
    """How a variable may change a key.

    Attributes:
        may: What a variable may do, for the docs.
        refusal: The same, for an error.
        loosens: Whether the second value is looser than the first, which the files have.
        defaults: Whether a default counts as what the files say.
    """

    may: str
    refusal: str
    loosens: Callable[[Any, Any], bool]  # of any two values of the key's type
    defaults: bool = True


class Loosened(NamedTuple):
    """A key that a variable loosens, and what the files say of it."""

    path: KeyPath
    rule: Rule
    said: str


_STRICTER = "a variable may tighten this rule, not loosen it"
_NOT_OTHER = "a variable may not change what the files say"


def _towards(*order: object) -> Rule:
    """From the loosest value to the strictest."""
    words = "turn it on" if order == (False, True) else "turn it off" if order == (True, False) else ""
    words = words or f"change it towards `{_shown(order[-1])}`"
    return Rule(f"only {words}", _STRICTER, lambda before, after: order.index(after) < order.index(before))


def _lacks(some: Sequence[object], others: Sequence[object]) -> bool:
    """Whether some are not among the others."""
    return any(item not in others for item in some)


def _is_more(before: float | None, after: float | None) -> bool:
    """Whether a limit is higher, or gone."""
    return before is not None and (after is None or after > before)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return urls.scrub(f"{value:.80}")
    return urls.scrub(f"{json.dumps(value, default=_plain):.80}")


def _plain(value: object) -> object:
    return value.model_dump(mode="json", exclude_unset=True) if isinstance(value, BaseModel) else str(value)


ANYTHING = Rule("change it", "", lambda *_: False)
SAME = Rule("not change it", _NOT_OTHER, lambda before, after: before != after)
KEPT = Rule("only set it if the files do not", _NOT_OTHER, lambda before, after: before != after, defaults=False)
ON = _towards(False, True)
OFF = _towards(True, False)
LESS = Rule("only lower it", _STRICTER, _is_more)
RAISED = Rule("only raise it", _STRICTER, lambda before, after: after < before)
MORE = Rule("only add to it", "a variable may add to this list, not take from it", _lacks)
FEWER = Rule(
    "only take from it",
    "a variable may take from this list, not add to it",
    lambda before, after: _lacks(after, before),
)

# A key's rule holds for all that is below it, too, unless that has a rule of its own.
RULES: dict[str, Rule] = {
    "version": ANYTHING,  # it is not read from a variable
    "default_environment": ANYTHING,  # as `DEPLOY_ENV` does
    "engine": KEPT,
    "engine.lock_timeout": ANYTHING,
    "engine.progress": ANYTHING,
    "engine.provider_memory": ANYTHING,
    "engine.grace": ANYTHING,
    "discover": KEPT,
    "backend": KEPT,
    "stacks.<name>": KEPT,
    "stacks.<name>.enabled": ANYTHING,
    "stacks.<name>.variables": ANYTHING,  # as `TF_VAR_*` do
    "stacks.<name>.volatile_variables": FEWER,
    "stacks.<name>.watch": MORE,
    "stacks.<name>.owners": ANYTHING,
    "stacks.<name>.verify": MORE,
    "builds.<name>": KEPT,
    "builds.<name>.timeout": ANYTHING,
    "images.<name>": KEPT,
    "images.<name>.builder": ANYTHING,  # as PATH does
    "images.<name>.insecure": OFF,
    "images.<name>.optional": OFF,
    "images.<name>.timeout": ANYTHING,
    "encryption": SAME,
    "encryption.state": ON,
    "encryption.migrate": OFF,
    "encryption.remote_state": _towards("any", "encrypted"),
    "inputs.observe": _towards(False, "auto", True),
    "plan.max_age": LESS,
    "plan.require_encryption": ON,
    "plan.require_clean": ON,
    "plan.on_stale": KEPT,
    "plan.on_unreviewed": _towards("warn", "fail"),
    "plan.on_failed_check": _towards("warn", "fail"),
    "plan.values": _towards("shown", "hidden"),
    "volatile_variables": FEWER,
    "secrets": MORE,
    "follows": KEPT,
    "forge": KEPT,
    "forge.token": SAME,
    "forge.comment": ON,
    "forge.status": ON,
    "forge.timeout": ANYTHING,
    "deploy.tag": KEPT,
    "deploy.push": ON,
    "deploy.state_copies": RAISED,
    "deploy.on_failed_check": _towards("warn", "fail"),
    "drift.undeployed": _towards("report", "alert"),
    "drift.on_failed_check": _towards("warn", "alert", "fail"),
    "drift.exit": _towards("new", "any"),
    "drift.remind": LESS,
    "drift.ignore": FEWER,
    "drift.severity": SAME,
    "drift.repair": FEWER,
    "drift.changed_by": KEPT,
    "drift.changed_at": KEPT,
    "drift.lock": ON,
    "drift.timeout": ANYTHING,
    "drift.retries": ANYTHING,
    "drift.budget": KEPT,
    "drift.merge_requests": ON,
    "drift.issues": ON,
    "policy.fail_on": _towards(*get_args(Severity)),
    "policy.protect": MORE,
    "policy.max_destroy": LESS,
    "policy.required_tags": MORE,
    "policy.checkers": MORE,
    "policy.allow": FEWER,
    "reports": KEPT,
    "upstream": KEPT,
    "upstream.check": ON,
    "upstream.timeout": ANYTHING,
    "hooks": SAME,
    "ci": KEPT,
    "ci.jobs": ANYTHING,
    "history": KEPT,
    "publish": KEPT,
    "publish.token": SAME,
    "publish.automatic": ON,
    "publish.timeout": ANYTHING,
    "ledger": SAME,  # if the files have one
    "ledger.public_key": KEPT,
    "ledger.required": ON,
    "ledger.every": ANYTHING,
    "ledger.wait": ANYTHING,
    "ledger.public": OFF,
    "ledger.observations.public_key": KEPT,
    "ledger.timeout": ANYTHING,
    "organization": KEPT,
    "notify": MORE,
}
_WHOLE = ("backend", "stacks.<name>.backend", "organization")  # half of one and half of another is neither
_NAMED = ("stacks", "builds", "images")  # mappings of names that users choose
_UNSAID = object()


def rule_of(path: KeyPath) -> Rule:
    """The rule of a key."""
    pattern = _pattern(path)
    for length in range(len(pattern), 0, -1):
        if (found := RULES.get(".".join(pattern[:length]))) is not None:
            return found
    return SAME


def _pattern(path: KeyPath) -> KeyPath:
    return (path[0], "<name>", *path[2:]) if path[0] in _NAMED and len(path) > 1 else path


def outdone(files: Mapping[str, Json], effective: Config) -> bool:
    """Whether the files want every plan watched, and a variable says `auto`, as shipped pipelines do: the files win."""
    inputs = files.get("inputs")
    return isinstance(inputs, dict) and inputs.get("observe") is True and effective.inputs.observe == "auto"


def loosened(files: Mapping[str, Json], variables: Mapping[str, Json], effective: Config) -> Iterator[Loosened]:
    """The keys that variables loosen.

    Args:
        files: What the files say.
        variables: What the variables say, in the same shape.
        effective: The valid configuration of both.
    """
    for name, given in variables.items():
        for before, part in _before(name, files.get(name), given):
            now, then = getattr(effective, name), getattr(before, name)
            yield from _compared((name,), part, then, now, _item(files, name))


def _before(name: str, said: Json, given: Json) -> Iterator[tuple[Config, Json]]:
    """The configuration without what variables say of a key, and this; part by part where it needs some of it."""
    if (alone := _section(name, said)) is not None:
        yield alone, given
        return
    for path in _leaves(given):
        without = merge(said if isinstance(said, dict) else {}, _without(given, path))
        if (rest := _section(name, without)) is not None:
            yield rest, _only(given, path)


def _section(name: str, said: Json) -> Config | None:
    """The configuration of one top-level key; None if it is invalid."""
    try:
        return Config.model_validate({"version": 1, **({} if said is None else {name: said})})
    except ValidationError:
        return None


def _leaves(given: Json, path: KeyPath = ()) -> Iterator[KeyPath]:
    if not isinstance(given, Mapping):
        yield path
        return
    for key, value in given.items():
        yield from _leaves(value, (*path, key))


def _without(given: Json, path: KeyPath) -> JsonObject:
    if not path or not isinstance(given, Mapping):
        return {}
    rest = {key: value for key, value in given.items() if key != path[0]}
    return rest if len(path) == 1 else {**rest, path[0]: _without(given[path[0]], path[1:])}


def _only(given: Json, path: KeyPath) -> Json:
    return {path[0]: _only(given[path[0]], path[1:])} if path and isinstance(given, Mapping) else given


def _compared(path: KeyPath, given: Json, before: object, after: object, said: object) -> Iterator[Loosened]:
    """What a variable loosens at a key and below it; `said` is what the files have there."""
    if isinstance(given, Mapping) and ".".join(_pattern(path)) not in _WHOLE:
        if path[0] in _NAMED and len(path) == 1 and isinstance(before, Mapping) and isinstance(after, Mapping):
            for key, value in given.items():
                yield from _compared((*path, key), value, before.get(key), after[key], _item(said, key))
            return
        if isinstance(after, BaseModel):
            for key, value in given.items():
                name = next((name for name, field in type(after).model_fields.items() if field.alias == key), key)
                then = _field(before, type(after), name)
                yield from _compared((*path, key), value, then, getattr(after, name), _item(said, key))
            return
    rule = rule_of(path)
    if before is not _UNSAID and (rule.defaults or said is not _UNSAID) and rule.loosens(before, after):
        yield Loosened(path, rule, _shown(before))


def _item(said: object, key: str) -> object:
    return said.get(key, _UNSAID) if isinstance(said, Mapping) else _UNSAID


def _field(before: object, model: type[BaseModel], name: str) -> object:
    """A field's value before; the default if there was no such part, as a stack's that the files do not name."""
    if isinstance(before, BaseModel):
        return getattr(before, name)
    field = model.model_fields[name]
    return _UNSAID if before is not None or field.is_required() else field.get_default(call_default_factory=True)
