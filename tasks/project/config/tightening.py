"""What variables may say of rules: they tighten, never loosen, as anyone who may start a pipeline can set `DEPLOY_*`.

The files were reviewed; variables of a pipeline were not. A stricter value is taken, a looser one is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from ..model.policy import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...base.model import Model
    from ..model import Config

KeyPath = tuple[str, ...]
_WORST_FIRST = get_args(Severity)
_LEAST_WATCHED_FIRST = (False, "auto", True)
_KEYS = ("key", "artifact_key", "review_key", "previous")
_STRICT_ENCRYPTION: dict[str, bool | str] = {"state": True, "migrate": False, "remote_state": "encrypted"}
_STRICT = {"require_encryption": True, "require_clean": True, "on_unreviewed": "fail", "values": "hidden"}


def outdone(files: Config, effective: Config) -> bool:
    """Whether the files want every plan watched, and a variable says `auto`, as shipped pipelines do: the files win."""
    return files.inputs.observe is True and effective.inputs.observe == "auto"


def loosened(files: Config, effective: Config) -> Iterator[tuple[KeyPath, str]]:
    """The keys whose rule is looser than what the files say, each with what they say.

    Args:
        files: The configuration of the files alone.
        effective: The configuration with the variables over it.
    """
    before, after = files.policy, effective.policy
    if _WORST_FIRST.index(after.fail_on) < _WORST_FIRST.index(before.fail_on):  # only what is worse refuses then
        yield ("policy", "fail_on"), before.fail_on
    if before.max_destroy is not None and (after.max_destroy is None or after.max_destroy > before.max_destroy):
        yield ("policy", "max_destroy"), str(before.max_destroy)
    rules: dict[str, tuple[Sequence[Model], Sequence[Model]]] = {
        "protect": (before.protect, after.protect),
        "required_tags": (before.required_tags, after.required_tags),
        "checkers": (before.checkers, after.checkers),
        "allow": (after.allow, before.allow),  # more exceptions are looser
    }
    for name, (all_of_these, within) in rules.items():
        if any(rule not in within for rule in all_of_these):
            yield ("policy", name), "every rule that is there" if name != "allow" else "no other exceptions"
    for name, strict in _STRICT.items():
        if getattr(files.plan, name) == strict != getattr(effective.plan, name):
            yield ("plan", name), str(strict).lower()
    yield from _custody(files, effective)
    watched = _LEAST_WATCHED_FIRST.index
    if watched(effective.inputs.observe) < watched(files.inputs.observe):
        yield ("inputs", "observe"), str(files.inputs.observe).lower()


def _custody(files: Config, effective: Config) -> Iterator[tuple[KeyPath, str]]:
    """What says which keys count, and what is secret: with others, a forgery would be believed, or a secret shown."""
    before, after = files.encryption, effective.encryption
    for name in _KEYS:
        if getattr(before, name) != getattr(after, name):
            yield ("encryption", name), str(getattr(before, name) or "none")
    for name, strict in _STRICT_ENCRYPTION.items():
        if getattr(before, name) == strict != getattr(after, name):
            yield ("encryption", name), str(strict).lower()
    if any(name not in effective.secrets for name in files.secrets):
        yield ("secrets",), "every name that is there"
    if files.plan.max_age < effective.plan.max_age:
        yield ("plan", "max_age"), f"{files.plan.max_age:g}"
    if files.ledger != "none" and effective.ledger != "none":
        trusted = files.ledger.public_keys
        if trusted and trusted != effective.ledger.public_keys:
            yield ("ledger", "public_key"), "these keys"
