"""`doit drift --adopt`: the code takes over what was done outside, and an empty plan proves it, or nothing changes."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.repository import Repository, minimal_config, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

# Each kind of drift: the code, how it is written, and what the resource is changed to outside. Of each a plan is empty
# after the adoption. What cannot be adopted is in `BY_HAND`.
KINDS: dict[str, tuple[str, Any]] = {
    "number": ("input = 3", 5),
    "big_number": ("input = 12345678901234567890", 12345678901234567891),
    "fraction": ("input = 0.5", 0.25),
    "text": ('input = "one"', 'two "${x}" %{ y'),
    "lines": ('input = "one\\ntwo\\n"', "one\nthree\n"),
    "boolean": ("input = true", False),
    "list": ('input = ["a", "b"]', ["b", "c", "d"]),
    "element": ('input = ["a", "b"]', ["a", "c"]),
    "map": ('input = {\n    a = "1"\n    b = "2" # kept\n  }', {"a": "1", "b": "3"}),
    "map_more": ('input = { a = "1" }', {"a": "1", "team-x": "2"}),
    "map_less": ('input = { a = "1", b = "2" }', {"a": "1"}),
    "nested": ("input = { a = { b = [1, { c = 2 }] } }", {"a": {"b": [1, {"c": 3}]}}),
    "policy": ('input = jsonencode({ S = [{ E = "Deny" }] })', '{"S":[{"E":"Allow"}]}'),
    "default": ("input = var.size", 9),
    "of_local": ("input = local.word", "b"),
    "gone_attribute": ('input = "x"', None),
    "new_attribute": ("", "y"),
    "heredoc": ("input = <<-EOT\n    a\n  EOT", "b\n"),
    "null_in_list": ("input = [1, null]", [2, None]),
    "unicode": ('input = "ä"', "☃ \t"),
    "instance": ("for_each = { k = { v = 1 } }\n  input    = each.value.v", 4),
}
HEAD = 'terraform {\n  backend "local" {}\n}\nvariable "size" {\n  default = 7\n}\nlocals {\n  word = "a"\n}\n'


def code(kinds: dict[str, str]) -> str:
    """A stack with a resource for each."""
    return HEAD + "".join(f'\nresource "terraform_data" "{name}" {{\n  {body}\n}}\n' for name, body in kinds.items())


def change(repository: Repository, values: dict[str, Any], *, add: str = "") -> None:
    """Change resources outside: in a state of a higher serial, which is all that their provider looks at."""
    state = repository.state("a")
    state["serial"] += 1
    for item in state["resources"]:
        if item["name"] in values:
            attributes, value = item["instances"][0]["attributes"], values[item["name"]]
            kind = _kind(value)
            attributes["input"] = attributes["output"] = None if value is None else {"value": value, "type": kind}
    if add:
        source = json.loads(json.dumps(state["resources"][0]))
        source["name"], source["instances"][0]["attributes"]["id"] = add, "made-by-hand"
        state["resources"].append(source)
    (repository.path / ".state/a-local.tfstate").write_text(json.dumps(state))


def _kind(value: Any) -> Any:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, list):
        return ["tuple", [_kind(item) for item in value]]
    if isinstance(value, dict):
        return ["object", {key: _kind(item) for key, item in value.items()}]
    return "string" if isinstance(value, str) else "dynamic"


def test_twenty_kinds_of_drift_are_adopted_and_the_plan_is_empty(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{code({name: body for name, (body, _) in KINDS.items()})}")
    repository.prepare("deploy")
    change(repository, {name: value for name, (_, value) in KINDS.items()})
    repository.doit("drift", code=2)
    done = repository.doit("drift", "--adopt", "a", code=0)
    assert "adopted" in done.task("drift", "a")
    assert "the plan is empty" in done.task("drift", "a")
    assert "+++ b/stacks/a/main.tf" in done.out
    text = (repository.path / "stacks/a/main.tf").read_text()
    assert "# kept" in text
    repository.commit("adopted")
    repository.doit("deploy")
    repository.doit("drift", code=0)


def test_one_that_appeared_gets_a_block_of_its_own(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{code({'x': 'input = 1'})}")
    repository.prepare("deploy")
    change(repository, {}, add="z")
    done = repository.doit("drift", "--adopt", "a")
    text = (repository.path / "stacks/a/main.tf").read_text()
    assert 'resource "terraform_data" "z"' in text, done.out
    repository.commit("adopted")
    repository.doit("plan")
    assert "made-by-hand" in json.dumps(repository.state("a"))


@pytest.mark.parametrize(
    ("body", "value", "says"),
    [
        ("input = 1 + 2", 5, "it has to become 5"),
        ("count = 1\n  input = 3", 5, "x[0].input has to become 5 for this instance alone"),
        ("input = sensitive(3)", 5, "sensitive"),
    ],
)
def test_what_cannot_be_adopted_is_said_and_no_file_changes(
    build: Callable[..., Repository], body: str, value: Any, says: str
) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{code({'x': body})}")
    repository.prepare("deploy")
    before = (repository.path / "stacks/a/main.tf").read_bytes()
    change(repository, {"x": value})
    done = repository.doit("drift", "--adopt", "a", code=1)
    assert says in done.out
    assert "drift not adopted" in done.out
    assert (repository.path / "stacks/a/main.tf").read_bytes() == before


def test_part_of_a_drift_is_adopted_and_the_rest_is_named(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{code({'x': 'input = 3', 'y': 'input = 1 + 2'})}")
    repository.prepare("deploy")
    change(repository, {"x": 5, "y": 5})
    done = repository.doit("drift", "--adopt", "a")
    assert "input = 5" in (repository.path / "stacks/a/main.tf").read_text()
    assert "by hand: terraform_data.y.input" in done.task("drift", "a")


def test_a_draft_whose_plan_is_not_empty_is_taken_back(build: Callable[..., Repository]) -> None:
    stack = code({"x": "input = 3"}) + '\nresource "terraform_data" "w" {\n  input = terraform_data.x.input * 2\n}\n'
    repository = build(minimal_config(), f"stacks/a/main.tf:{stack}")
    repository.prepare("deploy")
    change(repository, {"x": 5})
    done = repository.doit("drift", "--adopt", "a", code=1)
    assert "would still change terraform_data.w" in done.out
    assert (repository.path / "stacks/a/main.tf").read_text() == stack


def test_undeployed_code_is_not_mixed_with_drift_and_a_misspelt_stack_is_named(
    build: Callable[..., Repository],
) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{code({'x': 'input = 3'})}")
    repository.prepare("deploy")
    change(repository, {"x": 5})
    repository.write(f"stacks/a/main.tf:{code({'x': 'input = 3', 'new': 'input = 1'})}")
    assert "undeployed code" in repository.doit("drift", "--adopt", "a", code=1).out
    for words in (["--adopt", "aa"], ["--adopt=aa"]):
        assert "unknown stack 'aa' (did you mean 'a'?)" in repository.doit("drift", *words, code=1).out


def test_an_output_that_follows_is_named_and_the_file_keeps_its_mode(build: Callable[..., Repository]) -> None:
    stack = code({"x": "input = 3"}) + '\noutput "o" {\n  value = terraform_data.x.input\n}\n'
    repository = build(minimal_config(), f"stacks/a/main.tf:{stack}")
    repository.prepare("deploy")
    change(repository, {"x": 5})
    (repository.path / "stacks/a/main.tf").chmod(0o664)
    done = repository.doit("drift:a", "--adopt", "a")
    assert "the plan changes no resource, only output o" in done.task("drift", "a")
    assert (repository.path / "stacks/a/main.tf").stat().st_mode & 0o777 == 0o664
    assert repository.git("status", "--short") == "M stacks/a/main.tf"


def test_a_file_that_is_a_link_ignored_or_read_only_is_not_changed(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{code({'x': 'input = 3'})}")
    repository.prepare("deploy")
    change(repository, {"x": 5})
    path = repository.path / "stacks/a/main.tf"
    before = path.read_bytes()
    path.chmod(0o444)
    assert "stacks/a/main.tf is read-only" in repository.doit("drift", "--adopt", "a", code=1).out
    path.chmod(0o644)
    (repository.path / ".git/info").mkdir(exist_ok=True)
    (repository.path / ".git/info/exclude").write_text("main.tf\n")
    repository.git("rm", "--quiet", "--cached", "stacks/a/main.tf")
    assert "stacks/a/main.tf is ignored by git" in repository.doit("drift", "--adopt", "a", code=1).out
    outside = repository.path.parent / "outside.tf"
    path.rename(outside)
    path.symlink_to(outside)
    assert "stacks/a/main.tf is a link" in repository.doit("drift", "--adopt", "a", code=1).out
    assert path.is_symlink()
    assert outside.read_bytes() == before


def test_it_is_for_a_run_of_its_own_and_one_stack(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{code({'x': 'input = 3'})}")
    for words in (["deploy"], ["plan"], ["shard=1/2"]):
        assert "needs a run of its own" in repository.doit("drift", "--adopt", "a", *words, code=1).out
    assert "given twice" in repository.doit("drift", "--adopt", "a", "--adopt=b", code=1).out


@pytest.mark.parametrize("signals", [1, 2])
def test_a_stop_during_the_proving_plan_puts_the_file_back(build: Callable[..., Repository], signals: int) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{code({'x': 'input = 3'})}")
    repository.prepare("deploy")
    change(repository, {"x": 5})
    path, proving = repository.path / "stacks/a/main.tf", repository.home / "proving"
    before = path.read_bytes()
    repository.engine_script(
        "#!/bin/sh\ncase \"$*\" in plan*) if grep -q 'input = 5' main.tf; then\n"
        f"trap '' INT; touch '{proving}'; sleep 2; fi;; esac\nexec '{repository.tofu}' \"$@\"\n"
    )
    process = repository.start("drift", "--adopt", "a")
    limit = time.monotonic() + 60
    while not proving.exists():
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert path.read_bytes() != before
    for _ in range(signals):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.3)
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert path.read_bytes() == before
    assert repository.git("status", "--short") == ""


def test_a_killed_adoption_leaves_the_original_and_no_later_one_passes_over_it(
    build: Callable[..., Repository],
) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{code({'x': 'input = 3'})}")
    repository.prepare("deploy")
    change(repository, {"x": 5})
    path, proving = repository.path / "stacks/a/main.tf", repository.home / "proving"
    before = path.read_bytes()
    repository.engine_script(
        f"#!/bin/sh\ncase \"$*\" in plan*) if grep -q 'input = 5' main.tf; then touch '{proving}'; exec sleep 100; fi;; esac\n"
        f"exec '{repository.tofu}' \"$@\"\n"
    )
    process = repository.start("drift", "--adopt", "a")
    wait_for(proving.exists, "the proving plan")
    held = repository.doit("drift", code=1).out
    assert "another run holds environment 'local': `doit drift --adopt a`" in held
    assert "a check in another clone need not wait" in held
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    done = repository.doit("drift", "--adopt", "a", code=1)  # though the plan with the draft is empty
    assert "stacks/a/.main.tf.before-adopt is the file as it was" in done.out
    path.with_name(".main.tf.before-adopt").replace(path)
    assert path.read_bytes() == before
    repository.engine_script(f"#!/bin/sh\nexec '{repository.tofu}' \"$@\"\n")
    assert "the plan is empty" in repository.doit("drift", "--adopt", "a").task("drift", "a")
    assert repository.git("status", "--short") == "M stacks/a/main.tf"
