"""Which commits may be deployed over which, by what the receipt here and the ledger's record say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from tasks.artifact.receipt import Outcome, Receipt
from tasks.base import git
from tasks.base.errors import OlderCommitError
from tasks.base.git import Relation
from tasks.base.problem import doit
from tasks.run import succession
from tasks.run.allowance import Allowance

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.project.stack import Stack
    from tasks.run.run import Run

HISTORY = "wxyz"  # one commit after the other; any other letter is on a branch apart
WEB = cast("Stack", SimpleNamespace(name="web"))


def relation(here: str, there: str) -> Relation:
    if there == "?":
        return Relation.UNKNOWN
    if here not in HISTORY or there not in HISTORY:
        return Relation.SAME if here == there else Relation.APART
    at, other = HISTORY.index(here), HISTORY.index(there)
    return Relation.SAME if at == other else Relation.AFTER if at > other else Relation.BEFORE


def run(tmp_path: Path, here: str, unseen: list[str], *, allowed: bool = False, tag: str | None = None) -> Run:
    """What `succession` asks of a run at a commit: its ledger has commits that its disk has not, or it has a tag."""
    made = SimpleNamespace(
            revision=SimpleNamespace(commit=here), relation_to=lambda there: relation(here, there),
            request=SimpleNamespace(allowances=[Allowance("older", "web", "an incident")] if allowed else []),
            recording=None if tag else SimpleNamespace(besides=lambda _: unseen), layout=SimpleNamespace(root=tmp_path),
            project=SimpleNamespace(config=SimpleNamespace(deploy=SimpleNamespace(tag=tag)), environment="prod"),
            command=doit,
    )  # fmt: skip
    made.once = lambda make: make(made)
    return cast("Run", made)


def last(commit: str, *besides: str, outcome: Outcome = Outcome.APPLIED) -> Receipt:
    return Receipt("web", "prod", outcome, "", "", commit=commit, besides=list(besides))


@pytest.mark.parametrize(
    ("here", "receipt", "unseen", "deployed"),
    [
        ("x", last("y"), [], "y"),
        ("x", last("x"), ["y"], "y"),  # a clone that deployed without the ledger runs again
        ("x", last("x", "y"), [], "y"),  # a fresh clone, after that one has recorded its deploy
        ("x", last("w", "y", outcome=Outcome.STARTED), [], "y"),
        ("x", last("x"), ["w", "y"], "y"),
        ("x", None, ["y"], "y"),
        ("x", last("y"), ["x"], "y"),
    ],
)
def test_a_commit_is_refused_if_any_that_may_be_deployed_comes_after_it(
    tmp_path: Path, here: str, receipt: Receipt | None, unseen: list[str], deployed: str
) -> None:
    with pytest.raises(OlderCommitError) as caught:
        succession.require(run(tmp_path, here, unseen), WEB, receipt)
    assert caught.value.message.startswith(f"{deployed} is deployed, and {here} is older")
    found = succession.require(run(tmp_path, here, unseen, allowed=True), WEB, receipt)
    assert found.allowed == [f"older {here} after {deployed}: an incident"]
    assert found.besides == [deployed]  # until this apply has succeeded


def test_a_commit_that_this_clone_does_not_know_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OlderCommitError, match="this clone cannot tell"):
        succession.require(run(tmp_path, "x", ["?"]), WEB, last("x"))


@pytest.mark.parametrize(
    ("here", "receipt", "unseen", "besides"),
    [
        ("z", last("x", "y"), [], []),  # it contains both
        ("y", last("x"), ["y"], []),
        ("x", last("x", ""), [""], []),
        ("b", last("x"), ["y"], ["x", "y"]),  # a branch apart
        ("x", None, [], []),
    ],
)
def test_a_commit_that_no_deployed_one_comes_after_may_be_deployed(
    tmp_path: Path, here: str, receipt: Receipt | None, unseen: list[str], besides: list[str]
) -> None:
    found = succession.require(run(tmp_path, here, [item for item in unseen if item]), WEB, receipt)
    assert (found.allowed, found.besides) == ([], besides)


def test_an_apply_that_succeeded_is_all_that_is_deployed() -> None:
    begun = last("b", "x", "y", outcome=Outcome.STARTED)
    assert begun.ended(Outcome.FAILED).commits == ["b", "x", "y"]
    assert begun.ended(Outcome.APPLIED).commits == ["b"]


@pytest.mark.parametrize(
    ("tagged", "refused"),
    [("y", True), ("w", False), ("x", False), ("b", False), ("?", False), (None, False)],
)
def test_without_a_ledger_a_receipt_here_does_not_hide_what_the_tag_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tagged: str | None, refused: bool
) -> None:
    """Another machine has deployed since; that this clone cannot tell is no reason to refuse, as it has a receipt."""
    monkeypatch.setattr(git, "tagged", lambda *_: tagged)
    here = run(tmp_path, "x", [], tag="deployed")
    if not refused:
        assert succession.require(here, WEB, last("x")).besides == []
        return
    with pytest.raises(OlderCommitError, match="y is deployed, and x is older"):
        succession.require(here, WEB, last("x"))
