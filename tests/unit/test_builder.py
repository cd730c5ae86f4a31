"""What docker buildx is told: there is no daemon where the tests run, so its command line is looked at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tasks.base.errors import BuildError
from tasks.builds import builder
from tasks.builds.builder import Docker, Job
from tasks.builds.reference import Repository

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines; the builder states `DIGEST`."""
    lines: list[list[str]] = []

    def run(_run: Any, job: Job, command: list[str]) -> None:
        lines.append(command)
        (job.private / "metadata.json").write_text(json.dumps({"containerimage.digest": DIGEST}))

    monkeypatch.setattr(builder, "_run", run)
    return lines


def job(folder: Path, host: str = "registry.example.com", **more: Any) -> Job:
    values = {
        "name": "app", "folder": folder / "context", "containerfile": folder / "Containerfile", "private": folder,
        "repository": Repository(host, "app"), "reference": f"{host}/app:tag", "platforms": ["linux/amd64", "linux/arm64"],
        "target": None, "args": {"A": "1"}, "labels": {"l": "x"}, "secrets": {"id": "NAME"}, "attest": [],
        "insecure": False, "timeout": 1.0, "login": None,
    }  # fmt: skip
    return Job(**{**values, **more})


def test_docker_is_told_to_be_reproducible_and_no_secret(tmp_path: Path, told: list[list[str]]) -> None:
    assert Docker().push(None, job(tmp_path)) == DIGEST  # type: ignore[arg-type]
    [line] = told
    assert line[:3] == ["docker", "buildx", "build"]
    assert {
        "--provenance=false",
        "--sbom=false",
        "--platform=linux/amd64,linux/arm64",
        "--secret=id=id,env=NAME",
    } <= set(line)
    [output] = [word for word in line if word.startswith("--output")]
    assert "push=true" in output
    assert "rewrite-timestamp=true" in output
    assert "insecure" not in output


def test_docker_attests_what_is_asked_for_and_does_without_tls_on_this_machine(
    tmp_path: Path, told: list[list[str]]
) -> None:
    Docker().push(None, job(tmp_path, "127.0.0.1:5000", attest=["sbom", "provenance"]))  # type: ignore[arg-type]
    assert {"--provenance=mode=max", "--sbom=true"} <= set(told[0])
    assert any("registry.insecure=true" in word for word in told[0])


def test_a_builder_that_states_no_digest_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_run", lambda *_: (tmp_path / "metadata.json").write_text("{}"))
    with pytest.raises(BuildError, match="did not report the pushed digest"):
        Docker().push(None, job(tmp_path))  # type: ignore[arg-type]
