"""Every state that a stack can be in, by every face: the row, the totals, the exit code, the document, the dashboard.

The dashboard's half is in `app/src/lib/state.test.ts`, which reads the same table of facts and marks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tasks import conditions, start, status, statusdocument
from tasks.artifact import affected, inputs, receipt
from tasks.artifact.receipt import Outcome, Receipt
from tasks.base.clock import shown
from tasks.base.errors import DeployError, SeveralErrors
from tasks.base.problem import Kind, Problem
from tasks.conditions import Mark
from tasks.history import overview
from tasks.run import result as results
from tasks.run.action import FailedText
from tasks.run.assessment import assess_once
from tasks.run.details import DriftDetails
from tasks.run.result import Result, Status
from tasks.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project

FACES = json.loads((Path(__file__).parent.parent / "conditions.json").read_text())
DEPLOYED, LATER, LATEST = (f"2026-11-2{day}T08:00:00+00:00" for day in (4, 5, 6))
CHECKED = "stacks: {a: {verify: [{kind: plan_empty}]}}\n"


@dataclass
class Site:
    """A run over one stack `a`, and what is known of it."""

    run: Run

    def deployed(self, outcome: Outcome = Outcome.APPLIED, *, at: str = DEPLOYED, **more: Any) -> None:
        """It was deployed."""
        project = self.run.project
        stack = project.stacks["a"]
        last = Receipt(
            "a", project.environment, outcome, "0" * 64, "0" * 64, inputs.gather(project, stack), "c" * 40, DEPLOYED,
            verified=True, checks=affected.checks_digest(stack),
        )  # fmt: skip
        ended = last.ended(outcome) if outcome is not Outcome.STARTED else last
        place = {"commit": "c" * 40, "at": at, "plan_sha256": "0" * 64}
        receipt.write(project.layout, replace(ended, finished_at=at, deployed=place, **more))

    def edited(self) -> None:
        """Its code has changed since."""
        folder = self.run.project.root / "stacks/a"
        (folder / "main.tf").write_text("# other\n")
        self.run = Run(reload(self.run.project))

    def ended(self, stage: str, how: Status, at: str = LATER, *, kind: Kind | None = None, **more: Any) -> None:
        """A task of it ended."""
        problem = Problem(kind, f"{kind}: why") if kind else None
        details = DriftDetails(**more) if stage == "drift" and how in (Status.DRIFTED, Status.UNDEPLOYED) else None
        outcome = Result(stage, "a", how, f"{stage} {how}", problem=problem, details=details, started_at=at)
        results.write(self.run.layout, outcome)
        overview.update(run_of(self.run, outcome), head(at))


def reload(project: Project) -> Project:
    return start.load(project.root, project.environment)


def run_of(run: Run, *outcomes: Result) -> Run:
    """A run of its own that came to these results."""
    found = Run(reload(run.project))
    found.results = {f"{each.stage}:{each.stack}": each for each in outcomes}
    return found


def head(at: str) -> dict[str, Any]:
    return {"id": f"run of {at}", "started_at": at, "ended_at": at, "commit": None, "pipeline": None}


def never(_: Site) -> None:
    """Nothing is known of it."""


def waiting(site: Site) -> None:
    site.deployed()
    for path in (site.run.layout.plan("a"), site.run.layout.manifest("a")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


def unsaved(site: Site) -> None:
    site.deployed()
    (site.run.project.root / "stacks/a/errored.tfstate").write_text("{}")


def being_deployed(site: Site) -> None:
    site.deployed()
    ledger = SimpleNamespace(
        deployers=SimpleNamespace(of={"a": "pipeline 7"}.get), doubts=lambda _: [], beyond=lambda _: {}, complete=[],
        unread=None,
    )  # fmt: skip
    site.run.recording = cast("Any", ledger)


def in_error(site: Site) -> None:
    site.deployed()
    path = site.run.layout.receipt("a")
    overview.update(run_of(site.run), head(LATER))
    path.write_text("[]")


def of_check(how: Status, **more: Any) -> Callable[[Site], None]:
    def make(site: Site) -> None:
        site.deployed()
        site.ended("drift", how, **more)

    return make


def deployed_since(how: Status, kind: Kind | None = None) -> Callable[[Site], None]:
    def make(site: Site) -> None:
        site.deployed()
        site.ended("drift", how, kind=kind)
        site.run.layout.overview.unlink()
        site.deployed(at=LATEST)

    return make


def failed_after_drift(site: Site) -> None:
    of_check(Status.DRIFTED)(site)
    for at in (LATEST, LATEST.replace("08:", "09:")):  # the second failure must not hide it either
        site.ended("drift", Status.FAILED, at, kind=Kind.ENGINE)


def adopted(site: Site) -> None:
    of_check(Status.DRIFTED)(site)
    results.write(site.run.layout, Result("drift", "a", Status.ADOPTED, "adopted: 1 change", started_at=LATEST))


def verify(how: Status, kind: Kind | None = None, **more: Any) -> Callable[[Site], None]:
    def make(site: Site) -> None:
        site.deployed(**more)
        site.ended("verify", how, kind=kind)

    return make


def failed_and_changed(site: Site) -> None:
    of_check(Status.FAILED, kind=Kind.ENGINE)(site)
    site.edited()


# What is done, and the row; `row` alone is compared with the document and with the totals.
CASES: dict[str, tuple[Callable[[Site], None], str]] = {
    "up to date": (Site.deployed, "up to date"),
    "never deployed": (never, "affected: never deployed from here"),
    "changed": (lambda site: (site.deployed(), site.edited())[0], "affected: file stacks/a/main.tf changed"),
    "apply failed": (lambda site: site.deployed(Outcome.FAILED), f"affected: its last apply failed ({shown(DEPLOYED)})"),
    "apply stopped": (
        lambda site: site.deployed(Outcome.FAILED, stopped=True), f"affected: its last apply was stopped ({shown(DEPLOYED)})",
    ),
    "apply cut off": (
        lambda site: site.deployed(Outcome.STARTED), f"affected: its last deploy was cut off (started {shown(DEPLOYED)})",
    ),
    "order unknown": (
        lambda site: site.deployed(besides=["d" * 40]),
        "affected: dddddddd was deployed, too, and which of its deploys came last is not known",
    ),
    "checks failed": (verify(Status.FAILED, Kind.CHECK_FAILED, verified=False), "its checks have not passed"),
    "checks not run": (lambda site: site.deployed(verified=None), "its checks have not passed"),
    "checks could not run": (
        verify(Status.FAILED, Kind.CONFIG), f"its checks could not be run ({shown(LATER)}): verify failed",
    ),
    "checks stopped": (verify(Status.FAILED, Kind.STOPPED), "up to date"),
    "drift: none": (of_check(Status.OK), "up to date"),
    "drift: drifted": (of_check(Status.DRIFTED), f"drift drifted (found {shown(LATER)})"),
    "drift: drifted, then deployed": (deployed_since(Status.DRIFTED), "up to date"),
    "drift: failed": (
        of_check(Status.FAILED, kind=Kind.ENGINE), f"its last check for drift failed ({shown(LATER)}): drift failed",
    ),
    "drift: failed, then deployed": (deployed_since(Status.FAILED, Kind.ENGINE), "up to date"),
    "drift: state lost": (
        of_check(Status.FAILED, kind=Kind.STATE_REFUSED), f"its last check for drift failed ({shown(LATER)}): drift failed",
    ),
    "drift: locked": (
        of_check(Status.FAILED, kind=Kind.STATE_LOCKED), f"its last check for drift failed ({shown(LATER)}): drift failed",
    ),
    "drift: stopped": (
        of_check(Status.FAILED, kind=Kind.STOPPED), f"its last check for drift was stopped ({shown(LATER)})",
    ),
    "drift: failed, drifted before": (
        failed_after_drift,
        f"drift drifted (found {shown(LATER)}); its last check for drift failed ({shown(LATEST.replace('08:', '09:'))}): drift failed",
    ),
    "drift: undeployed, changed back": (of_check(Status.UNDEPLOYED, deployed={"commit": "c"}), "up to date"),
    "drift: adopted, changed back": (
        adopted, f"drifted, and the code that adopted it is not here (found {shown(LATEST)})",
    ),
    "drift: failed, and changed": (
        failed_and_changed,
        f"affected: file stacks/a/main.tf changed; its last check for drift failed ({shown(LATER)}): drift failed",
    ),
    "a plan waits": (waiting, "a plan waits that would be refused: .deploy/local/plans/a/manifest.json"),
    "state not saved": (unsaved, "a state that could not be saved is in stacks/a/errored.tfstate"),
    "being deployed": (being_deployed, "being deployed by pipeline 7"),
    "in error": (in_error, "in error, see below"),
}  # fmt: skip


@pytest.fixture(params=CASES)
def site(request: pytest.FixtureRequest, load: Callable[..., Project]) -> tuple[str, Site]:
    name: str = request.param
    found = Site(Run(load(CHECKED if name.startswith("checks") else "", "stacks/a/main.tf:")))
    CASES[name][0](found)
    return name, found


def table(run: Run, capsys: pytest.CaptureFixture[str]) -> tuple[str, str, bool]:
    """The row, the total, and whether the command fails."""
    try:
        said, failed = status.text(run), False
    except SeveralErrors:
        said, failed = capsys.readouterr().out, True
    lines = said.splitlines()
    row = next(line for line in lines if line.startswith("a "))
    column = lines[0].index("state")
    return row[column:], next(line for line in lines if line.startswith("local: ")), failed


def test_every_face_says_the_same(site: tuple[str, Site], capsys: pytest.CaptureFixture[str]) -> None:
    name, found = site
    row, total, failed = table(found.run, capsys)
    assert row.startswith(CASES[name][1]) if name == "a plan waits" else row == CASES[name][1]
    is_well = row == "up to date"
    assert (total == "local: 1 stack, all up to date") is is_well
    assert ("up to date" in total) is is_well
    text = statusdocument.text(found.run)
    assert isinstance(text, FailedText) is failed is (name == "in error")
    document = json.loads(text)
    [part] = document["stacks"]
    assert document["verdict"] == total.removeprefix("local: ").partition(";")[0]
    assert part["summary"] == row or failed
    drift = part["drift"]
    is_noted = drift is not None and drift["status"] in ("drifted", "failed", "adopted")
    reported = [part["affected"], part["unverified"], part["plan"], part["deploying"], part["unsaved_state"], is_noted]
    if name != "checks could not run":  # which only its summary says
        assert any([*reported, part["problem"]]) is not is_well
    assert (part["earlier_drift"] is not None) is (name == "drift: failed, drifted before")
    if is_well:
        assert found.run.settled.keys() == {"a"}, "only what is up to date need not be looked at again"
    else:
        assert not found.run.settled


def test_every_mark_has_a_state_that_counts_as_it() -> None:
    """What is missing here has a test of its own."""
    rows = "; ".join(row for _, row in CASES.values())
    words = {
        Mark.AFFECTED: "affected", Mark.UNVERIFIED: "have not passed", Mark.PLANNED: "a plan waits",
        Mark.DEPLOYING: "being deployed", Mark.UNSAVED: "could not be saved", Mark.DRIFTED: "drifted (found",
        Mark.UNCHECKED: "check for drift failed", Mark.UNRUN: "could not be run", Mark.ERROR: "in error",
    }  # fmt: skip
    assert words.keys() == {*Mark} - {Mark.DIFFERENT}
    assert all(text in rows for text in words.values())


def test_what_the_dashboard_reads_is_what_its_own_tests_read(site: tuple[str, Site]) -> None:
    name, found = site
    run = run_of(found.run)
    try:
        for each in run.project.stacks.values():
            assess_once(run, each)
    except DeployError:
        run.assessed = {}
    if name != "in error":
        overview.update(run, head(LATEST))
    entry = json.loads(run.layout.overview.read_text())["stacks"]["a"]
    facts = {key: entry[key]["status"] for key in overview.FACTS if key in entry and key != "deployed"}
    facts = {key: word for key, word in facts.items() if word != "free"}
    assert facts == FACES[name]["facts"]


def test_the_tables_are_of_the_same_states() -> None:
    assert FACES.keys() == CASES.keys()


def test_a_check_without_a_receipt_that_differs_is_told(load: Callable[..., Project]) -> None:
    """As with `base=`, where nothing has changed since the base, and what exists differs all the same."""
    run = Run(load("", "stacks/a/main.tf:"))
    found = Result("drift", "a", Status.UNDEPLOYED, "differs", details=DriftDetails(), started_at=LATER)
    assert list(conditions._of_drift(found, affected=False)) == [(Mark.DIFFERENT, f"differs (found {shown(LATER)})")]
    assert list(conditions._of_drift(found, affected=True)) == []
    assert run.project.stacks
