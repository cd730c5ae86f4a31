"""What a person sees: errors with their place and way out, whole output of what failed, no surprises from doit's options."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.repository import PATIENCE, Repository, minimal_config, resource

if TYPE_CHECKING:
    from collections.abc import Callable


LIVE = rb"terraform_data\.slow \(create, [1-9]\d* s\)"
FAILS = """
resource "terraform_data" "bad" {
  provisioner "local-exec" {
    command = "false"
  }
}
"""


@pytest.mark.parametrize("command", ["list", "plan", "status"])
def test_a_config_error_names_its_place_and_starts_nothing(one: Repository, command: str) -> None:
    """All other errors are in tests/unit, most of them in test_refused.py: they end a run as this one does."""
    one.write("config/pipeline.yaml:version: 1\nstakcs: {}\n")
    done = one.doit(command, code=1)
    for part in ("config/pipeline.yaml:2", "stakcs", "did you mean 'stacks'"):
        assert part in done.out
    assert one.engine_calls() == []


def test_an_unknown_environment_is_an_error_with_the_nearest_name(one: Repository) -> None:
    one.write("config/environments/prod.yaml:")
    done = one.doit("env=prdo", "plan", code=1)
    assert "unknown environment 'prdo' (did you mean 'prod'?)" in done.out


def test_a_missing_var_file_is_said_before_anything_starts(build: Callable[..., Repository]) -> None:
    repository = build(
        minimal_config("stacks:\n  a: {var_files: ['{environment}.tfvars']}\n"), f"stacks/a/main.tf:{resource()}"
    )
    done = repository.doit("plan", code=1)
    assert "there is no var file stacks/a/local.tfvars" in done.out
    assert "config/pipeline.yaml:4" in done.out
    assert repository.engine_calls("plan") == []


def test_a_failing_stacks_output_is_whole_and_not_interleaved(build: Callable[..., Repository]) -> None:
    def failing(code: int) -> str:
        """Resources whose creation fails, with a code of their own: another cause in each stack."""
        command = f'command = "sleep 0.1; exit {code}"'
        return "".join(
            f'\nresource "terraform_data" "bad{number}" {{\n  provisioner "local-exec" {{\n    {command}\n  }}\n}}\n'
            for number in range(4)
        )

    repository = build(
        minimal_config(),
        *(
            f"stacks/{name}/main.tf:{resource(extra=failing(code))}"
            for code, name in enumerate(("one", "two", "three"), 3)
        ),
    )
    done = repository.doit("-n", "3", "deploy", code=1)
    lines = done.out.splitlines()
    for name in ("one", "two", "three"):
        begin, end = (
            lines.index(f"---- deploy:{name}: output ----"),
            lines.index(f"---- deploy:{name}: end of output ----"),
        )
        block = lines[begin + 1 : end]
        assert not any(line.startswith("----") for line in block)
        assert sum("Error: local-exec provisioner error" in line for line in block) == 4


def test_another_reporter_is_refused_rather_than_given_other_exit_codes(one: Repository) -> None:
    done = one.doit("-r", "zero", "deploy", code=3)
    assert "`-r` is not supported" in done.out
    assert one.engine_calls("apply") == []


def test_a_missing_config_says_what_to_write(one: Repository) -> None:
    (one.path / "config/pipeline.yaml").unlink()
    done = one.doit("plan", code=1)
    assert "create config/pipeline.yaml" in done.out


def test_what_the_engine_does_not_get_is_named(one: Repository) -> None:
    done = one.doit("plan", TF_WORKSPACE="blue", TF_CLI_ARGS_plan="-destroy", TF_DATA_DIR="/nowhere")
    assert "not passed on to the engine: TF_CLI_ARGS_plan, TF_DATA_DIR, TF_WORKSPACE" in done.out
    assert "+1 ~0 -0" in done.task("plan", "a")


def test_the_graph_has_three_forms(chain: Repository) -> None:
    assert "b  needs a" in chain.doit("graph").out
    mermaid = chain.doit("graph", "-f", "mermaid").out
    assert mermaid.startswith("flowchart LR")
    assert "s0 --> s1" in mermaid
    assert '"b" -> "c";' in chain.doit("graph", "--format", "dot").out


def test_status_tells_affected_and_why_and_starts_nothing(pair: Repository) -> None:
    pair.prepare("deploy:a")
    pair.engine_calls()
    done = pair.doit("status")
    assert "up to date" in done.line("a ", "up to date")
    assert "affected: never deployed from here" in done.out
    assert pair.engine_calls() == []


def test_on_a_terminal_there_is_a_live_line_and_the_same_lines_in_the_end(one: Repository) -> None:
    # It lasts until the live line, which is drawn four times a second, was seen.
    command = "until test -e ../../seen; do sleep 0.05; done"
    slow = (
        f'\nresource "terraform_data" "slow" {{\n  provisioner "local-exec" {{\n    command = "{command}"\n  }}\n}}\n'
    )
    one.write(f"stacks/a/main.tf:{resource(extra=slow)}")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "doit", "deploy"], cwd=one.path, env=one.environment(TERM="xterm"),
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    seen = b""
    while select.select([master], [], [], PATIENCE)[0]:
        try:
            chunk = os.read(master, 4096)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
        if re.search(rb"deploy:a [1-9]\d* s", seen) and re.search(LIVE, seen):
            one.write("seen:")
    os.close(master)
    assert process.wait(PATIENCE) == 0
    assert re.search(rb"deploy:a [1-9]\d* s", seen)
    assert re.search(LIVE, seen), "what the apply waits for, resource by resource"
    assert b"1 deployed" in seen


def test_commands_that_are_shown_name_the_environment_when_it_is_not_the_default(one: Repository) -> None:
    one.write("config/environments/dev.yaml:")
    assert "`doit env=dev deploy` applies" in one.doit("env=dev", "plan").out
    assert "`doit deploy` applies" in one.doit("plan").out


def test_a_reader_that_goes_away_ends_no_deploy(pair: Repository) -> None:
    process = pair.start("deploy")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=120) == 0
    assert pair.json("receipts", "b.json")["outcome"] == "applied"


def test_what_was_not_run_names_what_failed_and_not_what_was_not_run_either(chain: Repository) -> None:
    chain.write(f"stacks/a/main.tf:{resource(extra=FAILS)}")
    done = chain.doit("deploy", code=1)
    assert "not run: deploy:a failed" in done.task("deploy", "b")
    assert "not run: deploy:a failed" in done.task("deploy", "c")
    end = done.out[done.out.rindex("\nFAILED  ") :].splitlines()[1:]
    assert end[0].startswith("FAILED  deploy a: engine error: apply failed: ")
    assert any(line.startswith("  | Error: ") for line in end)  # the cause is on the last screen
    assert [line.partition(":")[0] for line in end[-3:]] == ["  untouched", "  next", "local"]


def test_a_plan_that_fails_is_why_nothing_is_deployed(pair: Repository) -> None:
    pair.write('stacks/a/more.tf:variable "size" {}\n')
    done = pair.doit("deploy", code=1)
    assert "not run: plan:a failed" in done.task("deploy", "b")
    assert "no value for required variable: size".casefold() in done.task("plan", "a").casefold()
    assert "  where: stacks/a/more.tf:1\n" in done.out
    assert "next: set `stacks.a.variables.size` in config/pipeline.yaml" in done.out
    assert "nothing was deployed" in done.out.splitlines()[-1]


def test_status_calls_a_plan_ready_only_if_a_deploy_takes_it(one: Repository) -> None:
    one.commit()
    one.prepare("plan")
    assert "a plan is ready to deploy" in one.doit("status").out
    one.write('stacks/a/more.tf:output "more" {\n  value = 1\n}\n')
    assert "a plan waits that would be refused: this plan was made from different inputs: " in one.doit("status").out
    one.doit("plan")
    assert "a plan with uncommitted changes is ready to deploy from this tree" in one.doit("status").out
    one.commit()
    done = one.doit("status")
    assert "a plan waits that would be refused: this plan was made at " in done.out
    assert done.out.splitlines()[-1].endswith("1 affected; `doit plan` replaces what `doit deploy` would refuse")
    one.doit("plan")
    one.doit("deploy")
    one.doit("-a", "plan:a")
    done = one.doit("status")
    assert "a plan is ready to deploy" in done.out
    assert done.out.splitlines()[-1].endswith(": 1 stack, 1 with a plan")
    one.write("notes.txt:another commit")
    one.commit()
    done = one.doit("status")
    assert "a plan waits that would be refused: this plan was made at " in done.out
    assert done.out.splitlines()[-1].endswith(": 1 stack, 1 with a plan"), "not `all up to date`: a deploy fails"
    one.doit("-a", "plan:a")
    one.engine_calls()
    assert "a plan is ready to deploy" in one.doit("status").out
    assert one.engine_calls() == []


def test_a_missing_pipeline_file_that_is_called_yml_is_named(one: Repository) -> None:
    (one.path / "config/pipeline.yaml").rename(one.path / "config/pipeline.yml")
    done = one.doit("plan", code=1)
    assert "the configuration is read from config/pipeline.yaml, not from config/pipeline.yml" in done.out
    assert "git mv config/pipeline.yml config/pipeline.yaml" in done.out
