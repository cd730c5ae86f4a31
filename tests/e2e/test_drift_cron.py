"""Twelve nights of `doit drift` on twelve fresh clones: the right messages, exit codes and issues, and no others."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tasks.ledger import keys
from tests.e2e.test_ledger import LEDGER, Remote
from tests.repository import minimal_config, resource
from tests.servers.forge import TOKEN, Forge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.repository import Repository
    from tests.servers.receivers import WebReceiver

CONFIG = (
    LEDGER + 'drift: {exit: new, issues: true}\nnotify: [{name: chat, url: "${CHAT_URL}"}]\nforge: {status: false}\n'
)
TITLE = "Drift in local: "


@dataclass
class Night:
    """One run, and what is to come of it.

    Args:
        code: Its exit code.
        a: What `a` is from then on; "1" is what was deployed.
        b: What `b` is.
        said: The messages, each by words of it.
        issues: The stacks with an open issue afterwards.
        down: Whether the channel does not answer.
    """

    code: int
    a: str | None = None
    b: str | None = None
    said: tuple[str, ...] = ()
    issues: tuple[str, ...] = ()
    down: bool = False


NIGHTS = [
    Night(0),
    Night(2, a="x", said=("drifted: a",), issues=("a",)),
    Night(0, issues=("a",)),
    Night(0, issues=("a",)),
    Night(2, a="y", said=("drifted: a",), issues=("a",)),
    Night(2, b="x", issues=("a", "b"), down=True),
    Night(0, said=("drifted: b",), issues=("a", "b")),
    Night(0, issues=("a", "b")),
    Night(0, a="1", said=("recovered: a",), issues=("b",)),
    Night(0, issues=("b",)),
    Night(0, b="1", said=("recovered: b",)),
    Night(0),
]


@pytest.fixture
def forge() -> Iterator[Forge]:
    """A forge whose answer to the first issue is lost, although it opened it."""
    server = Forge("gitlab")
    server.lost_answers = 1
    yield server
    server.stop()


@pytest.fixture
def begun(build: Callable[..., Repository], tmp_path: Path, web: WebReceiver) -> Remote:
    """Two deployed stacks, a ledger, a key for observations, and a channel."""
    config = minimal_config(CONFIG).replace("{root}/.state/", f"{tmp_path / 'states'}/")
    first = build(config, f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{resource()}")
    first.variables |= {
        "CHAT_URL": f"mmost://{web.address}/k3y0f1nc0m1ngh00ks26",
        "DEPLOY_OBSERVATIONS_KEY": keys.generate().text,
    }
    remote = Remote(tmp_path, first)
    remote.clone().doit("ledger", "init")
    remote.clone().doit("deploy")
    return remote


def change(remote: Remote, stack: str, value: str) -> None:
    """Change what the resource of a stack is, as if outside of the engine."""
    path = remote.base / f"states/{stack}-local.tfstate"
    state = json.loads(path.read_text())
    state["resources"][0]["instances"][0]["attributes"]["input"]["value"] = value
    path.write_text(json.dumps(state))


def pipeline(forge: Forge, job: Repository, number: int) -> dict[str, str]:
    """The variables of a scheduled pipeline."""
    return {
        "GITLAB_CI": "true", "CI_API_V4_URL": forge.url, "CI_PROJECT_ID": "42", "CI_PIPELINE_ID": str(number),
        "CI_JOB_ID": str(number), "CI_COMMIT_SHA": job.git("rev-parse", "HEAD"), "CI_COMMIT_BRANCH": "main",
        "CI_PIPELINE_SOURCE": "schedule", "GITLAB_TOKEN": TOKEN,
    }  # fmt: skip


def closed_port() -> int:
    """A port at which nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_twelve_nights_on_twelve_fresh_clones(begun: Remote, forge: Forge, web: WebReceiver) -> None:
    for number, night in enumerate(NIGHTS, 1):
        for stack, value in (("a", night.a), ("b", night.b)):
            if value is not None:
                change(begun, stack, value)
        job = begun.clone()
        more = {"CHAT_URL": f"mmost://127.0.0.1:{closed_port()}/k3y0f1nc0m1ngh00ks26"} if night.down else {}
        done = job.doit("drift", code=None, **pipeline(forge, job, 500 + number), **more)
        said = [item.json["text"] for item in web.take()]
        assert (number, done.code) == (number, night.code), done.out
        assert len(said) == len(night.said), f"night {number}: {said}\n{done.out}"
        assert all(any(words in text for text in said) for words in night.said), f"night {number}: {said}"
        assert sorted(forge.open_issues()) == [TITLE + name for name in night.issues], f"night {number}:\n{done.out}"
        if night.down:
            assert "not notified: chat" in done.out
    titles = [item["title"] for item in forge.issues.values()]
    assert titles == [
        TITLE + "a",
        TITLE + "a",
        TITLE + "b",
    ]  # the first was asked for twice, and one of the two closed at once
