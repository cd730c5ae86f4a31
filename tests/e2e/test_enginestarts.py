"""How many engine processes a command starts: only those that find out something new."""

from __future__ import annotations

import base64
import shutil
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.repository import minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.repository import Repository


WRONG = 'output "wrong" {\n  value = local.missing\n}\n'


def commands(repository: Repository) -> Counter[str]:
    """The engine's commands since the last look, counted."""
    return Counter(call.split()[1] for call in repository.engine_calls())


def test_a_plan_validates_so_nothing_else_does(pair: Repository) -> None:
    pair.doit("plan:a")
    assert commands(pair) == Counter(fmt=1, init=1, plan=1, show=1)
    pair.doit("validate:a")
    assert commands(pair) == Counter()


def test_a_stack_that_cannot_be_planned_yet_is_validated(chain: Repository) -> None:
    done = chain.doit("plan")
    assert commands(chain)["validate"] == 2  # of b and c, which wait for a
    assert "applies exactly this, and plans and applies 2 deferred" in done.out


def test_what_a_deferred_stack_gets_wrong_is_reported(chain: Repository) -> None:
    chain.write(f"stacks/b/wrong.tf:{WRONG}")
    done = chain.doit("plan", code=1)
    assert "local.missing" in done.out
    assert "FAILED" in done.task("plan", "b")


def test_a_configuration_whose_plan_failed_is_not_taken_for_valid(pair: Repository) -> None:
    pair.write(f"stacks/a/wrong.tf:{WRONG}")
    assert "FAILED" in pair.doit("plan:a", code=1).task("plan", "a")
    commands(pair)
    assert "FAILED" in pair.doit("validate:a", code=1).task("validate", "a")
    assert commands(pair)["validate"] == 1


def test_what_only_a_validation_is_asked_for_is_validated_once(pair: Repository) -> None:
    pair.doit("validate")
    assert commands(pair)["validate"] == 2
    pair.doit("validate")
    pair.doit("plan:a")
    assert commands(pair) == Counter(init=1, plan=1, show=1)


NAMES = ("a", "b", "c", "d")
SECRET = "a-secret-of-every-stack"
INSTALLED = Counter(fmt=1, init=4, plan=4)


@pytest.fixture
def four(build: Callable[..., Repository]) -> Repository:
    """Four stacks with the same providers, each with something sensitive."""
    text = (
        resource(SECRET)
        .replace(f'"{SECRET}"', f'sensitive("{SECRET}")')
        .replace("value = terraform_data.it.output", "value     = terraform_data.it.output\n  sensitive = true")
    )
    return build(minimal_config(), *(f"stacks/{name}/main.tf:{text}" for name in NAMES))


def test_one_of_many_plans_is_shown_and_the_others_are_read_with_the_schemas_asked_for_once(four: Repository) -> None:
    four.doit("-n", "2", "plan")
    assert commands(four) == INSTALLED + Counter(show=1, providers=1)
    shown = [four.json("plans", name, "plan.json") for name in NAMES]
    assert all(found["resources"] == shown[0]["resources"] for found in shown)
    assert all(found["resources"][0]["after"]["input"] == "(sensitive value)" for found in shown)
    assert all(found["outputs"] == shown[0]["outputs"] for found in shown)
    assert not [path for path in four.deploy_dir("reports").rglob("*") if SECRET in path.read_text()]
    four.doit("deploy")
    assert commands(four) == Counter(show=1, providers=1, apply=4)  # what is secret in them is not known here yet
    assert four.doit("drift").code == 0
    assert commands(four) == Counter(plan=4, show=1, providers=1)


def most_at_once(lines: list[str]) -> int:
    """How many of what writes a line `begin` and a line `end` ran at the same time."""
    running = [0]
    for line in lines:
        running.append(running[-1] + (1 if line == "begin" else -1))
    assert running[-1] == 0
    return max(running)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_no_more_engine_processes_run_at_once_than_were_asked_for(four: Repository, number: int) -> None:
    script, running = (four.bin / "tofu").read_text(), four.home / "running"
    real = f"""GOGC=off '{four.tofu}' "$@"; code=$?; sleep 0.1; echo end >> {running}; exit $code"""
    four.engine_script(f"{script[: script.index('GOGC=off')]}echo begin >> {running}\n{real}\n")
    four.doit("setup")
    for command in ("plan", "deploy", "drift"):
        running.unlink(missing_ok=True)
        four.doit("-n", str(number), command)
        assert most_at_once(running.read_text().splitlines()) == number


def test_no_more_builds_run_at_once_than_were_asked_for(build: Callable[..., Repository]) -> None:
    command = '["sh", "-c", "echo begin >> ../running; sleep 0.2; echo end >> ../running; echo > out"]'
    builds = [f"  {name}: {{kind: command, path: {name}, command: {command}, outputs: [out]}}" for name in NAMES]
    repository = build(
        minimal_config("\n".join(["builds:", *builds, ""])), *(f"{name}/source:1" for name in NAMES),
        f"stacks/it/main.tf:{resource()}",
    )  # fmt: skip
    repository.doit("-n", "2", "build")
    assert most_at_once((repository.path / "running").read_text().splitlines()) == 2


def test_what_policies_judge_is_what_the_engine_says(four: Repository) -> None:
    four.write(minimal_config("policy: {max_destroy: 3}\n"))
    four.doit("plan")
    assert commands(four) == INSTALLED + Counter(show=4)


def test_encrypted_plans_are_read_as_others_are(four: Repository) -> None:
    four.doit("plan")
    plain = {name: four.json("plans", name, "plan.json") for name in NAMES}
    commands(four)
    shutil.rmtree(four.deploy_dir())
    key = {"DEPLOY_STATE_KEY": base64.b64encode(b"k" * 32).decode()}
    four.doit("plan", **key)
    started = commands(four)
    assert (started["show"], started["providers"]) == (1, 1)
    assert {name: four.json("plans", name, "plan.json") for name in NAMES} == plain
    assert not [path for path in four.deploy_dir("plans").rglob("*.*") if SECRET.encode() in path.read_bytes()]
    four.doit("deploy", **key)
    assert commands(four)["apply"] == len(NAMES)


def test_schemas_that_cannot_be_had_are_asked_for_once(four: Repository) -> None:
    script = (four.bin / "tofu").read_text()
    four.engine_script(script.replace("GOGC=off", '[ "$1" = providers ] && exit 1\nGOGC=off'))
    four.doit("plan")
    assert commands(four) == INSTALLED + Counter(show=4, providers=1)


MORE = {
    "a module": 'module "m" {\n  source = "../../modules/m"\n}\n',
    "required versions": 'terraform {\n  required_version = ">= 1.12"\n}\n',
}


def test_what_init_does_not_look_at_starts_no_init(pair: Repository) -> None:
    pair.write("modules/m/main.tf:")
    pair.doit("plan:a")
    commands(pair)
    for text in (
        resource(extra="# a comment\n"),
        resource("2"),
        resource("2", extra='variable "more" {\n  default = 1\n}\n'),
    ):
        pair.write(f"stacks/a/main.tf:{text}")
        pair.doit("plan:a")
        assert commands(pair) == Counter(fmt=1, plan=1, show=1)


@pytest.mark.parametrize("more", [MORE["a module"], MORE["required versions"]], ids=["module", "versions"])
def test_what_init_looks_at_starts_it(pair: Repository, more: str) -> None:
    pair.write("modules/m/main.tf:")
    pair.doit("plan:a")
    commands(pair)
    pair.write(f"stacks/a/main.tf:{resource(extra=more)}")
    pair.doit("plan:a")
    assert commands(pair)["init"] == 1
    pair.write("modules/m/inner/main.tf:", 'modules/m/main.tf:module "inner" {\n  source = "./inner"\n}\n')
    pair.doit("plan:a")
    assert commands(pair)["init"] == ("module" in more)


def test_another_backend_block_starts_an_init(pair: Repository) -> None:
    pair.doit("plan:a")
    commands(pair)
    pair.write("stacks/a/main.tf:" + resource().replace('"local" {}', '"local" {\n    workspace_dir = "w"\n  }'))
    pair.doit("plan:a")
    assert commands(pair)["init"] == 1
