"""Keys apart: each one line of base64, for one purpose; what is no key is an error that names the way to make one."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

import pytest

from tasks.project.config import signature
from tasks.project.config.keyring import Keyring
from tasks.project.model import Encryption

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project

PASSPHRASE = "a passphrase of many characters"
STATE, ARTIFACT, REVIEW = "DEPLOY_STATE_KEY", "DEPLOY_ARTIFACT_KEY", "DEPLOY_REVIEW_KEY"


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture
def ring() -> Keyring:
    return Keyring(Encryption())  # type: ignore[call-arg]


def _problems(ring: Keyring) -> str:
    return "\n".join(str(problem.problem.text()) for problem in ring.problems())


def test_without_any_key_nothing_is_signed(ring: Keyring) -> None:
    assert not ring.signs
    assert ring.artifact is None
    assert ring.review is None
    assert ring.artifacts == []


def test_without_a_key_of_its_own_a_signature_is_the_passphrases(
    ring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOY_ENCRYPTION_KEY", PASSPHRASE)
    assert ring.signs
    assert ring.artifact == ring.review == ring.current
    assert ring.artifacts == [ring.current]


def test_with_an_artifact_key_the_passphrase_signs_nothing_that_is_believed(
    ring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOY_ENCRYPTION_KEY", PASSPHRASE)
    monkeypatch.setenv(ARTIFACT, _key())
    assert [key.variable for key in ring.artifacts] == [ARTIFACT]
    assert ring.artifact is not None
    assert ring.current is not None
    signed = signature.sign({"a": 1}, ring.current)
    assert not signature.fits({"a": 1}, signed, ring.artifact)
    assert ring.review == ring.current
    monkeypatch.setenv(REVIEW, _key())
    assert ring.review is not None
    assert ring.review.variable == REVIEW


def test_an_artifact_key_alone_signs_and_encrypts_nothing(ring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ARTIFACT, _key())
    assert ring.signs
    assert not ring.is_set
    assert ring.current is None


def test_one_key_does_not_do_for_two_purposes_by_its_bytes(ring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    text = _key()
    monkeypatch.setenv(ARTIFACT, text)
    monkeypatch.setenv(REVIEW, text)
    assert ring.artifact is not None
    assert ring.review is not None
    assert ring.artifact.signature != ring.review.signature
    assert "both hold the same key" in _problems(ring)


def test_a_state_key_takes_the_place_of_the_passphrase(ring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    text = _key()
    monkeypatch.setenv(STATE, f"  {text}\n")
    assert ring.is_set
    assert ring.current is not None
    assert ring.current.variable == STATE
    assert ring.current.encryption not in (base64.b64decode(text), b"")
    assert _problems(ring) == ""
    monkeypatch.setenv("DEPLOY_ENCRYPTION_KEY", PASSPHRASE)
    assert "both are set, but states have only one key" in _problems(ring)


@pytest.mark.parametrize("name", [STATE, ARTIFACT, REVIEW])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("correct-horse-battery-staple", "its 28 characters are not base64"),
        (base64.b64encode(b"x" * 24).decode(), "it is base64 of 24 bytes"),
        (base64.b64encode(b"x" * 32).decode() + "\n" + base64.b64encode(b"x" * 32).decode(), "it has several lines"),
        ("-----BEGIN KEY-----", "its 19 characters are not base64"),
    ],
)
def test_what_is_no_key_is_said_with_the_command_that_makes_one(
    ring: Keyring, monkeypatch: pytest.MonkeyPatch, name: str, text: str, said: str
) -> None:
    monkeypatch.setenv(name, text)
    found = _problems(ring)
    assert f"{name} holds no key: {said}" in found
    assert "`openssl rand -base64 32` makes one" in found
    assert text not in found


def test_no_key_reaches_a_child_or_is_shown(ring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (STATE, ARTIFACT, REVIEW):
        monkeypatch.setenv(name, _key())
    assert {STATE, ARTIFACT, REVIEW} <= set(ring.variables)
    assert len(ring.passphrases) == 3
    assert ring.artifact is not None
    assert ring.artifact.signature.hex() not in repr(ring.artifact)


def test_other_variables_may_hold_them(load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROD_ARTIFACT", _key())
    project = load("encryption: {artifact_key: PROD_ARTIFACT, review_key: null}", "stacks/a/main.tf:")
    assert project.keyring.artifact is not None
    assert project.keyring.artifact.variable == "PROD_ARTIFACT"
    assert project.keyring.review is None
