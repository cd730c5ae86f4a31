"""The command line: a word that means nothing, a pattern that matches nothing and a tree without stacks are no success."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.repository import DODO, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.repository import Repository


@pytest.mark.parametrize(
    "word",
    ["evn=prod", "ENV=prod", "env=", "bas=main", "base=", "mock=no", "mocks=nah", "environment=prod", "allow="],
)
def test_a_word_that_means_nothing_ends_the_run_before_anything_is_deployed(pair: Repository, word: str) -> None:
    pair.write("config/environments/prod.yaml:{}\n")
    done = pair.doit(word, "deploy", code=1)
    assert word in done.out
    assert "nothing was planned or applied" in done.out
    assert not pair.deploy_dir("receipts").exists()
    assert pair.engine_calls() == []


def test_of_two_environments_none_is_silently_left_out(pair: Repository) -> None:
    pair.write("config/environments/prod.yaml:{}\n")
    done = pair.doit("env=prod", "env=local", "deploy", code=1)
    assert "`env=` is on the command line twice: `env=prod` and `env=local`" in done.out
    assert pair.engine_calls() == []
    pair.doit("env=prod", "env=prod", "status")


def test_an_empty_variable_for_the_environment_is_not_the_default_one(one: Repository) -> None:
    done = one.doit("deploy", code=1, DEPLOY_ENV="")
    assert "the environment variable DEPLOY_ENV is empty" in done.out
    assert "nothing was planned or applied" in done.out
    assert one.engine_calls() == []
    one.doit("env=local", "status", DEPLOY_ENV="")


def test_the_nearest_word_is_named(one: Repository) -> None:
    assert "did you mean 'env'" in one.doit("evn=prod", "deploy", code=1).out


def test_a_dodo_file_may_declare_variables_of_its_own(one: Repository) -> None:
    one.doit("colour=red", "status", code=1)
    first = DODO.replace("import *", "import declare_variables", 1)
    one.write(f"dodo.py:{first}declare_variables('colour')\n{DODO}")
    one.doit("colour=red", "status")
    one.doit("colour=", "status")
    assert "did you mean 'colour'" in one.doit("color=red", "status", code=1).out


@pytest.mark.parametrize("command", ["drift:prd*", "deploy:prd*", "plan:prd*", "verify:prd*", "depoy*", "deploy:b*x"])
def test_a_pattern_that_matches_no_task_is_a_failure(pair: Repository, command: str) -> None:
    done = pair.doit(command, code=1)
    assert f"no task matches '{command}'" in done.out
    assert pair.engine_calls() == []


def test_one_pattern_that_matches_does_not_excuse_another(pair: Repository) -> None:
    assert "no task matches 'plan:x*'" in pair.doit("plan:a*", "plan:x*", code=1).out
    assert pair.engine_calls() == []
    pair.doit("plan:a*")
    assert pair.planned() == ["a"]


@pytest.mark.parametrize("command", ["validate", "plan", "deploy", "verify", "drift", "status", "graph"])
def test_no_stack_at_all_is_a_failure_that_names_the_glob(one: Repository, command: str) -> None:
    one.write('config/pipeline.yaml:version: 1\ndiscover: ["stack/*"]\n')
    done = one.doit(command, code=1)
    assert "no stack was found: stack/* matches no folder" in done.out
    assert "config/pipeline.yaml:2" in done.out


def test_a_deployed_stack_that_is_gone_is_named_also_when_it_was_the_only_one(one: Repository) -> None:
    one.prepare("deploy")
    one.path.joinpath("stacks").rename(one.path / "elsewhere")
    for command in ("plan", "deploy", "drift"):
        assert "no longer a stack" in one.doit(command, code=1).out


def test_an_empty_discover_says_that_no_stack_is_meant(one: Repository) -> None:
    one.write("config/pipeline.yaml:version: 1\ndiscover: []\n")
    one.prepare("deploy")
    assert one.doit("status").out == "local: no stacks\n"


def test_an_environment_in_which_every_stack_is_disabled_is_said_and_no_failure(one: Repository) -> None:
    one.write(minimal_config("stacks: {a: {enabled: false}}\n"))
    assert "every stack is disabled in environment 'local'" in one.doit("deploy").out


def test_drift_comes_after_the_deploy_of_the_same_run(pair: Repository) -> None:
    pair.prepare("deploy")
    pair.write(f"stacks/a/main.tf:{resource('2')}")
    pair.commit()
    done = pair.doit("deploy", "drift")
    assert "as deployed" in done.task("drift", "a")
    calls = [
        line.split()[1]
        for line in pair.engine_calls()
        if line.split()[0] == "a" and line.split()[1] in ("plan", "apply")
    ]
    assert calls[-2:] == ["apply", "plan"]


def test_always_means_the_same_each_time(pair: Repository) -> None:
    pair.prepare("deploy")
    pair.engine_calls()
    for _ in range(3):
        done = pair.doit("-a", "plan")
        assert pair.planned() == ["a", "b"]
        assert "discarded" not in done.out
    pair.doit("run", "-a", "plan:a")
    assert pair.planned() == ["a"]


def test_always_forces_what_was_named_and_not_what_it_needs(chain: Repository) -> None:
    chain.prepare("deploy")
    chain.engine_calls()
    chain.prepare("-a", "deploy:b")
    assert [line.split()[0] for line in chain.engine_calls("plan")] == ["b"]


def test_other_commands_of_doit_take_their_own_arguments(build: Callable[..., Repository]) -> None:
    repository = build(minimal_config(), f"stacks/a/main.tf:{resource()}")
    assert "plan:a" in repository.doit("list", "--all").out
    repository.doit("help", "plan")
    repository.doit("forget", "plan:a")


def test_a_variable_that_is_nearly_ours_is_named_and_one_for_a_disabled_stack_is_not(pair: Repository) -> None:
    done = pair.doit("status", DEPLOY_ENVIRONMENT="dev", DEPLOY_STACKS__A__ENABLED="false", DEPLOY_HOST="x")
    assert "the environment variable DEPLOY_ENVIRONMENT is not used (did you mean DEPLOY_ENV?)" in done.out
    assert done.out.count("is not used") == 1


@pytest.mark.parametrize(
    ("words", "write"),
    [
        (["drift", "--adopt", "a", "-n", "2"], "`doit -n 2 drift --adopt a`"),
        (["drift", "-n4"], "`doit -n4 drift`"),
        (["drift:a", "--always-execute", "drift:b"], "`doit --always-execute drift:a drift:b`"),
        (["plan", "--process=2", "--json"], "`doit --process=2 plan --json`"),
    ],
)
def test_an_option_of_doit_after_a_task_is_said_to_come_before_it(
    pair: Repository, words: list[str], write: str
) -> None:
    done = pair.doit(*words, code=1)
    assert "is an option of doit, which comes before the names of tasks" in done.out
    assert f"next: write {write}" in done.out


def test_a_deploy_in_which_a_task_is_ignored_is_not_called_up_to_date(pair: Repository) -> None:
    pair.doit("ignore", "deploy:b")
    done = pair.doit("deploy")
    assert "deploy:b: skipped because of an earlier `doit ignore`; undo it with `doit forget deploy:b`" in done.out
    assert "local: 1 deployed, 1 skipped" in done.out
    done = pair.doit("deploy")
    assert "all up to date" not in done.out
    assert "local: nothing deployed, 1 skipped" in done.out
    assert "1 skipped" in pair.deploy_dir("reports/deploy.md").read_text()
    pair.doit("forget", "deploy:b")
    assert "local: 1 deployed (" in pair.doit("deploy").out
