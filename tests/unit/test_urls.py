"""Addresses: of which repository they are."""

from __future__ import annotations

import pytest

from tasks.base import urls


@pytest.mark.parametrize(
    "address",
    [
        "https://gitlab.example.com/group/project.git", "https://gitlab.example.com/group/project",
        "https://gitlab.example.com/group/project.git/", "https://GITLAB.example.com:8443/group//project.git",
        "https://user:secret@gitlab.example.com/group/project.git", "http://gitlab.example.com/group/./project/",
        "ssh://git@gitlab.example.com/group/project.git", "ssh://gitlab.example.com:2222/group/project/",
        "git+ssh://git@gitlab.example.com/group/project", "git://gitlab.example.com/group/project.git",
        "git@gitlab.example.com:group/project.git", "gitlab.example.com:group/project", "[git@host:2222]:group/project",
        "git@gitlab.example.com:/group/project.git/", "https://gitlab.example.com/gro%75p/project.git",
        "file:///group/project.git", "/group/project.git", "/group/./project.git/",
    ],
)  # fmt: skip
def test_all_forms_of_an_address_are_of_one_repository(address: str) -> None:
    assert urls.repository(address) == "group/project"


@pytest.mark.parametrize(
    "address",
    [
        "https://dev.azure.com/team/web/_git/infra",
        "https://team@dev.azure.com/team/web/_git/infra",
        "git@ssh.dev.azure.com:v3/team/web/infra",
    ],
)
def test_azure_has_two_more_forms(address: str) -> None:
    assert urls.repository(address) == "team/web/infra"


@pytest.mark.parametrize(
    ("address", "path"), [("", ""), ("https://host", ""), ("a.git", "a"), ("git@host:v3/x", "v3/x")]
)
def test_other_addresses(address: str, path: str) -> None:
    assert urls.repository(address) == path
