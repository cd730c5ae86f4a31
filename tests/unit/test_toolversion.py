"""Versions of programs: asked once for each file, and again when the file is another one."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tasks.base import toolversion
from tasks.builds import toolchain
from tasks.engine import obtain
from tasks.project.model import Build

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "#!/bin/sh\necho asked >> '{log}'\necho '{said}'\n"


class Program:
    """A program that notes each time it is asked."""

    def __init__(self, folder: Path) -> None:
        self.path, self.log = folder / "bin/tofu", folder / "log"
        self.path.parent.mkdir()
        self.say("OpenTofu v1.12.6")

    def say(self, version: str) -> None:
        """Write the file in place."""
        self.path.write_text(PROGRAM.format(log=self.log, said=version))
        self.path.chmod(0o755)

    @property
    def asked(self) -> int:
        """How many times it was asked."""
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.setenv("DOIT_TOFU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Program(tmp_path)


def test_an_engine_is_asked_once(program: Program) -> None:
    assert [obtain.version_of(program.path, "tofu") for _ in range(3)] == ["1.12.6"] * 3
    assert program.asked == 1


def replaced(program: Program) -> None:
    """Another file of the same name, size and time takes its place."""
    status = program.path.stat()
    other = program.path.with_name("new")
    program.path.rename(other.with_name("old"))
    program.path = other
    program.say("OpenTofu v1.12.7")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    program.path = other.rename(other.with_name("tofu"))


def rewritten(program: Program) -> None:
    """The same file gets another content of the same size, and its time back."""
    status = program.path.stat()
    program.say("OpenTofu v1.12.7")
    os.utime(program.path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", [replaced, rewritten])
def test_a_replaced_engine_of_the_same_time_and_size_is_asked_again(program: Program, change: object) -> None:
    assert obtain.version_of(program.path, "tofu") == "1.12.6"
    before = program.path.stat()
    change(program)  # type: ignore[operator]
    after = program.path.stat()
    assert (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)

    assert obtain.version_of(program.path, "tofu") == "1.12.7"


def test_a_replaced_program_of_a_toolchain_is_asked_again(program: Program, tmp_path: Path) -> None:
    build = Build(kind="command", path="app", command=["true"], outputs=["out"], toolchain=[["tofu", "--version"]])
    (tmp_path / "app").mkdir()
    environment = {"PATH": f"{program.path.parent}:{os.environ['PATH']}"}

    def versions() -> dict[str, str] | None:
        return toolchain.versions(tmp_path, build, environment)

    assert versions() == versions() == {"tofu --version": "OpenTofu v1.12.6"}
    assert program.asked == 1
    replaced(program)
    assert versions() == {"tofu --version": "OpenTofu v1.12.7"}


def test_a_link_that_leads_to_another_file_is_asked_again(program: Program, tmp_path: Path) -> None:
    link = tmp_path / "tofu"
    link.symlink_to(program.path)
    assert obtain.version_of(link, "tofu") == "1.12.6"
    other = program.path.with_name("other")
    link.unlink()
    link.symlink_to(other)
    assert obtain.version_of(link, "tofu") is None
    program.path = other
    program.say("OpenTofu v1.12.7")

    assert obtain.version_of(link, "tofu") == "1.12.7"


def test_another_engine_is_not_taken_for_the_wanted_one(program: Program) -> None:
    assert obtain.version_of(program.path, "terraform") is None
    assert obtain.version_of(program.path, "tofu") == "1.12.6"


@pytest.mark.parametrize("content", ["{", "[]", '{"x": 1}', '{"x": {"stamp": []}}'])
def test_a_record_that_cannot_be_used_is_made_again(program: Program, tmp_path: Path, content: str) -> None:
    record = tmp_path / "state/doit-tofu/versions.json"
    record.parent.mkdir(parents=True)
    record.write_text(content)

    assert toolversion.known(program.path, "x", lambda: "1") == "1"
    assert json.loads(record.read_text())["x"]["version"] == "1"
    assert toolversion.known(program.path, "x", lambda: pytest.fail("asked again")) == "1"


@pytest.mark.parametrize("version", [{}, {"version": None}, {"version": 5}, {"version": ["1"]}])
def test_a_record_without_a_version_is_made_again(program: Program, tmp_path: Path, version: dict[str, Any]) -> None:
    record = tmp_path / "state/doit-tofu/versions.json"
    toolversion.known(program.path, "x", lambda: "1")
    stamp = json.loads(record.read_text())["x"]["stamp"]
    record.write_text(json.dumps({"x": {"stamp": stamp, **version}}))

    assert toolversion.known(program.path, "x", lambda: "2") == "2"
    assert json.loads(record.read_text())["x"]["version"] == "2"


def test_what_a_cache_says_of_a_version_counts_for_nothing(program: Program, tmp_path: Path) -> None:
    """Whoever may write the cache could pass an older engine off as the wanted one."""
    program.say("OpenTofu v1.11.0")
    status = program.path.stat()
    stamp = [str(program.path.resolve()), status.st_dev, status.st_ino, status.st_ctime_ns, status.st_mtime_ns]
    lie = {f"tofu {program.path}": {"stamp": [*stamp, status.st_size], "version": "1.12.6"}}
    for name in ("versions.json", "doit-tofu/versions.json", "engines/versions.json"):
        (tmp_path / "cache" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cache" / name).write_text(json.dumps(lie))
    assert obtain.version_of(program.path, "tofu") == "1.11.0"
