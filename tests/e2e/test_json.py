"""`--json`: standard output is the one document, it is as its schema says, and it answers what people ask."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from tests.e2e.test_ledger import LEDGER, Remote
from tests.repository import ROOT, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.repository import Repository

SCHEMA = Draft202012Validator(json.loads((ROOT / "docs/json.schema.json").read_text()))


def ask(repository: Repository, *arguments: str, code: int = 0, **variables: str) -> dict[str, Any]:
    """The document of a command, once it is valid; standard output holds nothing else."""
    done = subprocess.run(
        [str(repository.python), "-m", "doit", *arguments, "--json"], cwd=repository.path, check=False,
        env=repository.environment(**variables), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    SCHEMA.validate(found)
    assert found["command"] in {"failed", *(word.partition(":")[0] for word in arguments)}
    return found


def stack(found: dict[str, Any], name: str) -> dict[str, Any]:
    [part] = [part for part in found["stacks"] if part["name"] == name]
    return dict(part)


def test_what_a_merge_request_would_do(pair: Repository) -> None:
    pair.prepare("deploy")
    pair.write(f"stacks/a/main.tf:{resource('2')}")
    found = ask(pair, "plan")
    assert found["verdict"] == "1 plan (1 to change)."
    assert (found["counts"]["change"], found["exit_code"], found["dirty"]) == (1, 0, True)
    assert found["commit"] == pair.git("rev-parse", "HEAD")
    [change] = stack(found, "a")["changes"]
    assert (change["address"], change["action"]) == ("terraform_data.it", "change")
    assert {'- input = "1"', '+ input = "2"'} <= set(change["difference"])
    assert stack(found, "a")["reasons"] == ["file stacks/a/main.tf changed"]
    assert stack(found, "b")["status"] == "unaffected"


def test_why_a_stack_is_affected(pair: Repository) -> None:
    pair.prepare("deploy")
    pair.write(f"stacks/a/main.tf:{resource('2')}")
    pair.engine_calls()
    found = ask(pair, "status")
    assert pair.engine_calls() == []
    assert stack(found, "a")["reasons"] == [
        {"why": "changed", "text": "file stacks/a/main.tf changed", "input": "file", "name": "stacks/a/main.tf",
         "stack": None, "since": None}
    ]  # fmt: skip
    assert stack(found, "b")["affected"] is False
    assert stack(found, "a")["deployed"]["commit"] == pair.git("rev-parse", "HEAD")


def test_a_resource_that_was_changed_outside_has_its_first_moment(one: Repository) -> None:
    one.write('stacks/a/clock.tf:resource "terraform_data" "clock" {\n  input = timestamp()\n}\n')
    one.prepare("deploy")
    first = ask(one, "drift", code=2)
    [difference] = [each for each in stack(first, "a")["differences"] if each["address"] == "terraform_data.clock"]
    assert difference["kind"] == "changed"
    assert (difference["compared"], difference["since"]) in (("new", stack(first, "a")["found_at"]), ("unknown", None))
    kept = stack(ask(one, "status"), "a")["drift"]
    assert [each["since"] for each in kept["differences"]] == [
        each["since"] for each in stack(first, "a")["differences"]
    ]


def test_the_graph(chain: Repository) -> None:
    found = ask(chain, "graph")
    assert [(part["name"], part["needs"], part["wave"]) for part in found["stacks"]] == [
        ("a", [], 1), ("b", ["a"], 2), ("c", ["b"], 3),
    ]  # fmt: skip
    assert json.loads(chain.doit("graph", "-f", "json").out) == found


def test_a_plan_that_fails_has_its_cause_and_what_to_do(pair: Repository) -> None:
    pair.write('stacks/a/more.tf:variable "size" {}\n')
    found = ask(pair, "plan", code=1)
    problem = stack(found, "a")["problem"]
    assert (problem["kind"], problem["file"], problem["line"]) == ("engine error", "stacks/a/more.tf", 1)
    assert "stacks.a.variables.size" in problem["next"]
    assert found["exit_code"] == 1


@pytest.mark.parametrize("command", ["plan", "drift", "status", "graph", "pla*"])
def test_a_command_that_cannot_begin_says_why_in_a_document(one: Repository, command: str) -> None:
    one.write("config/pipeline.yaml:version: 1\nstakcs: {}\n")
    found = ask(one, command, code=1)
    assert found["command"] == "failed"
    [problem] = found["problems"]
    assert (problem["file"], problem["line"], problem["key"]) == ("config/pipeline.yaml", 2, "stakcs")


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["plan:aa", "--json"], "there is no task 'plan:aa' (did you mean 'plan:a'?)", 3),
        (["paln", "--json"], "there is no task 'paln' (did you mean 'plan'?)", 3),
        (["status", "--jsno", "--json"], "`status` has no option --jsno (did you mean '--json'?)", 3),
        (["--json", "list"], "option --json not recognized", 3),
        (["--json", "status"], "`--json` is an option of `status`, which comes after it", 3),
        (["pla*", "--json"], "a pattern takes no options, so --json has no meaning here", 3),
    ],
)
def test_a_command_line_that_is_not_understood_is_answered_in_a_document(
    one: Repository, words: list[str], said: str, code: int
) -> None:
    done = subprocess.run(
        [str(one.python), "-m", "doit", *words], cwd=one.path, check=False, env=one.environment(),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    found = json.loads(done.stdout)
    SCHEMA.validate(found)
    [problem] = found["problems"]
    assert (found["command"], found["exit_code"]) == ("failed", code)
    assert problem["summary"].startswith(said)
    assert problem["untouched"] == "nothing was run"
    assert problem["next"]
    assert "Traceback" not in done.stderr


def test_one_stack_alone_has_a_document_too(pair: Repository) -> None:
    assert [part["name"] for part in ask(pair, "plan:a")["stacks"]] == ["a"]


def test_a_stack_in_error_is_one_of_the_document(pair: Repository) -> None:
    pair.write("config/pipeline.yaml:version: 1\nstacks: {a: {var_files: [missing.tfvars]}}\n")
    found = ask(pair, "status", code=1)
    assert "there is no var file stacks/a/missing.tfvars" in stack(found, "a")["problem"]["summary"]
    assert stack(found, "b")["problem"] is None


def test_no_document_has_a_secret(one: Repository) -> None:
    secret = "correct-horse-battery-staple"
    one.write(
        'stacks/a/more.tf:variable "password" {\n  sensitive = true\n}\n'
        'resource "terraform_data" "more" {\n  input = "x ${var.password}"\n}\n'
    )
    text = json.dumps([ask(one, command, TF_VAR_password=secret) for command in ("plan", "status")])
    assert secret not in text


def test_what_an_adoption_did(pair: Repository) -> None:
    pair.prepare("deploy")
    path = pair.path / ".state/a-local.tfstate"
    path.write_text(path.read_text().replace('"value": "1"', '"value": "9"'))
    found = ask(pair, "drift", "--adopt", "a")
    assert (found["verdict"], stack(found, "a")["status"]) == (
        "The code of a took over drift; nothing is committed or deployed yet.", "adopted",
    )  # fmt: skip
    assert "adopted: 1 change in stacks/a/main.tf" in stack(found, "a")["summary"]


MORE = 'stacks/b/more.tf:resource "terraform_data" "x" {\n  input = "1"\n}\n'


def printed(number: int, day: str = "") -> str:
    """The commands of docs/json.md, by their place in it; a day in them is another one."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs/json.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    return re.sub(r"2026-\d\d-\d\d", day, blocks[number]) if day else blocks[number]


def answer(repository: Repository, line: str, code: int = 0) -> list[str]:
    """What commands of the docs print, as they are typed."""
    folder = repository.home / "docs-bin"
    folder.mkdir(exist_ok=True)
    (folder / "doit").write_text(f'#!/bin/sh\nexec {repository.python} -m doit "$@"\n')
    (folder / "doit").chmod(0o755)
    path = repository.environment()["PATH"]
    done = subprocess.run(
        ["sh", "-c", line], cwd=repository.path, check=False, env=repository.environment(PATH=f"{folder}:{path}"),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout.splitlines()


def test_the_commands_of_the_docs_answer_what_they_are_for(pair: Repository) -> None:
    pair.write("config/environments/prod.yaml:{}\n", f"stacks/web/main.tf:{resource()}", MORE)
    pair.commit()
    pair.prepare("deploy")
    path = pair.path / ".state/b-local.tfstate"
    path.write_text(path.read_text().replace('"value": "1"', '"value": "9"'))
    pair.doit("drift", code=2)
    assert {" ".join(line.split()[:2]) for line in answer(pair, printed(3, "2020-01-01"))} == {"b: changed"}
    assert answer(pair, printed(3, "2999-01-01")) == []
    pair.write(f"stacks/web/main.tf:{resource('2')}")
    (pair.path / "stacks/b/more.tf").unlink()
    documents = answer(pair, printed(0))
    SCHEMA.validate(json.loads("\n".join(documents)))
    SCHEMA.validate(json.loads((pair.path / "plan.json").read_text()))
    assert answer(pair, printed(1)) == ["b: terraform_data.x"]
    assert answer(pair, printed(2)) == ["file stacks/web/main.tf changed"]


def test_the_commands_of_the_docs_about_the_ledger_answer(build: Callable[..., Repository], tmp_path: Path) -> None:
    config = minimal_config(LEDGER).replace("{root}/.state/", f"{tmp_path}/states/")
    job = Remote(tmp_path, build(config, f"stacks/web/main.tf:{resource()}")).clone()
    job.prepare("ledger", "init")
    job.prepare("deploy")
    [line] = answer(job, printed(4, "2020-01-01"))
    assert line.split()[1:] == ["web", "applied"]
    SCHEMA.validate(json.loads((job.path / "log.json").read_text()))
    last = json.loads("\n".join(answer(job, printed(5))))
    assert (last["outcome"], last["commit"], last["by"]) == ("applied", job.git("rev-parse", "HEAD"), {})
    SCHEMA.validate(json.loads((job.path / "web.json").read_text()))
