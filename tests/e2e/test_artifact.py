"""What deploy refuses: every way in which an artifact may not be what was planned, for here, for now."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.repository import Repository, contents, copy_tree, minimal_config, reader, resource

if TYPE_CHECKING:
    from collections.abc import Callable


def _plan(repository: Repository, stack: str = "a") -> Path:
    return repository.deploy_dir("plans", stack, "plan.tfplan")


def _manifest(repository: Repository, stack: str = "a") -> Path:
    return repository.deploy_dir("plans", stack, "manifest.json")


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _forge(repository: Repository, stack: str = "a", **fields: Any) -> None:
    """Change fields of a manifest and make its digest fit again, as somebody who knows the format can."""
    path = _manifest(repository, stack)
    record = json.loads(path.read_text())
    record.pop("digest")
    record.update(fields)
    record["digest"] = hashlib.sha256(_canonical(record)).hexdigest()
    path.write_text(json.dumps(record))


def _edit(repository: Repository, **fields: Any) -> None:
    path = _manifest(repository)
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def _flip_a_byte(repository: Repository) -> None:
    data = bytearray(_plan(repository).read_bytes())
    data[len(data) // 2] ^= 1
    _plan(repository).write_bytes(data)


def _truncate(repository: Repository) -> None:
    _plan(repository).write_bytes(_plan(repository).read_bytes()[:-10])


def _inject_code(repository: Repository) -> None:
    """Put a local-exec into the configuration that the plan carries: a bare engine would run it."""
    source, target = zipfile.ZipFile(_plan(repository)), io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("main.tf"):
                content = content.replace(
                    b"input = ", b'provisioner "local-exec" { command = "touch /tmp/owned" }\n  input = '
                )
            archive.writestr(name, content)
    _plan(repository).write_bytes(target.getvalue())


def _link_out(repository: Repository) -> None:
    outside = repository.home / "elsewhere.tfplan"
    _plan(repository).rename(outside)
    _plan(repository).symlink_to(outside)


def _link_folder_out(repository: Repository) -> None:
    folder = _plan(repository).parent
    outside = repository.home / "elsewhere"
    folder.rename(outside)
    folder.symlink_to(outside)


def _pipe(repository: Repository) -> None:
    _plan(repository).unlink()
    os.mkfifo(_plan(repository))


def _huge(repository: Repository) -> None:
    os.truncate(_plan(repository), (1 << 31) + 1)


def _hours_ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


def _other_inputs(repository: Repository) -> None:
    repository.write(f"stacks/a/main.tf:{resource('2')}")


def _other_commit(repository: Repository) -> None:
    repository.write("README.md:hello")
    repository.commit("another")


def _other_lock_file(repository: Repository) -> None:
    repository.write("stacks/a/.terraform.lock.hcl:# another\n")


def _swap_plans(repository: Repository) -> None:
    copy_tree(_plan(repository, "b").parent, _plan(repository, "a").parent)


MANIPULATIONS: dict[str, tuple[Callable[[Repository], None], str]] = {
    "a flipped byte": (_flip_a_byte, "is not the file that was planned"),
    "a truncated plan": (_truncate, "is not the file that was planned"),
    "injected code": (_inject_code, "is not the file that was planned"),
    "an empty plan": (lambda r: _plan(r).write_bytes(b""), "is not the file that was planned"),
    "no plan": (lambda r: _plan(r).unlink(), "plan.tfplan is missing"),
    "no manifest": (lambda r: _manifest(r).unlink(), "manifest.json is missing"),
    "a manifest that is no JSON": (lambda r: _manifest(r).write_text("{"), "cannot be read as a manifest"),
    "a manifest that is a list": (lambda r: _manifest(r).write_text("[]"), "cannot be read as a manifest"),
    "a manifest without a field": (
        lambda r: _manifest(r).write_text('{"stack": "a", "digest": ""}'),
        "cannot be read as a manifest",
    ),
    "an edited manifest": (lambda r: _edit(r, max_age=1), "cannot be read as a manifest"),
    "an edited commit": (lambda r: _edit(r, commit="0" * 40), "was changed after it was written"),
    "another format": (
        lambda r: _forge(r, format=1),
        "manifest.json was written by an incompatible version of doit-tofu",
    ),
    "fields of other types": (lambda r: _forge(r, inputs=["x"]), "cannot be read as a manifest"),
    "a time that is none": (lambda r: _forge(r, created_at="yesterday"), "cannot be read as a manifest"),
    "another stack's artifact": (_swap_plans, "this is a plan of stack 'b'"),
    "another environment": (lambda r: _forge(r, environment="prod"), "for environment 'prod', not 'local'"),
    "another commit": (_other_commit, "the tree is at"),
    "no commit": (lambda r: _forge(r, commit=None), "was made at no commit"),
    "a dirty tree": (lambda r: _forge(r, dirty=True), "uncommitted changes"),
    "another engine version": (
        lambda r: _forge(r, engine="tofu 1.12.5"),
        "made by tofu 1.12.5, but the engine here is tofu 1.12.6",
    ),
    "another engine": (lambda r: _forge(r, engine="terraform 1.12.6"), "made by terraform 1.12.6"),
    "a lock file that came since": (_other_lock_file, ".terraform.lock.hcl has changed since this was planned"),
    "a lock file that is gone": (lambda r: _forge(r, lock_digest="0" * 64), ".terraform.lock.hcl is missing"),
    "other inputs": (_other_inputs, "made from different inputs: file stacks/a/main.tf changed"),
    "a forged inputs digest": (lambda r: _forge(r, inputs_digest="0" * 64), "do not match its inputs digest"),
    "age": (lambda r: _forge(r, created_at=_hours_ago(169)), "169.0 h old, more than 168.0 h"),
    "the future": (lambda r: _forge(r, created_at=_hours_ago(-1)), "claims to be from the future"),
    "mocked inputs": (lambda r: _forge(r, mocked=["subnet_id"]), "mocks for subnet_id"),
    "a link out of the folder": (_link_out, "is not a plain file in its own folder"),
    "a linked folder": (_link_folder_out, "is not a plain file in its own folder"),
    "a huge file": (_huge, "too large for a plan"),
    "an id that is none": (lambda r: _forge(r, id=7), "cannot be read as a manifest"),
    "a pipe": (_pipe, "is not a plain file in its own folder"),
    "a hash that is none": (lambda r: _forge(r, plan_sha256="x"), "is not the file that was planned"),
}


@pytest.mark.parametrize("name", MANIPULATIONS)
def test_a_manipulated_artifact_is_refused_by_name_and_nothing_is_changed(pair: Repository, name: str) -> None:
    manipulate, message = MANIPULATIONS[name]
    pair.prepare("deploy:a")
    pair.write(f"stacks/a/main.tf:{resource('1.1')}")
    pair.commit()
    pair.prepare("plan")
    before = {
        stack: path.read_bytes() for stack in "ab" if (path := pair.path / f".state/{stack}-local.tfstate").exists()
    }
    pair.engine_calls()
    manipulate(pair)
    done = pair.doit("deploy", code=1)
    assert message in done.task("plan", "a")
    assert "FAILED" in done.task("plan", "a")
    first = "b" if "as b above" in done.out else "a"  # both were refused, and the cause is told once
    assert f"`doit plan:{first}" in done.out
    assert pair.engine_calls("apply") == []
    after = {
        stack: path.read_bytes() for stack in "ab" if (path := pair.path / f".state/{stack}-local.tfstate").exists()
    }
    assert before == after


def test_an_artifact_that_was_already_applied_is_refused(pair: Repository) -> None:
    pair.prepare("plan")
    copy_tree(pair.deploy_dir("plans"), pair.home / "saved")
    pair.doit("deploy")
    copy_tree(pair.home / "saved", pair.deploy_dir("plans"))
    serial = pair.state("a")["serial"]
    done = pair.doit("deploy", code=1)
    assert "this plan was already applied" in done.task("plan", "a")
    assert pair.state("a")["serial"] == serial


def _hand_over_an_older_plan(one: Repository) -> None:
    """A plan that was made before the last deploy is to be deployed."""
    one.prepare("deploy")
    one.write(f"stacks/a/main.tf:{resource('2')}")
    one.prepare("plan")
    copy_tree(one.deploy_dir("plans"), one.home / "saved")
    one.write(f"stacks/a/main.tf:{resource('3')}")
    one.prepare("plan")
    one.prepare("deploy")
    one.write(f"stacks/a/main.tf:{resource('2')}")
    copy_tree(one.home / "saved", one.deploy_dir("plans"))


def test_an_older_artifact_is_refused_because_the_state_moved_on(one: Repository) -> None:
    _hand_over_an_older_plan(one)
    done = one.doit("deploy", code=1)
    assert "the state has changed" in done.task("plan", "a")


def test_a_state_that_somebody_else_moved_on_is_refused_by_the_engine_and_said_so(one: Repository) -> None:
    import subprocess

    one.prepare("deploy")
    one.write(f"stacks/a/main.tf:{resource('2')}")
    one.commit()
    one.doit("plan")
    state = one.path / ".state/a-local.tfstate"
    record = json.loads(state.read_text())
    record["serial"] += 1
    state.write_text(json.dumps(record))
    done = one.doit("deploy", code=1)
    assert "the state has changed since this was planned" in done.task("deploy", "a")
    assert one.state("a") == record
    one.doit("plan")
    one.doit("deploy")
    assert one.state("a")["outputs"]["value"]["value"] == "2"
    assert subprocess.run(["git", "status", "--porcelain"], cwd=one.path, capture_output=True, check=True).stdout == b""


def test_another_environments_artifact_is_refused(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(), "config/environments/dev.yaml:", f"stacks/a/main.tf:{resource()}")
    repository.doit("env=dev", "plan")
    copy_tree(repository.deploy_dir("plans", environment="dev"), repository.deploy_dir("plans"))
    done = repository.doit("deploy", code=1)
    assert "for environment 'dev', not 'local'" in done.task("plan", "a")
    assert not (repository.path / ".state/a-local.tfstate").exists()


def test_a_plan_made_of_mocks_is_for_review_only(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config("stacks:\n  b: {inputs: {x: a.value}, mocks: {x: stand-in}}\n"),
        f"stacks/a/main.tf:{resource()}",
        f"stacks/b/main.tf:{reader('x')}",
    )
    done = repository.doit("plan")
    assert "mocks for x" in done.task("plan", "b")
    assert "1 with mocks, for review only; `doit mocks=no plan` plans them for `doit deploy`" in done.out
    assert "`doit mocks=no plan` replaces what `doit deploy` would refuse" in repository.doit("status").out
    assert repository.json("plans", "b", "manifest.json")["mocked"] == ["x"]
    done = repository.doit("deploy", code=1)
    assert "for review only" in done.task("plan", "b")
    assert "`doit plan:b mocks=no`" in done.out
    assert repository.engine_calls("apply") == []
    assert "deferred" in repository.doit("plan:b", "mocks=no").task("plan", "b")
    repository.doit("deploy")
    assert repository.json("outputs", "b.json")["outputs"]["value"]["value"] == ["1"]


def test_planning_again_puts_everything_right(pair: Repository) -> None:
    pair.prepare("plan")
    _flip_a_byte(pair)
    pair.doit("deploy", code=1)
    assert not list(pair.deploy_dir("receipts").glob("*.json"))
    pair.doit("plan")
    planned = pair.json("plans", "a", "manifest.json")["plan_sha256"]
    pair.doit("deploy")
    for name in "ab":
        receipt = pair.json("receipts", f"{name}.json")
        assert (receipt["outcome"], receipt["serial"]) == ("applied", pair.state(name)["serial"])
    assert pair.json("receipts", "a.json")["plan_sha256"] == planned


def test_a_failed_planning_leaves_no_artifact(one: Repository) -> None:
    one.prepare("plan")
    one.write('stacks/a/bad.tf:resource "terraform_data" "bad" {\n  input = file("nowhere")\n}\n')
    one.doit("plan", code=1)
    # The artifact of the former inputs is still there, and refused; one that is being replaced is gone first.
    one.doit("deploy", code=1)
    assert one.engine_calls("apply") == []


def test_a_plan_made_in_one_clone_is_applied_in_another_at_another_path(chain: Repository, tmp_path: Path) -> None:
    chain.prepare("plan")
    other = chain.clone(tmp_path / "far/away")
    copy_tree(chain.deploy_dir(), other.deploy_dir())
    planned = other.json("plans", "a", "manifest.json")["plan_sha256"]
    other.doit("deploy")
    assert other.json("receipts", "a.json")["plan_sha256"] == planned
    assert [line.split()[0] for line in other.engine_calls("plan")] == ["b", "c"]
    assert other.state("c")["outputs"]["value"]["value"] == [["1"]]


def test_nothing_absolute_stands_in_what_is_handed_over(pair: Repository) -> None:
    pair.prepare("plan")
    pair.prepare("deploy")
    found = contents(pair.deploy_dir())
    assert any(name.endswith("plan.tfplan!tfplan") for name in found)
    handed = [name for name in found if Path(name.partition("!")[0]).suffix in (".json", ".md", ".tfplan")]
    assert [name for name in handed if str(pair.path).encode() in found[name]] == []


def test_a_state_that_was_put_back_is_planned_and_deployed_again_once_it_is_accepted(one: Repository) -> None:
    one.prepare("deploy")
    saved = (one.path / ".state/a-local.tfstate").read_bytes()
    one.write(f"stacks/a/main.tf:{resource('2')}")
    one.doit("deploy")
    (one.path / ".state/a-local.tfstate").write_bytes(saved)
    assert "its state is older" in one.doit("-a", "deploy:a", code=1).task("plan", "a")
    assert one.state("a")["outputs"]["value"]["value"] == "1"
    record = json.loads(saved)
    accepted = f"accept=a:{record['lineage']}:{record['serial']}"
    one.doit("-a", "deploy:a", accepted, "reason=put back on purpose")
    assert one.state("a")["outputs"]["value"]["value"] == "2"


def test_a_dirty_tree_is_not_planned_where_it_has_to_be_clean(one: Repository) -> None:
    one.write(minimal_config("plan: {require_clean: true}\n"))
    one.commit()
    one.write("new-file:", f"stacks/a/main.tf:{resource('2')}")
    for command in ("plan", "deploy"):
        done = one.doit(command, code=1)
        assert "uncommitted changes (new-file, stacks/a/main.tf)" in done.task("plan", "a")
        assert "config/pipeline.yaml:3" in done.out
        assert one.engine_calls("plan") == []
    one.commit()
    one.doit("plan")
    one.doit("deploy")


def test_an_artifact_of_a_dirty_tree_is_refused_in_the_same_dirty_tree_where_it_has_to_be_clean(
    one: Repository,
) -> None:
    one.write("new-file:")
    one.prepare("plan")
    done = one.doit("deploy", code=1, DEPLOY_PLAN__REQUIRE_CLEAN="true")
    assert "uncommitted changes; see plan.require_clean" in done.task("plan", "a")
    assert one.engine_calls("apply") == []
    one.doit("deploy")


def _moved_on(one: Repository) -> dict[str, Any]:
    """A plan that waits, and a state that somebody else has moved on since; gives that state."""
    one.doit("deploy")
    one.write(f"stacks/a/main.tf:{resource('2')}")
    one.commit()
    one.doit("plan")
    path = one.path / ".state/a-local.tfstate"
    record: dict[str, Any] = json.loads(path.read_text())
    record["serial"] += 1
    path.write_text(json.dumps(record))
    one.engine_calls()
    return record


def test_a_plan_that_the_engine_finds_stale_is_planned_again_where_that_is_allowed(one: Repository) -> None:
    one.write(minimal_config("plan: {on_stale: replan}\n"))
    _moved_on(one)
    old = one.json("plans", "a", "manifest.json")["plan_sha256"]
    done = one.doit("deploy")
    assert "planned again: the state has changed since this was planned" in done.task("deploy", "a")
    assert [line.split()[1] for line in one.engine_calls() if line.split()[1] in ("plan", "apply")] == [
        "apply", "plan", "apply",
    ]  # fmt: skip
    manifest, receipt = one.json("plans", "a", "manifest.json"), one.json("receipts", "a.json")
    assert receipt["plan_sha256"] == manifest["plan_sha256"] != old
    assert manifest["origin"] == "deploy"
    assert one.json("results", "deploy", "a.json")["details"]["replanned"] is True
    assert one.state("a")["outputs"]["value"]["value"] == "2"


def test_a_plan_that_the_engine_finds_stale_stays_refused_until_somebody_plans_again(one: Repository) -> None:
    moved = _moved_on(one)
    receipt = one.json("receipts", "a.json")
    for _ in range(2):  # the second time must not find a reason to plan for itself what nobody has seen
        done = one.doit("deploy", code=1)
        assert "the state has changed since this was planned" in done.out
        assert "next: `doit plan:a`" in done.out
        assert one.engine_calls("plan") == []
        assert json.loads((one.path / ".state/a-local.tfstate").read_text()) == moved
        assert one.json("receipts", "a.json") == receipt
    one.doit("plan")
    one.doit("deploy")
    assert one.state("a")["outputs"]["value"]["value"] == "2"


def test_a_plan_behind_the_receipt_is_planned_again_where_that_is_allowed(one: Repository) -> None:
    _hand_over_an_older_plan(one)
    one.engine_calls()
    done = one.doit("deploy", DEPLOY_PLAN__ON_STALE="replan")
    assert "planned again: the state has changed" in done.task("deploy", "a")
    assert [line.split()[1] for line in one.engine_calls() if line.split()[1] in ("plan", "apply")] == ["plan", "apply"]
    assert one.state("a")["outputs"]["value"]["value"] == "2"


def test_only_a_stale_plan_is_planned_again(one: Repository) -> None:
    one.prepare("plan")
    _forge(one, created_at=_hours_ago(169))
    done = one.doit("deploy", code=1, DEPLOY_PLAN__ON_STALE="replan")
    assert "169.0 h old" in done.task("plan", "a")
    assert one.engine_calls("apply") == []


def test_a_deploy_shows_the_plan_that_was_handed_over(one: Repository) -> None:
    one.prepare("plan")
    one.prepare("deploy")
    report = one.deploy_dir("reports", "plan.md").read_text()
    assert "terraform_data.it" in report
    assert one.json("reports", "gitlab-terraform.json")["create"] == 1


def test_a_description_that_is_not_the_plans_own_is_not_shown(one: Repository) -> None:
    one.prepare("plan")
    path = one.deploy_dir("plans", "a", "plan.json")
    path.write_text(path.read_text().replace('"1"', '"harmless"'))
    assert "harmless" in path.read_text()
    one.doit("deploy")
    assert "harmless" not in one.deploy_dir("reports", "plan.md").read_text()
    [details] = [path for path in one.deploy_dir("runs").glob("*.jsonl") if '"deploy:a"' in path.read_text()]
    assert "harmless" not in details.read_text()
    assert one.state("a")["outputs"]["value"]["value"] == "1"
