"""Plans that are watched: what they were seen to read counts, is bound by the manifest and kept in the receipt."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tasks.artifact.inputs import InputKind
from tests.repository import DODO, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.repository import Repository

OBSERVED = str(InputKind.OBSERVED)
READS = """
locals {
  seen   = file("${path.module}/../../data/seen.txt")
  absent = fileexists("${path.module}/../../data/absent.txt")
  names  = fileset("${path.module}/../../folder", "*.json")
}

output "reads" {
  value = [local.seen, local.absent, local.names]
}
"""
# A reader that sees none of this, as if it had a fault.
_BROKEN = """
from {package}.project.hcl.rootmodule import _Reader
_take = _Reader._take
def blind(self, scope):
    _take(self, scope)
    self._paths.named.clear()
    self._paths.unknown.clear()
_Reader._take = blind
"""
_HEAD = DODO.partition("from ")[0]
BLIND = _HEAD + _BROKEN.format(package=DODO.split("from ")[-1].split(" ", maxsplit=1)[0]) + DODO.removeprefix(_HEAD)


@pytest.fixture
def watched(build: Callable[..., Repository]) -> Repository:
    """A stack whose plans are watched, and a reader that misses all that it reads."""
    repository = build(
        minimal_config("inputs: {observe: true}\n"), f"stacks/a/main.tf:{resource(extra=READS)}", "data/seen.txt:1",
        "folder/one.json:{}", "folder/.keep:",
    )  # fmt: skip
    repository.write("dodo.py:" + BLIND)
    repository.commit()
    return repository


def observed(repository: Repository, *parts: str) -> set[tuple[str, str]]:
    digests = repository.json(*parts)["inputs"]["digests"]
    return {(entry["name"], entry.get("target", "")) for entry in digests if entry["kind"] == OBSERVED}


EXPECTED = {("data/seen.txt", ""), ("data/absent.txt", ""), ("folder", "names")}


def test_what_a_plan_was_seen_to_read_is_bound_and_kept(watched: Repository) -> None:
    watched.doit("plan")
    assert observed(watched, "plans", "a", "manifest.json") >= EXPECTED
    done = watched.doit("deploy")
    assert "as planned at" in done.task("plan", "a")
    assert observed(watched, "receipts", "a.json") >= EXPECTED
    watched.engine_calls()
    assert "nothing to deploy" in watched.doit("deploy").out
    assert watched.planned() == []


@pytest.mark.parametrize("change", ["data/seen.txt:2", "data/absent.txt:now it is there", "folder/two.json:{}"])
def test_a_missed_input_does_not_stay_missed(watched: Repository, change: str) -> None:
    watched.prepare("deploy")
    watched.write(change)
    status = watched.doit("status")
    assert "what its plan was seen to read, " in status.line("a  ")
    done = watched.doit("deploy")
    assert "1 deployed" in done.out
    assert "nothing to deploy" in watched.doit("deploy").out


def test_a_plan_is_refused_where_what_it_was_seen_to_read_is_another(watched: Repository) -> None:
    watched.doit("plan")
    watched.write("data/seen.txt:2")
    done = watched.doit("deploy", code=1)
    assert "data/seen.txt changed" in done.out


def test_states_data_folders_and_what_the_reader_knows_are_no_observed_inputs(
    build: Callable[..., Repository],
) -> None:
    repository = build(
        minimal_config("inputs: {observe: true}\n"), f"stacks/a/main.tf:{resource(extra=READS)}", "data/seen.txt:1",
        "folder/one.json:{}", "README.md:x",
    )  # fmt: skip
    repository.doit("deploy")
    assert observed(repository, "receipts", "a.json") == set()
    repository.write("README.md:y")
    assert "nothing to deploy" in repository.doit("deploy").out


def test_what_is_read_outside_of_the_repository_is_named(watched: Repository, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.txt").write_text("1")
    extra = READS + f'\noutput "outside" {{\n  value = file("{tmp_path}/elsewhere.txt")\n}}\n'
    watched.write(f"stacks/a/main.tf:{resource(extra=extra)}")
    watched.commit()
    done = watched.doit("plan")
    assert f"reads outside of the repository: {tmp_path}/elsewhere.txt" in done.task("plan", "a")


def test_what_an_apply_writes_into_a_folder_that_is_listed_is_no_change(watched: Repository) -> None:
    makes = '\nresource "terraform_data" "made" {\n  provisioner "local-exec" {\n    command = "echo {} > ../../data/absent.txt"\n  }\n}\n'
    watched.write(f"stacks/a/main.tf:{resource(extra=READS + makes)}")
    watched.commit()
    watched.doit("deploy")
    assert "data/absent.txt" in watched.json("receipts", "a.json")["produced"]
    watched.doit("status")
    assert "nothing to deploy" in watched.doit("deploy").out


def test_where_the_engine_cannot_be_watched_that_is_an_error_or_said(watched: Repository) -> None:
    script = watched.bin / "strace"
    script.write_text("#!/bin/sh\necho 'strace: ptrace: Operation not permitted' >&2\nexit 1\n")
    script.chmod(0o755)
    done = watched.doit("plan", code=1)
    assert "the engine cannot be watched while it plans: strace may not trace here: strace: ptrace: Oper" in done.out
    assert "where: config/pipeline.yaml:3" in done.out
    done = watched.doit("plan", code=1, DEPLOY_INPUTS__OBSERVE="auto")  # what the shipped pipelines say
    assert "where: config/pipeline.yaml:3" in done.out
    watched.write(minimal_config("inputs: {observe: auto}\n"))
    done = watched.doit("plan")
    assert "plans are not watched: strace may not trace here" in done.out
    assert observed(watched, "plans", "a", "manifest.json") == set()
    watched.write(minimal_config())
    assert "plans are not watched" not in watched.doit("plan").out


def test_auto_watches_where_it_can(watched: Repository) -> None:
    watched.write(minimal_config())
    watched.doit("plan", DEPLOY_INPUTS__OBSERVE="auto")
    assert observed(watched, "plans", "a", "manifest.json") >= EXPECTED


def test_drift_of_a_watched_stack_tells_what_it_reads_from_what_changed_outside(watched: Repository) -> None:
    watched.doit("deploy")
    kept = observed(watched, "receipts", "a.json")
    assert "as deployed" in watched.doit("drift").task("drift", "a")
    watched.write("data/seen.txt:2")
    watched.commit()
    assert "undeployed code: output reads" in watched.doit("drift", code=2).task("drift", "a")
    assert observed(watched, "receipts", "a.json") == kept
    assert "1 deployed" in watched.doit("deploy").out  # a drift run takes nothing over
    assert "as deployed" in watched.doit("drift").task("drift", "a")


@pytest.mark.parametrize("change", ["data/seen.txt:2", "data/absent.txt:now it is there", "folder/two.json:{}"])
def test_a_base_is_compared_with_what_the_last_receipt_observed(
    watched: Repository, tmp_path: Path, change: str
) -> None:
    watched.prepare("deploy")
    assert "all up to date" in watched.doit("base=HEAD", "status").out
    clone = watched.clone(tmp_path / "fresh")
    shutil.copytree(watched.deploy_dir("receipts"), clone.deploy_dir("receipts"))
    clone.write(change)
    clone.commit()
    assert "what its plan was seen to read, " in clone.doit("base=HEAD~1", "status").line("a  ")


@pytest.mark.parametrize("known", ["ledger", "tag", "nothing"])
def test_a_base_in_a_fresh_clone_compares_what_plans_were_seen_to_read_or_says_that_it_cannot(
    watched: Repository, tmp_path: Path, known: str
) -> None:
    more = {"ledger": "ledger: {kind: git}\n", "tag": "deploy: {tag: deployed}\n", "nothing": ""}[known]
    watched.write(minimal_config(f"inputs: {{observe: true}}\n{more}"))
    watched.git("remote", "add", "origin", str(watched.path))
    watched.commit()
    if known == "ledger":
        watched.prepare("ledger", "init")
    watched.prepare("deploy")
    watched.write("data/seen.txt:2")
    watched.commit()
    clone = watched.clone(tmp_path / "fresh")
    done = clone.doit("base=HEAD~1", "status")
    if known == "nothing":
        assert "base=HEAD~1 has no record of what plans were seen to read (`inputs.observe`)" in done.out
        return
    assert "what its plan was seen to read, data/seen.txt changed" in done.line("a  ")
    assert "has no record" not in done.out
    assert "affected: " not in clone.doit("base=HEAD", "status").out
