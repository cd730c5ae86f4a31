"""Overlays: what wins, what is pinned, where things lie, and which stacks a change affects."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from tests.repository import Repository, minimal_config, reader, resource, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Overlay = Callable[..., tuple[Repository, Repository]]

PAGE = """\
terraform {
  backend "local" {}
}

variable "name" {
  type    = string
  default = "nobody"
}

resource "terraform_data" "it" {
  input = templatefile("${path.module}/page.tftpl", { name = var.name })
}

output "value" {
  value = terraform_data.it.output
}
"""


@pytest.fixture
def overlay(tmp_path: Path, tofu: Path) -> Overlay:
    """Builds an upstream with the stacks `a` (a template, a variable) and `b`, tagged v1, and an overlay over it."""

    def make(*files: str, pipeline: str = "", upstream: str = "") -> tuple[Repository, Repository]:
        below = Repository.create(
            tmp_path / "platform",
            tofu,
            minimal_config("stacks:\n  a: {variables: {name: upstream}}\n  b: {depends_on: [a]}\n"),
            "config/environments/local.yaml:stacks:\n  a: {variables: {name: local}}\n",
            f"stacks/a/main.tf:{PAGE}",
            "stacks/a/page.tftpl:hello ${name}\n",
            f"stacks/b/main.tf:{resource()}",
        )
        below.git("tag", "v1")
        key = upstream or f"{{git: 'file://{below.path}', ref: v1}}"
        above = Repository.create(tmp_path / "mine", tofu, f"config/pipeline.yaml:upstream: {key}\n{pipeline}", *files)
        return below, above

    return make


def _value(repository: Repository, stack: str) -> str:
    value: str = repository.json("outputs", f"{stack}.json")["outputs"]["value"]["value"]
    return value


def test_an_overlay_without_a_file_of_its_own_deploys_the_upstream_as_it_is_pinned(overlay: Overlay) -> None:
    below, mine = overlay()
    commit = below.git("rev-parse", "v1")
    done = mine.doit("plan")
    assert f"is now pinned to {commit} in config/upstream.lock" in done.out
    mine.commit("pin")
    mine.doit("plan")
    assert mine.json("plans", "a", "manifest.json")["upstream"] == commit
    assert mine.json("plans", "a", "manifest.json")["commit"] == mine.git("rev-parse", "HEAD")
    mine.doit("deploy")
    assert _value(mine, "a") == "hello local\n"
    assert mine.json("receipts", "a.json")["upstream"] == commit
    assert mine.state("a")["serial"] == 1
    assert mine.git("status", "--porcelain", "--", ":(exclude).state") == ""
    mine.engine_calls()
    assert "nothing to deploy" in mine.doit("deploy").out
    assert mine.engine_calls() == []
    mine.doit("drift")


def test_the_order_of_the_four_files_and_of_variables(overlay: Overlay) -> None:
    _, mine = overlay("config/environments/dev.yaml:")
    mine.doit("deploy")
    assert _value(mine, "a") == "hello local\n"  # the upstream's environment over the upstream's pipeline
    mine.write(
        f"config/pipeline.yaml:{(mine.path / 'config/pipeline.yaml').read_text()}stacks: {{a: {{variables: {{name: mine}}}}}}\n"
    )
    mine.doit("deploy")
    assert _value(mine, "a") == "hello mine\n"  # the overlay's pipeline over the upstream's environment
    mine.write("config/environments/local.yaml:stacks: {a: {variables: {name: here}}}\n")
    mine.doit("deploy")
    assert _value(mine, "a") == "hello here\n"
    mine.doit("deploy", DEPLOY_STACKS__A__VARIABLES='{"name": "now"}')
    assert _value(mine, "a") == "hello now\n"
    mine.doit("env=dev", "deploy:a")  # an environment of the overlay alone
    assert mine.json("outputs", "a.json", environment="dev")["outputs"]["value"]["value"] == "hello mine\n"
    assert "unknown environment 'lokal' (did you mean 'local'?)" in mine.doit("env=lokal", "plan", code=1).out


def test_an_error_in_the_upstreams_configuration_names_the_upstreams_file(overlay: Overlay) -> None:
    below, mine = overlay()
    below.write("config/pipeline.yaml:version: 1\nstacks:\n  a: {variabels: {}}\n")
    below.commit()
    below.git("tag", "--force", "v1")
    done = mine.doit("plan", code=1)
    assert "upstream:config/pipeline.yaml:3" in done.out
    assert "(did you mean 'variables'?)" in done.out


def test_each_kind_of_change_of_the_overlay_affects_exactly_the_right_stacks(overlay: Overlay) -> None:
    _, mine = overlay()
    mine.doit("deploy")
    mine.planned()
    mine.write("stacks/a/page.tftpl:goodbye ${name}\n")
    done = mine.doit("deploy")
    assert mine.planned() == ["a"]
    assert "stacks/a/page.tftpl changed" in done.out
    assert _value(mine, "a") == "goodbye local\n"
    mine.write(f"stacks/c/main.tf:{reader('x')}", 'stacks/c/terraform.tfvars:x = "1"\n')
    mine.doit("deploy")
    assert mine.planned() == ["c"]
    mine.write("stacks/b/more.tf:locals {}\n")
    mine.doit("deploy")
    assert mine.planned() == ["b"]
    mine.write('stacks/a/x.auto.tfvars:name = "unused"\n')
    mine.doit("deploy")
    assert mine.planned() == ["a"]
    (mine.path / "stacks/a/page.tftpl").unlink()
    (mine.path / "stacks/a/x.auto.tfvars").unlink()
    mine.doit("deploy")
    assert mine.planned() == ["a"]
    assert _value(mine, "a") == "hello local\n"
    mine.doit("deploy")
    assert mine.planned() == []


def test_a_var_file_that_git_ignores_counts_all_the_same(overlay: Overlay) -> None:
    _, mine = overlay(pipeline="stacks: {c: {var_files: [secret.tfvars]}}\n")
    mine.write(
        ".gitignore:.deploy/\n.state/\n*.tfvars\n",
        f"stacks/c/main.tf:{reader('x')}",
        'stacks/c/secret.tfvars:x = "1"\n',
        "stacks/c/terraform.tfstate:{}",
    )
    mine.doit("deploy:c")
    assert _value(mine, "c") == ["1"]
    assert not (mine.path / ".deploy/.cache/tree/stacks/c/terraform.tfstate").exists()


def test_the_build_tree_is_written_only_where_it_differs_and_keeps_modes(overlay: Overlay) -> None:
    below, mine = overlay(upstream="{path: ../../platform/repo}")
    script = below.path / "stacks/a/run.sh"
    below.write("stacks/a/run.sh:#!/bin/sh\n", "stacks/b/old.txt:x")
    script.chmod(0o755)
    mine.doit("graph")
    tree = mine.path / ".deploy/.cache/tree"
    assert (tree / "stacks/a/run.sh").stat().st_mode & 0o777 == 0o755
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tree.rglob("*") if path.is_file()}
    below.write("stacks/a/page.tftpl:other ${name}\n")
    (below.path / "stacks/b/old.txt").unlink()
    (below.path / "stacks/b/main.tf").touch()
    (tree / "stacks/b/made-by-a-stack").write_text("kept")
    mine.doit("graph")
    after = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tree.rglob("*") if path.is_file()}
    changed = {path.relative_to(tree).as_posix() for path in {*before, *after} if before.get(path) != after.get(path)}
    assert changed == {"stacks/a/page.tftpl", "stacks/b/old.txt", "stacks/b/made-by-a-stack"}
    (tree / "stacks/b/main.tf").write_text("garbage")
    mine.doit("graph")
    assert (tree / "stacks/b/main.tf").read_text() == resource()
    shutil.rmtree(tree)
    mine.doit("graph")
    assert (tree / "stacks/a/page.tftpl").read_text() == "other ${name}\n"


def test_an_override_of_the_same_size_and_time_is_seen(overlay: Overlay) -> None:
    below, mine = overlay(upstream="{path: ../../platform/repo}")
    os.utime(below.path / "stacks/a/page.tftpl", (1_000_000_000, 1_000_000_000))
    mine.doit("deploy")
    mine.planned()
    mine.write("stacks/a/page.tftpl:HELLO ${name}\n")
    os.utime(mine.path / "stacks/a/page.tftpl", (1_000_000_000, 1_000_000_000))
    mine.doit("deploy")
    assert mine.planned() == ["a"]
    assert _value(mine, "a") == "HELLO local\n"


@pytest.mark.parametrize(
    ("target", "refused"),
    [("/etc/hostname", True), ("../../../x", True), ("../b/../../../x", True), ("../b/main.tf", False)],
)
def test_links_that_may_leave_the_tree_are_refused(overlay: Overlay, target: str, refused: bool) -> None:
    _, mine = overlay()
    (mine.path / "stacks/a").mkdir(parents=True)
    (mine.path / "stacks/a/link.txt").symlink_to(target)
    done = mine.doit("graph", code=1 if refused else 0)
    assert ("overlay:stacks/a/link.txt" in done.out) is refused


def test_a_file_here_that_is_a_folder_there_is_refused(overlay: Overlay) -> None:
    _, mine = overlay("stacks/a/page.tftpl/x.txt:")
    assert "stacks/a/page.tftpl is a file or link in the upstream, and a folder" in mine.doit("graph", code=1).out


@pytest.mark.parametrize(
    "backend",
    ["{kind: local, settings: {path: 'state.tfstate'}}", "{kind: local, settings: {path: '../../../tree/x'}}", "null"],
)
def test_a_state_within_the_build_tree_is_refused(overlay: Overlay, backend: str) -> None:
    below, mine = overlay(upstream="{path: ../../platform/repo}", pipeline=f"backend: {backend}\n")
    below.write("config/pipeline.yaml:version: 1\n")
    done = mine.doit("plan", code=1)
    assert "would be in .deploy/.cache/tree, which is a cache" in done.out
    assert "{root}/.state" in done.out


def test_a_deploy_folder_behind_a_link_is_refused(overlay: Overlay, tmp_path: Path) -> None:
    _, mine = overlay()
    (tmp_path / "elsewhere").mkdir()
    (mine.path / ".deploy").symlink_to(tmp_path / "elsewhere")
    assert "reached through a symbolic link" in mine.doit("plan", code=1).out


def test_a_ref_that_moved_is_refused_until_it_is_updated(overlay: Overlay) -> None:
    below, mine = overlay()
    old = below.git("rev-parse", "v1")
    mine.doit("deploy")
    below.write("stacks/a/page.tftpl:moved ${name}\n")
    new = below.commit()
    below.git("tag", "--force", "v1")
    for command in ("plan", "deploy", "drift"):
        done = mine.doit(command, code=1)
        assert f"the pinned commit is {old}" in done.out
        assert f"it is now {new}" in done.out
        assert "doit upstream=update plan" in done.out
    mine.doit("status")
    below.git("tag", "--delete", "v1")
    assert "has no tag or branch 'v1'" in mine.doit("plan", code=1).out
    below.git("tag", "v1")
    shutil.rmtree(mine.home / "cache" / "upstreams")
    assert f"it is now {new}" in mine.doit("status", code=1).out
    assert "commit: '" + old in (mine.path / "config/upstream.lock").read_text()
    mine.planned()
    done = mine.doit("upstream=update", "plan")
    assert mine.planned() == ["a"]
    assert new in (mine.path / "config/upstream.lock").read_text()
    assert old in done.out
    mine.doit("deploy")
    assert _value(mine, "a") == "moved local\n"


def test_another_ref_in_the_configuration_is_refused_until_it_is_updated(overlay: Overlay) -> None:
    below, mine = overlay()
    mine.prepare("plan")
    below.git("tag", "v2")
    config = mine.path / "config/pipeline.yaml"
    written = config.read_text()
    assert "a variable may not change what the files say" in mine.doit("plan", code=1, DEPLOY_UPSTREAM__REF="v2").out
    config.write_text(written.replace("ref: v1", "ref: v2"))
    assert "the lock file pins" in mine.doit("plan", code=1).out
    config.write_text(written.replace("ref: v1", "ref: v3"))
    assert "the lock file pins" in mine.doit("plan", code=1).out
    assert "has no tag or branch 'v3'" in mine.doit("upstream=update", "plan", code=1).out


def test_the_cache_is_enough_when_the_upstream_cannot_be_reached(overlay: Overlay) -> None:
    below, mine = overlay()
    mine.prepare("plan")
    below.path.rename(below.path.parent / "gone")
    done = mine.doit("deploy")
    assert "from the cache" in done.out
    shutil.rmtree(mine.home / "cache" / "upstreams")
    done = mine.doit("status", code=1)
    assert "upstream error" in done.out
    assert "nothing was planned or applied" in done.out


def test_check_false_stays_at_the_pinned_commit_also_in_a_fresh_clone(overlay: Overlay) -> None:
    below, mine = overlay(upstream="{git: '${PLATFORM}', ref: main, check: false}")
    mine.variables["PLATFORM"] = f"file://{below.path}"
    mine.doit("plan")
    below.write("stacks/a/page.tftpl:moved ${name}\n")
    below.commit()
    shutil.rmtree(mine.home / "cache" / "upstreams")
    mine.doit("deploy")
    assert _value(mine, "a") == "hello local\n"


def test_a_full_commit_needs_no_lock_file(overlay: Overlay) -> None:
    below, mine = overlay()
    commit = below.git("rev-parse", "v1")
    mine.write(f"config/pipeline.yaml:upstream: {{git: '../../platform/repo', ref: '{commit}'}}\n")
    mine.doit("plan")
    assert not (mine.path / "config/upstream.lock").exists()
    assert mine.json("plans", "a", "manifest.json")["upstream"] == commit


def test_credentials_in_a_url_are_never_shown_nor_stored_nor_arguments(overlay: Overlay, tmp_path: Path) -> None:
    _, mine = overlay(upstream="{git: 'https://deploy:${GATE}@127.0.0.1:9/platform.git', ref: v1, timeout: 5}")
    wrapper = mine.bin / "git"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/git.log\nexec /usr/bin/git "$@"\n')
    wrapper.chmod(0o755)
    done = mine.doit("plan", code=1, GATE="hunter22-secret")
    assert "127.0.0.1:9/platform.git" in done.out
    for text in (done.out, (tmp_path / "git.log").read_text()):
        assert "hunter22" not in text
        assert "ZGVwbG95Omh1bnRlcjIy" not in text  # base64 of the beginning of user:password
    for folder in (mine.path, mine.home):
        for path in folder.rglob("*"):
            assert not path.is_file() or b"hunter22" not in path.read_bytes(), path


def test_a_git_that_hangs_is_ended_in_time(overlay: Overlay) -> None:
    ref = "0123456789" * 4
    _, mine = overlay(upstream=f"{{git: '../../platform/repo', ref: '{ref}', timeout: 1}}")
    wrapper = mine.bin / "git"
    wrapper.write_text(
        '#!/bin/sh\ncase " $* " in *" fetch "*) trap "" TERM INT; sleep 60;; esac\nexec /usr/bin/git "$@"\n'
    )
    wrapper.chmod(0o755)
    assert "took longer than 1 s" in mine.doit("plan", code=1).out


def test_a_plan_made_over_another_upstream_commit_is_refused(overlay: Overlay) -> None:
    below, mine = overlay(upstream="{path: ../../platform/repo}")
    mine.doit("plan")
    old = below.git("rev-parse", "HEAD")
    below.write("README.md:nothing that any stack reads\n")
    new = below.commit()
    done = mine.doit("deploy", code=1)
    assert f"made over the upstream at {old}, but it is now at {new}" in done.out
    assert mine.engine_calls("apply") == []


def test_an_upstream_commit_that_changes_no_input_affects_nothing(overlay: Overlay) -> None:
    below, mine = overlay(upstream="{path: ../../platform/repo}")
    mine.doit("deploy")
    mine.engine_calls()
    below.write("README.md:nothing that any stack reads\n")
    below.commit()
    assert "nothing to deploy" in mine.doit("deploy").out
    assert mine.engine_calls() == []


def test_an_upstream_may_not_be_an_overlay_and_the_key_stands_in_one_place(overlay: Overlay) -> None:
    below, mine = overlay(upstream="{path: ../../platform/repo}")
    below.write("config/environments/local.yaml:upstream: {path: ..}\n")
    assert "upstream:config/environments/local.yaml:1" in mine.doit("plan", code=1).out


def test_status_lists_every_override_without_the_engine(overlay: Overlay) -> None:
    below, mine = overlay(
        "stacks/a/page.tftpl:mine ${name}\n",
        f"stacks/b/main.tf:{resource()}",
        "stacks/b/more.tf:locals {}\n",
        f"stacks/c/main.tf:{resource()}",
        "config/environments/local.yaml:stacks:\n  a:\n    variables: {name: mine}\n",
    )
    done = mine.doit("status")
    assert mine.engine_calls() == []
    assert below.git("rev-parse", "v1") in done.line("overlay of file://")
    assert "same content" not in done.line("replaces", "stacks/a/page.tftpl")
    assert "same content" in done.line("replaces", "stacks/b/main.tf")
    done.line("adds", "stack stacks/c")
    done.line("adds", "stacks/b/more.tf")
    line = done.line("key", "stacks.a.variables.name")
    assert "config/environments/local.yaml:3 over upstream:config/environments/local.yaml:2" in line


def test_an_overlay_that_is_a_folder_of_its_upstream_and_an_upstream_within_the_overlay(
    build: Callable[..., Repository],
) -> None:
    outer = build(
        minimal_config(),
        f"stacks/a/main.tf:{resource()}",
        "overlays/x/config/pipeline.yaml:upstream: {path: ../..}\n",
        f"overlays/x/stacks/b/main.tf:{resource()}",
    )
    inner = Repository(outer.path / "overlays/x", outer.home, outer.tofu)
    shutil.copy(outer.path / "dodo.py", inner.path / "dodo.py")
    assert "a" in inner.doit("graph").out
    assert not (inner.path / ".deploy/.cache/tree/overlays/x").exists()
    assert inner.doit("deploy").line("local:", "2 deployed")
    assert (inner.path / ".state/a-local.tfstate").exists()


def test_the_engines_lock_file_goes_to_the_overlay_and_is_an_input(overlay: Overlay) -> None:
    _, mine = overlay()
    made = mine.home / "bin/tofu"
    text = made.read_text().replace(
        "exec ", '[ "$1" = init ] && [ "$(basename "$PWD")" = a ] && echo "# pinned" > .terraform.lock.hcl\nexec '
    )
    made.write_text(text)
    done = mine.doit("plan")
    assert "stacks/a/.terraform.lock.hcl: written by tofu init, now in this repository; commit it" in done.out
    assert (mine.path / "stacks/a/.terraform.lock.hcl").read_text() == "# pinned\n"
    assert ("lock_file", "stacks/a/.terraform.lock.hcl") in mine.inputs("plans", "a", "manifest.json")
    mine.commit("lock")
    (mine.path / "stacks/a/.terraform.lock.hcl").unlink()
    mine.doit("graph")
    assert not (mine.path / ".deploy/.cache/tree/stacks/a/.terraform.lock.hcl").exists()


def test_without_the_key_nothing_of_overlays_is_imported_or_made(one: Repository) -> None:
    one.fresh = True  # a forked doit has all modules from the beginning
    one.write("dodo.py:" + (one.path / "dodo.py").read_text() + "import atexit, sys\n"
              "atexit.register(lambda: print('LOADED', sorted(m.rpartition('.')[2] for m in sys.modules if m.rpartition('.')[2] in "
              "('overlay', 'buildtree', 'gitremote', 'sourcefiles', 'overrides', 'hooks', 'organization', 'jsonschema'))))\n")  # fmt: skip
    assert "LOADED []" in one.doit("deploy").out
    assert not (one.path / ".deploy/.cache/tree").exists()


def test_the_plan_of_an_overlay_applies_in_a_clone_at_another_place(overlay: Overlay, tmp_path: Path) -> None:
    _, mine = overlay()
    mine.doit("plan")
    mine.commit("pin")
    mine.doit("plan")
    other = mine.clone(tmp_path / "other")
    shutil.copytree(mine.path / ".deploy/local", other.path / ".deploy/local")
    other.doit("deploy")
    assert other.planned() == []
    assert _value(other, "a") == "hello local\n"
    assert json.loads((other.path / ".state/a-local.tfstate").read_text())["serial"] == 1


def test_a_kill_while_the_tree_is_written_leaves_nothing_behind(overlay: Overlay) -> None:
    below, mine = overlay(upstream="{path: ../../platform/repo}")
    below.write("stacks/a/old.txt:old")
    mine.doit("graph")
    (below.path / "stacks/a/old.txt").unlink()
    for number in range(3000):
        below.write(f"stacks/a/new/{number}.txt:{number}")
    tree = mine.path / ".deploy/.cache/tree/stacks/a"
    process = mine.start("graph")
    wait_for((tree / "new").exists, "the tree to be written")
    process.kill()
    process.communicate()
    assert 0 < len(list((tree / "new").iterdir())) < 3000
    for number in range(2999):
        (below.path / f"stacks/a/new/{number}.txt").unlink()
    mine.doit("graph")
    assert sorted(path.name for path in tree.iterdir()) == ["main.tf", "new", "page.tftpl"]
    assert [path.name for path in (tree / "new").iterdir()] == ["2999.txt"]


def test_the_upstreams_format_is_the_upstreams_own(overlay: Overlay) -> None:
    below, mine = overlay(upstream="{path: ../../platform/repo}")
    below.write("stacks/a/ugly.tf:locals {\n x=1\n}\n")
    mine.doit("validate")
    mine.write("stacks/a/mine.tf:locals {\n y=1\n}\n")
    assert "stacks/a/mine.tf" in mine.doit("validate", code=1).task("validate", "a")


def test_a_state_that_could_not_be_saved_is_taken_out_of_the_tree(overlay: Overlay) -> None:
    class Broken(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def do_POST(self) -> None:
            self.send_error(400)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever).start()
        _, mine = overlay(
            pipeline=f"stacks: {{d: {{backend: {{kind: http, settings: {{address: 'http://127.0.0.1:{server.server_port}/'}}}}}}}}\n"
        )
        mine.write("stacks/d/main.tf:" + resource().replace('backend "local"', 'backend "http"'))
        done = mine.doit("deploy:d", code=1)
        server.shutdown()
    left = mine.path / "stacks/d/errored.tfstate"
    assert json.loads(left.read_text())["resources"]
    assert "it is in stacks/d/errored.tfstate" in done.task("deploy", "d")
    assert "-chdir=.deploy/.cache/tree/stacks/d state push ../../../../../stacks/d/errored.tfstate" in done.out
    assert "&& rm stacks/d/errored.tfstate" in done.out
    assert not (mine.path / ".deploy/.cache/tree/stacks/d/errored.tfstate").exists()
    mine.doit("graph")
    assert left.exists()
    assert "could not be saved" in mine.doit("plan:d", code=1).out


def test_names_that_are_not_utf8_are_merged(overlay: Overlay) -> None:
    _, mine = overlay()
    (mine.path / "stacks/a").mkdir(parents=True)
    name = os.fsdecode(b"stacks/a/caf\xe9.txt")
    (mine.path / name).write_text("x")
    mine.commit()
    mine.doit("graph")
    mine.doit("graph")
    assert (mine.path / ".deploy/.cache/tree" / name).read_text() == "x"


def test_a_base_in_a_fresh_clone_compares_overlay_and_upstream(overlay: Overlay, tmp_path: Path) -> None:
    below, mine = overlay("stacks/b/main.tf:" + resource("mine"), f"stacks/c/main.tf:{resource()}")
    below.write(f"stacks/d/main.tf:{resource()}")
    below.commit()
    below.git("tag", "v2")
    mine.doit("status")
    mine.commit("pin")
    mine.git("tag", "begin")
    mine.write(f"stacks/c/main.tf:{resource('2')}")
    mine.commit()
    assert mine.doit("base=begin", "plan").line("local:", "planned")
    assert mine.planned() == ["c"]
    below.write("stacks/a/page.tftpl:new ${name}\n", f"stacks/b/main.tf:{resource('other')}")
    below.commit()
    below.git("tag", "v3")
    mine.write(f"config/pipeline.yaml:upstream: {{git: 'file://{below.path}', ref: v3}}\n")
    mine.doit("upstream=update", "status")
    mine.commit("v3")
    other = mine.clone(tmp_path / "other")
    done = other.doit("base=begin", "plan")
    assert "stacks/a/page.tftpl changed since begin" in done.task("plan", "a")
    assert other.planned() == [
        "a",
        "c",
        "d",
    ]  # the file of `b` is the overlay's own, as it was, and it only waits for `a`
    assert "stacks/c/main.tf changed since begin" in done.task("plan", "c")
    assert "a new stack since begin" in done.task("plan", "d")


def test_over_a_folder_a_base_says_nothing_and_all_is_affected(overlay: Overlay) -> None:
    _, mine = overlay(upstream="{path: ../../platform/repo}")
    mine.git("tag", "begin")
    done = mine.doit("base=begin", "plan")
    assert mine.planned() == ["a", "b"]
    for stack in ("a", "b"):
        assert "its configuration at begin cannot be read: the upstream is a folder" in done.task("plan", stack)
