"""Notifications, received by real endpoints: once for each cause, once for its end, and never part of the outcome."""

from __future__ import annotations

import base64
import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, minimal_config, resource, wait_for
from tests.servers.receivers import MailReceiver, WebReceiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIGNING = "whsec_" + base64.b64encode(b"the signing secret of thirty-two").decode()
KEY = "k3y0f1nc0m1ngh00ks26"
CHANNELS = """
    stacks:
      b: {depends_on: [a]}
    notify:
      - {name: chat, url: "${CHAT_URL}", on: [failure, drift, recovery]}
      - {name: mail, url: "${MAIL_URL}"}
      - {name: hook, url: "${HOOK_URL}", kind: webhook, secret: "${HOOK_SECRET}", on: [failure, drift, recovery, deploy]}
"""
PROBE = """
resource "terraform_data" "probe" {
  triggers_replace = timestamp()

  provisioner "local-exec" {
    command = "test ! -e ../../broken || { cat ../../broken; date +%s%N; exit 1; }"
  }
}
"""


@pytest.fixture
def hook() -> Iterator[WebReceiver]:
    receiver = WebReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    receiver = MailReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def told(build: Callable[..., Repository], web: WebReceiver, hook: WebReceiver, mail: MailReceiver) -> Repository:
    """Stack `a` whose apply fails while there is a file `broken`, and `b` that needs it; three channels."""
    repository = build(
        minimal_config(CHANNELS),
        f"stacks/a/main.tf:{resource(extra=PROBE)}",
        f"stacks/b/main.tf:{resource()}",
    )
    repository.variables = {
        "CHAT_URL": f"mmost://{web.address}/{KEY}",
        "MAIL_URL": f"mailto://{mail.address}?from=ci@example.test&to=ops@example.test",
        "HOOK_URL": f"http://{hook.address}/t0k3n1nth3path42",
        "HOOK_SECRET": SIGNING,
    }
    return repository


def _deploy(repository: Repository, code: int) -> str:
    """Deploy `a` although nothing in it changed."""
    repository.write(f"stacks/a/note.txt:{len(list(repository.path.iterdir()))}")
    return repository.doit("-a", "deploy", code=code, CI_JOB_URL="https://ci.example.test/jobs/1").out


def test_five_runs_ring_once_for_each_cause_and_once_for_its_end(
    told: Repository, web: WebReceiver, hook: WebReceiver, mail: MailReceiver
) -> None:
    rung = []
    for broken in ("no route to the registry", "no route to the registry", "quota exceeded", None, None):
        (told.path / "broken").unlink(missing_ok=True)
        if broken:
            told.write(f"broken:{broken}")
        _deploy(told, 1 if broken else 0)
        posts, mails, calls = web.take(), mail.take(), hook.take()
        assert [item.path for item in posts] == [f"/hooks/{KEY}"] * len(posts)
        assert all(call.is_signed_with(SIGNING) for call in calls)
        rung.append(
            (
                [item.json["text"].splitlines()[0].strip("# *") for item in posts],
                [item["subject"] for item in mails],
                [call.json["type"] for call in calls],
            )
        )
    failed, well = "local: FAILED: a", "local: recovered: a"
    assert rung == [
        ([failed], [failed], ["failure"]),
        ([], [], []),
        ([failed], [failed], ["failure"]),
        ([well], [well], ["recovery", "deploy"]),
        ([], [], ["deploy"]),
    ]


def test_a_run_that_was_stopped_tells_nothing_and_forgets_nothing(told: Repository, web: WebReceiver) -> None:
    told.write("broken:no route")
    _deploy(told, 1)
    assert len(web.take()) == 1
    (told.path / "broken").unlink()
    told.write(
        f"stacks/a/main.tf:{resource(extra=PROBE.replace('test ! -e', 'touch ../../begun; sleep 30; test ! -e'))}"
    )
    process = told.start("deploy")
    wait_for((told.path / "begun").exists, "the apply")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1, out
    assert web.take() == []
    told.write(f"stacks/a/main.tf:{resource(extra=PROBE)}")
    _deploy(told, 0)
    assert ["recovered" in item.json["text"] for item in web.take()] == [True]


def test_a_verify_that_passes_again_is_a_recovery(told: Repository, web: WebReceiver) -> None:
    check = "verify: [{kind: command, command: [test, -e, well], timeout: 0}]"
    told.write(minimal_config(CHANNELS.replace("b: {depends_on: [a]}", f"b: {{depends_on: [a], {check}}}")))
    _deploy(told, 1)
    assert ["FAILED" in item.json["text"] for item in web.take()] == [True]
    told.doit("verify", code=1)
    assert web.take() == []
    told.write("well:")
    told.doit("verify")
    assert ["recovered" in item.json["text"] for item in web.take()] == [True]


def test_without_apprise_it_is_said_how_to_get_it(told: Repository, web: WebReceiver) -> None:
    told.write("missing/apprise/__init__.py:raise ImportError\n", "broken:no route")
    out = told.doit("deploy", code=1, PYTHONPATH=str(told.path / "missing")).out
    assert "not notified: chat: apprise is not installed: `pip install 'doit-tofu[notify]'`" in out
    assert web.take() == []


def test_a_failure_says_where_what_and_what_to_do(told: Repository, web: WebReceiver, hook: WebReceiver) -> None:
    told.write("broken:no route")
    told.commit()
    out = _deploy(told, 1)
    [post] = web.take()
    text = post.json["text"]
    commit = told.git("rev-parse", "--short=8", "HEAD")
    for part in ("local", "a (deploy): apply failed: local-exec", "`doit deploy` again", "not run: b", commit):
        assert part in text, text
    assert "https://ci.example.test/jobs/1" in text
    [call] = hook.take()
    assert call.json["data"]["stacks"] == ["a"]
    assert "notified: chat (failure)" in out


def test_drift_is_told_with_its_stacks_and_the_exit_code_stays_2_whatever_becomes_of_it(
    told: Repository, web: WebReceiver, hook: WebReceiver
) -> None:
    told.doit("deploy")
    web.take(), hook.take()
    web.answer = 500
    done = told.doit("drift", code=2)
    assert "not notified: chat:" in done.out
    [call] = hook.take()
    assert (call.json["type"], call.json["data"]["stacks"]) == ("drift", ["a"])
    assert call.json["data"]["items"][0]["counts"]["drifted"] == 1
    web.answer = 200
    told.doit("drift", code=2)
    assert [item.json["text"] for item in web.take() if "local: drifted: a" in item.json["text"]]
    assert [call.json["type"] for call in hook.take()] == []


@pytest.mark.parametrize("answer", ["hang", "drip", "garbage", "redirect", 429, 500, 404])
def test_a_channel_that_misbehaves_is_shown_and_changes_no_outcome(
    told: Repository, web: WebReceiver, hook: WebReceiver, answer: int | str
) -> None:
    told.write(
        minimal_config(CHANNELS.replace("{name:", "{timeout: 2, name:").replace("2, name: mail", "60, name: mail"))
    )
    hook.answer = web.answer = answer
    out = told.doit("deploy").out
    assert "not notified: hook: " in out
    told.write("broken:no route")
    out = _deploy(told, 1)
    for label in ("chat", "hook"):
        [line] = [line for line in out.splitlines() if line.startswith(f"not notified: {label}: ")]
        assert line.endswith("the next run tries again")
    assert "notified: mail (failure)" in out
    assert [item for item in [*web.take(), *hook.take()] if item.path == "/elsewhere"] == []
    hook.answer = web.answer = 200
    _deploy(told, 1)
    assert len(web.take()) == 1
    assert [call.json["type"] for call in hook.take()] == ["failure"]


def test_nothing_is_told_of_a_plan_unless_a_channel_asks_for_it(told: Repository, web: WebReceiver) -> None:
    told.write('stacks/a/bad.tf:resource "terraform_data" "bad" {\n  input = file("nowhere")\n}\n')
    told.doit("plan", code=1)
    assert web.take() == []
    told.write(minimal_config(CHANNELS.replace("{name: chat,", "{name: chat, commands: [plan],")))
    told.doit("plan", code=1)
    assert len(web.take()) == 1


def test_a_channel_hears_of_its_own_environments_and_stacks_alone(
    told: Repository, web: WebReceiver, mail: MailReceiver
) -> None:
    config = CHANNELS.replace("{name: chat,", "{name: chat, stacks: ['b*'],")
    told.write(minimal_config(config.replace("{name: mail,", "{name: mail, environments: ['prod*'],")))
    told.write("broken:no route")
    _deploy(told, 1)
    assert (web.take(), mail.take()) == ([], [])


def test_a_broken_template_is_said_and_the_built_in_text_goes_out(told: Repository, web: WebReceiver) -> None:
    told.write("broken:no route")
    for template, word in (
        ("{{ nothing }}", "UndefinedError"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{% if %}", "TemplateSyntaxError"),
    ):
        told.write(minimal_config(CHANNELS.replace("{name: chat,", f'{{name: chat, body: "{template}",')))
        told.deploy_dir("notified.json").unlink(missing_ok=True)
        out = _deploy(told, 1)
        assert f"chat: the template `body` is broken, so the built-in one was used: {word}" in out
        [post] = web.take()
        assert "a (deploy): apply failed" in post.json["text"]


def test_an_own_template_is_used(told: Repository, web: WebReceiver) -> None:
    told.write("broken:no route")
    body = "{{ event }} of {{ stacks | join }} in {{ environment }}"
    told.write(minimal_config(CHANNELS.replace("{name: chat,", f'{{name: chat, title: "Oh no", body: "{body}",')))
    _deploy(told, 1)
    [post] = web.take()
    assert "Oh no" in post.json["text"]
    assert "failure of a in local" in post.json["text"]


def test_a_variable_that_is_not_set_is_said_and_is_no_failure(told: Repository, mail: MailReceiver) -> None:
    del told.variables["CHAT_URL"]
    told.write("broken:no route")
    out = _deploy(told, 1)
    assert "not notified: chat: the environment variable CHAT_URL is not set" in out
    assert len(mail.take()) == 1
    (told.path / "broken").unlink()
    _deploy(told, 0)


def test_no_url_stands_in_what_is_printed_or_kept(told: Repository, web: WebReceiver) -> None:
    web.answer = "garbage"
    told.write("broken:no route")
    out = _deploy(told, 1) + told.doit("notify-test", code=1).out
    kept = b"".join(
        path.read_bytes()
        for path in told.path.joinpath(".deploy").rglob("*")
        if path.is_file() and path.suffix != ".tfplan"
    )
    for secret in (KEY, "t0k3n1nth3path42", SIGNING, SIGNING.removeprefix("whsec_")):
        assert secret not in out
        assert secret.encode() not in kept


@pytest.mark.parametrize(
    "url", ["https://hooks.example.test/services/T0/B0/s3cr3t-part", "slack://t0k3n", "${A}/x", "SLACK_URL", "${}"]
)
def test_a_url_in_the_configuration_is_refused_without_showing_it(told: Repository, url: str) -> None:
    told.write(minimal_config(f'notify:\n  - {{url: "{url}"}}\n'))
    out = told.doit("plan", code=1).out
    assert "config/pipeline.yaml:4" in out
    assert "notify[0].url" in out
    assert "s3cr3t-part" not in out
    assert "t0k3n" not in out


def test_notify_test_tells_every_channel_and_ends_with_1_when_one_cannot_be_told(
    told: Repository, web: WebReceiver, hook: WebReceiver, mail: MailReceiver
) -> None:
    out = told.doit("notify-test").out
    assert [label for label in ("chat", "mail", "hook") if f"{label}: delivered" in out] == ["chat", "mail", "hook"]
    assert "Test of chat (local)" in web.take()[0].json["text"]
    assert hook.take()[0].json["type"] == "test"
    assert mail.take()[0]["subject"] == "Test of mail (local)"
    hook.answer = 500
    out = told.doit("notify-test", code=1).out
    assert "hook: the response has status 500" in out
    assert "  untouched: nothing was changed\n  next: correct what the lines above name" in out
    assert "chat: delivered" in out
    assert not told.deploy_dir("notified.json").exists()


def test_what_is_kept_names_channels_and_causes(told: Repository) -> None:
    told.write("broken:no route")
    _deploy(told, 1)
    kept = told.json("notified.json")
    assert list(kept["channels"]) == ["chat", "mail", "hook"]
    assert list(kept["channels"]["chat"]) == ["failure deploy a"]
    assert "http" not in json.dumps(kept)
