"""Having the engine: the order of the ways to it, each one tried, and one clear error when none leads there."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import platform
import re
import shutil
import threading
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.repository import ROOT, Repository, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MACHINE = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
RELEASES = ROOT / "tests/data/releases"
ARCHIVE = f"tofu_1.12.6_{platform.system().lower()}_{MACHINE}.zip"


def _say_version(text: str) -> str:
    return f"#!/bin/sh\necho '{text}'\n"


@pytest.fixture
def bare(build: Callable[..., Repository]) -> Repository:
    """A repository without an engine on PATH, and without Go."""
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource()}")
    shutil.rmtree(repository.bin)
    return repository


@pytest.fixture
def releases() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A loopback mirror of releases: its address, and the files that it has."""
    files: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path.rpartition("/")[2])
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v{{version}}", files
    server.shutdown()
    thread.join()
    server.server_close()


def _publish(files: dict[str, bytes], binary: bytes, name: str = ARCHIVE) -> str:
    """Publish a release of one's own; returns what `engine.sha256` has to be for it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tofu", binary)
    files[name] = buffer.getvalue()
    digest = hashlib.sha256(files[name]).hexdigest()
    files[f"{'_'.join(name.split('_')[:2])}_SHA256SUMS"] = f"{digest}  {name}\n".encode()
    return json.dumps([digest])


def _engine(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "tofu"
    script.write_text(text)
    script.chmod(0o755)
    return script


def test_the_engine_on_path_is_used_when_its_version_is_the_wanted_one(one: Repository) -> None:
    assert f"tofu 1.12.6, from PATH: {one.bin}/tofu" in one.doit("setup").out


def test_a_configured_path_comes_first_and_must_be_right(one: Repository) -> None:
    chosen = _engine(one.home / "chosen", _say_version("OpenTofu v1.12.6"))
    assert f"from engine.path: {chosen}" in one.doit("setup", DEPLOY_ENGINE__PATH=str(chosen)).out
    wrong = _engine(one.home / "wrong", _say_version("OpenTofu v1.9.0"))
    done = one.doit("setup", DEPLOY_ENGINE__PATH=str(wrong), code=1)
    assert "is tofu 1.9.0, but 1.12.6 is required" in done.out
    assert "fix engine.path" in done.out
    done = one.doit("plan", DEPLOY_ENGINE__PATH="/nowhere", code=1)
    assert "is not a working tofu" in done.out


def test_terraform_is_not_taken_for_tofu(one: Repository) -> None:
    posing = _engine(one.home / "posing", _say_version("Terraform v1.12.6"))
    assert "is not a working tofu" in one.doit("setup", DEPLOY_ENGINE__PATH=str(posing), code=1).out


def test_a_wrong_version_on_path_gives_way_to_the_cache(bare: Repository) -> None:
    _engine(bare.bin, _say_version("OpenTofu v1.9.0"))
    cached = bare.home / "cache/engines/tofu-1.12.6"
    engine = _engine(cached, _say_version("OpenTofu v1.12.6"))
    known = json.dumps([hashlib.sha256(engine.read_bytes()).hexdigest()])
    assert f"from cache: {cached}/tofu" in bare.doit("setup", DEPLOY_ENGINE__SHA256=known).out


def test_a_constraint_takes_any_version_it_allows(one: Repository) -> None:
    assert "1.12.6" in one.doit("setup", DEPLOY_ENGINE__VERSION="~> 1.12.0").out
    assert (
        "not >=1.13"
        in one.doit("setup", DEPLOY_ENGINE__VERSION=">=1.13", DEPLOY_ENGINE__RELEASES="http://127.0.0.1:9", code=1).out
    )


def test_a_release_is_downloaded_checked_and_used_for_a_real_plan(
    bare: Repository, releases: tuple[str, dict[str, bytes]], tofu: Path
) -> None:
    address, files = releases
    known = _publish(files, tofu.read_bytes())
    done = bare.doit("plan", DEPLOY_ENGINE__RELEASES=address, DEPLOY_ENGINE__SHA256=known)
    assert "setup: downloading tofu 1.12.6" in done.out
    size = len(files[ARCHIVE]) >> 20
    steps = re.findall(rf"setup: (\d+) MiB of {size} MiB", done.out)
    assert len(steps) >= size // 16, done.out
    assert [int(each) for each in steps] == sorted(map(int, steps))
    assert "+1 ~0 -0" in done.task("plan", "a")
    files.clear()
    assert "from cache" in bare.doit("setup", DEPLOY_ENGINE__RELEASES=address).out


LIAR = "#!/bin/sh\necho started >> '{log}'\necho 'OpenTofu v1.12.6'\n"


def test_an_engine_in_the_cache_that_nobody_knows_is_not_started_but_obtained_again(
    bare: Repository, releases: tuple[str, dict[str, bytes]]
) -> None:
    address, files = releases
    known = _publish(files, _say_version("OpenTofu v1.12.6").encode())
    log = bare.home / "liar.log"
    cached = _engine(bare.home / "cache/engines/tofu-1.12.6", LIAR.format(log=log))
    versions = {f"tofu {cached}": {"stamp": "any", "version": "1.12.6"}}
    (bare.home / "cache/versions.json").write_text(json.dumps(versions))
    done = bare.doit("setup", DEPLOY_ENGINE__RELEASES=address, DEPLOY_ENGINE__SHA256=known)
    assert "from downloaded" in done.out
    assert not log.exists()
    assert cached.read_text() == _say_version("OpenTofu v1.12.6")

    assert "from cache" in bare.doit("setup", DEPLOY_ENGINE__RELEASES="http://127.0.0.1:9").out
    status = cached.stat()
    cached.write_text(LIAR.format(log=log))  # once more, behind the record's back
    os.utime(cached, ns=(status.st_atime_ns, status.st_mtime_ns))
    bare.variables["PATH"] = f"{bare.bin}:/usr/bin:/bin"
    done = bare.doit("setup", DEPLOY_ENGINE__RELEASES="http://127.0.0.1:9", code=1)
    lists = "neither in engine.sha256 nor in this machine's record ("
    assert f"{cached} is not known to be tofu 1.12.6: its SHA-256 is {lists}" in done.out
    assert "doit-tofu/engines.json)" in done.out
    assert not log.exists()


def test_a_mirror_without_encryption_is_refused_and_its_credentials_are_shown_nowhere(bare: Repository) -> None:
    bare.variables["PATH"] = f"{bare.bin}:/usr/bin:/bin"
    for address, said in (
        ("http://ada:hunter2-secret@mirror.example/v1", "engine.releases http://mirror.example/v1 is not https"),
        ("https://ada:hunter2-secret@127.0.0.1:9/v1", f"cannot download https://127.0.0.1:9/v1/{ARCHIVE}"),
    ):
        done = bare.doit("setup", DEPLOY_ENGINE__RELEASES=address, code=1)
        assert said in done.out
        assert "hunter2" not in done.out


def test_a_release_that_is_not_what_was_published_is_not_used(
    bare: Repository, releases: tuple[str, dict[str, bytes]]
) -> None:
    """Whether or not its own file of checksums says so: whoever changes the archive can change that, too."""
    address, files = releases
    _publish(files, _say_version("OpenTofu v1.12.6").encode())
    for _ in range(2):
        done = bare.doit("plan", DEPLOY_ENGINE__RELEASES=address, code=1)
        assert f"{ARCHIVE} is not the published release: its SHA-256 is" in done.out
        assert not list((bare.home / "cache/engines").glob("*/tofu"))
        files[ARCHIVE] += b"\0"


OTHER = ARCHIVE.replace("1.12.6", "1.11.3")


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        (None, "cannot download"),
        (b"", "its checksums are not signed by the publisher's key"),
        (b"<html>login</html>", "its checksums are not signed by the publisher's key"),
        ((RELEASES / "tofu_1.8.5_SHA256SUMS.gpgsig").read_bytes(), "its checksums are not signed by the publisher's"),
    ],
)
def test_a_version_that_is_in_no_list_needs_the_signature_of_its_publisher(
    bare: Repository, releases: tuple[str, dict[str, bytes]], signature: bytes | None, said: str
) -> None:
    address, files = releases
    log = bare.home / "liar.log"
    known = _publish(files, LIAR.format(log=log).replace("1.12.6", "1.11.3").encode(), OTHER)
    if signature is not None:
        files["tofu_1.11.3_SHA256SUMS.gpgsig"] = signature
    variables = {"DEPLOY_ENGINE__RELEASES": address, "DEPLOY_ENGINE__VERSION": "1.11.3"}
    done = bare.doit("setup", **variables, code=1)
    assert f"nothing proves what {OTHER} is" in done.out
    assert said in done.out
    assert not log.exists()
    assert "from downloaded" in bare.doit("setup", **variables, DEPLOY_ENGINE__SHA256=known).out


def test_a_real_signature_does_not_prove_another_archive(
    bare: Repository, releases: tuple[str, dict[str, bytes]]
) -> None:
    address, files = releases
    name = ARCHIVE.replace("1.12.6", "1.8.5")
    _publish(files, _say_version("OpenTofu v1.8.5").encode(), name)
    for each in ("SHA256SUMS", "SHA256SUMS.gpgsig"):
        files[f"tofu_1.8.5_{each}"] = (RELEASES / f"tofu_1.8.5_{each}").read_bytes()
    done = bare.doit("setup", DEPLOY_ENGINE__RELEASES=address, DEPLOY_ENGINE__VERSION="1.8.5", code=1)
    assert f"{name} is not the published release: its SHA-256 is" in done.out
    assert not list((bare.home / "cache/engines").glob("*/tofu"))


def test_a_release_of_another_version_than_it_says_is_not_used(
    bare: Repository, releases: tuple[str, dict[str, bytes]]
) -> None:
    address, files = releases
    known = _publish(files, _say_version("OpenTofu v1.11.0").encode())
    done = bare.doit("setup", DEPLOY_ENGINE__RELEASES=address, DEPLOY_ENGINE__SHA256=known, code=1)
    assert "reports 1.11.0, not 1.12.6" in done.out
    assert not list((bare.home / "cache/engines").glob("*/tofu"))


def test_without_network_and_toolchain_one_error_names_all_ways_and_the_ways_out(bare: Repository) -> None:
    bare.variables["PATH"] = f"{bare.bin}:/usr/bin:/bin"
    done = bare.doit("plan", DEPLOY_ENGINE__RELEASES="http://127.0.0.1:9/v1", code=1)
    for text in (
        "cannot obtain tofu 1.12.6",
        "no tofu on PATH",
        f"cannot download http://127.0.0.1:9/v1/{ARCHIVE}",
        "no Go toolchain on PATH",
        "set engine.path",
        "python -m doit setup`",  # which is how it was started
    ):
        assert text in done.out
    assert done.out.count("cannot obtain tofu") <= 3  # once where it happened, and in the last lines
    assert "setup: tofu 1.12.6 is not here yet: no tofu on PATH" in done.out
    assert "; building it instead" in done.out


def test_what_cannot_be_obtained_is_tried_once_and_not_for_each_stack(bare: Repository) -> None:
    bare.variables["PATH"] = f"{bare.bin}:/usr/bin:/bin"
    bare.write(*(f"stacks/s{number}/main.tf:{resource()}" for number in range(5)))
    done = bare.doit("plan", DEPLOY_ENGINE__RELEASES="http://127.0.0.1:9/v1", code=1)
    assert done.out.count("setup: downloading") == 1
    assert done.out.count("set engine.path") <= 2


def test_only_the_pinned_version_can_be_built(bare: Repository) -> None:
    done = bare.doit("setup", DEPLOY_ENGINE__VERSION="1.12.5", DEPLOY_ENGINE__RELEASES="http://127.0.0.1:9", code=1)
    assert "only tofu 1.12.6 can be built here, not tofu 1.12.5" in done.out


def test_a_build_that_fails_shows_what_the_toolchain_said(bare: Repository) -> None:
    bare.bin.mkdir()
    script = bare.bin / "go"
    script.write_text("#!/bin/sh\n[ $1 = list ] && seq 1234 && exit\necho 'go: no network' >&2\nexit 1\n")
    script.chmod(0o755)
    done = bare.doit("setup", DEPLOY_ENGINE__RELEASES="http://127.0.0.1:9", code=1)
    assert "`go build` of tofu 1.12.6 failed" in done.out
    assert "go: no network" in done.out
