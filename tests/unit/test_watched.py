"""What `watch` names: every form that people write finds the files that it means, now and at a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.artifact import inputs
from tasks.artifact.inputs import InputKind
from tasks.base.errors import ConfigError
from tasks.project import watched
from tests.unit.test_commitindex import at, commit, git
from tests.unit.test_unreadable import locked, refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.project.project import Project

__all__ = ["locked"]

FILES = (
    "stacks/a/main.tf:locals {}\n", "stacks/a/own.txt:1", "w/one.json:1", "w/two.yaml:1", "w/three.txt:1",
    "w/in/four.json:1", "w/in/deep/five.json:1", "w/.hidden/six.json:1", "prod/seven.json:1", "local/eight.json:1",
    "other/nine.json:1", "a/ten.json:1",
)  # fmt: skip
ALL = ["w/.hidden/six.json", "w/in/deep/five.json", "w/in/four.json", "w/one.json", "w/three.txt", "w/two.yaml"]
GLOBS = {
    "../../w/**": ALL,
    "../../w/**/*": ALL,
    "../../w": ALL,
    "../../w/": ALL,
    "../../w/**/in/**": ["w/in/deep/five.json", "w/in/four.json"],
    "../../w/**/*.json": ["w/.hidden/six.json", "w/in/deep/five.json", "w/in/four.json", "w/one.json"],
    "../../w/*": ["w/one.json", "w/three.txt", "w/two.yaml"],
    "../../w/*.{json,yaml}": ["w/one.json", "w/two.yaml"],
    "../../{w/in,other}/*.json": ["other/nine.json", "w/in/four.json"],
    "../../w/{in,.hidden}/**": ["w/.hidden/six.json", "w/in/deep/five.json", "w/in/four.json"],
    "../../{environment}/*.json": ["local/eight.json"],
    "../../{stack}/**": ["a/ten.json"],
    "{root}/w/one.json": ["w/one.json"],
    "../../${WATCHED_FOLDER}/*.json": ["other/nine.json"],
    "own.txt": ["stacks/a/own.txt"],
    "./own.*": ["stacks/a/own.txt"],
    "../../w/[ot]*.json": ["w/one.json"],
    "../../w/not-there.json": [],
    "../../not-there/**": [],
}


def counted(project: Project) -> list[str]:
    """The watched files among the inputs of stack `a`."""
    found = inputs.gather(project, project.stacks["a"]).digests
    return sorted(item.name for item in found if item.kind is InputKind.WATCHED)


@pytest.mark.parametrize("glob", GLOBS)
def test_each_form_of_a_glob_finds_its_files_now_and_at_a_commit(
    load: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, glob: str
) -> None:
    monkeypatch.setenv("WATCHED_FOLDER", "other")
    project = load(f"stacks:\n  a:\n    watch: ['{glob}']\n", *FILES)
    assert counted(project) == GLOBS[glob]
    git(project.root, "init", "--quiet", "--initial-branch=main")
    then = at(project.root, commit(project.root), unread=True)
    globs = list(watched.written(project, project.stacks["a"]))
    assert sorted({path for item in globs for path in item.files(then)}) == GLOBS[glob]


def test_files_behind_a_link_to_a_folder_count(tree: Callable[..., Path], load: Callable[..., Project]) -> None:
    root = tree(*FILES)
    (root / "other/link").symlink_to("../w/in")
    project = load("stacks: {a: {watch: ['../../other/**']}}\n", *FILES)
    assert counted(project) == ["other/link/deep/five.json", "other/link/four.json", "other/nine.json"]


@pytest.mark.parametrize(
    ("glob", "words"),
    [
        ("/etc/hosts", "'/etc/hosts' is absolute; it has to be relative to the stack"),
        ("~/x", "'~/x' is absolute; it has to be relative to the stack"),
        ("../../w/a**", "'../../w/a**' is not a glob: `**` stands for whole folders"),
        ("../../{enviroment}/x", "{enviroment} has no value here (did you mean 'environment'?)"),
        ("../../${NOT_SET_HERE}/x", "the environment variable NOT_SET_HERE is not set"),
    ],
)
def test_what_cannot_be_watched_is_refused_with_its_line(load: Callable[..., Project], glob: str, words: str) -> None:
    project = load(f"stacks:\n  a:\n    watch: ['{glob}']\n  b: {{}}\n", *FILES, "stacks/b/main.tf:locals {}\n")
    with pytest.raises(ConfigError) as caught:
        inputs.gather(project, project.stacks["a"])
    assert words in caught.value.problem.text()
    assert "config/pipeline.yaml:4" in caught.value.problem.text()
    assert "stacks.a.watch[0]" in caught.value.problem.text()
    inputs.gather(project, project.stacks["b"])


def test_a_watched_folder_that_cannot_be_read_is_the_fault_of_its_stack(
    load: Callable[..., Project], locked: Callable[[str], None]
) -> None:
    locked("w/in")
    project = load("stacks: {a: {watch: ['../../w/**']}, b: {}}\n", *FILES, "stacks/b/main.tf:locals {}\n")
    problems = refused(project)
    assert list(problems) == ["a"]
    assert "the folder w/in cannot be read: Permission denied" in problems["a"]
