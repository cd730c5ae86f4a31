"""The key `ledger`: what it takes, and that each mistake is named with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.base.errors import ConfigErrors
from tasks.project import model

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project


def test_there_is_none_by_default(load: Callable[..., Project]) -> None:
    assert load().config.ledger == load("ledger:\n").config.ledger == load("ledger: none\n").config.ledger == "none"


def test_a_branch_of_the_repositorys_own_remote(load: Callable[..., Project]) -> None:
    ledger = load("ledger: {kind: git}\n").config.ledger
    assert isinstance(ledger, model.Ledger)
    assert (ledger.ref, ledger.remote) == ("refs/heads/doit-tofu/{environment}/ledger", "origin")
    assert (ledger.required, ledger.every, ledger.wait, ledger.public, ledger.public_key) == (True, 30, 0, False, None)


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "https://files.example.com/ledger", "../ledgers", "${LEDGER}"])
def test_a_store(load: Callable[..., Project], url: str) -> None:
    ledger = load(f'ledger: {{kind: store, url: "{url}"}}\n').config.ledger
    assert isinstance(ledger, model.Ledger)
    assert ledger.url == url


def test_variables_turn_it_on_and_not_off(load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_LEDGER", '{"kind": "git", "remote": "upstream"}')
    ledger = load("").config.ledger
    assert isinstance(ledger, model.Ledger)
    assert ledger.remote == "upstream"
    monkeypatch.setenv("DEPLOY_LEDGER", "none")
    with pytest.raises(ConfigErrors) as caught:
        load("ledger: {kind: git}\n")
    assert "ledger: a variable may not change what the files say" in caught.value.problems[0].text()


def test_a_variable_does_not_turn_off_the_ledger_of_the_pipeline(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOIT_TOFU_LEDGER", "git")
    monkeypatch.setenv("DEPLOY_LEDGER", "none")
    with pytest.raises(ConfigErrors) as caught:
        load("")
    assert "ledger: a variable may not" in caught.value.problems[0].text()
    monkeypatch.delenv("DEPLOY_LEDGER")
    monkeypatch.setenv("DEPLOY_LEDGER__REQUIRED", "false")
    with pytest.raises(ConfigErrors) as caught:
        load("")
    assert "ledger.required: a variable may tighten" in caught.value.problems[0].text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("git", "ledger: this is `none`, or a mapping that begins with a kind: `{kind: git}`"),
        ("{kind: gti}", "ledger.kind: input should be 'git' or 'store'; found 'gti' (did you mean 'git'?)"),
        ("{ref: refs/heads/x}", "ledger.kind: this key is required"),
        ("{kind: git, refs: x}", "ledger.refs: unknown key 'refs' (did you mean 'ref'?)"),
        ("{kind: store}", "ledger: a ledger of the kind `store` needs a `url`"),
        ("{kind: git, url: s3://bucket}", "ledger: `url` is for the kind `store`"),
        ("{kind: store, url: s3://bucket, ref: refs/heads/x}", "ledger: `ref` is for the kind `git`"),
        ("{kind: git, ref: main}", "ledger.ref: 'main' is not a valid name or reference"),
        ("{kind: git, ref: refs/heads/a..b}", "ledger.ref: not a valid git ref"),
        ('{kind: git, ref: "refs/heads/{stack}"}', "ledger.ref: not a valid git ref"),
        ("{kind: git, ref: refs/heads/a.lock}", "ledger.ref: not a valid git ref"),
        (
            "{kind: store, url: ftp://host/x}",
            "ledger.url: nothing can be kept at `ftp://`; use s3, az, https, http or a folder",
        ),
        ("{kind: store, url: gs://bucket/x}", "ledger.url: nothing can be kept at `gs://`; use s3, az, https"),
        ("{kind: store, url: file:///x}", "ledger.url: nothing can be kept at `file://`; use s3, az, https, http or a"),
        ("{kind: store, url: s3://}", "ledger.url: it names no bucket: `s3://bucket/prefix`"),
        ("{kind: store, url: s3:///prefix}", "ledger.url: it names no bucket"),
        ("{kind: store, url: az://}", "ledger.url: it names no container: `az://container/prefix`"),
        (
            '{kind: store, url: "s3://bucket:80/x"}',
            "ledger.url: this is not the name of a bucket: `s3://bucket/prefix`",
        ),
        ('{kind: store, url: "s3:bucket/x"}', "ledger.url: after `s3:` there must be `//`"),
        ("{kind: store, url: s3://bucket/../x}", "ledger.url: its path must not contain `.` or `..`"),
        ("{kind: store, url: s3://bucket/%2e%2e/x}", "ledger.url: its path must not contain `.` or `..`"),
        ("{kind: store, url: az://bucket/./x}", "ledger.url: its path must not contain `.` or `..`"),
        ("{kind: store, url: https://host/a/../x}", "ledger.url: its path must not contain `.` or `..`"),
        ("{kind: store, url: s3://bucket/a//b}", "ledger.url: its path must not contain `//`"),
        ('{kind: store, url: "s3://bucket/a b"}', "ledger.url: it contains a space"),
        ('{kind: store, url: "https:///x"}', "ledger.url: it names no host: `https://host/path`"),
        ('{kind: store, url: "http://:80/x"}', "ledger.url: it names no host: `http://host/path`"),
        ('{kind: store, url: "https://host:port/x"}', "ledger.url: it is not a URL"),
        ('{kind: store, url: "https://[host/x"}', "ledger.url: it is not a URL"),
        ('{kind: store, url: ""}', "ledger.url: it is empty"),
        ('{kind: store, url: " "}', "ledger.url: it is empty"),
        ('{kind: store, url: "led\\0ger"}', "ledger.url: it contains a control character"),
        ('{kind: store, url: "s3://b", endpoint: "s3.example.com"}', "ledger.endpoint: it must begin with https:// or"),
        ('{kind: store, url: "s3://b", endpoint: "https://"}', "ledger.endpoint: it names no host"),
        ("{kind: git, every: 0}", "ledger.every: input should be greater than or equal to 1; found 0"),
        ("{kind: git, public_key: abc}", "ledger.public_key: 'abc' is not a valid name or reference"),
    ],
)
def test_a_mistake_is_named_with_its_line(errors: Callable[..., str], text: str, said: str) -> None:
    shown = errors(f"engine: {{kind: tofu}}\nledger: {text}\n")
    assert said in shown
    assert "config/pipeline.yaml:3" in shown


@pytest.mark.parametrize(
    "text",
    [
        "{kind: git, token: glpat-Aa77xyz}",
        "{kind: git, key: glpat-Aa77xyz}",
        '{kind: git, remote: "https://ci:glpat-Aa77xyz@host/x.git"}',
        '{kind: store, url: "https://ci:glpat-Aa77xyz@host/x"}',
        '{kind: store, url: "https://host/x?token=glpat-Aa77xyz"}',
        '{kind: store, url: "s3://bucket/x?sig=glpat-Aa77xyz"}',
        '{kind: store, url: "https://host/x#glpat-Aa77xyz"}',
        '{kind: store, url: "s3://b", endpoint: "https://ci:glpat-Aa77xyz@host"}',
    ],
)
def test_a_secret_in_the_configuration_is_refused_and_not_shown(errors: Callable[..., str], text: str) -> None:
    shown = errors(f"ledger: {text}\n")
    assert "config/pipeline.yaml:2" in shown
    assert "glpat" not in shown


@pytest.mark.parametrize(
    "to", ["s3://", "s3://b/../x", "az://container", "https://host/x?token=glpat-Aa77xyz", "file:///x"]
)
def test_a_place_to_publish_to_is_judged_alike(errors: Callable[..., str], to: str) -> None:
    shown = errors(f'publish: {{to: "{to}"}}\n')
    assert "publish.to: " in shown
    assert "config/pipeline.yaml:2" in shown
    assert "glpat" not in shown
