"""The note of a deployed tag: a job with a key believes what that key has signed, for this tag and this commit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tasks.artifact.tagnote import TagNote
from tasks.project.config.signer import Signer

TAG, COMMIT = "deployed-prod", "c" * 40
KEY = Signer("DEPLOY_ARTIFACT_KEY", "aaaaaaaa", b"k" * 32)
OTHER = Signer("DEPLOY_STATE_KEY", "bbbbbbbb", b"o" * 32)
NOTE = TagNote(COMMIT, {"web": ["TF_VAR_x"]}, {"web": [("files/a", "read")]}, {"jobs/batch": "1234abcd"})


def test_a_signed_note_is_read_with_its_key_and_without_any() -> None:
    text = NOTE.text(TAG, KEY)
    assert text.startswith("deployed by doit-tofu\n\n")
    for keys in ([KEY], [OTHER, KEY], []):
        assert TagNote.parse(text.strip(), COMMIT, TAG, keys) == NOTE
    assert TagNote.parse(NOTE.text(TAG, None).strip(), COMMIT, TAG, []) == NOTE


def changed(**values: Any) -> Callable[[str], str]:
    def change(text: str) -> str:
        head, _, line = text.rpartition("\n")
        return f"{head}\n{json.dumps({**json.loads(line), **values})}"

    return change


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: NOTE.text(TAG, None).strip(), lambda _: NOTE.text(TAG, OTHER).strip(),
        lambda _: NOTE.text("deployed-dev", KEY).strip(), changed(begun={}), changed(observed={}),
        changed(environment_variables={}), changed(signature=""), changed(signature=None), changed(signature=["x"]),
        lambda text: text.replace("signature", "Signature"),
    ],
)  # fmt: skip
def test_a_note_that_the_key_has_not_signed_does_not_count(forge: Callable[[str], str]) -> None:
    assert TagNote.parse(forge(NOTE.text(TAG, KEY).strip()), COMMIT, TAG, [KEY]) is None


def test_a_note_of_another_commit_does_not_count_whoever_signed_it() -> None:
    text = NOTE.text(TAG, KEY).strip()
    assert TagNote.parse(text, "d" * 40, TAG, [KEY]) is None
    assert TagNote.parse(changed(commit="d" * 40)(text), "d" * 40, TAG, [KEY]) is None
    assert TagNote.parse(changed(commit="d" * 40)(text), "d" * 40, TAG, []) is not None
