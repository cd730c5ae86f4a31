"""Notifications, their pure parts: what is the same cause, when it is told again."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.artifact.changes import Counts, PlanChanges
from tasks.artifact.statecheck import Seen
from tasks.base.masking import Masker
from tasks.base.problem import Kind, Problem, doit
from tasks.drifts.classes import classify
from tasks.notifications import memory, text
from tasks.notifications.events import Findings, Item
from tasks.notifications.memory import Message
from tasks.project.model import Channel
from tasks.reports import environment
from tasks.reports.causes import fingerprint
from tasks.run.details import DriftDetails
from tasks.run.result import Result, Status
from tasks.run.run import Run

ITEM = Item("web", "deploy", "deploy", "apply failed", "engine error", "f1")
FINDINGS = Findings(
    "prod", {"deploy": "deploy", "drift": "drift"}, {}, frozenset({"web", "db"}), "2026-01-01T00:00:00Z", {}, (ITEM,)
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("at 2026-01-01T10:00:00Z it failed", "at 2026-02-03T11:12:13.5Z it failed"),
        ("no answer after 12.5 s, 3 tries", "no answer after 61 s, 14 tries"),
        ("request 5f0c954e-1b1c-4b7e-9d53-0d2f8f1f6c11", "request 6a0c954e-1b1c-4b7e-9d53-0d2f8f1f6c12"),
        ("on main.tf line 12, in resource", "on main.tf line 14, in resource"),
        ("one\ntwo", "two\none"),
    ],
)
def test_times_ids_and_order_make_no_other_cause(one: str, other: str) -> None:
    assert fingerprint("deploy", "engine error", one) == fingerprint("deploy", "engine error", other)


@pytest.mark.parametrize(("one", "other"), [("status 500", "status 503"), ("no route", "quota exceeded")])
def test_another_cause_is_another_one(one: str, other: str) -> None:
    assert fingerprint("deploy", "engine error", one) != fingerprint("deploy", "engine error", other)


def _told(channel: Channel, findings: Findings, known: memory.Incidents) -> list[str]:
    messages = memory.due(channel, findings, known)
    for message in messages:
        message.remember(known, findings.at)
    return [message.event for message in messages]


def test_what_goes_on_is_told_again_after_the_hours_of_repeat() -> None:
    channel, known = Channel(url="${X}", repeat=24), {}  # type: ignore[var-annotated]
    assert _told(channel, FINDINGS, known) == ["failure"]
    assert _told(channel, replace(FINDINGS, at="2026-01-01T23:59:00Z"), known) == []
    assert _told(channel, replace(FINDINGS, at="2026-01-02T00:00:00Z"), known) == ["failure"]
    assert _told(channel, replace(FINDINGS, at="2026-01-02T01:00:00Z"), known) == []


def test_a_channel_for_recoveries_alone_hears_of_the_end() -> None:
    channel, known = Channel(url="${X}", on=["recovery"]), {}  # type: ignore[var-annotated]
    assert _told(channel, FINDINGS, known) == []
    well = replace(FINDINGS, failures=(), results={"deploy:web": Result("deploy", "web", Status.UNAFFECTED)})
    assert _told(channel, well, known) == ["recovery"]
    assert _told(channel, well, known) == []


def drifted(*resources: dict[str, Any]) -> DriftDetails:
    """Resources that drifted, each by what is told of it."""
    whole = {
        "address": "terraform_data.it",
        "action": "change",
        "before": {"n": 1},
        "after": {"n": 2},
        "changed": ["n"],
    }
    items = [{**whole, **resource} for resource in resources]
    found = PlanChanges(
        Counts(),
        resources=[item for item in items if "name" not in item],
        outputs=[item for item in items if "name" in item],
    )
    return DriftDetails({}, classify(found, Seen(None, None, empty=False), None, as_deployed=True))


def drift_of(
    details: DriftDetails, summary: str = "drifted: five and 3 more", *, remind: float | None = None
) -> Findings:  # fmt: skip
    """What a run of `doit drift` finds that finds this drift of the stack web."""
    run: Any = SimpleNamespace(
        project=SimpleNamespace(
            environment="prod",
            stacks={"web": None, "db": None},
            graph=SimpleNamespace(order=["web", "db"]),
            config=SimpleNamespace(drift=SimpleNamespace(remind=remind)),
        ),
        results={"drift:web": Result("drift", "web", Status.DRIFTED, summary, details=details)},
        shown_revision=SimpleNamespace(short="abc"),
        mask=Masker(),
        named_environment="prod",
    )
    return Findings.of(run, {"drift"}, [])


EIGHT = [{"address": f"terraform_data.it[{number}]"} for number in range(8)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([{"address": 'node["10001"]'}], [{"address": 'node["20002"]'}]),
        ([{"before": {"n": 10001}}], [{"before": {"n": 20002}}]),
        ([{"action": "change"}], [{"action": "replace"}]),
        (EIGHT, [*EIGHT[:6], {**EIGHT[6], "after": {"n": 3}}, EIGHT[7]]),
        (EIGHT, [*EIGHT[:7], {"address": "terraform_data.other"}]),
        (EIGHT, EIGHT[:7]),
        ([{"address": None, "name": "url"}], [{"address": None, "name": "port"}]),
    ],
)
def test_a_drift_of_something_else_is_told_although_its_line_is_the_same(one: list[Any], other: list[Any]) -> None:
    channel, known = Channel(url="${X}"), {}  # type: ignore[var-annotated]
    assert _told(channel, drift_of(drifted(*one)), known) == ["drift"]
    assert _told(channel, drift_of(drifted(*other)), known) == ["drift"]


def test_the_same_drift_is_told_once_whatever_the_order_the_words_and_what_does_not_differ() -> None:
    channel, known = Channel(url="${X}"), {}  # type: ignore[var-annotated]
    assert _told(channel, drift_of(drifted(*EIGHT)), known) == ["drift"]
    same = [{**item, "before": {"n": 1, "seen_at": number}} for number, item in enumerate(EIGHT)]
    assert _told(channel, drift_of(drifted(*reversed(same)), summary="drifted: in other words"), known) == []


def test_known_drift_is_told_again_after_the_hours_of_remind_unless_the_channel_says_otherwise() -> None:
    found = drift_of(drifted({}), remind=24)
    first, later = replace(found, at="2026-01-01T00:00:00Z"), replace(found, at="2026-01-02T00:00:00Z")
    for channel, again in ((Channel(url="${X}"), ["drift"]), (Channel(url="${X}", repeat=100), [])):
        known: memory.Incidents = {}
        assert _told(channel, first, known) == ["drift"]
        assert _told(channel, replace(first, at="2026-01-01T23:59:00Z"), known) == []
        assert _told(channel, later, known) == again
    known = {}
    assert _told(Channel(url="${X}"), replace(FINDINGS, remind=24), known) == ["failure"]
    assert _told(Channel(url="${X}"), replace(FINDINGS, remind=24, at="2026-02-01T00:00:00Z"), known) == []


@pytest.mark.parametrize(("deployed", "told"), [({"commit": "c"}, ["recovery"]), (None, [])])
def test_drift_is_over_where_only_undeployed_code_is_left_if_the_deploy_before_is_known(
    deployed: dict[str, Any] | None, told: list[str]
) -> None:
    channel, known = Channel(url="${X}"), {}  # type: ignore[var-annotated]
    assert _told(channel, drift_of(drifted({})), known) == ["drift"]
    result = Result("drift", "web", Status.UNDEPLOYED, details=DriftDetails(deployed=deployed))
    assert _told(channel, replace(drift_of(drifted({})), drifts=(), results={"drift:web": result}), known) == told


def test_a_problem_goes_to_templates_and_webhooks_as_a_value_and_as_a_sentence() -> None:
    problem = Problem(Kind.ENGINE, "no", next=("then ", doit("plan:web", environment="prod")))
    found = replace(ITEM, problem=problem).to_json()
    assert found["next_step"] == "then `doit env=prod plan:web`"
    assert found["problem"] == problem.to_json()
    assert ITEM.to_json()["next_step"] == ""


def test_a_run_that_did_not_look_or_could_not_ends_nothing() -> None:
    channel, known = Channel(url="${X}"), {}  # type: ignore[var-annotated]
    _told(channel, FINDINGS, known)
    for results in ({}, {"deploy:web": Result("deploy", "web", Status.NOT_RUN)}):
        assert _told(channel, replace(FINDINGS, failures=(), results=results), known) == []
    assert list(known) == ["failure deploy web"]


@pytest.mark.parametrize(
    ("value", "called"),
    [
        ("@all look", "@\u200ball look"),
        ("<!channel> and <!here|here>", "<\u200b!channel> and <\u200b!here|here>"),
        ("<@U123> (@everyone)", "<\u200b@\u200bU123> (@\u200beveryone)"),
        ("<#C1>", "<\u200b#C1>"),
        ("ada@example.test stays", "ada@example.test stays"),
        ("git@host:x and a <b> @ 5", "git@host:x and a <b> @ 5"),
        ("<https://evil.example|Approve>", "<\u200bhttps://evil.example|Approve>"),
        ("<MAILTO:a@b.c|x>", "<\u200bMAILTO:a@b.c|x>"),
        ("[Approve](https://evil.example)", "[Approve]\u200b(https://evil.example)"),
        ("![](https://evil.example/pixel)", "![]\u200b(https://evil.example/pixel)"),
        ('at https://x.example/a and m["a"]["b"].c[0]', 'at https://x.example/a and m["a"]["b"].c[0]'),
    ],
)
def test_a_value_calls_nobody_in_a_chat(value: str, called: str) -> None:
    assert text.quiet({"items": [{"what": value, "n": 1}], "link": None}) == {
        "items": [{"what": called, "n": 1}], "link": None,
    }  # fmt: skip


def test_a_message_of_drift_says_what_to_do_and_one_of_its_end_that_it_was_repaired() -> None:
    ways = [("deploy the code again", "doit env=prod deploy --repair web"), ("look into it", "doit env=prod drift:web")]
    item = Item("web", "drift", "drift", "drifted: a.b", "drift", ways=ways, since="yesterday").to_json()
    body = environment.sandboxed().from_string(text.BODY)

    def told(event: str, *repaired: str) -> str:
        given = {"deployed": [], "not_run": [], "commit": "abc", "link": ""}
        return body.render(event=event, items=[item], repaired=repaired, **given)

    for name, command in ways:
        assert f"{name}: `{command}`" in told("drift")
    assert "web: repaired; was drifted since yesterday" in told("recovery", "web")
    assert "web: recovered; was drifted since yesterday" in told("recovery")


@pytest.mark.parametrize(("event", "said"), [("test", "doit-tofu reaches this channel.\ncommit abc"), ("deploy", "")])
def test_a_template_that_lists_what_a_test_does_not_have_is_no_empty_message(load: Any, event: str, said: str) -> None:
    own = "{% for item in items %}{{ item.stack }}{% endfor %}{{ link }}"
    settings = Channel(url="${SLACK_URL}", body=own)  # type: ignore[call-arg]
    facts = {"commit": "abc", "link": "", "deployed": [], "repaired": [], "not_run": []}
    _, body = text.render(Run(load("", "stacks/a/main.tf:")), settings, Message(event, "local", (), facts))
    assert body == said
