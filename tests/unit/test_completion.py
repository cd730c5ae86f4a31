"""Which commits the ledger names as completely deployed after a deploy of all stacks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tasks.artifact.affected import Assessment
from tasks.artifact.inputs import Inputs
from tasks.artifact.reasons import Reason, Why
from tasks.base.errors import ConfigError
from tasks.base.git import Revision
from tasks.ledger.record import Head, Partly
from tasks.run import completion
from tasks.run.allowance import Allowance
from tasks.run.result import Result, Status
from tasks.run.selection import Part
from tests.unit.test_succession import relation

if TYPE_CHECKING:
    from collections.abc import Collection

    from tasks.run.run import Run

HEAD = Head(ledger="1" * 32, project="acme/infra", environment="prod")


def run(
    here: str | None, *, applied: bool = False, allowed: bool = False, dirty: bool = False, unpushed: bool = False
) -> Run:  # fmt: skip
    allowances = [Allowance("older", "web", "an incident")] if allowed else []
    found = SimpleNamespace(
        revision=Revision(here, dirty=dirty), relation_to=lambda there: relation(here or "", there),
        request=SimpleNamespace(allowances=allowances, part=None), applied={"web"} if applied else set(),
        is_unpushed=unpushed, project=SimpleNamespace(stacks={"web": None, "db": None}),
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
    head = HEAD.model_copy(update={"complete": known})
    found = completion.of(made, head)
    assert (None if found is None else found.under(head).complete) == named


def head(complete: tuple[str, ...] = (), **partly: tuple[str, ...]) -> Head:
    return HEAD.model_copy(
        update={"complete": complete, "partly": tuple(Partly(commit=name, but=but) for name, but in partly.items())}
    )


@pytest.mark.parametrize(
    ("made", "known", "but", "named"),
    [
        (run("x"), head(), {"web"}, {"x": ("web",)}),
        (run("x"), head(), (), {"x": ()}),  # it failed after all stacks were deployed
        (run("x"), head(), {"web", "db"}, None),  # nothing is proven
        (run("y"), head(("x",)), {"web"}, {"y": ("web",)}),
        (run("x"), head(("x",)), {"web"}, None),  # all of it was deployed once
        (run("x"), head(("y",)), {"web"}, None),  # older
        (run("x"), head(y=("db",)), {"web"}, None),
        (run("x"), head(x=("web",)), {"web"}, None),  # the same again
        (run("x"), head(x=("web",)), {"db"}, {"x": ()}),  # a retry comes further
        (run("y"), head(x=("web",)), {"web"}, {"y": ("web",)}),
        (run("y"), head(x=("web",)), {"web", "gone"}, {"y": ("gone", "web"), "x": ("web",)}),
        (run("y"), head(x=("db",)), {"web"}, {"y": ("web",), "x": ("db",)}),  # `web` is as x wants it
        (run("x"), head(apart=("db",)), {"web"}, {"x": ("web",), "apart": ("db",)}),
        (run("x", dirty=True), head(), {"web"}, None),
        (run("x", unpushed=True), head(), {"web"}, None),
    ],
)  # fmt: skip
def test_a_deploy_that_has_not_ended_well_is_named_for_the_stacks_that_it_left_right(
    made: Run, known: Head, but: Collection[str], named: dict[str, tuple[str, ...]] | None
) -> None:
    found = completion.of(made, known, but)
    assert (None if found is None else partly(found.under(known))) == named
    assert found is None or found.under(known).complete == known.complete


def partly(found: Head) -> dict[str, tuple[str, ...]]:
    return {item.commit: item.but for item in found.partly}


def test_a_complete_deploy_replaces_those_that_have_not_ended_well() -> None:
    known = head(("w",), w=("web",), x=("db",), apart=("db",))
    found = completion.of(run("x"), known)
    assert found is not None
    assert found.under(known).complete == ("x",)
    assert partly(found.under(known)) == {"apart": ("db",)}


@pytest.mark.parametrize(
    ("results", "left"),
    [
        ({"plan:web": "unaffected", "deploy:web": "unaffected", "deploy:db": "ok"}, set()),
        ({"plan:web": "unaffected", "plan:db": "failed"}, {"db"}),
        ({"plan:web": "unaffected", "deploy:web": "not_run", "plan:db": "failed"}, {"db"}),
        ({"plan:web": "unaffected", "deploy:web": "failed", "plan:db": "ok", "deploy:db": "failed"}, {"web", "db"}),
        ({"plan:web": "ok", "deploy:web": "not_run", "plan:db": "deferred"}, {"web", "db"}),
        ({"plan:db": "skipped", "deploy:db": "skipped"}, {"web", "db"}),
        ({}, {"web", "db"}),
    ],
)
def test_only_what_a_deploy_has_judged_counts(results: dict[str, str], left: set[str]) -> None:
    made = run("x")
    made.results = {
        task: Result(task.partition(":")[0], task.partition(":")[2], Status(status)) for task, status in results.items()
    }
    assert completion.unproven(made) == left


@pytest.mark.parametrize(
    ("found", "left"),
    [
        (Assessment(Inputs({}), None, []), set()),
        (Assessment(Inputs({}), None, [Reason(Why.NEVER_DEPLOYED)]), {"db"}),
        (Assessment(Inputs({}), None, [], unverified=True), {"db"}),
        (Assessment(Inputs({}), None, [], unhooked=True), {"db"}),
        (ConfigError("no var file"), {"db"}),
    ],
)
def test_the_report_of_a_pipeline_assesses_what_no_job_deployed(
    monkeypatch: pytest.MonkeyPatch, found: Any, left: set[str]
) -> None:
    """Its plan of a stack without a job says nothing, and its deploy is not asked once another stack's plan failed."""

    def assess(_run: Run, _stack: object) -> Any:
        if isinstance(found, ConfigError):
            raise found
        return found

    monkeypatch.setattr(completion, "assess_once", assess)
    made: Any = run("x")
    made.request.part = Part.REPORT
    made.results = {
        "plan:web": Result("plan", "web", Status.UNAFFECTED), "plan:db": Result("plan", "db", Status.UNAFFECTED),
        "deploy:web": Result("deploy", "web", Status.UNAFFECTED), "deploy:db": Result("deploy", "db", Status.NOT_RUN),
    }  # fmt: skip
    assert completion.unproven(made) == left
