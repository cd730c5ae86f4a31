"""`doit-tofu`, and doit with our commands: help, version, names that are nearly right, and every folder of a repository."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tasks.base.unseen import one_line
from tests.repository import INSTALLED, ROOT, Done

if TYPE_CHECKING:
    from pathlib import Path

    from tests.repository import Repository

PACKAGE = "doit_tofu" if INSTALLED else "tasks"
PLUGINS = re.search(r"\[tool\.doit\.plugins\.command\]\n(\w+ = .*\n)+", (ROOT / "pyproject.toml").read_text())
_LOCAL_TREE = {} if INSTALLED else {"PYTHONPATH": str(ROOT)}


def program(repository: Repository, *arguments: str, folder: Path | None = None, module: str = PACKAGE) -> Done:
    """What `python -m doit_tofu` prints, and its exit code."""
    done = subprocess.run(
        [str(repository.python), "-m", module, *arguments], cwd=folder or repository.path, check=False,
        env=repository.environment(DOIT_TOFU_PROGRAM="doit", **_LOCAL_TREE), capture_output=True, text=True,
    )  # fmt: skip
    return Done(done.returncode, done.stdout + done.stderr)


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["help"], ["run", "--help"]])
def test_help_speaks_of_stacks_in_any_place_and_names_every_command(one: Repository, arguments: list[str]) -> None:
    done = program(one, *arguments)
    assert done.code == 0
    assert "usage: doit" in done.out
    listed = [line.split()[0] for line in one.doit("list").out.splitlines() if line.strip()]
    assert len(listed) >= 12
    for command in listed:
        assert f"\n  {command} " in done.out
    assert "CmdOption" not in done.out
    assert max(map(len, done.out.splitlines())) <= 120


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-e", "prod", "plan"], "`doit env=prod plan`"),
        (["--env=prod", "plan"], "`doit env=prod plan`"),
        (["--env", "plan"], "`doit env=NAME plan`"),
        (["plan", "--env", "prod"], "`doit env=prod plan`"),
        (["--colour", "plan"], "--colour"),
        (["-n"], "-n"),
        (["-n", "x", "plan"], "`-n` takes a whole number, not 'x'"),
        (["--json", "status"], "next: write --json after `status`"),
    ],
)
def test_an_option_that_is_none_is_explained_in_three_lines(one: Repository, arguments: list[str], said: str) -> None:
    done = program(one, *arguments)
    assert done.code == 3
    assert said in done.out
    assert "CmdOption" not in done.out
    told = done.out[done.out.index("ERROR: ") :]  # below the document that `--json` asks for
    assert len(told.splitlines()) <= 3
    assert (told == done.out) is ("--json" not in arguments)
    assert one.engine_calls() == []


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("paln", "plan"),
        ("plan:oen", "plan:one"),
        ("paln:one", "plan:one"),
        ("apply", "deploy"),
        ("aplly", "deploy"),
        ("fmt", "validate"),
        ("PLAN", "plan"),
    ],
)
def test_a_name_that_is_nearly_right_names_the_right_one(one: Repository, word: str, near: str) -> None:
    stack = next(folder.name for folder in (one.path / "stacks").iterdir())
    done = program(one, word.replace("one", stack).replace("oen", stack + "x"))
    assert done.code == 3
    assert f"did you mean '{near.replace('one', stack)}'" in done.out
    assert one.engine_calls() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "--josn"], "`plan` has no option --josn (did you mean '--json'?)"),
        (["deploy", "--repiar", "a"], "`deploy` has no option --repiar (did you mean '--repair'?)"),
        (["status", "--jsno"], "`status` has no option --jsno (did you mean '--json'?)"),
        (["plan:a", "--quiet"], "`plan` has no option --quiet\n"),
        (["graph", "-f", "dott"], "`-f` takes no 'dott' (did you mean 'dot'?)"),
    ],
)
def test_an_option_that_is_nearly_right_names_the_right_one(one: Repository, arguments: list[str], said: str) -> None:
    done = program(one, *arguments)
    assert done.code == 3
    assert said in done.out
    assert f"next: `doit help {arguments[0].partition(':')[0]}` shows the options" in done.out
    assert one.engine_calls() == []


@pytest.mark.parametrize("word", ["destroy", "deploy:nosuchstack", "drift:nosuchstack", "prod"])
def test_nothing_is_guessed_for_a_name_that_is_only_a_little_like_another(one: Repository, word: str) -> None:
    done = program(one, word)
    assert done.code == 3
    assert "did you mean" not in done.out
    assert "(known: " in done.out


@pytest.mark.parametrize("command", ["list", "forget", "clean", "ignore"])
def test_a_command_about_tasks_names_the_nearest_one(one: Repository, command: str) -> None:
    done = program(one, command, "paln:a")
    assert done.code == 3
    assert "there is no task 'paln:a' (did you mean 'plan:a'?)" in done.out
    assert "Traceback" not in done.out


def test_a_command_for_all_stacks_at_once_has_no_parts(one: Repository) -> None:
    assert "there is no task 'graph:a': `graph` is for all stacks at once" in program(one, "graph:a").out


@pytest.mark.parametrize("command", ["deploy", "status", "validate"])
def test_a_negative_number_of_tasks_is_refused_and_no_success(one: Repository, command: str) -> None:
    done = program(one, "-n", "-3", command)
    assert done.code == 1
    assert "`-n -3`: not a number of tasks" in done.out
    assert one.engine_calls() == []


def test_a_stack_alone_is_told_how_to_be_written(one: Repository) -> None:
    stack = next(folder.name for folder in (one.path / "stacks").iterdir())
    assert f"write `plan:{stack}`" in program(one, "plan", stack).out
    assert f"write `deploy:{stack}`" in program(one, "deploy", stack).out
    assert "and `status` takes none" in program(one, "status", stack).out
    assert "no stack has checks" in program(one, "verify:a").out
    assert "there are no builds" in program(one, "build:a").out


@pytest.mark.parametrize("words", [[""], ["plan", ""], ["", "plan"]])
def test_an_empty_word_is_named(one: Repository, words: list[str]) -> None:
    done = program(one, *words)
    assert done.code == 3
    assert done.out.startswith("ERROR: a word on the command line is empty\n  untouched: nothing was run\n  next: ")


@pytest.mark.parametrize("words", [["-f", "", "status"], ["--file=", "plan"]])
def test_an_empty_name_of_a_file_is_named_by_doit_too(one: Repository, words: list[str]) -> None:
    done = one.doit(*words, code=3)
    assert "a word on the command line is empty" in done.out
    assert "Traceback" not in done.out


_COMMANDS = ("plan", "status", "info", "audit", "list", "forget", "clean", "restore", "ledger")


@pytest.mark.parametrize(
    ("command", "word"),
    [*((command, " ") for command in _COMMANDS), *(("plan", word) for word in ("-", ":", "a\nb", "plan:", "plan: "))],
)
def test_a_word_that_is_hardly_one_is_an_unknown_name(one: Repository, command: str, word: str) -> None:
    done = program(one, command, word)
    assert done.code in {1, 3}
    assert "Traceback" not in done.out
    assert one_line(word).strip() in done.out
    assert "a\nb" not in done.out
    assert "  next: " in done.out


def test_a_name_that_is_like_nothing_lists_what_there_is(one: Repository) -> None:
    done = program(one, "zzzzzz")
    assert done.code == 3
    assert "plan" in done.out
    assert "deploy" in done.out


def test_every_folder_of_the_repository_will_do(one: Repository) -> None:
    stack = next(folder for folder in (one.path / "stacks").iterdir())
    assert program(one, "status", folder=stack).out == program(one, "status").out
    assert program(one, "list", folder=stack).out == program(one, "list").out


def test_the_version_names_the_product_and_what_it_runs_on(one: Repository) -> None:
    first, *more = program(one, "--version").out.splitlines()
    assert first.startswith("doit-tofu ")
    assert "doit 0.37" in first
    assert more == []


def test_every_way_to_ask_for_the_version_or_for_help_has_one_answer(one: Repository) -> None:
    if not INSTALLED:
        assert PLUGINS
        one.write(f"pyproject.toml:{PLUGINS.group()}")
    one.write("config/pipeline.yaml:version: 1\nengine: {version: 1.12.6}\n")
    version = program(one, "--version").out
    assert re.fullmatch(r"doit-tofu .+ \(OpenTofu 1\.12\.6, doit [\d.]+, Python [\d.]+\)\n", version), version
    assert [program(one, "version", module=module).out for module in ("doit", PACKAGE)] == [version, version]
    usage = program(one, "help").out
    assert usage.startswith(version.rstrip())
    for arguments in (["--help"], ["-h"], ["help"]):
        assert program(one, *arguments, module="doit").out == usage


def test_the_version_does_without_the_engine_where_the_configuration_cannot_be_read(one: Repository) -> None:
    one.write("config/pipeline.yaml:version: [\n")
    assert re.fullmatch(r"doit-tofu .+ \(doit [\d.]+, Python [\d.]+\)\n", program(one, "version").out)


def test_help_about_a_command_says_how_it_is_written_and_what_it_takes(one: Repository) -> None:
    done = program(one, "help", "plan")
    for part in (
        "save a plan for every affected stack",
        "usage: doit [NAME=VALUE ...] plan[:STACK]",
        "base=...",
        "--json",
    ):
        assert part in done.out
    for arguments in (["plan", "-h"], ["plan:a", "--help"], ["env=prod", "plan", "--help"]):
        assert program(one, *arguments).out == done.out


def test_help_about_a_command_that_does_not_exist_names_the_nearest(one: Repository) -> None:
    done = program(one, "help", "paln")
    assert done.code == 3
    assert "there is no task 'paln' (did you mean 'plan'?)" in done.out
    assert "plan stacks/" in program(one, "help", "plan:a").out


def test_doit_itself_has_these_commands(one: Repository) -> None:
    if not INSTALLED:  # then doit finds them as it does in this repository
        assert PLUGINS
        one.write(*(f"{folder}pyproject.toml:{PLUGINS.group()}" for folder in ("", "stacks/a/")))
    assert "usage: doit" in program(one, "-h", module="doit").out
    assert "did you mean 'plan'" in program(one, "paln", module="doit").out
    stack = next(folder for folder in (one.path / "stacks").iterdir())
    assert program(one, "status", folder=stack, module="doit").code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from doit_tofuu import *\n", "ModuleNotFoundError: No module named 'doit_tofuu'\n  where: dodo.py:1\n"),
        ("# ours\ndef x(:\n", "SyntaxError: invalid syntax\n  where: dodo.py:2\n"),
        ("\nx = y + 1\n", "NameError: name 'y' is not defined\n  where: dodo.py:2\n"),
    ],
)
@pytest.mark.parametrize("command", [("plan",), ("list",), ("status", "--json")])
def test_a_dodo_file_that_cannot_be_imported_is_no_traceback(
    one: Repository, text: str, said: str, command: tuple[str, ...]
) -> None:
    one.write(f"dodo.py:{text}")
    done = program(one, *command)
    assert done.code == 3
    assert f"ERROR: dodo.py cannot be imported: {said}" in done.out
    assert "  next: correct it; `python dodo.py` shows the whole error" in done.out
    assert "Traceback" not in done.out


def test_help_in_a_repository_of_others_is_that_of_doit(one: Repository) -> None:
    one.write("dodo.py:def task_x():\n    return {'actions': ['true']}\n")
    assert "https://pydoit.org" in program(one, "help").out


def _doit(repository: Repository, *arguments: str) -> Done:
    """What doit itself prints with our commands, as its own script runs them."""
    if not INSTALLED:
        assert PLUGINS
        repository.write(f"pyproject.toml:{PLUGINS.group()}")
    return program(repository, *arguments, module="doit")


_DOITS_OWN = (
    "PURPOSE",
    "CmdOption",
    "<function",
    "Traceback",
    "pydoit.org\n\nCommands",
    "__main__",
    "-m help",
    "dodo file",
)
_KEPT = ("run", "list", "clean", "forget", "ignore", "help", "version", "tabcompletion")
_REPLACED = {"info": "doit status", "dumpdb": "doit status", "reset-dep": "doit status", "strace": "inputs"}


@pytest.mark.parametrize("command", [*_KEPT, *_REPLACED])
def test_each_command_of_doit_has_our_help_an_answer_for_a_bad_option_and_for_a_bad_word(
    one: Repository, command: str
) -> None:
    asked = [_doit(one, *words) for words in (("help", command), (command, "-h"), (command, "--help"))]
    assert {done.code for done in asked} == {0}
    assert len({done.out for done in asked}) == 1 or command == "run"  # `doit -h` is `doit run -h`: of all commands
    wrong = [_doit(one, command, word) for word in ("--nosuch", "nosuch")]
    assert {done.code for done in wrong} == {3}
    for done in wrong:
        assert len(done.out.splitlines()) <= 3
        assert "  untouched: nothing was run\n  next: " in done.out
    for done in (*asked, *wrong):
        assert [word for word in _DOITS_OWN if word in done.out] == []
    if command in _REPLACED:
        assert all(_REPLACED[command] in done.out for done in (*asked, *wrong))
    else:
        shows = "-h" if command == "run" else f"help {command}"
        assert f"`doit {shows}` shows the options" in wrong[0].out
    assert one.engine_calls() == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-s", "deploy:a"], "`-s` is not supported"),
        (["--single", "deploy"], "`-s` is not supported"),
        (["-P", "process", "plan"], "`-P process` is not supported"),
        (["-o", "out.txt", "plan"], "`-o` is not supported"),
        (["-r", "json", "plan"], "`-r` is not supported"),
        (["--db-file", "/nosuch/x", "plan"], "`--db-file` is not supported"),
        (["--backend", "dbm", "plan"], "`--backend` is not supported"),
        (["--check_file_uptodate", "timestamp", "plan"], "`--check_file_uptodate` is not supported"),
        (["list", "--template", "{nosuch}"], "`--template` is not supported"),
        (["list", "-s"], "`-s` is not supported"),
        (["list", "--deps"], "`--deps` is not supported"),
        (["-f", "nosuch.py", "plan"], "there is no 'nosuch.py'"),
        (["-d", "nosuch", "plan"], "no folder 'nosuch'"),
        (["clean"], "name what to clean"),
        (["forget"], "name what to forget"),
        (["ignore"], "name what to ignore"),
        (["info"], "doit status"),
        (["help", "nosuch"], "there is no task 'nosuch'"),
    ],
)
def test_what_doit_can_do_and_this_product_cannot_is_refused_in_a_sentence(
    one: Repository, words: list[str], said: str
) -> None:
    done = _doit(one, *words)
    assert done.code == 3
    assert said in done.out
    assert "Traceback" not in done.out
    assert len(done.out.splitlines()) <= 3
    assert one.engine_calls() == []
    assert not (one.path / "out.txt").exists()


def test_a_way_of_its_own_to_run_in_parallel_that_is_ours_is_no_error(one: Repository) -> None:
    assert _doit(one, "-P", "thread", "status").code == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(one: Repository, shell: str) -> None:
    done = _doit(one, "tabcompletion", "--shell", shell)
    assert done.code == 0
    assert "list --all --quiet" in done.out
    assert done.out in (ROOT / "docs/reference.md").read_text()


@pytest.mark.parametrize(
    ("typed", "found"), [("tools/doit plan:", ["a"]), ("tools/doit gra", ["graph"]), ("doit sta", ["status"])]
)
def test_bash_completes_the_names_of_tasks_for_the_wrapper_too(one: Repository, typed: str, found: list[str]) -> None:
    one.write("tools/doit:")
    wrapper, name = one.path / "tools/doit", typed.split(maxsplit=1)[0]
    wrapper.write_text(f'#!/bin/sh\nexec "{one.python}" -m doit "$@"\n')
    wrapper.chmod(0o755)
    (one.bin / "doit").symlink_to(wrapper)
    completion = _doit(one, "tabcompletion").out
    script = f"""{completion}
    complete -p {name} >/dev/null || exit 9
    COMP_LINE='{typed}' COMP_POINT={len(typed)} COMP_WORDBREAKS=' :'; _doit {name}; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = one.environment()
    done = subprocess.run(
        ["bash", "-c", script], cwd=one.path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == found


def test_outside_of_a_repository_the_first_step_is_named(one: Repository) -> None:
    folder = one.home / "elsewhere"
    folder.mkdir()
    done = program(one, "plan", folder=folder)
    assert done.code == 3
    assert "there is no dodo.py in this folder, nor in one above it" in done.out
    assert "from doit_tofu import *" in done.out


def test_what_is_cleaned_is_said_in_plain_words(one: Repository) -> None:
    stack = next(folder.name for folder in (one.path / "stacks").iterdir())
    program(one, "plan")
    assert program(one, "clean", "-n", "plan").out == f"plan:{stack}: its saved plan would be removed\n"
    assert one.deploy_dir(f"plans/{stack}/plan.tfplan").exists()
    assert program(one, "clean", "plan").out == f"plan:{stack}: its saved plan was removed\n"
    assert not one.deploy_dir(f"plans/{stack}/plan.tfplan").exists()


def test_doit_has_its_own_commands_in_a_repository_of_others(one: Repository) -> None:
    one.write("dodo.py:def task_x():\n    return {'actions': ['true']}\n")
    assert "task_dep" in _doit(one, "help", "task").out
    assert "PURPOSE" in _doit(one, "help", "strace").out
    assert "auto-generate by" in _doit(one, "tabcompletion").out
    assert "status     : run" in _doit(one, "info", "x").out
    assert _doit(one, "-s", "-o", "out.txt", "x").code == 0
    assert (one.path / "out.txt").exists()


@pytest.mark.skipif(not INSTALLED, reason="the tree has no script")
def test_a_command_that_is_printed_can_be_pasted_however_the_program_was_started(one: Repository) -> None:
    python, folder = one.python, one.python.parent
    without = f"{one.bin}:/usr/bin:/bin"
    for start, path, said in (
        (f"{folder}/doit-tofu", f"{folder}:{without}", "doit-tofu"),
        (f"{folder}/doit-tofu", without, f"{folder}/doit-tofu"),
        (f"{folder}/doit", without, f"{folder}/doit"),
        (f"{python} -m doit_tofu", without, f"{python} -m doit_tofu"),
        (f"{python} -m doit", f"{folder}:{without}", "doit"),
    ):

        def shell(line: str, path: str = path) -> str:
            environment = one.environment(PATH=path)
            return subprocess.run(
                ["sh", "-c", line], cwd=one.path, check=False, env=environment, capture_output=True, text=True,
            ).stdout  # fmt: skip

        told = shell(f"{start} status")
        assert f"; `{said} deploy` deploys and checks them" in told, start
        [printed] = re.findall("`(.*?)`", told.splitlines()[-1])
        assert "plan      1 ok" in shell(printed.replace(" deploy", " -a plan")), printed
        assert f"usage: {said} [" in shell(f"{start} -h")


def test_what_is_kept_names_the_program_as_pipelines_do(one: Repository) -> None:
    one.write("stacks/a/main.tf:resource {\n")
    one.doit("plan", code=1, DOIT_TOFU_PROGRAM="uv run doit")
    kept = "".join(
        path.read_text()
        for path in one.deploy_dir().rglob("*")
        if path.suffix in {".md", ".html", ".xml", ".json", ".jsonl"}
    )
    assert "uv run doit" not in kept
    assert "uv run doit" in one.doit("status", code=None, DOIT_TOFU_PROGRAM="uv run doit").out
    assert "uv run doit" not in one.doit("status", code=None, DOIT_TOFU_PROGRAM="uv run doit", CI="true").out


@pytest.mark.parametrize("command", ["list", "help", "tabcompletion"])
def test_a_reader_that_has_seen_enough_is_no_error(one: Repository, command: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'{{ "$0" -m "$1" {command}; echo "code $?" >&2; }} | true', str(one.python), PACKAGE],
        cwd=one.path, check=False, env=one.environment(**_LOCAL_TREE), capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == "code 0\n"


@pytest.mark.parametrize("output", ["> /dev/full", ">&-"])
def test_a_command_that_cannot_print_says_so_in_one_line(one: Repository, output: str) -> None:
    commands = ("list", "help", "help plan", "tabcompletion", "-h", "--version", "forget plan", "clean plan")
    script = "\n".join(f'"$0" -m "$1" {command} {output}; echo "{command}: $?" >&2' for command in commands)
    done = subprocess.run(
        ["sh", "-c", script, str(one.python), PACKAGE],
        cwd=one.path, check=False, env=one.environment(**_LOCAL_TREE), capture_output=True, text=True,
    )  # fmt: skip
    lines = done.stderr.splitlines()
    assert all(line.startswith("this could not be printed: ") for line in lines[::2]), done.stderr
    codes = [code for code in lines[1::2] if not code.startswith("--version")]
    assert codes == [f"{command}: 1" for command in commands if command != "--version"]
