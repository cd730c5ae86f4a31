"""The oracle: whatever the real engine opens or looks up in the repository while it plans is among the stack's inputs.

`ORACLE_CONFIGURATIONS` sets how many configurations are made; the run prints how many there were, and how many accesses.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tasks.project.hcl import evaluation, functions, paths, rootmodule
from tasks.project.hcl.fileindex import FileIndex
from tests import observation
from tests.configurations import STACK, Configuration, configurations
from tests.observation import Known, Observed

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.artifact.accesses import Access

COUNT = int(os.environ.get("ORACLE_CONFIGURATIONS", "60"))


@dataclass
class Case:
    """A configuration, where it was written, and what its plan was seen to do."""

    name: str
    configuration: Configuration
    root: Path
    observed: Observed

    def known(self) -> Known:
        """What counts, by the reader as it is now."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.configuration.variables.items():
                patch.setenv(f"TF_VAR_{name}", value)
            return Known.of(self.root, "web")

    def missing(self) -> list[Access]:
        """What the engine accessed that is no input."""
        return self.known().missing(self.observed)


def watched(configuration: Configuration, name: str, base: Path, tofu: Path) -> Case:
    """A configuration, written and planned."""
    root = base / name / "repo"
    configuration.write(root)
    observed = observation.plan(tofu, root, STACK, configuration.variables, base / name / "trace")
    return Case(name, configuration, root, observed)


def made(count: int) -> list[Configuration]:
    """Configurations by hypothesis, the same ones in every run."""
    found: list[Configuration] = []

    @settings(
        max_examples=count, derandomize=True, database=None, phases=[Phase.generate], deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(configurations())
    def collect(configuration: Configuration) -> None:
        found.append(configuration)

    collect()
    return found


@pytest.fixture(scope="module")
def corpus(tofu: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """The generated configurations, each planned once under strace."""
    observation.needed()
    base = tmp_path_factory.mktemp("corpus")
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda pair: watched(pair[1], f"c{pair[0]}", base, tofu), enumerate(made(COUNT))))


def test_all_that_the_engine_reads_is_an_input(corpus: list[Case], capsys: pytest.CaptureFixture[str]) -> None:
    failed = [case for case in corpus if case.observed.code != 0]
    assert not failed, f"{failed[0].observed.output}\n{failed[0].configuration.shown()}"
    any_file = sum(case.known().any_file for case in corpus)
    for case in corpus:
        missing = case.missing()
        assert not missing, f"{case.name}: {missing}\n{case.configuration.shown()}"
    opened = sum(access.how == "opened" for case in corpus for access in case.observed.accesses)
    accesses = sum(len(case.observed.accesses) for case in corpus)
    with capsys.disabled():
        print(
            f"\noracle: {len(corpus)} configurations, {accesses} accesses of the repository ({opened} files opened), "
            f"0 outside of the inputs, {any_file} stacks for which any file counts"
        )
    assert accesses > 20 * len(corpus)
    assert any_file * 10 <= len(corpus), "a reader for which any file counts is not tested"


def _no_formats(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(functions._STRUCTURAL, "format", lambda *_: ())


def _no_contents(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(paths.Paths, "content", lambda *_: None)


def _no_hidden_folders(patch: pytest.MonkeyPatch) -> None:
    below = FileIndex.below
    patch.setattr(FileIndex, "below", lambda self, folder, **_: below(self, folder))


def _literal_sources_only(patch: pytest.MonkeyPatch) -> None:
    scopes = rootmodule._Reader._scopes_of
    patch.setattr(
        rootmodule._Reader,
        "_scopes_of",
        lambda self, caller, call: scopes(self, caller, call) if call.source and call.source[0] == "=" else [],
    )


def _first_of_a_condition(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(
        evaluation.Evaluator._KINDS, "?", lambda self, expression, *inside: self.evaluate(expression[3], *inside)
    )  # type: ignore[index]


def _no_loops(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(evaluation.Evaluator._KINDS, "f", lambda *_: ())  # type: ignore[index]


def _defaults_only(patch: pytest.MonkeyPatch) -> None:
    scope = rootmodule._Reader._scope
    patch.setattr(rootmodule._Reader, "_scope", lambda self, folder, _: scope(self, folder, lambda _: None))


def _no_templates(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rootmodule._Reader, "_fill", lambda *_: None)


BROKEN = {
    "format is not followed": _no_formats,
    "what stands in files is not read": _no_contents,
    "hidden folders, packages and links are not seen": _no_hidden_folders,
    "only literal sources of modules are followed": _literal_sources_only,
    "one side of a condition is taken": _first_of_a_condition,
    "loops are not followed": _no_loops,
    "variables have their defaults only": _defaults_only,
    "templates are not read": _no_templates,
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_reader_that_is_broken_on_purpose_is_found(
    corpus: list[Case], broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    BROKEN[broken](monkeypatch)
    assert any(case.missing() for case in corpus)


MAIN = f"{STACK}/main.tf"
SHAPES: dict[str, dict[str, str]] = {
    "lambda functions zipped from a folder": {
        MAIN: 'locals {\n  functions = fileset("${path.module}/../../src", "*/index.js")\n}\n'
        'resource "terraform_data" "hash" {\n  for_each = local.functions\n'
        '  input = filebase64sha256("${path.module}/../../src/${each.key}")\n}\n',
        "src/a/index.js": "a", "src/b/index.js": "b", "src/README.md": "no",
    },
    "settings in yaml by environment": {
        MAIN: 'variable "environment" {\n  default = "prod"\n}\nlocals {\n'
        '  common = yamldecode(file("${path.module}/../../settings/common.yaml"))\n'
        '  own = try(yamldecode(file("${path.module}/../../settings/${var.environment}.yaml")), {})\n'
        "  all = merge(local.common, local.own)\n"
        '  policies = { for p in local.all.policies : p => jsondecode(file("${path.module}/../../policies/${p}.json")) }\n}\n'
        'output "p" {\n  value = local.policies\n}\n',
        "settings/common.yaml": "policies: [read]\n", "settings/prod.yaml": "policies: [read, write]\n",
        "policies/read.json": "{}", "policies/write.json": "{}",
    },
    "a file that may be there": {
        MAIN: 'locals {\n  extra = fileexists("${path.root}/extra.json") ? jsondecode(file("${path.root}/extra.json")) : {}\n}\n',
    },
    "a module for each file of a folder": {
        MAIN: 'locals {\n  teams = { for f in fileset("${path.module}/teams", "*.yaml") : trimsuffix(f, ".yaml") => '
        'yamldecode(file("${path.module}/teams/${f}")) }\n}\n'
        'module "team" {\n  source   = "../../modules/team"\n  for_each = local.teams\n  name     = each.key\n'
        "  template = each.value.template\n}\n",
        f"{STACK}/teams/a.yaml": "template: one\n", f"{STACK}/teams/b.yaml": "template: two\n",
        "modules/team/main.tf": 'variable "name" {}\nvariable "template" {}\noutput "t" {\n'
        '  value = templatefile("${path.module}/templates/${var.template}.tftpl", { name = var.name })\n}\n',
        "modules/team/templates/one.tftpl": "${name}", "modules/team/templates/two.tftpl": "${name}",
    },
    "user data of templates in templates": {
        MAIN: 'locals {\n  parts = ["a", "b"]\n  data = templatefile("${path.module}/user-data.tftpl", {\n'
        '    parts = [for p in local.parts : "${path.module}/parts/${p}.sh"]\n  })\n}\noutput "d" {\n  value = local.data\n}\n',
        f"{STACK}/user-data.tftpl": "%{ for p in parts ~}\n${file(p)}\n%{ endfor ~}\n",
        f"{STACK}/parts/a.sh": "a", f"{STACK}/parts/b.sh": "b",
    },
    "modules that are repeated for nothing": {
        MAIN: 'variable "on" {\n  default = ""\n}\nmodule "a" {\n  count  = var.on == "" ? 0 : 1\n  source = "../../modules/a"\n}\n'
        'module "c" {\n  for_each = {}\n  source   = "../../modules/c"\n  name     = each.key\n}\n',
        "modules/a/main.tf": 'variable "folder" {\n  default = "b"\n}\nmodule "b" {\n  source = "../${var.folder}"\n}\n',
        "modules/b/main.tf": 'output "o" {\n  value = file("${path.module}/b.txt")\n}\n', "modules/b/b.txt": "b",
        "modules/c/main.tf": 'variable "name" {}\noutput "o" {\n  value = file("${path.module}/${var.name}.txt")\n}\n',
    },
    "json configuration": {
        f"{STACK}/main.tf.json": '{"locals": {"dir": "${path.module}/../../shared", "names": ["x", "y"]}, "output": {"o": '
        '{"value": "${[for n in local.names : filesha256(format(\\"%s/%s.txt\\", local.dir, n))]}"}}, '
        '"resource": {"terraform_data": {"r": {"for_each": "${toset(local.names)}", '
        '"input": "${file(\\"${local.dir}/${each.key}.txt\\")}"}}}}',
        "shared/x.txt": "x", "shared/y.txt": "y",
    },
    "overrides": {
        MAIN: 'locals {\n  f = "none.txt"\n}\nmodule "m" {\n  source = "../../modules/a"\n}\noutput "o" {\n  value = file(local.f)\n}\n',
        f"{STACK}/dev_override.tf": 'locals {\n  f = "other.txt"\n}\nmodule "m" {\n  source = "../../modules/b"\n}\n',
        f"{STACK}/other.txt": "", "modules/a/main.tf": "", "modules/b/main.tf": 'output "o" {\n  value = file("${path.module}/b.txt")\n}\n',
        "modules/b/b.txt": "b",
    },
    "tofu files beside tf files": {
        MAIN: 'locals {\n  f = file("a.txt")\n}\n', f"{STACK}/main.tofu": 'locals {\n  f = file("b.txt")\n}\n',
        f"{STACK}/b.txt": "b",
    },
    "checks, validations, preconditions": {
        MAIN: 'variable "v" {\n  default = "a.txt"\n  validation {\n    condition     = fileexists(var.v)\n    error_message = "no"\n  }\n}\n'
        'resource "terraform_data" "r" {\n  lifecycle {\n    precondition {\n      condition     = file("${var.v}.p") != ""\n      error_message = "no"\n    }\n  }\n}\n'
        'check "c" {\n  assert {\n    condition     = !fileexists("missing-${var.v}")\n    error_message = "no"\n  }\n}\n',
        f"{STACK}/a.txt": "a", f"{STACK}/a.txt.p": "p",
    },
    "what is enabled": {
        MAIN: 'module "m" {\n  source = "../../modules/m"\n  lifecycle {\n    enabled = file("${path.module}/m.txt") != ""\n  }\n}\n'
        'resource "terraform_data" "r" {\n  lifecycle {\n    enabled = file("r.txt") != ""\n  }\n}\n',
        f"{STACK}/n.tf.json": '{"module": {"n": {"source": "../../modules/m", "lifecycle": {"enabled": "${fileexists(\\"n.txt\\")}"}}}}',
        f"{STACK}/m.txt": "m", f"{STACK}/r.txt": "r", f"{STACK}/n.txt": "n", "modules/m/main.tf": "",
    },
    "automatic var files": {
        MAIN: 'variable "f" {}\nvariable "g" {}\noutput "o" {\n  value = [file(var.f), file(var.g)]\n}\n',
        f"{STACK}/terraform.tfvars": 'f = "${"a"}.txt"\n', f"{STACK}/x.auto.tfvars.json": '{"g": "b.txt"}',
        f"{STACK}/a.txt": "a", f"{STACK}/b.txt": "b",
    },
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_of_real_repositories_hold(tmp_path: Path, tofu: Path, shape: str) -> None:
    observation.needed()
    case = watched(Configuration(SHAPES[shape]), "shape", tmp_path, tofu)
    assert case.observed.code == 0, case.observed.output
    known = case.known()
    assert not known.any_file
    assert known.missing(case.observed) == []
    opened = {access.path for access in case.observed.accesses}
    said = {path for path in known.files if (case.root / path).is_file()}
    assert said - opened <= ({MAIN} if shape.startswith("tofu files") else set()), "more than the engine reads"


def test_what_no_input_stands_for_is_found(tmp_path: Path, tofu: Path) -> None:
    """The oracle itself: a file, a missing file and a folder that nobody knows of."""
    observation.needed()
    shape = {
        MAIN: 'locals {\n  a = file("a.txt")\n  b = fileexists("../../no/b.txt")\n  c = fileset("../../d", "*.txt")\n}\n',
        f"{STACK}/a.txt": "a", "d/x.txt": "x",
    }  # fmt: skip
    case = watched(Configuration(shape), "shape", tmp_path, tofu)
    known = case.known()
    assert known.missing(case.observed) == []
    known.counts.files, known.counts.folders = {MAIN}, []
    assert {(access.path, access.how) for access in known.missing(case.observed)} >= {
        (f"{STACK}/a.txt", "opened"), ("no/b.txt", "missed"), ("d", "listed"),
    }  # fmt: skip
