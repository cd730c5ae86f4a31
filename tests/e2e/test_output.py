"""Printing never ends a deploy: terminals that know no such sign, a full disk, a closed output."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.repository import PATIENCE, minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.repository import Repository

# A value with signs that no ASCII terminal has, and a replacement, for which our own lines have one.
SLOW = (
    'terraform {\n  backend "local" {}\n}\n\nvariable "x" {\n  type    = any\n  default = 1\n}\n\n'
    'resource "terraform_data" "it" {\n  triggers_replace = [var.x, "grün ✓"]\n}\n\noutput "value" {\n  value = "✓"\n}\n'
)


@pytest.fixture
def changed(build: Callable[..., Repository]) -> Repository:
    repository = build(
        minimal_config("stacks:\n  b: {inputs: {x: a.value}}\n"), f"stacks/a/main.tf:{resource()}", f"stacks/b/main.tf:{SLOW}",
        f"stacks/c/main.tf:{reader()}",
    )  # fmt: skip
    repository.prepare("deploy")
    repository.write(f"stacks/a/main.tf:{resource('2')}")
    repository.commit()
    return repository


def run(repository: Repository, shell: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A shell command with doit as `$DOIT`."""
    return subprocess.run(
        ["sh", "-c", shell], cwd=repository.path, check=False, capture_output=True, text=True, timeout=PATIENCE,
        env=repository.environment(DOIT=f"{repository.python} -m doit", **variables), errors="replace",
    )  # fmt: skip


def deployed(repository: Repository) -> list[str]:
    return [repository.json("receipts", f"{name}.json")["outcome"] for name in ("a", "b")]


@pytest.mark.parametrize(
    ("shell", "variables"),
    [
        pytest.param("$DOIT deploy", {"PYTHONIOENCODING": "ascii"}, id="ascii"),
        pytest.param("$DOIT deploy", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, id="posix locale"),
        pytest.param("$DOIT deploy > /dev/full", {}, id="full disk"),
        pytest.param("$DOIT deploy > /dev/full 2> /dev/full", {}, id="both streams full"),
        pytest.param("$DOIT deploy >&-", {}, id="closed output"),
        pytest.param("$DOIT deploy >&- 2>&- <&-", {}, id="everything closed"),
        pytest.param("{ $DOIT deploy; echo $? > .git/code; } | true; exit $(cat .git/code)", {}, id="reader gone"),
    ],
)  # fmt: skip
def test_what_cannot_be_printed_ends_no_deploy(changed: Repository, shell: str, variables: dict[str, str]) -> None:
    done = run(changed, shell, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert deployed(changed) == ["applied", "applied"]
    assert changed.doit("deploy").line("nothing to deploy")


def test_the_end_of_a_run_says_what_could_not_be_printed(changed: Repository) -> None:
    done = run(changed, "$DOIT deploy > /dev/full")
    assert "could not be printed ([Errno 28] No space left on device):" in done.stderr
    assert "2 deployed" in done.stderr


@pytest.mark.parametrize(
    ("shell", "said"),
    [
        pytest.param("$DOIT deploy >&-", "could not be printed ([Errno 9] Bad file descriptor):\n", id="closed output"),
        pytest.param(
            "{ $DOIT deploy; echo; } | true",
            "could not be printed (the output was closed): ",
            id="reader gone",
        ),
    ],
)
def test_what_was_deployed_is_said_where_the_output_is_closed(changed: Repository, shell: str, said: str) -> None:
    done = run(changed, shell)
    assert said in done.stderr
    assert "local: 2 deployed" in done.stderr


def test_a_reader_of_a_status_that_has_seen_enough_is_told_nothing(changed: Repository) -> None:
    assert run(changed, "{ $DOIT status; } | true").stderr == ""


@pytest.mark.parametrize("command", ["status --json", "graph --json", "plan --json"])
def test_a_program_that_gets_no_document_is_not_told_that_all_is_well(one: Repository, command: str) -> None:
    done = run(one, f"$DOIT {command} > /dev/full")
    assert done.returncode == 1
    assert "the document could not be printed: [Errno 28] No space left on device" in done.stderr
    assert run(one, f"{{ $DOIT {command}; echo $? > .git/code; }} | true; exit $(cat .git/code)").returncode == 0


def test_an_error_at_the_start_is_printed_where_standard_error_is_full(one: Repository) -> None:
    one.write("config/pipeline.yaml:version: 2\n")
    done = run(one, "$DOIT plan 2> /dev/full")
    assert done.returncode == 1
    assert "config error" in done.stdout


@pytest.mark.parametrize("output", ["| true", "> /dev/full", ">&-"])
def test_an_error_at_the_start_is_that_error_where_its_document_cannot_be_printed(one: Repository, output: str) -> None:
    one.write("config/pipeline.yaml:version: 2\n" + "# much\n" * 9)
    done = run(one, f"{{ $DOIT status --json; echo $? > .git/code; }} {output}; exit $(cat .git/code)")
    assert done.returncode == 1
    assert done.stderr.startswith("config error: version: ")
    assert "  next: correct it, then run the same command again\n" in done.stderr
    assert "dodo.py" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_closed_output_is_not_taken_by_another_file(changed: Repository) -> None:
    run(changed, "$DOIT deploy >&- 2>&- <&-")
    changed.doit("deploy")
    for path in changed.deploy_dir().rglob("*"):
        if path.is_file() and path.suffix in (".db", ".json"):
            assert b"deployed (" not in path.read_bytes(), path
    assert (changed.path / ".deploy/.cache/records/local/doit.db").stat().st_size > 0


def test_what_ends_a_run_at_its_start_gives_no_commands_to_the_log(one: Repository) -> None:
    key = r"x\n::add-mask::l\n::error title=pwned::by a key\e]0;title\a"
    one.write(f'config/pipeline.yaml:version: 1\nstacks: {{a: {{"{key}": 1}}}}\n')
    out = one.doit("plan", code=1, GITHUB_ACTIONS="true").out
    assert "\x1b" not in out
    assert "\a" not in out
    begins = out.index("::stop-commands::")
    assert all(begins < out.index(text) for text in ("::add-mask::", "::error"))


@pytest.mark.parametrize("kind", ["pipe", "link"])
@pytest.mark.parametrize("name", ["receipts/a.json", "plans/a/manifest.json", "plans/a/claim.json", "outputs/a.json"])
def test_a_pipe_or_link_in_place_of_a_record_is_refused_and_never_waited_for(
    one: Repository, name: str, kind: str
) -> None:
    one.prepare("deploy")
    one.prepare("-a", "plan")
    path = one.deploy_dir(name)
    path.unlink(missing_ok=True)
    victim = one.home / "victim"
    victim.write_text("precious")
    os.mkfifo(path) if kind == "pipe" else path.symlink_to(victim)
    assert "Traceback" not in one.doit("deploy", code=None).out
    assert victim.read_text() == "precious"
