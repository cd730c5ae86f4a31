"""The docs: nothing that a user can meet is missing in them, what is generated is current, every link leads somewhere."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from doit.cmd_list import List

import tasks
from tasks import doitwords
from tasks.base import layout, masking, process
from tasks.base.errors import ExitCode
from tasks.base.layout import Layout
from tasks.project import model
from tasks.project.config import loading
from tests.repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = {name.removeprefix("task_").replace("_", "-") for name in tasks.__all__ if re.match(r"task_[a-z]", name)}
DOIT_COMMANDS = {*doitwords.OWN, *doitwords.INSTEAD}
KNOWN_PROGRAMS = {
    ".", "cat", "cd", "cp", "curl", "doit", "echo", "export", "git", "head", "jq", "kill", "ls", "mkdir", "mv", "node", "openssl", "pip",
    "printf", "psql", "python", "python3", "rm", "sed", "sleep", "tofu", "tools/app", "tools/doit", "tools/lint", "tools/test",
    "touch",
}  # fmt: skip
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+_?|PATH|TERM|GOFLAGS|GOOS|GOARCH")
_NO_VARIABLES = {"DOIT_CONFIG"}


def reference() -> str:
    return (ROOT / "docs/reference.md").read_text()


def section(title: str) -> str:
    """What stands below a heading of the reference, up to the next one of its level."""
    match = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", reference(), re.MULTILINE | re.DOTALL)
    assert match, f"docs/reference.md has no section '{title}'"
    return match[2]


def first_column(title: str) -> list[str]:
    """The code in the first cells of a section's tables, without the tables' heads."""
    cells = re.findall(r"^\| ([^|]+) \|", section(title), re.MULTILINE)
    return [code for cell in cells for code in re.findall(r"`([^`]+)`", cell)]


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "tasks").rglob("*.py")):
        yield path.name, ast.parse(path.read_text())


# Commands, exit codes, options


def test_every_command_is_in_the_reference_and_no_other() -> None:
    documented = {code.split()[1] for code in first_column("Commands") if code.startswith("doit ")}
    assert documented == COMMANDS | (doitwords.OWN.keys() - {"run"})
    refused = set(re.findall(r"`([^`]+)`", section("Commands").partition("are refused with")[0].rpartition("\n\n")[2]))
    assert refused == doitwords.INSTEAD.keys()


def test_every_variable_of_the_command_line_is_in_the_reference() -> None:
    names = {
        node.args[0].value
        for _, module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_var"
        if isinstance(node.args[0], ast.Constant)
    }
    assert {code.split("=")[0] for code in first_column("Commands") if "=" in code} == names != set()


def test_every_exit_code_is_in_the_reference_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", section("Exit codes"), re.MULTILINE)
    assert {name: int(code) for name, code in rows} == {member.name: member.value for member in ExitCode}


# Configuration


def key_paths(schema: dict[str, Any], node: dict[str, Any], path: str = "") -> Iterator[str]:
    """The path of every key that a JSON Schema allows, as the docs write it; independent of the generator."""
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    for option in [*node.get("anyOf", []), *node.get("oneOf", [])]:
        yield from key_paths(schema, option, path)
    if isinstance(node.get("items"), dict):
        yield from key_paths(schema, node["items"], f"{path}[]")
    for inner in [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]:
        if isinstance(inner, dict):
            yield from key_paths(schema, inner, f"{path}.<name>")
    for name, inner in node.get("properties", {}).items():
        below = f"{path}.{name}" if path else name
        yield below
        yield from key_paths(schema, inner, below)


def test_every_key_is_in_the_configuration_docs_and_no_other() -> None:
    schema = loading.json_schema()
    rows = re.findall(r"^\| `([^`]+)` \| [^|]+ \| [^|]+ \| (.*) \|$", _configuration(), re.MULTILINE)
    assert {name for name, _ in rows} == set(key_paths(schema, schema))
    assert [name for name, meaning in rows if not meaning.strip()] == []


def test_the_example_of_the_configuration_docs_is_valid() -> None:
    [text] = [body for language, body in _FENCE.findall(_configuration()) if language == "yaml" and "version:" in body]
    assert model.Config(**yaml.safe_load(text)).stacks["runners"].var_files


def _configuration() -> str:
    return (ROOT / "docs/configuration.md").read_text()


def test_what_is_generated_is_current() -> None:
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "tools/write_docs.py")
    assert spec is not None
    assert spec.loader is not None
    write_docs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(write_docs)
    hint = "run `python tools/write_docs.py`"
    assert _configuration() == write_docs.configuration(), hint
    assert (ROOT / layout.SCHEMA_FILE).read_text() == write_docs.schema(), hint
    assert (ROOT / write_docs.DOCUMENTS).read_text() == write_docs.documents_schema(), hint


# Environment variables


def variables_in_the_code() -> set[str]:
    """Every constant that is a variable's name, and the parts of the two patterns that match names."""
    constants = {
        node.value
        for _, module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _VARIABLE.fullmatch(node.value)
    }
    dropped = {name.replace(".*", "") for name in process._DROPPED.pattern.strip("^()$").split("|")}
    secret = set(masking.SECRET_NAME.pattern.split("|"))
    return (constants | dropped | secret) - _NO_VARIABLES


@pytest.mark.parametrize("name", sorted(variables_in_the_code()))
def test_every_environment_variable_is_in_the_reference(name: str) -> None:
    assert re.search(rf"`{re.escape(name)}(\*|=\w+)?`", section("Environment variables"))


def test_the_search_for_environment_variables_finds_those_that_are_known() -> None:
    assert {"DEPLOY_ENV", "DOIT_TOFU_CACHE", "XDG_CACHE_HOME", "TF_CLI_ARGS", "PATH", "TOKEN"} < variables_in_the_code()


# Files


def paths_of_the_layout() -> list[str]:
    """The properties and methods of `Layout` that return a path."""
    public = {name for name in vars(Layout) if not name.startswith("_")}
    return sorted(public - set(Layout.__annotations__) - {"prepare", "relative"})


@pytest.mark.parametrize("name", paths_of_the_layout())
def test_every_path_of_the_layout_is_in_the_reference(name: str) -> None:
    found: Any = getattr(Layout(Path("root"), "<env>"), name)
    if callable(found):
        found = found(*(f"<{parameter}>" for parameter in inspect.signature(found).parameters))
    assert found.relative_to("root").as_posix() in first_column("Files")


# Refused artifacts


def refusals() -> set[str]:
    """The reason word of every refusal: what is given to the error, to `refused`, and listed by `_mismatches`."""
    found = set()
    for name, module in modules():
        for node in ast.walk(module):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called, first = ast.unparse(node.func), node.args[0]
            if called == "found.append" and name == "manifest.py" and isinstance(first, ast.Tuple):
                first = first.elts[0]
            elif called not in ("refused", "ArtifactRefusedError"):
                continue
            if isinstance(first, ast.Constant):
                found.add(first.value)
    return found


def test_every_reason_of_a_refusal_is_in_the_reference_and_no_other() -> None:
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section("Refused artifacts"), re.MULTILINE)) == refusals()
    assert {"stale", "mocked", "missing"} < refusals()


def folder_refusals() -> set[str]:
    """The reason word of every refusal of a folder."""
    found = set()
    for name, module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("_refused", "FolderRefusedError"):
                place = 1 if name == "folder.py" else 0
                if name in ("folder.py", "custody.py") and len(node.args) > place:
                    found |= {node.args[place].value} if isinstance(node.args[place], ast.Constant) else set()
    return found


def test_every_reason_of_a_refused_folder_is_in_the_reference_and_no_other() -> None:
    assert set(first_column("Refused folders")) == folder_refusals()
    assert {"folder", "project", "no-key"} < folder_refusals()


# All documents


def _prose(path: Path) -> str:
    """A document without its fenced blocks."""
    return _FENCE.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as forges make them."""
    headings = re.findall(r"^#+ (.*)$", _prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_a_heading_in_it(path: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def commands(path: Path) -> Iterator[list[str]]:
    """The words of every command in a document's `sh` blocks, without variables set before it."""
    for language, body in _FENCE.findall(path.read_text()):
        if language not in ("sh", "shell", "console"):
            continue
        run = re.sub(r"<<'(\w+)'\n.*?^\1$", "", body, flags=re.MULTILINE | re.DOTALL)  # what is written, not run
        for line in run.replace("\\\n", " ").splitlines():
            words = shlex.split(re.sub(r"\$\([^)]*\)", "X", line), comments=True)
            command: list[str] = []
            for word in [*words, "&&"]:
                if word in ("&&", "||", "|", ";", "&"):
                    if command:
                        yield command
                    command = []
                elif command or not re.match(r"[A-Za-z_]\w*=", word):
                    command.append(word)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_command_line_begins_with_a_known_program(path: Path) -> None:
    assert [words for words in commands(path) if words[0] not in KNOWN_PROGRAMS] == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_doit_command_that_is_shown_exists(path: Path) -> None:
    inline = re.findall(r"`(?:tools/)?doit ([^`]+)`", _prose(path))
    shown = [["doit", *text.split()] for text in inline] + [
        words for words in commands(path) if words[0] in ("doit", "tools/doit")
    ]
    unknown = []
    for words in shown:
        names = [word for word in words[1:] if "=" not in word and not word.startswith(("-", "<", ">", "2>", "."))]
        known = COMMANDS | DOIT_COMMANDS
        if names and names[0].partition(":")[0] not in known and not any(word in ("-n", "-f", "-o") for word in words):
            unknown.append(" ".join(words))
    assert unknown == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("doit deploy:n", ["network"]),
        ("doit deploy:apps/", ["apps/shop"]),
        ("doit env=prod deploy:", ["apps/shop", "network"]),
        ("doit plan depl", ["deploy", "deploy:apps/shop", "deploy:network"]),
        ("doit deploy:x", []),
    ],
)
def test_the_completion_for_bash_does_what_the_reference_says(tmp_path: Path, line: str, words: list[str]) -> None:
    lines = completion("bash")
    (tmp_path / "network").mkdir()  # a folder of the same name is not what is meant
    program = "doit() { printf '%s   \\n' deploy deploy:apps/shop deploy:network plan; }"
    ask = f"COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; _doit doit; printf '%s\\n' \"${{COMPREPLY[@]}}\"; complete -p doit"
    done = subprocess.run(
        ["bash", "-c", f"COMP_WORDBREAKS=' :'\n{program}\n{lines}\n{ask}"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    *found, registered = done.stdout.splitlines()
    assert [word for word in found if word] == words
    assert registered == "complete -F _doit doit", "as words, not as names of files"


TASKS = ["deploy", "deploy:apps/shop", "deploy:network", "deploy:plan", "list", "log", "plan", "plan:a-b", "plan:plan"]
SHELLS = {  # how its completion is asked for all words of a program, which it gets from `doit list`
    "bash": """doit() {{ {list}; }}
        {lines}
        COMP_LINE='doit '; COMP_POINT=5; _doit doit; printf '%s\\n' "${{COMPREPLY[@]}}"; complete -p doit doit-tofu""",
    "zsh": """doit() {{ {list} }}
        compadd() {{ print -l -- "$@" }}
        compdef() {{ print -- "complete $*" }}
        {lines}
        words=(doit ''); _doit""",
    "fish": """function doit; {list}; end
        {lines}
        complete -C 'doit '; complete doit; complete doit-tofu""",
}
_OPEN = {"(": ")", "[": "]", "{": "}"}


def completion(shell: str) -> str:
    """The lines that the reference has for a shell."""
    [lines] = [body for language, body in _FENCE.findall(reference()) if language == shell]
    return lines


def unbalanced(text: str) -> list[str]:
    """The brackets and quotes of a shell's text that are left open."""
    open_: list[str] = []
    for sign in re.sub(r"\s# .*", "", text):
        if open_ and sign == open_[-1]:
            open_.pop()
        elif sign in _OPEN and open_[-1:] != ["'"]:
            open_.append(_OPEN[sign])
        elif sign in "\"')]}" and open_[-1:] != ["'"]:  # an end without its begin stays, and is the fault
            open_.append(sign)
    return open_


@pytest.mark.parametrize("shell", SHELLS)
def test_every_completion_asks_the_program_that_is_completed_for_its_tasks(shell: str) -> None:
    """What it runs, for which programs, and whether the lines are whole."""
    lines = completion(shell)
    asked = re.findall(r"(\S+) (list --all --quiet) 2>/dev/null", lines)
    program = {"bash": '"$("$1"', "zsh": '${(f)"$($words[1]', "fish": "$words[1]"}[shell]
    assert [(word, "list --all --quiet") for word in (program,)] == asked
    assert unbalanced(lines) == []
    assert all(re.search(rf"(?<![\w-]){name}(?![\w-])", lines.splitlines()[-1]) for name in ("doit", "doit-tofu"))
    assert {option["long"] for option in List.cmd_options} >= {"all", "quiet"}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_completion_in_the_shell_has_every_task(tmp_path: Path, shell: str) -> None:
    program = f"printf '%s   \\n' {' '.join(TASKS)}"
    script = SHELLS[shell].format(list=program, lines=completion(shell))
    options = {"bash": ["--norc", "-c"], "zsh": ["-f", "-c"], "fish": ["--no-config", "-c"]}[shell]
    done = subprocess.run(
        [shell, *options, script], cwd=tmp_path, check=True, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COMP_WORDBREAKS": " "},
    )  # fmt: skip
    said = done.stdout.splitlines()
    found = [line.strip() for line in said if line.strip() not in ("--", "") and not line.startswith("complete ")]
    assert sorted(found) == sorted(TASKS)
    registered = " ".join(line for line in said if line.startswith("complete "))
    assert re.search(r"\bdoit\b(?!-)", registered)
    assert "doit-tofu" in registered
    assert done.stderr == ""


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_no_path_of_a_machine_is_shown(path: Path) -> None:
    assert re.findall(r"(?<![\w.])/(?:tmp|root|home|work|Users)/[^\s`]*", path.read_text()) == []
