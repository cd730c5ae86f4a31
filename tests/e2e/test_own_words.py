"""Every word of the engine's plan format and of our own reports as a secret: what is judged, counted and shown stays.

Whoever writes the code under review also says what is sensitive in it. If that could take a word out of a plan, or out
of a report of it, a reviewer would read "no changes" of a plan that destroys, and a policy would find nothing.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.base.masking import MASK
from tests.repository import Repository, minimal_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TASKS = Path(__file__).parents[2] / "tasks"
CHECKER = """\
import json, pathlib, sys
plan = json.load(open(sys.argv[1]))
pathlib.Path(".deploy/seen.json").write_text(json.dumps(plan))
bad = [item["address"] for item in plan["resource_changes"] if "delete" in item["change"]["actions"]]
print(json.dumps([{"rule": "no-delete", "message": "deletes " + it, "address": it, "severity": "low"} for it in bad]))
"""
CONFIG = 'policy:\n  checkers: [{name: own, command: [python3, check.py, "{plan}"], passed: [0]}]\n'
STACK = """
terraform {
  backend "local" {}
}

resource "terraform_data" "kept" {
  input = { one = "1", two = ["2"] }
}

resource "terraform_data" "repeats" {
  input = nonsensitive(tolist(var.words)[0])
}

resource "terraform_data" "guarded" {
  input = var.words
}

module "inner" {
  source = "./inner"
  word   = tolist(var.words)[0]
}

output "word" {
  value     = tolist(var.words)[0]
  sensitive = true
}

check "one" {
  assert {
    condition     = terraform_data.kept.input.one == "1"
    error_message = "not one"
  }
}
"""
DATABASE = '\nresource "terraform_data" "database" {\n  input = "all customers"\n}\n'
INNER = 'variable "word" {\n  type      = string\n  sensitive = true\n}\n\nresource "terraform_data" "in" {\n  input = var.word\n}\n'
# What the format has beside the keys of a plan: https://opentofu.org/docs/internals/json-format/
FORMAT = """\
no-op create read update delete forget delete_because_no_resource_config delete_because_no_module
delete_because_wrong_repetition delete_because_count_index delete_because_each_key delete_because_no_move_target
delete_because_enabled_false replace_because_tainted replace_because_cannot_update replace_by_request
replace_by_triggers read_because_config_unknown read_because_dependency_pending read_because_check_nested
managed data pass fail error unknown resource output_value check var each count self path previous_address deposed
importing generated_config replace_paths module_address provider_config_key identity errored applyable complete
terraform tofu builtin registry.opentofu.org provider hashicorp
"""


def words_of(value: Any) -> set[str]:
    """All keys of a document; and all texts in it that are words."""
    if isinstance(value, dict):
        return {word for key, item in value.items() for word in {str(key), *words_of(item)}}
    if isinstance(value, list):
        return {word for item in value for word in words_of(item)}
    return {value} if isinstance(value, str) and re.fullmatch(r"[A-Za-z_.-]+", value) else set()


def words_of_reports() -> set[str]:
    """All words of the templates, and of what the modules that make reports, deltas and messages say."""
    rooms = ("reports", "drifts", "notifications")
    sources = [*TASKS.rglob("*.j2"), *(path for room in rooms for path in (TASKS / room).glob("*.py"))]
    sources += [TASKS / "artifact/changes.py", TASKS / "artifact/reasons.py", *(TASKS / "forges").glob("*.py")]
    text = "\n".join(path.read_text() for path in sources)
    return set(re.findall(r"[A-Za-z]{4,}", text)) | set(
        re.findall(r"(?<=[\"'])[A-Za-z][A-Za-z ,:.-]{3,}(?=[\"'])", text)
    )


def stack(words: list[str]) -> str:
    return f'variable "words" {{\n  type      = set(string)\n  sensitive = true\n  default   = {json.dumps(words)}\n}}\n{STACK}'


def looked(repository: Repository, words: list[str]) -> dict[str, Any]:
    """All that is to be the same whatever the secrets are: reports, counts, what policies were handed and found."""
    repository.write(f"stacks/a/main.tf:{stack(words)}")
    repository.commit("words")
    done = repository.doit("plan")
    result = repository.json("results/plan/a.json")
    folder = repository.deploy_dir("reports")
    commit = repository.git("rev-parse", "HEAD").strip()

    def plain(text: str) -> str:
        text = text.replace(commit, "COMMIT").replace(commit[:8], "COMMIT").replace(commit[:7], "COMMIT")
        return re.sub(
            r"[0-9.]+ ?s\b|time=\"[0-9.]+\"|20\d\d-[-0-9T:.Z+]+( \d\d:\d\d UTC)?|\d+T\d+Z-[0-9a-f]+|[0-9a-f]{16,64}",
            "#",
            text,
        )

    return {
        "console": plain(done.out), "counts": result["counts"], "summary": result["summary"],
        "findings": result["details"]["findings"], "changes": result["details"]["changes"],
        "note": plain((folder / "plan.md").read_text()), "page": plain((folder / "plan.html").read_text()),
        "widget": (folder / "gitlab-terraform.json").read_text(), "junit": plain((folder / "junit.xml").read_text()),
        "manifest": repository.json("plans/a/manifest.json")["counts"],
        "seen": json.loads((repository.path / ".deploy/seen.json").read_text()),
    }  # fmt: skip


@pytest.fixture
def repository(build: Callable[..., Repository]) -> Repository:
    made = build(minimal_config(CONFIG), f"stacks/a/main.tf:{stack(['first-word-4711'])}{DATABASE}")
    made.write(f"stacks/a/inner/main.tf:{INNER}", f"check.py:{CHECKER}")
    made.commit("more")
    made.prepare("deploy")
    return made


def engines_own(repository: Repository) -> Any:
    """What the engine itself says of the plan."""
    plan = str(repository.deploy_dir("plans/a/plan.tfplan"))
    environment = {**repository.environment(), "TF_DATA_DIR": str(repository.path / ".deploy/.cache/data/local/a")}
    folder = repository.path / "stacks/a"
    done = subprocess.run(
        [str(repository.tofu), "show", "-json", plan], cwd=folder, env=environment, check=True, capture_output=True
    )
    return json.loads(done.stdout)


def differing(own: Any, seen: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths at which a mask stands for the engine's own value; nothing else may differ."""
    if seen == MASK != own:
        yield path
    elif isinstance(own, dict):
        assert own.keys() == seen.keys(), path
        for key in own:
            yield from differing(own[key], seen[key], (*path, key))
    elif isinstance(own, list):
        assert len(own) == len(seen), path
        for place, (mine, other) in enumerate(zip(own, seen, strict=True)):
            yield from differing(mine, other, (*path, str(place)))
    else:
        assert own == seen, path


def test_every_word_of_the_plan_format_and_of_our_reports_may_be_a_secret(repository: Repository) -> None:
    control = looked(repository, ["other-word-4712"])
    assert "CAUTION" in control["note"]
    assert [item["address"] for item in control["findings"]] == ["terraform_data.database"]
    words = sorted({*words_of(control["seen"]), *FORMAT.split(), *words_of_reports()} - {"all customers"})
    assert len(words) > 1500
    assert {"delete", "resource_changes", "destroy", "Nothing", "terraform_data", "no changes"} <= set(words)
    assert {"appeared", "undeployed", "recovered", "deleted", "changed"} <= words_of_reports()
    first = min(words)
    found = looked(repository, words)
    for kind in control.keys() - {"seen"}:
        assert found[kind] == control[kind], kind
    masked = list(differing(engines_own(repository), found["seen"]))
    assert len(masked) > 5
    assert all({"before", "after", "values", "value", "default"} & set(path) for path in masked), masked
    assert found["seen"]["variables"] == {"words": {"value": MASK}}
    repeats = next(item for item in found["changes"]["resources"] if item["address"] == "terraform_data.repeats")
    assert first not in json.dumps(repeats), "a value is a secret even where it is a word"


@pytest.mark.parametrize("word", ["delete", "destroy", "resources", "no changes", "actions"])
def test_one_word_alone_hides_no_destruction(repository: Repository, word: str) -> None:
    control = looked(repository, ["other-word-4712"])
    found = looked(repository, [word])
    for kind in control.keys() - {"seen"}:
        assert found[kind] == control[kind], kind
