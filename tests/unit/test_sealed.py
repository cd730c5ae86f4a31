"""Bytes that stay as they are: whoever writes to what they were copied from, or to them."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.base import sealed
from tasks.base.sealed import Sealed

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 1 << 20


@pytest.fixture(params=["in memory", "in a file"])
def anywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where there is `memfd_create`, and where there is not."""
    if request.param == "in a file":
        monkeypatch.delattr(os, "memfd_create")
    return str(request.param)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A file, and a descriptor that it is read by."""
    path = tmp_path / "plan"
    path.write_bytes(b"verified")
    descriptor = os.open(path, os.O_RDONLY)
    yield path, descriptor
    os.close(descriptor)


def _copied(descriptor: int, most: int = MOST) -> Sealed:
    found = sealed.copy(descriptor, most)
    assert found is not None
    return found


@pytest.mark.usefixtures("anywhere")
def test_a_copy_stays_whatever_happens_to_the_file_that_it_was_made_of(source: tuple[Path, int]) -> None:
    path, descriptor = source
    with _copied(descriptor) as plan:
        path.write_bytes(b"foreign!")  # in place: it shows behind the descriptor
        assert os.pread(descriptor, 100, 0) == b"foreign!"
        path.unlink()
        with plan.stream() as stream:
            assert stream.read() == b"verified"
        with plan.stream() as stream:
            assert stream.read() == b"verified"
        assert (plan.sha256, plan.size) == (hashlib.sha256(b"verified").hexdigest(), 8)


@pytest.mark.usefixtures("anywhere")
def test_a_child_reads_it_by_its_path(source: tuple[Path, int]) -> None:
    with _copied(source[1]) as plan:
        for _ in range(2):
            read = subprocess.run(["cat", plan.argument()], pass_fds=[plan.descriptor], capture_output=True, check=True)
            assert read.stdout == b"verified"


@pytest.mark.usefixtures("anywhere")
def test_what_a_child_has_written_is_sealed() -> None:
    blank = sealed.blank()
    command = f"printf made > {sealed.path_of(blank)}"
    subprocess.run(["sh", "-c", command], pass_fds=[blank], check=True)
    with Sealed(blank) as plan, plan.stream() as stream:
        assert stream.read() == b"made"
        assert plan.sha256 == hashlib.sha256(b"made").hexdigest()


def test_nobody_can_write_to_it_not_even_who_held_it_before(source: tuple[Path, int]) -> None:
    with _copied(source[1]) as plan:
        other = os.open(f"/proc/self/fd/{plan.descriptor}", os.O_RDWR)
        for descriptor in (plan.descriptor, other):
            with pytest.raises(PermissionError):
                os.pwrite(descriptor, b"x", 0)
            with pytest.raises(PermissionError):
                os.ftruncate(descriptor, 4)
            with pytest.raises(PermissionError):
                os.ftruncate(descriptor, 4096)
        os.close(other)
        with plan.stream() as stream:
            assert stream.read() == b"verified"


def test_without_memory_files_it_is_a_private_file_that_no_path_leads_to(
    source: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    with _copied(source[1]) as plan:
        status = os.fstat(plan.descriptor)
        assert (status.st_nlink, status.st_mode & 0o777) == (0, 0o600)


@pytest.mark.usefixtures("anywhere")
def test_more_than_the_most_is_not_copied(source: tuple[Path, int]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert sealed.copy(source[1], 7) is None
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    with _copied(source[1], 8) as plan:
        assert plan.size == 8


def test_it_is_closed_at_the_end(source: tuple[Path, int]) -> None:
    with _copied(source[1]) as plan:
        assert Path(f"/proc/self/fd/{plan.descriptor}").exists()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(plan.descriptor)


def test_bytes_are_sealed() -> None:
    with sealed.of(b"x" * 3_000_000) as plan, plan.stream() as stream:
        assert stream.read() == b"x" * 3_000_000
