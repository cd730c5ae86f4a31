"""Every kind of input in one repository, and the table of what is changed: how, and which stacks that affects."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.repository import Repository, minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Change = Callable[[Repository], None]

LOCALS = """
locals {
  folder = "${path.module}/../../shared"
  name   = var.size > 1 ? "big" : "small"
}

variable "size" {
  type    = number
  default = 1
}

variable "kind" {
  type    = string
  default = "plain"
}

resource "terraform_data" "reads" {
  input = [
    file("../../shared/direct.txt"),
    filesha256("${path.root}/../../shared/hashed.bin"),
    filebase64("${local.folder}/by-local.txt"),
    file("${local.folder}/${var.kind}.txt"),
    templatefile("${path.module}/page.tftpl", { size = var.size }),
    join(",", fileset("../../shared/set", "*.json")),
    fileexists("../../shared/maybe.txt"),
  ]
}
"""
MODULE = """
variable "dir" {
  type = string
}

output "text" {
  value = file("${var.dir}/given.txt")
}

output "own" {
  value = file("${path.module}/data/own.txt")
}

module "deep" {
  source = "../deep"
}
"""
CALL = '\nmodule "m" {\n  source = "../../modules/m"\n  dir    = "${path.module}/../../given"\n}\n'
ANY = '\ndata "terraform_remote_state" "unused" {\n  backend = "local"\n  config = {\n    path = "../../.state/other-local.tfstate"\n  }\n}\n\noutput "there" {\n  value = data.terraform_remote_state.unused.outputs.value\n}\n'
LINKED = '\nmodule "l" {\n  source = "../../links/module"\n}\n\noutput "linked" {\n  value = file("../../links/data.txt")\n}\n'
SUBMODULE = '\nmodule "v" {\n  source = "../../vendor/lib"\n}\n'
SETS = """
output "sets" {
  value = [
    fileset("${path.module}/../../conf", "*.yaml"),
    fileset(path.module, "../../tree/**/*.txt"),
    fileset(abspath("${path.module}/../../absolute"), "*"),
  ]
}
"""
MADE = '\noutput "made" {\n  value = file("${path.module}/dist/app.txt")\n}\n'
SCRIPT = '\nresource "terraform_data" "script" {\n  provisioner "local-exec" {\n    command = "sh ${path.module}/script.sh && sh tools/bare.sh"\n  }\n}\n'
BUILT = '\noutput "built" {\n  value = file("${path.module}/../../kit/out/x.txt")\n}\n'

TOKENS = """
variable "declared" {
  type      = string
  ephemeral = true
}

variable "declared_in_file" {
  type      = string
  ephemeral = true
}

variable "job" {
  type = string
}

variable "job_by_environment" {
  type = string
}

variable "job_in_file" {
  type = string
}

variable "job_in_json" {
  type = string
}

variable "counted" {
  type = string
}
"""

CONFIG = """
volatile_variables: [job, job_by_environment]
organization: {file: config/organization.yaml}
builds:
  kit: {kind: command, path: kit, command: [sh, -c, "mkdir -p out && cp x.txt out/x.txt"], outputs: [out], environment: [KIT]}
stacks:
  config: {variables: {x: 1}, var_files: ["{environment}.tfvars", {path: none.tfvars, optional: true}]}
  watcher: {watch: ["../../watched/**/*.json"]}
  after: {inputs: {x: config.value}}
  environment: {variables: {x: "${FROM_ENVIRONMENT}"}}
  defaulted: {variables: {x: "${NOT_SET:-1}"}}
  organized: {variables: {x: "{organization.team}"}}
  ordered: {depends_on: [other]}
  tokens:
    volatile_variables: [job_in_file, job_in_json]
    variables: {job: "${JOB}"}
    var_files: [tokens.tfvars]
"""
JSON = '{"terraform": {"backend": {"local": {}}}, "locals": {"x": "${file(\\"../../data/json.txt\\")}"}}'

FILES = (
    minimal_config(CONFIG),
    ".gitignore:.deploy/\n*.tfstate*\n.terraform/\n__pycache__/\ndist/\nout/\n",
    "config/organization.yaml:team: blue\nunused: 1\n",
    f"stacks/reads/main.tf:{resource(extra=LOCALS)}",
    "stacks/reads/page.tftpl:${size}",
    "stacks/reads/README.md:about",
    f"stacks/calls/main.tf:{resource(extra=CALL)}",
    f"stacks/config/main.tf:{reader('x')}",
    "stacks/config/local.tfvars:# nothing yet\n",
    f"stacks/watcher/main.tf:{resource()}",
    f"stacks/after/main.tf:{reader('x')}",
    f"stacks/environment/main.tf:{reader('x')}",
    f"stacks/defaulted/main.tf:{reader('x')}",
    f"stacks/organized/main.tf:{reader('x')}",
    f"stacks/ordered/main.tf:{resource()}",
    f"stacks/other/main.tf:{resource()}",
    f"stacks/remote/main.tf:{resource(extra=ANY)}",
    f"stacks/linked/main.tf:{resource(extra=LINKED)}",
    f"stacks/vendored/main.tf:{resource(extra=SUBMODULE)}",
    f"stacks/sets/main.tf:{resource(extra=SETS)}",
    f"stacks/made/main.tf:{resource(extra=MADE)}",
    f"stacks/script/main.tf:{resource(extra=SCRIPT)}",
    f"stacks/built/main.tf:{resource(extra=BUILT)}",
    f"stacks/json/main.tf.json:{JSON}",
    f"stacks/tokens/main.tf:{resource(extra=TOKENS)}",
    'stacks/tokens/tokens.tfvars:declared_in_file = "1"\ncounted = "1"\n',
    'stacks/tokens/job.auto.tfvars:job_in_file = "1"\n',
    'stacks/tokens/job.auto.tfvars.json:{"job_in_json": "1"}',
    f"more/extra/main.tf:{resource()}",
    "stacks/script/script.sh:true\n", "stacks/script/tools/bare.sh:true\n", "stacks/script/tools/unnamed.sh:true\n",
    "stacks/made/dist/app.txt:app:1",
    f"modules/m/main.tf:{MODULE.lstrip()}",
    "modules/m/data/own.txt:own", "modules/m/README.md:about", "modules/m/unused.txt:1",
    'modules/deep/main.tf:output "x" {\n  value = 1\n}\n',
    'modules/linked/main.tf:output "x" {\n  value = 1\n}\n', 'modules/unused/main.tf:output "x" {\n  value = 1\n}\n',
    'modules/another/main.tf:output "x" {\n  value = 1\n}\n',
    "shared/direct.txt:1", "shared/hashed.bin:1", "shared/by-local.txt:1", "shared/plain.txt:1", "given/given.txt:1",
    "data/json.txt:1", "data/linked.txt:1", "data/linked-too.txt:2", "data/unread.txt:1",
    "shared/set/a.json:{}", "watched/deep/a.json:{}", "README.md:about", "docs/a.md:a", "LICENSE:none",
    "conf/a.yaml:1", "conf/b.yaml:2", "tree/deep/a.txt:1", "absolute/a.bin:1", "kit/x.txt:1", "kit/y.txt:1",
)  # fmt: skip


def create(base: Path, tofu: Path) -> Repository:
    """The repository with every kind of input, deployed; a tag says so."""
    repository = Repository.create(base, tofu, *FILES)
    repository.variables |= {"FROM_ENVIRONMENT": "1", "DEPLOY_DEPLOY__TAG": "deployed-{environment}"}
    repository.variables |= {"JOB": "1", "TF_VAR_declared": "1", "TF_VAR_job_by_environment": "1"}
    repository.variables |= {
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always",
    }  # fmt: skip
    links = repository.path / "links"
    links.mkdir()
    (links / "data.txt").symlink_to("../data/linked.txt")
    (links / "module").symlink_to("../modules/linked")
    library = Repository(base / "library", base / "library-home", tofu, repository.variables)
    library.path.mkdir()
    library.write('main.tf:output "one" {\n  value = 1\n}\n', "README.md:about")
    library.git("init", "--quiet", "--initial-branch=main")
    library.commit()
    repository.git("submodule", "add", "--quiet", str(library.path), "vendor/lib")
    subprocess.run([str(tofu), "fmt", "-recursive", "."], cwd=repository.path, check=True, capture_output=True)
    repository.commit()
    repository.doit("deploy")
    return repository


def write(*files: str) -> Change:
    """A change that writes files given as `path:content`."""
    return lambda repository: repository.write(*files)


def environment(**variables: str) -> Change:
    """A change of the environment alone."""
    return lambda repository: repository.variables.update(variables)


def edit(path: str, old: str, new: str) -> Change:
    """A change of a text in a file."""

    def change(repository: Repository) -> None:
        text = (repository.path / path).read_text()
        assert old in text
        (repository.path / path).write_text(text.replace(old, new))

    return change


def configure(old: str, new: str) -> Change:
    """A change of the configuration."""
    return edit("config/pipeline.yaml", old, new)


def remove(*paths: str) -> Change:
    """A change that removes files."""

    def change(repository: Repository) -> None:
        for path in paths:
            (repository.path / path).unlink()

    return change


def move(old: str, new: str) -> Change:
    """A change that renames a file or folder."""
    return lambda repository: (repository.path / old).rename(repository.path / new) and None


def link(path: str, target: str) -> Change:
    """A change of where a link leads."""

    def change(repository: Repository) -> None:
        (repository.path / path).unlink()
        (repository.path / path).symlink_to(target)

    return change


def _touch_everything(repository: Repository) -> None:
    for path in repository.path.rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            os.utime(path, (1_000_000_000, 1_000_000_000))


def _clone(repository: Repository) -> None:
    """A fresh clone with nothing but the receipts and outputs of a cache."""
    fresh = repository.home / "fresh"
    repository.commit()
    repository.git("clone", "--quiet", "--recurse-submodules", str(repository.path), str(fresh))
    for name in ("receipts", "outputs"):
        shutil.copytree(repository.deploy_dir(name), fresh / ".deploy/local" / name)
    shutil.copytree(repository.path / "stacks/made/dist", fresh / "stacks/made/dist")
    shutil.rmtree(repository.path)
    fresh.rename(repository.path)


def _submodule(*files: str) -> Change:
    """A change of the submodule, committed there."""

    def change(repository: Repository) -> None:
        inner = Repository(repository.path / "vendor/lib", repository.home, repository.tofu, repository.variables)
        inner.write(*files)
        inner.git("commit", "--quiet", "--all", "--message", "moves on")

    return change


@dataclass(frozen=True)
class Kind:
    """What is changed: how, the stacks that it affects, and words of the reason.

    `more` are further stacks where there are no receipts: those that read the outputs of an affected one. `only` names
    the one way in which the change can be made.
    """

    change: Change
    stacks: set[str] = field(default_factory=set)
    words: str = ""
    more: set[str] = field(default_factory=set)
    only: str | None = None


# What no base knows is affected wherever there is no receipt, and says why.
UNKNOWN = {
    "environment": "variable x cannot be compared with {base}: it comes from environment variables (FROM_ENVIRONMENT)",
    "made": "file stacks/made/dist/app.txt cannot be compared with {base}: git ignores it",
}
ALL = {
    "reads", "calls", "config", "watcher", "after", "environment", "defaulted", "organized", "ordered", "other", "remote",
    "linked", "vendored", "sets", "made", "script", "built", "json", "tokens",
}  # fmt: skip
RECEIPTS = "receipts"

KINDS: dict[str, Kind] = {
    "nothing": Kind(write()),
    "a stack's file": Kind(edit("stacks/other/main.tf", '"1"', '"2"'), {"other"}, "file stacks/other/main.tf changed", {"remote"}),
    "a new file of a stack": Kind(write("stacks/other/new.tf:locals {}\n"), {"other"}, "file stacks/other/new.tf added", {"remote"}),
    "a new .tofu file of a stack": Kind(write("stacks/watcher/new.tofu:locals {}\n"), {"watcher"}, "file stacks/watcher/new.tofu added"),
    "a new .tf.json file of a stack": Kind(write("stacks/watcher/new.tf.json:{}\n"), {"watcher"}, "new.tf.json added"),
    "a renamed file of a stack": Kind(move("stacks/reads/main.tf", "stacks/reads/other.tf"), {"reads"}, "stacks/reads/main.tf removed"),
    "an automatic var file": Kind(write("stacks/watcher/x.auto.tfvars:# new\n"), {"watcher"}, "x.auto.tfvars added"),
    "an automatic JSON var file": Kind(write("stacks/watcher/x.auto.tfvars.json:{}\n"), {"watcher"}, "x.auto.tfvars.json added"),
    "terraform.tfvars": Kind(write("stacks/watcher/terraform.tfvars:# new\n"), {"watcher"}, "terraform.tfvars added"),
    "a file written again as it was": Kind(edit("modules/m/main.tf", "own.txt", "own.txt")),
    "a new file of a module": Kind(write("modules/m/more.tf:locals {}\n"), {"calls"}, "module modules/m/more.tf added"),
    "a removed file of a module": Kind(remove("modules/deep/main.tf"), {"calls"}, "module modules/deep/main.tf removed"),
    "a module of a module": Kind(edit("modules/deep/main.tf", "1", "2"), {"calls"}, "module modules/deep/main.tf changed"),
    "a module that is called instead": Kind(edit("stacks/linked/main.tf", "links/module", "modules/another"), {"linked"}, "file stacks/linked/main.tf changed"),
    "a file that file() reads": Kind(write("shared/direct.txt:2"), {"reads"}, "file shared/direct.txt changed"),
    "a file that filesha256() reads": Kind(write("shared/hashed.bin:2"), {"reads"}, "file shared/hashed.bin changed"),
    "a file that is read by a local's path": Kind(write("shared/by-local.txt:2"), {"reads"}, "file shared/by-local.txt changed"),
    "a file that is read by a variable's name": Kind(write("shared/plain.txt:2"), {"reads"}, "file shared/plain.txt changed"),
    "a file that JSON configuration reads": Kind(write("data/json.txt:2"), {"json"}, "file data/json.txt changed"),
    "a file that is read and removed": Kind(remove("shared/direct.txt"), {"reads"}, "file shared/direct.txt is missing"),
    "a template": Kind(write("stacks/reads/page.tftpl:<${size}>"), {"reads"}, "page.tftpl changed"),
    "a file in a fileset": Kind(write("shared/set/b.json:{}"), {"reads"}, "file shared/set/b.json added"),
    "a file that left a fileset": Kind(remove("conf/b.yaml"), {"sets"}, "file conf/b.yaml removed"),
    "a file that left a fileset by pattern": Kind(remove("tree/deep/a.txt"), {"sets"}, "tree/deep/a.txt removed"),
    "a file that left a fileset of an absolute path": Kind(remove("absolute/a.bin"), {"sets"}, "absolute/a.bin removed"),
    "a file renamed in a fileset": Kind(move("conf/b.yaml", "conf/c.yaml"), {"sets"}, "file conf/b.yaml removed"),
    "a file whose being there counts": Kind(write("shared/maybe.txt:x"), {"reads"}, "file shared/maybe.txt"),
    "a file that a module reads beside itself": Kind(write("modules/m/data/own.txt:2"), {"calls"}, "own.txt changed"),
    "a file that a module reads and that is removed": Kind(remove("modules/m/data/own.txt"), {"calls"}, "own.txt is missing"),
    "a file that a module reads by an argument": Kind(write("given/given.txt:2"), {"calls"}, "file given/given.txt changed"),
    "a script that a provisioner runs": Kind(write("stacks/script/script.sh:false\n"), {"script"}, "script.sh changed"),
    "a script that is named without ./": Kind(write("stacks/script/tools/bare.sh:false\n"), {"script"}, "tools/bare.sh changed"),
    "a script that is named without ./ and removed": Kind(remove("stacks/script/tools/bare.sh"), {"script"}, "tools/bare.sh removed"),
    "a script beside one that is named": Kind(write("stacks/script/tools/unnamed.sh:false\n")),
    "a file behind a link": Kind(write("data/linked.txt:2"), {"linked"}, "file links/data.txt changed"),
    "a link that leads elsewhere": Kind(link("links/data.txt", "../data/linked-too.txt"), {"linked"}, "file links/data.txt changed"),
    "a link that leads to the same": Kind(link("links/data.txt", "../links/../data/linked.txt")),
    "a module behind a link": Kind(edit("modules/linked/main.tf", "1", "2"), {"linked"}, "module links/module/main.tf changed"),
    "a link to another module of the same content": Kind(link("links/module", "../modules/another")),
    "a submodule that moves on": Kind(_submodule('main.tf:output "two" {\n  value = 1\n}\n'), {"vendored"}, "module vendor/lib/main.tf changed"),
    "a submodule's file that is not committed": Kind(write('vendor/lib/main.tf:output "two" {\n  value = 1\n}\n'), {"vendored"}, "module vendor/lib/main.tf changed"),
    "a submodule that moves on in what nobody reads": Kind(_submodule("README.md:other")),
    "a watched file": Kind(write("watched/deep/a.json:[]"), {"watcher"}, "watched file watched/deep/a.json changed"),
    "a new watched file": Kind(write("watched/b.json:{}"), {"watcher"}, "watched file watched/b.json added"),
    "a removed watched file": Kind(remove("watched/deep/a.json"), {"watcher"}, "watched file watched/deep/a.json removed"),
    "what is watched": Kind(configure("**/*.json", "*.json"), {"watcher"}, "watched file watched/deep/a.json removed"),
    "a var file": Kind(write("stacks/config/local.tfvars:# other\n"), {"config"}, "var file stacks/config/local.tfvars changed", {"after"}),
    "an optional var file that comes": Kind(write("stacks/config/none.tfvars:# new\n"), {"config"}, "none.tfvars added", {"after"}),
    "a var file that is no longer named": Kind(configure('"{environment}.tfvars", ', ""), {"config"}, "var file stacks/config/local.tfvars removed", {"after"}),
    "a variable in the configuration": Kind(configure("{x: 1}", "{x: 2}"), {"config"}, "variable x changed", {"after"}),
    "a variable in the environment's configuration": Kind(write("config/environments/local.yaml:stacks: {config: {variables: {x: 2}}}\n"), {"config"}, "variable x changed", {"after"}),
    "a variable by the environment of doit": Kind(environment(DEPLOY_STACKS__CONFIG__VARIABLES='{"x": 3}'), {"config"}, "variable x", {"after"}),
    "an environment variable in the configuration": Kind(environment(FROM_ENVIRONMENT="2"), {"environment"}, "variable x"),
    "an environment variable that had a default": Kind(environment(NOT_SET="2"), {"defaulted"}, "variable x"),
    "an organization value": Kind(edit("config/organization.yaml", "blue", "red"), {"organized"}, "variable x changed"),
    "an organization value that no stack uses": Kind(edit("config/organization.yaml", "1", "2")),
    "a TF_VAR_ that a stack declares": Kind(environment(TF_VAR_size="3"), {"reads"}, "environment variable TF_VAR_size"),
    "a TF_VAR_ that none declares": Kind(environment(TF_VAR_nothing="3")),
    "an ephemeral variable in the environment": Kind(environment(TF_VAR_declared="2")),
    "an ephemeral variable in a var file": Kind(edit("stacks/tokens/tokens.tfvars", 'file = "1"', 'file = "2"')),
    "an ephemeral variable that is no longer in a var file": Kind(edit("stacks/tokens/tokens.tfvars", 'declared_in_file = "1"', "")),
    "a variable that is no longer ephemeral": Kind(edit("stacks/tokens/main.tf", "  ephemeral = true", "  ephemeral = false"), {"tokens"}, "stacks/tokens/main.tf changed"),
    "a volatile variable in the configuration": Kind(environment(JOB="2")),
    "a volatile variable that the configuration gives otherwise": Kind(configure('"${JOB}"', '"x-${JOB}"')),
    "a volatile variable in the environment": Kind(environment(TF_VAR_job_by_environment="2")),
    "a volatile variable in an automatic var file": Kind(edit("stacks/tokens/job.auto.tfvars", "1", "2")),
    "a volatile variable in an automatic JSON var file": Kind(edit("stacks/tokens/job.auto.tfvars.json", '"1"', '"2"')),
    "an automatic var file of volatile variables that is gone": Kind(remove("stacks/tokens/job.auto.tfvars")),
    "what counts in a var file that has a token, too": Kind(edit("stacks/tokens/tokens.tfvars", 'counted          = "1"', 'counted          = "2"'), {"tokens"}, "var file stacks/tokens/tokens.tfvars changed"),
    "what counts and comes to volatile variables": Kind(edit("stacks/tokens/job.auto.tfvars", "job", 'counted = "2"\njob'), {"tokens"}, "job.auto.tfvars added"),
    "a variable that is no longer volatile": Kind(configure("[job_in_file, job_in_json]", "[job_in_json]"), {"tokens"}, "job.auto.tfvars added"),
    "a variable that is volatile from now on": Kind(configure("volatile_variables: [job, ", "volatile_variables: [job, size, ")),
    "a file that git ignores": Kind(write("stacks/made/dist/app.txt:app:2"), {"made"}, "file stacks/made/dist/app.txt"),
    "backend settings": Kind(configure("{root}/.state/", "{root}/.state/../.state/"), ALL, "backend settings changed"),
    "a stack's backend settings": Kind(configure("  watcher: {", "  watcher: {backend: {kind: local, settings: {path: '{root}/.state/../.state/{stack}-{environment}.tfstate'}}, "), {"watcher"}, "backend settings changed"),
    "a lock file": Kind(write("stacks/watcher/.terraform.lock.hcl:# new\n"), {"watcher"}, "lock file stacks/watcher/.terraform.lock.hcl added"),
    "the engine's version": Kind(configure("version: 1\n", "version: 1\nengine: {version: '~> 1.12.0'}\n"), ALL, "engine version changed"),
    "the engine's version by the environment": Kind(environment(DEPLOY_ENGINE__VERSION="~> 1.12.0"), ALL, "engine version"),
    "a source of a build": Kind(write("kit/x.txt:2"), {"built"}, "build kit changed"),
    "a source of a build that is removed": Kind(remove("kit/y.txt"), {"built"}, "build kit changed"),
    "the mode of a build's source": Kind(lambda r: (r.path / "kit/x.txt").chmod(0o755), {"built"}, "build kit changed"),
    "a build's command": Kind(configure("mkdir -p out &&", "mkdir -p out; "), {"built"}, "build kit changed"),
    "an environment variable of a build": Kind(environment(KIT="2"), {"built"}, "build kit"),
    "which output a variable gets": Kind(configure("x: config.value", "x: other.value"), {"after"}, "output other.value (variable x)"),
    "an upstream's output value": Kind(edit(".deploy/local/outputs/config.json", '"digest": "', '"digest": "0'), {"after"}, "output config.value (variable x) changed", only=RECEIPTS),
    "an output that is read from a sibling's state": Kind(edit(".deploy/local/outputs/other.json", '"digest": "', '"digest": "0'), {"remote"}, "output value of other (terraform_remote_state.unused) changed", only=RECEIPTS),
    "a folder that `discover` finds from now on": Kind(configure("version: 1\n", 'version: 1\ndiscover: ["stacks/*", "more/*"]\n'), {"extra"}),
    "a new stack": Kind(write(f"stacks/new/main.tf:{resource()}"), {"new"}),
    "a stack's new name": Kind(configure("  watcher: {", "  looker: {path: stacks/watcher, "), {"looker"}),
    "a stack that is disabled": Kind(configure("  watcher: {", "  watcher: {enabled: false, ")),
    "an order of stacks": Kind(configure("  watcher: {", "  watcher: {depends_on: [other], ")),
    "a README of a stack": Kind(write("stacks/reads/README.md:other")),
    "a README of a module": Kind(write("modules/m/README.md:other")),
    "a README of the repository": Kind(write("README.md:other", "docs/a.md:b", "docs/new.md:c")),
    "a license": Kind(write("LICENSE:other")),
    "a file beside those that are read": Kind(write("data/unread.txt:2", "modules/m/unused.txt:2")),
    "a module that nobody calls": Kind(edit("modules/unused/main.tf", "1", "2")),
    "checks": Kind(configure("  watcher: {", "  watcher: {verify: [{kind: http, url: 'http://127.0.0.1:9'}], ")),
    "what a stack is not made of in the configuration": Kind(configure("version: 1\n", "version: 1\ndrift: {undeployed: report}\n")),
    "a comment in the configuration": Kind(configure("version: 1\n", "version: 1 # of the format\n\n")),
    "another environment's file": Kind(write("config/environments/prod.yaml:stacks: {config: {variables: {x: 2}}}\n")),
    "the mode of a file": Kind(lambda r: (r.path / "stacks/other/main.tf").chmod(0o755)),
    "every mtime": Kind(_touch_everything),
    "a fresh clone with the receipts of a cache": Kind(_clone, only=RECEIPTS),
}  # fmt: skip
