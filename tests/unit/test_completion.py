"""Which commits the ledger names as completely deployed after a deploy of all stacks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from tasks.base.git import Revision
from tasks.run import completion
from tasks.run.allowance import Allowance
from tests.unit.test_succession import relation

if TYPE_CHECKING:
    from tasks.run.run import Run


def run(
    here: str | None, *, applied: bool = False, allowed: bool = False, dirty: bool = False, unpushed: bool = False
) -> Run:  # fmt: skip
    allowances = [Allowance("older", "web", "an incident")] if allowed else []
    found = SimpleNamespace(
        revision=Revision(here, dirty=dirty), relation_to=lambda there: relation(here or "", there),
        request=SimpleNamespace(allowances=allowances), applied={"web"} if applied else set(),
        is_unpushed=unpushed,
    )  # fmt: skip
    return cast("Run", found)


@pytest.mark.parametrize(
    ("made", "known", "named"),
    [
        (run("x"), (), ("x",)),
        (run("y"), ("x",), ("y",)),
        (run("x"), ("x",), None),  # a retry
        (run("x", applied=True), ("x",), None),
        (run("x"), ("y",), None),  # older, with nothing to apply
        (run("x", applied=True), ("y",), None),  # the report of a pipeline, run again
        (run("x", allowed=True), ("y",), None),  # allowed for nothing
        (run("x", applied=True, allowed=True), ("y",), ("x",)),
        (run("x", applied=True, allowed=True), ("?", "w"), ("x",)),
        (run("x"), ("?",), ("x", "?")),
        (run("x", applied=True), ("apart", "w"), ("x", "apart")),
        (run("x"), ("x", "?"), None),
        (run("x", dirty=True), (), None),
        (run("x", applied=True, unpushed=True), ("w",), None),  # no other clone could tell
        (run(None), (), None),
    ],
)
def test_the_newest_commit_is_named_once(made: Run, known: tuple[str, ...], named: tuple[str, ...] | None) -> None:
    found = completion.of(made, known)
    assert (None if found is None else found.among(known)) == named
