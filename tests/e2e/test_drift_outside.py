"""What was changed outside of the engine, with a real provider: its class, the rules, and the way back."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.gomodule import built
from tests.repository import Repository, minimal_config

if TYPE_CHECKING:
    from collections.abc import Callable

SYSTEM = f"linux_{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[platform.machine()] }"
STACK = """
terraform {
  backend "local" {}
  required_providers {
    local = {
      source = "example.test/acme/local"
    }
  }
}

variable "note" {
  default = "a"
}

resource "local_file" "page" {
  filename = "${path.root}/../../world/page.txt"
  content  = "page"
}

resource "local_file" "other" {
  filename = "${path.root}/../../world/other.txt"
  content  = "other"
}

resource "terraform_data" "reader" {
  input = "${var.note} ${local_file.page.id}"
}
"""


@pytest.fixture
def world(build: Callable[..., Repository], tmp_path: Path) -> Repository:
    """A stack `a` of files in the folder `world`, by a provider that looks at them, deployed."""
    package = tmp_path / "mirror/example.test/acme/local/1.4.0" / SYSTEM
    package.mkdir(parents=True)
    provider = built("localprovider", ".") / "localprovider"
    (package / "terraform-provider-local_v1.4.0").symlink_to(provider)
    (tmp_path / "tofurc").write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{tmp_path}/mirror"\n  }}\n}}\n'
    )
    made = build(minimal_config(), f"stacks/a/main.tf:{STACK}", "world/.keep")
    made.variables["TF_CLI_CONFIG_FILE"] = str(tmp_path / "tofurc")
    made.prepare("deploy")
    return made


def findings(repository: Repository) -> dict[str, str]:
    """The class of each finding of the latest check."""
    details = repository.json("results/drift/a.json")["details"]
    return {item["address"]: item["kind"] for item in details["findings"]}


def test_a_deleted_file_is_found_and_what_follows_from_it_and_the_deploy_before_is_named(world: Repository) -> None:
    world.doit("drift")
    (world.path / "world/page.txt").unlink()
    done = world.doit("drift", code=2)
    assert findings(world) == {"local_file.page": "deleted", "terraform_data.reader": "changed"}
    line = done.task("drift", "a")
    assert "local_file.page (deleted outside, new)" in line
    assert "terraform_data.reader (follows from local_file.page, new)" in line
    commit = world.git("rev-parse", "--short=8", "HEAD")
    for face in ("drift.md", "drift.html"):
        text = world.deploy_dir("reports", face).read_text()
        assert "red (-): as it is outside; green (+): as the code says" in text
        assert "deleted outside" in text
        assert commit in text
    assert "red (-): as it is outside; green (+): as the code says" in done.out


def test_undeployed_code_is_told_from_drift_in_one_stack(world: Repository) -> None:
    world.write("stacks/a/main.tf:" + STACK.replace('"a"', '"b"'))
    world.doit("drift", code=2)
    assert findings(world) == {"terraform_data.reader": "undeployed"}
    (world.path / "world/other.txt").unlink()
    done = world.doit("drift", code=2)
    assert findings(world) == {"terraform_data.reader": "undeployed", "local_file.other": "deleted"}
    assert "drifted: local_file.other (deleted outside, new); and 1 change in undeployed code" in done.task(
        "drift", "a"
    )


def _rule(last_day: str, address: str = "local_file.other") -> str:
    rule = f'{{address: "{address}", classes: [deleted], reason: "cleaned up", until: {last_day}}}'
    return minimal_config(f"drift: {{ignore: [{rule}]}}\n")


def test_a_rule_ignores_until_its_last_day_and_says_so(world: Repository) -> None:
    (world.path / "world/other.txt").unlink()
    world.write(_rule("2999-01-01"))
    done = world.doit("drift")
    assert "1 difference ignored (local_file.other)" in done.task("drift", "a")
    assert "cleaned up, until 2999-01-01" in world.deploy_dir("reports/drift.md").read_text()
    world.write(_rule("2020-01-01"))
    done = world.doit("drift", code=2)
    assert "drifted: local_file.other" in done.task("drift", "a")
    assert "config/pipeline.yaml:3 (cleaned up) has expired on 2020-01-01" in done.out
    world.write(_rule("2999-01-01", "local_file.pgae"))
    done = world.doit("drift", code=2)
    assert "(cleaned up) matches nothing in any stack" in done.out
    assert "matches nothing" in world.deploy_dir("reports/drift.md").read_text()


def test_a_file_that_was_deleted_is_adopted_by_removing_its_block(world: Repository) -> None:
    (world.path / "world/other.txt").unlink()
    done = world.doit("drift", "--adopt", "a")
    assert "the plan is empty" in done.task("drift", "a")
    text = (world.path / "stacks/a/main.tf").read_text()
    assert 'resource "local_file" "other"' not in text
    assert 'resource "local_file" "page"' in text
    world.commit("adopted")
    world.doit("deploy")
    (world.path / "world/page.txt").unlink()
    assert "refers to it: remove both by hand" in world.doit("drift", "--adopt", "a", code=1).out
