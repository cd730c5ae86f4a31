"""Only what was encrypted with our key, and was not changed since, is decrypted."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tasks.base import sealed
from tasks.engine.planfile import encrypted
from tasks.engine.planfile import plan as plans
from tasks.engine.planfile.wire import UnreadableError

KEY = b"k" * 32


def written(key: bytes = KEY, name: str = "key_1", **more: Any) -> bytes:
    """A file as the engine writes it."""
    nonce = os.urandom(12)
    data = nonce + AESGCM(key).encrypt(nonce, b"the plan", None)
    value = {
        "meta": {f"key_provider.external.{name}": "e30="}, "encrypted_data": base64.b64encode(data).decode(),
        "encryption_version": "v0",
    }  # fmt: skip
    return json.dumps({**value, **more}).encode()


def test_what_the_engine_encrypts_is_decrypted() -> None:
    assert encrypted.decrypted(written(), "key_1", KEY) == b"the plan"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(written(b"x" * 32), id="another key"),
        pytest.param(written(name="key_2"), id="another key's name"),
        pytest.param(written(encryption_version="v1"), id="another version"),
        pytest.param(written(encrypted_data=""), id="nothing"),
        pytest.param(written(encrypted_data="AAAA"), id="too short"),
        pytest.param(written(encrypted_data="*"), id="no Base64"),
        pytest.param(written(encrypted_data=None), id="null"),
        pytest.param(written(meta=[]), id="no names"),
        pytest.param(b"PK\x03\x04", id="a plain plan"),
        pytest.param(b"[" * 100_000, id="nested"),
        pytest.param(b"{}", id="empty"),
        pytest.param(b"", id="no bytes"),
    ],
)
def test_anything_else_cannot_be_read(content: bytes) -> None:
    with pytest.raises(UnreadableError):
        encrypted.decrypted(content, "key_1", KEY)


def test_every_changed_byte_of_the_data_is_found() -> None:
    value = json.loads(written())
    data = base64.b64decode(value["encrypted_data"])
    for place in range(len(data)):
        value["encrypted_data"] = base64.b64encode(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]).decode()
        with pytest.raises(UnreadableError):
            encrypted.decrypted(json.dumps(value).encode(), "key_1", KEY)


def test_where_plans_have_to_be_encrypted_a_plain_one_is_not_read() -> None:
    with sealed.of(b"PK\x05\x06" + bytes(18)) as plan, pytest.raises(UnreadableError, match="not an encrypted plan"):
        plans.read(plan, lambda content: encrypted.decrypted(content, "key_1", KEY))
