"""What is known of a single stack holds only while nothing that it rests on has changed, and holds no secret."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks import standings
from tasks.artifact import stamps, standing
from tasks.artifact.standing import Standing
from tasks.project.statekinds import StateId
from tasks.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project

LOCAL = 'terraform {\n  backend "local" {}\n}\n'
PLACE = 'backend: {kind: local, settings: {path: "../../.state/{stack}"}}\n'


@pytest.fixture
def known(tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, list[str]]:
    """Standings of two stacks in the current folder, each on a folder with a file of its own, and one file of both."""
    root = tree("dodo.py:", "config/pipeline.yaml:", "a/main.tf:", "b/main.tf:", "m/main.tf:", "README.md:")
    (root / "link").symlink_to("m")
    monkeypatch.chdir(root)
    paths = [
        "dodo.py",
        "config/pipeline.yaml",
        "a",
        "a/main.tf",
        "b",
        "b/main.tf",
        "m/main.tf",
        "README.md",
        "link",
        "z",
    ]
    state = StateId("local", (f"={root.resolve().as_posix()}/states/a",), ())
    found = {
        "a": Standing("v1 today", state, ["a", "a/main.tf", "m/main.tf"]),
        "b": Standing("-", None, ["b", "b/main.tf", "m/main.tf", "z"]),
    }
    return standing.encode(found, paths), paths


CHANGES: dict[str, tuple[Callable[[], object], list[str]]] = {
    "nothing": (lambda: None, ["a", "b"]),
    "a file of its own": (lambda: touch("a/main.tf"), ["b"]),
    "a file that is new": (lambda: touch("a/new.tf"), ["b"]),
    "a file of both": (lambda: touch("m/main.tf"), []),
    "a file that was missing": (lambda: touch("z"), ["a"]),
    "a file that nothing rests on": (lambda: touch("README.md"), ["a", "b"]),
    "the configuration": (lambda: touch("config/pipeline.yaml"), []),
    "dodo.py": (lambda: touch("dodo.py"), []),
    "a link": (lambda: relink("link", "a"), []),
    "a link in place of a file": (lambda: relink("README.md", "m/main.tf"), []),
    "a link in the path of a state": (lambda: Path("states").symlink_to("m"), ["b"]),
}


def touch(path: str) -> None:
    with Path(path).open("a") as stream:
        stream.write("# more\n")


def relink(path: str, target: str) -> None:
    Path(path).unlink()
    Path(path).symlink_to(target)


@pytest.mark.parametrize("change", list(CHANGES))
def test_only_the_stacks_that_rest_on_what_has_changed_are_looked_at(
    known: tuple[bytes, list[str]], change: str
) -> None:
    data, paths = known
    before = stamps.read(paths)
    time.sleep(0.01)
    do, expected = CHANGES[change]
    do()
    found = standing.decode(data, paths, before, stamps.read(paths))
    assert sorted(found) == expected
    if "b" in found:
        assert found["b"] == Standing("-", None, ["b", "b/main.tf", "m/main.tf", "z"])


SECRET = "s3cret-of-the-state"
BACKENDS: dict[str, tuple[str, str, dict[str, str], bool]] = {
    "local": ("local", 'path: "../../.state/{stack}"', {}, True),
    "local, outside": ("local", 'path: "/srv/states/{stack}"', {}, False),
    "local, by a variable": ("local", 'path: "../../${WHERE}/{stack}"', {"WHERE": SECRET}, False),
    "http": ("http", 'address: "http://states/{stack}"', {}, True),
    "http, by a variable": ("http", 'address: "http://states/${WHERE}/{stack}"', {"WHERE": SECRET}, False),
    "pg": ("pg", 'schema_name: "{stack}"', {}, True),
    "pg, by the engine's variable": (
        "pg", 'schema_name: "{stack}"', {"PG_CONN_STR": f"postgres://me:{SECRET}@db/s"}, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", list(BACKENDS))
def test_what_a_variable_says_of_a_state_is_not_kept(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    kind, settings, variables, expected = BACKENDS[case]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    block = f'stacks/a/main.tf:terraform {{\n  backend "{kind}" {{}}\n}}\n'
    run = Run(load(f"backend: {{kind: {kind}, settings: {{{settings}}}}}\n", block))
    run.settled["a"] = "-"
    found = standings.of(run, ["stacks/a", "stacks/a/main.tf"])
    assert bool(found) is expected
    assert SECRET.encode() not in standing.encode(found, [*(path for item in found.values() for path in item.rests)])


READS: dict[str, tuple[str, str, bool]] = {
    "nothing else": ("", "", True),
    "a module": ('module "m" {\n  source = "../../modules/m"\n}\n', "", True),
    "a file by name": ('output "o" {\n  value = file("../../shared/a.txt")\n}\n', "", True),
    "a file that is missing": ('output "o" {\n  value = fileexists("../../shared/none.txt")\n}\n', "", True),
    "a folder": ('output "o" {\n  value = fileset("../../shared", "**")\n}\n', "", False),
    "some file": ('output "o" {\n  value = file("../../shared/${strrev(terraform.workspace)}")\n}\n', "", False),
    "watched files": ("", 'stacks: {a: {watch: ["../../shared/*.txt"]}}\n', False),
    "the state of a sibling": (
        'data "terraform_remote_state" "b" {\n  backend = "local"\n  config = {\n    path = "../../.state/b"\n  }\n}\n', "", False,
    ),
    "a broken file": ("output {\n", "", False),
}  # fmt: skip


@pytest.mark.parametrize("case", list(READS))
def test_a_stack_that_reads_more_than_files_known_by_name_is_looked_at_each_time(
    load: Callable[..., Project], case: str
) -> None:
    code, keys, expected = READS[case]
    files = ["shared/a.txt:x\n", 'modules/m/main.tf:output "o" {\n  value = 1\n}\n']
    project = load(PLACE + keys, f"stacks/a/main.tf:{LOCAL}{code}", f"stacks/b/main.tf:{LOCAL}", *files)
    run = Run(project)
    run.settled["a"] = "-"
    listed = ["stacks/a", "stacks/a/main.tf", "modules/m", "modules/m/main.tf", "shared", "shared/a.txt"]
    found = standings.of(run, listed)
    assert bool(found) is expected
    if case == "a module":
        assert {"modules/m", "modules/m/main.tf"} <= {*found["a"].rests}
    if "file" in case and expected:
        assert any(path.startswith("shared/") for path in found["a"].rests)


def test_a_standing_rests_on_every_record_of_its_stack_and_the_outputs_that_it_gets(
    load: Callable[..., Project],
) -> None:
    project = load(
        PLACE + 'stacks: {a: {inputs: {x: b.o}, var_files: [{path: "x.tfvars", optional: true}]}}\n',
        f'stacks/a/main.tf:{LOCAL}variable "x" {{}}\n', f'stacks/b/main.tf:{LOCAL}output "o" {{\n  value = 1\n}}\n',
    )  # fmt: skip
    run = Run(project)
    run.settled["a"] = "-"
    found = standings.of(run, ["stacks/a", "stacks/a/main.tf"])
    assert set(found["a"].rests) == {
        "stacks/a", "stacks/a/main.tf", "stacks/a/x.tfvars", ".deploy/local/receipts/a.json",
        ".deploy/local/results/drift/a.json", ".deploy/local/plans/a/plan.tfplan", ".deploy/local/plans/a/draft.tfplan",
        ".deploy/local/plans/a/manifest.json", ".deploy/local/plans/a/claim.json", ".deploy/local/outputs/b.json",
    }  # fmt: skip
    assert standings.missing(found, ["stacks/a", "stacks/a/main.tf"])[0] == "stacks/a/x.tfvars"
