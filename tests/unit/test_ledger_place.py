"""The home that the configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.base.errors import ConfigError
from tasks.ledger.githome import GitHome
from tasks.ledger.home import DeniedError, HomeError
from tasks.ledger.place import Part, open_home
from tasks.project import model
from tests.servers.fileserver import TOKEN, FileServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.ledger.home import Home
    from tasks.project.project import Project


@pytest.fixture
def opened(load: Callable[..., Project]) -> Callable[..., Home]:
    def opened(text: str, part: Part = "ledger") -> Home:
        project = load(f"ledger: {text}\n", "config/environments/prod.yaml:", environment="prod")
        ledger = project.config.ledger
        assert isinstance(ledger, model.Ledger)
        return open_home(ledger, project.loaded, project.layout, lambda _: None, part)

    return opened


def test_a_branch_of_origin_and_its_neighbour(opened: Callable[..., Home]) -> None:
    assert opened("{kind: git}").name == "refs/heads/doit-tofu/prod/ledger of origin"
    assert opened("{kind: git}", "observations").name == "refs/heads/doit-tofu/prod/observations of origin"
    assert opened('{kind: git, ref: "refs/heads/x"}', "observations").name == "refs/heads/observations of origin"


def test_the_two_share_no_folder(opened: Callable[..., Home]) -> None:
    homes = [opened("{kind: git}"), opened("{kind: git}", "observations")]
    assert all(isinstance(home, GitHome) for home in homes)
    assert len({home.clone.folder for home in homes if isinstance(home, GitHome)}) == 2


@pytest.mark.parametrize("url", ["https://files.example.com/l/", "s3://bucket/l"])
def test_a_store_has_a_folder_for_each_environment_and_part(
    opened: Callable[..., Home], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", url)
    assert opened('{kind: store, url: "${WHERE}"}').name == f"{url.rstrip('/')}/prod/ledger"
    assert opened(f"{{kind: store, url: '{url}'}}", "observations").name == f"{url.rstrip('/')}/prod/observations"


def test_a_folder_is_one_of_the_repository(opened: Callable[..., Home]) -> None:
    home = opened("{kind: store, url: ../ledgers}")
    home.write(None, b"head", {}, [])
    version = opened("{kind: store, url: ../ledgers}").read()
    assert version
    assert version.head == b"head"


def test_a_variable_that_is_not_set_is_named_with_its_line(opened: Callable[..., Home]) -> None:
    with pytest.raises(ConfigError) as caught:
        opened('{kind: store, url: "${NOT_SET_HERE}"}')
    assert "NOT_SET_HERE" in caught.value.problem.text()
    assert "config/pipeline.yaml:2" in caught.value.problem.text()


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://", "s3://bucket/../x", "", "https://ci:secret-77@host/x"])
def test_a_variable_may_not_bring_what_the_file_may_not_say(
    opened: Callable[..., Home], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("WHERE", url)
    with pytest.raises(ConfigError) as caught:
        opened('{kind: store, url: "${WHERE}"}')
    shown = caught.value.problem.text()
    assert "ledger.url: " in shown
    assert "config/pipeline.yaml:2" in shown
    assert "secret-77" not in shown


def test_the_home_of_a_user_who_does_not_exist(opened: Callable[..., Home]) -> None:
    with pytest.raises(HomeError, match="a user who does not exist"):
        opened("{kind: store, url: ~no-such-user-here/x}")


def test_a_job_without_the_token_for_writing_reads_a_store_with_its_own(
    opened: Callable[..., Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FileServer()
    monkeypatch.setenv("DEPLOY_LEDGER_READ_TOKEN", TOKEN)
    try:
        assert opened(f"{{kind: store, url: {server.url}}}").read() is None
        monkeypatch.setenv("DEPLOY_LEDGER_TOKEN", "another-token-3391")  # this one counts, where it is set
        with pytest.raises(DeniedError):
            opened(f"{{kind: store, url: {server.url}}}").read()
    finally:
        server.stop()


def test_the_token_goes_over_no_plain_connection(opened: Callable[..., Home], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_LEDGER_TOKEN", "secret-token-6612")
    with pytest.raises(HomeError, match="not sent in plain text"):
        opened("{kind: store, url: http://files.example.com/l}")
