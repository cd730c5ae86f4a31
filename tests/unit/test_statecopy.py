"""Copies of states: exactly what was read comes back, to those alone who have the key, and no more are kept than wanted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.artifact import statecopy
from tasks.artifact.statecopy import Copy, UnreadableCopyError
from tasks.base.layout import Layout
from tasks.project.config.keyring import Keyring, derive
from tasks.project.model import Encryption

PASSPHRASE = "a passphrase that is long enough"
STATE = b'{"version": 4, "serial": 3, "number": 12345678901234567890.1234567890, "secret": "hunter2"}\n'


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, "prod")


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    monkeypatch.setenv("DEPLOY_ENCRYPTION_KEY", PASSPHRASE)
    return Keyring(Encryption())  # type: ignore[call-arg]


def kept(layout: Layout, serial: int = 3, *, stack: str = "web", most: int = 3, at: str = "") -> Path:
    key = derive("DEPLOY_ENCRYPTION_KEY", PASSPHRASE)
    copy = Copy("prod", stack, "0a1b2c3d-lineage", serial, at or f"2026-01-01T00:00:{serial:02}+00:00", key.fingerprint)
    statecopy.keep(layout, copy, STATE, key, most)
    return layout.states(stack) / copy.name


def test_a_copy_is_byte_for_byte_what_was_read_and_shows_nothing(layout: Layout, keyring: Keyring) -> None:
    path = kept(layout)
    assert statecopy.read(path, keyring) == STATE
    assert b"hunter2" not in path.read_bytes()
    [(copy, found)] = statecopy.found([layout.states("web")], "prod", "web")
    assert (copy.serial, copy.lineage, found) == (3, "0a1b2c3d-lineage", path)


def test_the_latest_are_kept_and_no_more(layout: Layout) -> None:
    kept(layout, 9, stack="web/inner")
    for serial in (1, 2, 3, 4, 4, 5):
        kept(layout, serial)
    assert [copy.serial for copy, _ in statecopy.found([layout.states("web")], "prod", "web")] == [5, 4, 3]
    assert [copy.serial for copy, _ in statecopy.found([layout.states("web/inner")], "prod", "web/inner")] == [9]


def test_a_copy_that_was_changed_or_has_another_key_is_not_read(
    layout: Layout, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kept(layout)
    line, _, sealed = path.read_bytes().partition(b"\n")
    for changed in (
        line + b"\n" + sealed[:-1] + bytes([sealed[-1] ^ 1]),
        json.dumps({**json.loads(line), "serial": 4}).encode() + b"\n" + sealed,
        line + b"\n",
        b"",
        b"{}\n",
        b"\xff\n",
        b"[" * 5000,
    ):
        path.write_bytes(changed)
        with pytest.raises(UnreadableCopyError):
            statecopy.read(path, keyring)
    path.write_bytes(line + b"\n" + sealed)
    monkeypatch.setenv("DEPLOY_ENCRYPTION_KEY", "another passphrase, long enough")
    with pytest.raises(UnreadableCopyError, match="another key"):
        statecopy.read(path, Keyring(Encryption()))  # type: ignore[call-arg]


def test_what_is_none_is_left_out(layout: Layout) -> None:
    folder = layout.states("web")
    kept(layout)
    kept(Layout(layout.root / "x", "prod"), stack="db")
    (folder / "1-x.state").write_bytes(b"hello")
    (folder / "2-x.state").symlink_to("/dev/zero")
    (folder / "3-x.state").mkdir()
    [other] = (layout.root / "x/.deploy/prod/states/db").iterdir()
    other.rename(folder / "4-x.state")  # of another stack
    assert len(statecopy.found([folder, folder / "none"], "prod", "web")) == 1
    assert statecopy.found([folder], "dev", "web") == []


def test_a_lineage_leads_nowhere_else(layout: Layout) -> None:
    """The backend says what the lineage is."""
    copy = Copy("prod", "web", "../../up", 3, "2026-01-01T00:00:00+00:00", "x")
    assert (layout.states("web") / copy.name).resolve().parent == layout.states("web").resolve()
    assert copy.name != Copy("prod", "web", "../../down", 3, copy.at, "x").name


def test_without_the_library_that_is_what_is_missing_and_the_copy_stays(
    layout: Layout, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kept(layout)
    monkeypatch.setattr(statecopy, "is_available", lambda: False)
    with pytest.raises(UnreadableCopyError, match="`cryptography` is not installed") as error:
        statecopy.read(path, keyring)
    assert error.value.next_step == "pip install 'doit-tofu[ledger]'"
