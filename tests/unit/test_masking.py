"""Masking: a learned secret never survives, in whatever form it stands."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.base import encodings
from tasks.base.masking import MASK, Masker, Rendered
from tasks.base.ownwords import own
from tasks.run.details import CheckRecord, DeployDetails, masked
from tests import secretforms
from tests.e2e import test_secret_kinds as secret_kinds

ORDINARY = {"true", "false", "null", "none"}
SECRETS = st.text(min_size=4, max_size=30) | st.text(alphabet="ab/+&<>\"'\\\n %=é", min_size=4, max_size=12)


def masker(*secrets: Any) -> Masker:
    """A masker that knows some secrets."""
    made = Masker()
    made.add(secrets)
    return made


def forms(secret: str) -> dict[str, str]:
    """How a secret may stand in a text."""
    raw = secret.encode()
    return {
        "plain": secret,
        "json": json.dumps(secret)[1:-1],
        "json in utf-8": json.dumps(secret, ensure_ascii=False)[1:-1],
        "json as Go writes it": json.dumps(secret)[1:-1]
        .replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
        "base64": base64.b64encode(raw).decode(),
        "base64 for URLs": base64.urlsafe_b64encode(raw).decode(),
        "base64 without padding": base64.b64encode(raw).decode().rstrip("="),
        "in a path": quote(secret),
        "in a URL": quote(secret, safe=""),
        "in a form": quote_plus(secret),
    }  # fmt: skip


@given(SECRETS, st.text(max_size=20), st.text(max_size=20))
def test_a_learned_secret_never_survives_in_any_form(secret: str, before: str, after: str) -> None:
    assume(secret.lower() not in ORDINARY and not own(secret))
    mask = masker(secret)
    for name, form in forms(secret).items():
        masked = mask.text(before + form + after)
        assert MASK in masked, name
        assert not [piece for piece in masked.split(MASK) if form in piece], name


@given(st.lists(SECRETS, min_size=1, max_size=5), st.data())
def test_of_several_secrets_none_survives_even_where_they_overlap(secrets: list[str], data: st.DataObject) -> None:
    known = [secret for secret in secrets if secret.lower() not in ORDINARY and not own(secret)]
    mask = masker(known)
    pieces = data.draw(st.lists(st.sampled_from([*secrets, *(secret[1:] for secret in secrets), " "]), max_size=6))
    masked = mask.text("".join(pieces)).split(MASK)
    assert not [(secret, piece) for secret in known for piece in masked if secret in piece]


@given(SECRETS)
def test_a_learned_secret_never_survives_in_a_json_value(secret: str) -> None:
    assume(secret.lower() not in ORDINARY and not own(secret))
    shown = masker(secret).value({"a": [secret, {"b" + secret: f"x{secret}x"}], "n": 1})
    assert list(shown["a"][1]) == ["b" + secret], "a key stays as it is"
    leaves = [shown["a"][0], *shown["a"][1].values()]
    assert not [piece for leaf in leaves for piece in leaf.split(MASK) if secret in piece]
    assert shown["n"] == 1


def test_a_secret_of_several_lines_is_masked_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nabcdefgh\n  ijklmnop\n-----END KEY-----\n"
    mask = masker(key)
    assert mask.text("1: abcdefgh\n2: ijklmnop\n") == f"1: {MASK}\n2: {MASK}\n"
    assert mask.text(f"<{key}>") == f"<{MASK}>"


def test_lists_mappings_and_numbers_are_learned_but_not_their_keys() -> None:
    mask = masker({"user": ["alice-secret", 123456, {"x": 7.125}], "flag": True, "none": None})
    assert mask.text("user alice-secret 123456 7.125 flag True") == f"user {MASK} {MASK} {MASK} flag True"
    assert mask.value({"a": 123456, "b": 7.125, "c": True, "d": 12}) == {"a": MASK, "b": MASK, "c": True, "d": 12}


def test_the_parts_of_a_variable_that_is_json_are_learned() -> None:
    assert masker('["first-secret", {"k": "second-secret"}]').text("second-secret, first-secret") == f"{MASK}, {MASK}"


@pytest.mark.parametrize("value", ["", "a", "abc", "true", "False", "null", "None", 1, 12, True, False, None])
def test_what_stands_everywhere_by_chance_is_not_masked(value: object) -> None:
    text = "abc a true False null None 1 12 True"
    assert masker(value).text(text) == text


def test_the_longest_secret_is_masked_whole() -> None:
    assert masker("abcd", "abcdefgh").text("abcdefgh abcd") == f"{MASK} {MASK}"


@pytest.mark.parametrize(
    "name",
    ["TF_HTTP_PASSWORD", "GITLAB_TOKEN", "ci_job_token", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "PG_CONN_STR",
     "MY_API_KEY", "SSH_PRIVATE_KEY", "DB_PASSWD", "TF_ENCRYPTION_PASSPHRASE", "GOOGLE_CREDENTIALS"],
)  # fmt: skip
def test_variables_that_sound_like_secrets_are_known_from_the_start(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "hunter2-hunter2")
    assert Masker().text("it is hunter2-hunter2!") == f"it is {MASK}!"


def test_other_variables_are_not_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_REGION", "eu-central-1")
    assert Masker().text("eu-central-1") == "eu-central-1"


@pytest.mark.parametrize("glob", ["DATABASE_URL", "DATABASE_*", "*_URL"])
def test_variables_that_the_configuration_names_are_secrets_too(monkeypatch: pytest.MonkeyPatch, glob: str) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://me:hunter2@db")
    assert Masker(["OTHER", glob]).text("at postgres://me:hunter2@db/x") == f"at {MASK}/x"
    monkeypatch.setenv("DATABASE_URL", "hunter2-hunter2")
    assert Masker(["OTHER"]).text("hunter2-hunter2") == "hunter2-hunter2"


def test_a_secret_whose_bytes_are_no_utf8_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = b"caf\xe9-secret"
    monkeypatch.setenv("DB_PASSWORD", os.fsdecode(raw))
    shown = Masker().text(f"{os.fsdecode(raw)} {base64.b64encode(raw).decode()} {quote(raw)}")
    assert shown.replace("==", "").replace("=", "") == f"{MASK} {MASK} {MASK}"
    assert masker("lone \ud800 surrogate").text("lone \ud800 surrogate") == MASK


def test_without_secrets_nothing_changes() -> None:
    mask = masker()
    value = {"a": [1, "x", None, 2.5, True]}
    assert mask.value(value) == value


@pytest.mark.parametrize("value", ["[" * 5000, '{"a": ' * 3000])
def test_what_only_looks_like_json_is_a_text(value: str) -> None:
    assert masker(value).text(f"<{value}>") == f"<{MASK}>"


def test_the_password_of_a_url_in_any_variable_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://app:db-p%40ss@db.example.test/app")
    monkeypatch.setenv("LOCAL_DB", "postgres://postgres:postgres@localhost/x")
    made = Masker()
    assert "db-p%40ss" not in made.text("dial postgres://app:db-p%40ss@db.example.test/app")
    assert "db-p@ss" not in made.text("password db-p@ss is wrong")
    assert made.text("the stack postgres") == "the stack postgres"


def test_a_token_that_is_a_key_is_a_secret_and_a_word_is_none() -> None:
    made = masker({"key-is-secret-4711": "x-value", "username": "someone"})
    assert made.text("key-is-secret-4711 username someone") == f"{MASK} username {MASK}"


def test_details_of_results_are_masked_in_every_text_and_keep_their_numbers() -> None:
    mask = Masker()
    mask.add(["hunter2-known", 1234])
    check = CheckRecord("tcp", "x", False, "hunter2-known", "x: hunter2-known", 1234, 1.5, ["curl hunter2-known"])
    details = DeployDetails(applied=True, outputs={"a": ["hunter2-known", 1234]}, checks=[check])
    shown = masked(details, mask)
    assert isinstance(shown, DeployDetails)
    assert "hunter2-known" not in str(shown)
    assert (shown.applied, shown.checks[0].looks, shown.checks[0].passed) == (True, 1234, False)
    assert shown.outputs["a"] == [MASK, MASK]


# --- forms, cost, words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", secretforms.FORMS)
def test_a_secret_of_any_kind_cannot_be_read_in_any_form(form: str) -> None:
    kinds = {**secret_kinds.CONFIG, **secret_kinds.ENVIRONMENT, **secret_kinds.AMBIENT}
    mask = masker(*kinds.values())
    shown = {name: mask.text(f"a {secretforms.FORMS[form](text)} b") for name, text in kinds.items()}
    assert {name for name, text in shown.items() if name in secret_kinds.leaks(text)} == set()
    assert all(MASK in text for text in shown.values())


@pytest.mark.parametrize("form", secretforms.FORMS)
def test_a_secret_within_a_document_cannot_be_read_in_any_form(form: str) -> None:
    mask = masker(*secret_kinds.FILE.values())
    for name, value in secret_kinds.FILE.items():
        text = secretforms.FORMS[form](json.dumps(value, separators=(",", ":")))
        assert name not in secret_kinds.leaks(mask.text(text)), name


@pytest.mark.parametrize("way", secretforms.CHANGED)
def test_a_secret_in_another_case_or_reversed_cannot_be_read(way: str) -> None:
    kinds = {**secret_kinds.CONFIG, **secret_kinds.ENVIRONMENT, **secret_kinds.AMBIENT}
    mask = masker(*kinds.values())
    for name, secret in kinds.items():
        for text in (secretforms.CHANGED[way](secret), json.dumps(secretforms.CHANGED[way](secret))):
            shown = mask.text(f"a {text} b")
            assert MASK in shown, name
            assert not [line for line in text.splitlines() if len(line) >= 8 and line in shown], name


@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        ("hunter", "HUNTER Hunter hunter", f"{MASK} {MASK} {MASK}"),
        ("trap", "part", "part"),  # a short word in reverse may be another word
        ("tr4p", "p4rt", MASK),
        ("Delete", "DELETE delete eteled", "DELETE delete eteled"),  # a word of ours in a sentence
        ("correct horse 4711", "Correct Horse 4711", MASK),
        ("secret_name/of-x9", "SECRET_NAME/OF-X9 Secret_name/Of-X9", f"{MASK} {MASK}"),
    ],
)
def test_what_another_case_or_reverse_of_a_secret_hides(secret: str, text: str, shown: str) -> None:
    assert masker(secret).text(text) == shown


def test_another_case_of_a_secret_in_a_name_counts_if_it_is_no_mere_word() -> None:
    mask = masker("Production", "Hunter2-Known-4711")
    assert not mask.exposed("module.production.x")
    assert mask.exposed("hunter2-known-4711")
    assert mask.exposed("1174-nwonK-2retnuH")


BROKEN = {
    "by the engine's box": "│ it says correct horse\n│ battery staple 4711, and\n",
    "by a box within a box": "│ it says correct\n│   │ horse battery\n│   │ staple 4711\n",
    "by what a provisioner prints": "a.b (local-exec): correct horse\na.b (local-exec): battery staple 4711\n",
    "by a carriage return": "correct horse\r\nbattery staple 4711",
    "by colours": "correct \x1b[1mhorse\x1b[0m battery staple 4711",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_secret_that_was_broken_over_lines_is_found(how: str) -> None:
    shown = masker("correct horse battery staple 4711").text(BROKEN[how])
    assert MASK in shown
    assert not [word for word in ("correct", "horse", "battery", "staple") if word in shown]


def test_lines_that_have_no_secret_between_them_stay_lines() -> None:
    text = "12\n34\n5678\n│ abcd\n│ efgh\n"
    assert masker("1234", "cdef").text(text) == text


def test_looking_for_10_times_the_secrets_costs_no_more_looks() -> None:
    text = "\n".join(f"resource r{number}: a line that says something of it" for number in range(2000))
    looks = []
    for count in (100, 1000):
        mask = masker(*(f"secret-{number:05}-{number * 7919 % 100000:05}" for number in range(count)))
        before = mask.looks
        assert mask.text(text) == text
        looks.append(mask.looks - before)
    assert looks[1] < 1.1 * looks[0]
    assert looks[0] < 3 * len(text)


def test_what_is_learned_of_a_secret_grows_with_its_length_alone() -> None:
    """A plan may have thousands: each is a bounded number of forms, and none is looked for one by one."""
    sizes = []
    for count in (100, 1000):
        mask = masker(*(f"Secret {number:05}/{number * 7919 % 100000:05}" for number in range(count)))
        sizes.append(mask.forms)
    assert sizes[1] < 10.5 * sizes[0]
    assert sizes[0] < 100 * 100


def test_finding_10_times_the_secrets_in_10_times_the_text_costs_10_times_the_looks() -> None:
    looks = []
    for count in (100, 1000):
        secrets = [f"secret-{number:05}-{number * 7919 % 100000:05}" for number in range(count)]
        mask = masker(*secrets)
        before = mask.looks
        assert mask.text("\n".join(secrets)) == "\n".join([MASK] * count)
        looks.append(mask.looks - before)
    assert looks[1] < 12 * looks[0]


@pytest.mark.parametrize("word", ["destroy", "no changes", "resources", "CAUTION"])
def test_what_we_say_ourselves_is_no_secret_in_a_sentence_but_is_one_as_a_value(word: str) -> None:
    mask = masker(word)
    assert mask.text(f"it says {word}.") == f"it says {word}."
    assert mask.value({word: [word, f"x {word}"]}) == {word: [MASK, f"x {word}"]}


def test_a_text_made_of_masked_values_is_left_as_it_is_until_it_is_cut() -> None:
    mask = masker("hunter2-known")
    made = Rendered("hunter2-known stays")
    assert mask.text(made) is made
    assert mask.text(made[:-1]) == f"{MASK} stay"


def test_a_word_in_a_name_is_no_reason_to_fail_where_it_comes_from_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CREDENTIALS", json.dumps({"type": "service_account", "project_id": "my-project-4711"}))
    monkeypatch.setenv("DB_SECRET_NAME", "production")
    mask = Masker()
    mask.add([{"kind": "kubernetes"}])
    assert not [
        name for name in ("service_account", "my-project-4711", "production", "kubernetes") if mask.exposed(name)
    ]
    mask.add(["my-project-4711"])
    assert mask.exposed("x-my-project-4711-y")


# Where texts and values are masked. Anything else hands them to one of these, which cannot be forgotten.
GATES = {
    "base/process.py": "what a child prints",
    "engine/engine.py": "what the engine prints",
    "run/output.py": "what a run prints",
    "run/run.py": "what an error or a warning says",
    "run/details.py": "what a result holds",
    "run/result.py": "what a result says",
    "base/crashlog.py": "a traceback",
    "start.py": "what is printed before there is a run",
    "artifact/changes.py": "a plan's values",
    "artifact/exposed.py": "the address of an error",
    "artifact/outputs.py": "which outputs are secret",
    "applying.py": "failed checks in a receipt",
    "proposals.py": "the difference and the words of a proposal",
    "policy/redacted.py": "a plan for checkers",
    "policy/judge.py": "what checkers say",
    "reports/console.py": "what checks wait for, in the live line",
    "reports/surface.py": "the results in a document for programs",
    "statusdocument.py": "reasons and plans in a document for programs",
    "run/observing.py": "what a check for drift says, on its way into the ledger",
    "run/hooks.py": "what a hook for failures is told",
    "ci.py": "that a generated pipeline holds no secret",
    "forges/publisher.py": "what is published before there is a run",
    "history/overview.py": "why a stack is affected",
    "history/recorder.py": "the command line and the pipeline of a run",
    "notifications/events.py": "the link to a pipeline",
    "notifications/delivery.py": "what a service said, before it is cut",
    "notifications/text.py": "what a project's own template says",
}
PACKAGE = Path(encodings.__file__).parent.parent


def test_no_module_but_the_gates_masks() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"mask\.(text|value|leaf)\b|\.masked\(run\.mask\)", path.read_text())
    }
    # These three show results that were kept before all secrets were known.
    late = {"run/action.py", "reports/write.py", "notifications/events.py"}
    assert found - {"base/masking.py"} - late <= GATES.keys()
    assert GATES.keys() <= found
