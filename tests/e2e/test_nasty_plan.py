"""A plan of the real engine that has everything in it: every face shows it whole, harmless, within its limit."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt

from tests import nasty
from tests.repository import Repository
from tests.unit.test_reports import EXPECTED, Tags

if TYPE_CHECKING:
    from pathlib import Path

GITHUB, GITLAB = 65_536, 1_000_000  # the most characters of a comment


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, tofu: Path) -> Repository:
    made = Repository.create(tmp_path_factory.mktemp("nasty"), tofu)
    nasty.planned(made)
    return made


@pytest.fixture(scope="module")
def reports(repository: Repository) -> Path:
    return repository.deploy_dir("reports")


def note(repository: Repository, limit: int) -> str:
    """The note as it is made for a forge, from the result that was kept."""
    from tasks.base.layout import Layout
    from tasks.reports import note as notes
    from tasks.reports.model import Report
    from tasks.run.result import read

    result = read(Layout(repository.path, "local"), "plan", "nasty", print)
    assert result is not None
    found = Report.collect("plan", [result], environment="local", commit="abc")
    return notes.render(found, limit=limit, link="https://forge.test/jobs/1")


def test_the_note_says_all_that_happens(reports: Path) -> None:
    text = (reports / "plan.md").read_text()
    assert text.startswith(
        "### Destroys 2 resources: 1 plan (1 to destroy, 1 to replace, 1 to forget, 208 to change, 1 to create, 1 to import, 1 to move).\n"
    )
    for said in (
        "**-** `terraform_data.gone` (it is no longer in the configuration)",
        "**±** `terraform_data.replaced` (it cannot be changed in place), forced by `triggers_replace`",
        "**forget** `terraform_data.forgotten`",
        "**move** `terraform_data.new_name` moved from `terraform_data.old_name`",
        "`terraform_data.imported` imported as `id-of-before`",
        '- input as JSON: Statement[0].Effect = "Allow"',
        '+ input as YAML: Statement[0].Effect = "Deny"',
        "- input[7].port = 7",
        "  input: 98 more elements unchanged",
        "+ input.id = (known after apply)",
        "! the final newline is removed",
        "! input: 3,000 lines",
        "- output = 3,000 lines (not shown: the new value is not known yet)",
        "Output **~** `policy`",
    ):
        assert said in text, said
    assert text.count("(sensitive value)") >= 4


@pytest.mark.parametrize("limit", [GITHUB, GITLAB, 20_000])
def test_the_note_fits_with_its_fences_closed_and_nothing_in_it_is_markup(repository: Repository, limit: int) -> None:
    text = note(repository, limit)
    assert len(text.encode()) <= limit
    rendered = Tags(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    assert rendered.tags <= EXPECTED
    assert rendered.open == []
    assert "`terraform_data.gone`" in text
    assert "`terraform_data.replaced`" in text
    left = [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) lines? left out here", text)]
    assert bool(left) is (limit < GITLAB)
    if left:
        assert max(left) > 1000  # the user data gave way before anything else did
        assert "https://forge.test/jobs/1" in text


def test_the_page_shows_every_value_as_text(reports: Path) -> None:
    page = (reports / "plan.html").read_text()
    tags = Tags(page)
    assert not tags.tags & {"script", "img", "link", "iframe", "object", "form"}
    assert not {name for _, name in tags.attributes if name.startswith("on") or name == "src"}
    assert all(target.startswith("#") for target in tags.targets)
    assert tags.open == []
    assert html.escape("<script>alert(1)</script>") in page
    assert "line 2999 after" in page
    assert "\u202e" not in page


def test_no_face_and_no_record_has_the_secret(repository: Repository) -> None:
    files = [path for path in repository.deploy_dir().rglob("*") if path.is_file() and path.suffix != ".tfplan"]
    assert len(files) > 5
    for path in files:
        assert nasty.SECRET.encode() not in path.read_bytes(), path


def test_the_widget_and_junit_are_there(reports: Path) -> None:
    assert json.loads((reports / "gitlab-terraform.json").read_text()) == {"create": 2, "update": 208, "delete": 2}
    assert 'testsuite name="local.plan" tests="1"' in (reports / "junit.xml").read_text()


def test_the_console_says_what_is_destroyed_and_where_the_rest_is(repository: Repository) -> None:
    repository.deploy_dir("plans/nasty/manifest.json").unlink()
    out = repository.doit("plan").out
    assert "DESTROYED OR REPLACED" in out
    assert "  - terraform_data.gone (it is no longer in the configuration)  in nasty" in out
    assert re.search(r"… [\d,]+ more lines in the report", out)
    assert nasty.SECRET not in out
    assert "\x1b" not in out
    assert not [line for line in out.splitlines() if line.lstrip().startswith("::")]
