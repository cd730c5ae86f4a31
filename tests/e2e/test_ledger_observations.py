"""Notifications ring once, whichever machine finds what they are about: what was told is kept beside the ledger."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

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
    assert "only this machine remembers what was sent now" in done.out
    assert "`status` on other machines does not show what this check found" in " ".join(done.out.split())
    assert "says which right and which variables this takes" in " ".join(done.out.split())
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


def test_an_earlier_version_that_was_put_back_silences_nothing(begun: Remote, web: WebReceiver) -> None:
    """A drift that was over and is there again is new: on a machine that knows better, and on one that the ledger tells."""
    state = begun.base / "states/a-local.tfstate"
    deployed = state.read_text()
    drift(begun, "by hand")
    begun.clone().doit("drift", code=2)
    yesterday = begun.git("rev-parse", REF)  # in it, the drift is known, and the channel was told
    state.write_text(deployed)
    keeper = begun.clone()
    keeper.doit("drift")
    change = begun.clone()
    change.write(f"stacks/a/main.tf:{resource('2')}")
    change.commit()
    begun.push(change)
    change.doit("deploy")
    assert _head(begun)["observed"] > 1
    drift(begun, "by hand")
    keeper.git("pull", "--quiet", "origin", "main")
    for machine in (keeper, begun.clone()):
        begun.git("update-ref", REF, yesterday)
        rung = len(web.received)
        assert "they were rolled back to an earlier version" in machine.doit("drift", code=1).out
        assert len(web.received) > rung
    (keeper.path / ".deploy/.cache/ledger/local-observed.json").write_text("{")
    said = keeper.doit("drift", code=2).out
    assert "local-observed.json is damaged, so this machine no longer knows how often the observations were" in said


def _head(remote: Remote) -> dict[str, Any]:
    head = json.loads(remote.git("show", "refs/heads/doit-tofu/local/ledger:head"))
    found: dict[str, Any] = json.loads(base64.b64decode(head["payload"]))
    return found
