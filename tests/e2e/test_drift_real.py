"""Drift made outside of the engine, on real providers: all of it is found, classed and worded as `driftcases` says."""

from __future__ import annotations

import html
import json
import platform
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.driftcases import (
    BY_HAND,
    CASES,
    KUBERNETES,
    LOCAL,
    NOISE,
    OWN,
    QUIET_CODE,
    READER,
    RULES_OF_NOISE,
    USES,
    Case,
)
from tests.e2e.conftest import unique
from tests.e2e.test_ledger import LEDGER, Remote
from tests.gomodule import built
from tests.repository import Repository, minimal_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.kubernetes import Kubernetes

SYSTEM = f"linux_{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[platform.machine()] }"
SOURCES = {OWN: "example.test/example/own", LOCAL: "example.test/acme/local", KUBERNETES: "hashicorp/kubernetes"}
INNER = """
terraform {
  required_providers {
    own = {
      source = "example.test/example/own"
    }
  }
}

variable "name" {}

resource "own_thing" "it" {
  name = var.name
  text = "inner"
}
"""


BINARIES = {
    OWN: ("driftprovider", "1.0.0", "."),
    LOCAL: ("localprovider", "1.4.0", "."),
    KUBERNETES: ("kubernetes/provider", "1.13.4", "github.com/hashicorp/terraform-provider-kubernetes"),
}


def install(base: Path, *providers: str) -> str:
    """Put providers into a mirror; returns the engine's configuration that takes them from there."""
    for provider in providers:
        module, version, package = BINARIES[provider]
        source = SOURCES[provider] if "." in SOURCES[provider] else f"registry.opentofu.org/{SOURCES[provider]}"
        folder = base / "mirror" / source / version / SYSTEM
        folder.mkdir(parents=True)
        binary = built(module, package) / (module if package == "." else package.rpartition("/")[2])
        (folder / f"terraform-provider-{source.rpartition('/')[2]}_v{version}").symlink_to(binary)
    settings = base / "tofurc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{base}/mirror"\n  }}\n}}\n')
    return str(settings)


def upgrade(mirror: Path, job: Repository) -> None:
    """Have the own stack use a newer version of its provider, whose resource has one more attribute."""
    folder = mirror / SOURCES[OWN] / "2.0.0" / SYSTEM
    folder.mkdir(parents=True)
    (folder / "terraform-provider-own_v2.0.0").symlink_to(built("driftprovider", ".") / "driftprovider")
    environment = job.environment(TF_DATA_DIR=str(mirror.parent / "data"))
    command = [job.tofu, "init", "-upgrade", "-backend=false"]
    subprocess.run(command, cwd=job.path / "stacks/own", env=environment, check=True, stdout=subprocess.DEVNULL)
    assert "2.0.0" in (job.path / "stacks/own/.terraform.lock.hcl").read_text()


def head(provider: str, more: str = "") -> str:
    required = f'  required_providers {{\n    {provider} = {{\n      source = "{SOURCES[provider]}"\n    }}\n  }}\n'
    return f'terraform {{\n  backend "local" {{}}\n{required}}}\n{more}'


class World:
    """Stacks of real providers, deployed, and what they manage: a folder, a folder that is an API, and a namespace."""

    def __init__(self, remote: Remote, cluster: Kubernetes, namespace: str) -> None:
        self.remote, self._cluster, self._namespace = remote, cluster, namespace
        self.folder = remote.base / "world"

    def change_all(self, cases: dict[str, list[Case]]) -> None:
        """Do outside what all of some cases say."""
        for provider, found in cases.items():
            for case in found:
                self.change(provider, case)

    def change(self, provider: str, case: Case) -> None:
        """Do outside what a case says."""
        if provider == KUBERNETES:
            method, path = ("PATCH", "DELETE")[case.change is None], case.object.format(namespace=self._namespace)
            self._cluster.call(method, path, case.change, **{"Content-Type": "application/merge-patch+json"})
            return
        path = self.folder / (f"{case.object}.json" if provider == OWN else case.object)
        if case.change is None:
            path.unlink()
        elif provider == LOCAL:
            path.write_text(case.change)
        else:
            path.write_text(json.dumps({**json.loads(path.read_text()), **case.change}))


@pytest.fixture
def world(
    build: Callable[..., Repository], tmp_path: Path, kubernetes: Kubernetes, request: pytest.FixtureRequest
) -> World:
    """A stack for each provider, with all of its cases, deployed by a job that has ended."""
    return begun(build, tmp_path, kubernetes, unique(request))


def begun(build: Callable[..., Repository], tmp_path: Path, kubernetes: Kubernetes, namespace: str) -> World:
    """The same in a folder and a namespace."""
    settings = install(tmp_path, *CASES)
    folder = tmp_path / "world"
    folder.mkdir()
    for name in ("watched", "asserted", "looked"):
        (folder / f"{name}.json").write_text('{"text": "a"}')
    config = minimal_config(
        f"{LEDGER}{RULES_OF_NOISE}stacks: {{kubernetes: {{variables: {{namespace: {namespace}}}}}}}\n"
    )
    own = f'provider "own" {{\n  folder = "{folder}"\n}}\n'
    spaces = 'variable "namespace" {}\nprovider "kubernetes" {\n  load_config_file = true\n}\n'
    first = build(
        config.replace("{root}/.state", f"{tmp_path}/states"),
        f"stacks/own/main.tf:{head(OWN, own)}{_code(OWN)}{READER}{QUIET_CODE}", f"stacks/own/inner/main.tf:{INNER}",
        f"stacks/kubernetes/main.tf:{head(KUBERNETES, spaces)}{_code(KUBERNETES)}",
        f"stacks/local/main.tf:{head(LOCAL)}{_code(LOCAL).replace('${path.root}/../../world', str(folder))}{USES}",
    )  # fmt: skip
    subprocess.run([first.tofu, "fmt", "-recursive", first.path / "stacks"], check=True, stdout=subprocess.DEVNULL)
    first.commit("formatted")
    first.variables |= {
        "TF_CLI_CONFIG_FILE": settings, "KUBECONFIG": str(kubernetes.kubeconfig),
        "KUBE_CONFIG": str(kubernetes.kubeconfig),
    }  # fmt: skip
    kubernetes.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    made = World(Remote(tmp_path, first), kubernetes, namespace)
    job = made.remote.clone()
    job.doit("ledger", "init")
    job.doit("validate")
    job.commit("lock files")
    made.remote.push(job)
    job.doit("deploy")
    return made


def _code(provider: str) -> str:
    return "\n".join(case.code for case in (*CASES[provider], *NOISE[provider]))


def findings(repository: Repository, stack: str) -> dict[str, Any]:
    """The findings of the latest check."""
    return {item["address"]: item for item in repository.json(f"results/drift/{stack}.json")["details"]["findings"]}


def wrong(repository: Repository, provider: str) -> list[str]:
    """What a check has not reported of a provider's stack as its cases say."""
    found, report = findings(repository, provider), _parts(repository)
    expected = {case.address: case.kind for case in CASES[provider]}
    for case in CASES[provider]:
        expected |= case.follows
    found = {address: item for address, item in found.items() if item["ignored"] is None}
    said = [f"{address}: {kind}" for address, kind in expected.items() if found.get(address, {}).get("kind") != kind]
    said += [f"{address} too" for address in found.keys() - expected.keys()]
    for case in CASES[provider]:
        paths = found.get(case.address, {}).get("paths", [])
        if case.path and paths != [case.path]:
            said.append(f"{case.address}: {paths}, not {case.path}")
        if case.kind not in {"check", "outputs"}:
            part = report.get(case.address, "")
            said += [f"{case.address}: no `{line}` in\n{part}" for line in case.shown if line not in part]
    return said


def _parts(repository: Repository) -> dict[str, str]:
    """The parts of the report, by address."""
    text = html.unescape(
        re.sub(r"</?(code|details|summary|b)[^>]*>", "`", repository.deploy_dir("reports", "drift.md").read_text())
    )
    marks = list(re.finditer(r"^[`*]*[~+±-][*`]* `+(.+?)`+[ :,]", text, re.MULTILINE))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return {mark[1]: text[mark.start() : end] for mark, end in zip(marks, ends, strict=True)}


# Undeployed code: new and gone resources, other and the same attributes of what drifted, an address that moved.
EDITS = (
    ('resource "own_thing" "text" {', 'resource "own_thing" "text" {\n  tags = { new = "1" }'),
    ("  number = 1\n", "  number = 3\n"),
    ('toset(["a", "b"])', 'toset(["a", "b", "c"])'),
    ('resource "own_thing" "fraction"', 'resource "own_thing" "moved"'),
    ('resource "own_thing" "flag" {\n  name = "flag"\n  flag = true\n}\n', ""),
)
ADDED = """
moved {
  from = own_thing.fraction
  to   = own_thing.moved
}

resource "own_thing" "later" {
  name = "later"
}

output "later" {
  value = own_thing.later.name
}
"""
OF_CODE = {
    "own_thing.later", 'own_thing.each["c"]', "own_thing.flag", "output later",
    "terraform_data.reader", "terraform_data.watched", "terraform_data.etag", "terraform_data.uses", "output looked",  # nothing says what they follow from
}  # fmt: skip


def _edit(job: Repository) -> None:
    path = job.path / "stacks/own/main.tf"
    text = path.read_text()
    for before, after in EDITS:
        assert before in text, before
        text = text.replace(before, after, 1)
    path.write_text(text + ADDED)
    subprocess.run([job.tofu, "fmt", path], check=True, stdout=subprocess.DEVNULL)


def test_all_is_found_on_a_machine_that_never_deployed_and_undeployed_code_is_told_from_it(world: World) -> None:
    assert sum(map(len, CASES.values())) >= 40
    job = world.remote.clone()
    world.change_all(NOISE)
    quiet = job.doit("drift")
    assert [quiet.task("drift", provider) for provider in CASES if "drifted" in quiet.task("drift", provider)] == []
    upgrade(world.remote.base / "mirror", job)
    assert "1 difference ignored" in job.doit("drift:own").task("drift", "own")
    job.git("checkout", "--quiet", "--", ".")

    world.change_all(CASES)
    job.doit("drift", code=2)
    assert [text for provider in CASES for text in wrong(job, provider)] == []

    adopter = world.remote.clone()
    for provider in CASES:
        adopted = adopter.doit("drift", "--adopt", provider).task("drift", provider)
        said = adopted.partition("; by hand: ")[2]
        known = {case.address for case in CASES[provider]} | {
            address for case in CASES[provider] for address in case.follows
        }
        assert {address for address in known if f"{address} " in said or f"{address}." in said} == BY_HAND[provider]

    _edit(job)
    alone = world.remote.clone()
    _edit(alone)
    config = alone.path / "config/pipeline.yaml"
    config.write_text(config.read_text().replace(LEDGER, ""))
    for machine, words in ((job, "8 changes in undeployed code"), (alone, "8 changes that may be undeployed code")):
        done = machine.doit("drift:own", "drift:local", code=2)
        assert words in done.task("drift", "own")
        assert "resolved" not in done.out
        for provider in (OWN, LOCAL):
            _require_told_apart(machine, provider)


def _require_told_apart(job: Repository, provider: str) -> None:
    """Each drift has the class that it had without undeployed code, and nothing of that code is called drift."""
    found = {address: item for address, item in findings(job, provider).items() if item["ignored"] is None}
    expected = {case.address: case.kind for case in CASES[provider] if case.address not in OF_CODE}
    expected = {
        "own_thing.moved" if address == "own_thing.fraction" else address: kind for address, kind in expected.items()
    }
    outside = {address: item["kind"] for address, item in found.items() if item["kind"] != "undeployed"}
    used = {"own_thing.etag": "changed"} if provider == OWN else {}  # by `terraform_data.etag`
    assert {address: kind for address, kind in outside.items() if address not in OF_CODE} == expected | used
    assert OF_CODE.isdisjoint(outside.keys() - {"terraform_data.uses"})
    assert {address for address, item in found.items() if item["code_too"]} <= {
        "own_thing.text", "own_thing.number", *used,
    }  # fmt: skip


def test_what_was_imported_by_hand_has_appeared_and_its_adoption_writes_its_block(
    build: Callable[..., Repository], tmp_path: Path
) -> None:
    folder = tmp_path / "world"
    folder.mkdir()
    own = f'provider "own" {{\n  folder = "{folder}"\n}}\n'
    one = '\nresource "own_thing" "one" {\n  name = "one"\n}\n'
    repository = build(minimal_config(), f"stacks/a/main.tf:{head(OWN, own)}{one}")
    repository.variables["TF_CLI_CONFIG_FILE"] = install(tmp_path, OWN)
    repository.prepare("deploy")
    made = {"id": "extra", "name": "extra", "tags": {"a": "1"}, "size": "large", "token": "swordfish-10"}
    (folder / "extra.json").write_text(json.dumps(made))
    extra = repository.path / "stacks/a/extra.tf"
    extra.write_text('resource "own_thing" "extra" {\n  name = "extra"\n}\n')
    environment = repository.environment(TF_DATA_DIR=str(tmp_path / "data"))
    for command in (
        ["init", f"-backend-config=path={repository.path}/.state/a-local.tfstate"],
        ["import", "own_thing.extra", "extra"],
    ):
        subprocess.run([repository.tofu, *command], cwd=extra.parent, env=environment, check=True, capture_output=True)
    extra.unlink()
    done = repository.doit("drift", code=2)
    assert "own_thing.extra (appeared outside, new)" in done.task("drift", "a")
    assert {address: item["kind"] for address, item in findings(repository, "a").items()} == {
        "own_thing.extra": "appeared", "state": "state",
    }  # fmt: skip
    assert "the plan is empty" in repository.doit("drift", "--adopt", "a").task("drift", "a")
    text = (repository.path / "stacks/a/main.tf").read_text()
    assert 'size = "large"' in text.partition('resource "own_thing" "extra"')[2]
    assert "swordfish" not in text
