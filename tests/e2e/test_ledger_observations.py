"""Notifications ring once, whichever machine finds what they are about: what was told is kept beside the ledger."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_ledger import LEDGER, Remote
from tests.repository import Repository, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.receivers import WebReceiver

REF = "refs/heads/doit-tofu/local/observations"
CHANNEL = 'notify: [{name: chat, url: "${CHAT_URL}"}]\n'


@pytest.fixture
def begun(build: Callable[..., Repository], tmp_path: Path, web: WebReceiver) -> Remote:
    """One deployed stack, a ledger, and a channel."""
    config = minimal_config(LEDGER + CHANNEL).replace("{root}/.state/", f"{tmp_path / 'states'}/")
    first = build(config, f"stacks/a/main.tf:{resource()}")
    first.variables["CHAT_URL"] = f"mmost://{web.address}/k3y0f1nc0m1ngh00ks26"
    remote = Remote(tmp_path, first)
    remote.clone().doit("ledger", "init")
    remote.clone().doit("deploy")
    return remote


def drift(remote: Remote, value: str) -> None:
    """Change the state of `a` by hand."""
    state = remote.base / "states/a-local.tfstate"
    content = json.loads(state.read_text())
    content["resources"][0]["instances"][0]["attributes"]["input"]["value"] = value
    content["serial"] += 1
    state.write_text(json.dumps(content))


def test_four_machines_ring_once_for_a_drift_and_once_for_its_end(begun: Remote, web: WebReceiver) -> None:
    rung = []
    drift(begun, "by hand")
    for code, value in ((2, None), (2, None), (2, "by another hand"), (0, "1")):
        if value is not None:
            drift(begun, value)
        begun.clone().doit("drift", code=code)
        rung.append(len(web.received))
    assert rung == [1, 1, 2, 3]
    assert "recovered; was drifted since" in json.loads(web.received[-1].body)["text"]
    shown = begun.git("show", f"{REF}:head")
    assert "terraform_data" not in shown
    assert "by hand" not in shown


def test_a_machine_that_may_not_write_them_says_so_and_remembers_for_itself(begun: Remote, web: WebReceiver) -> None:
    hook = begun.path / "hooks/update"
    hook.write_text(f"#!/bin/sh\n[ \"$1\" != {REF} ] || {{ echo 'You are not allowed to push' >&2; exit 1; }}\n")
    hook.chmod(0o755)
    drift(begun, "by hand")
    job = begun.clone()
    done = job.doit("drift", code=2)
    assert "the observations cannot be written" in done.out
    assert "what was sent now is remembered on this machine alone" in done.out
    job.doit("drift", code=2)
    assert len(web.received) == 1
    begun.clone().doit("drift", code=2)
    assert len(web.received) == 2  # rather twice than never
    hook.unlink()
    job.doit("drift", code=2)  # it can write now: from here on, everyone knows
    begun.clone().doit("drift", code=2)
    assert len(web.received) == 2


def test_observations_that_a_stranger_wrote_silence_nothing(begun: Remote, web: WebReceiver) -> None:
    drift(begun, "by hand")
    begun.clone().doit("drift", code=2)
    config = begun.clone()
    key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    public = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
    text = (config.path / "config/pipeline.yaml").read_text()
    text = text.replace(LEDGER.strip(), f"ledger: {{kind: git, observations: {{public_key: {public}}}}}")
    config.write(f"config/pipeline.yaml:{text}")
    config.commit()
    begun.push(config)
    done = begun.clone().doit("drift", code=1, DEPLOY_OBSERVATIONS_KEY=key)  # new or known is unknown
    assert "they are not signed by the key" in done.out
    begun.clone().doit("drift", code=2, DEPLOY_OBSERVATIONS_KEY=key)
    rung = [json.loads(found.body)["text"] for found in web.received]
    assert len([text for text in rung if "a (drift): " in text]) == 2
