"""Writes the run as JUnit XML: one suite per stage, one case per stack.

A case a stack, always of the same name, is what forges compare: GitLab shows in a merge request which cases fail that
did not before, and of a case the content of its element, no attribute
(https://docs.gitlab.com/ci/testing/unit_test_reports/). What many stacks fail for is told in full once.

The format is that of Jenkins' schema (https://github.com/jenkinsci/xunit-plugin, `junit-10.xsd`), which GitLab, GitHub
actions and the rest read too.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from ..base.problem import Kind
from ..base.text import plural
from ..base.unseen import visible
from ..run.result import Status
from . import causes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..run.result import Result

_FAILURES = {Status.FAILED, Status.DRIFTED, Status.UNDEPLOYED}
_SKIPPED = {Status.UNAFFECTED, Status.DEFERRED, Status.NOT_RUN, Status.SKIPPED}
_MOST = 40_000  # characters of an output: GitLab refuses a file of more than 30 MB
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # https://www.w3.org/TR/xml/#charsets


def render(results: Iterable[Result], *, environment: str) -> str:
    """The results as JUnit XML: by stage, and by stack, as threads end in any order."""
    suites: dict[str, list[Result]] = {}
    for result in results:
        suites.setdefault(result.stage, []).append(result)
    root = ET.Element("testsuites", name=_clean(f"doit-tofu {environment}"))
    for stage, found in suites.items():
        told = causes.Groups[str]()
        suite = ET.SubElement(
            root, "testsuite", name=_clean(f"{environment}.{stage}"), tests=str(len(found)), errors="0",
            failures=str(sum(item.status in _FAILURES and not _was_stopped(item) for item in found)),
            skipped=str(sum(item.status in _SKIPPED or _was_stopped(item) for item in found)),
            time=f"{sum(item.seconds for item in found):.3f}",
        )  # fmt: skip
        starts = sorted(item.started_at for item in found if item.started_at)
        if starts:
            suite.set("timestamp", starts[0].partition("+")[0])
        for item in sorted(found, key=lambda item: item.stack):
            _case(suite, item, environment, told)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, item: Result, environment: str, told: causes.Groups[str]) -> None:
    case = ET.SubElement(
        suite, "testcase", name=_clean(item.stack or item.stage), classname=_clean(f"{environment}.{item.stage}"),
        time=f"{item.seconds:.3f}",
    )  # fmt: skip
    if _was_stopped(item) and item.problem is not None:
        ET.SubElement(case, "skipped").text = _clean(item.problem.text())
    elif item.status in _FAILURES:
        kind = str(item.kind or item.status)
        failure = ET.SubElement(case, "failure", message=_clean(item.summary), type=_clean(kind))
        failure.text = _clean("\n\n".join(text for text in _told(item, told) if text))
    elif item.status in _SKIPPED:
        ET.SubElement(case, "skipped").text = _clean(item.summary)  # the schema has no attribute for it
    if item.warnings:
        ET.SubElement(case, "system-out").text = _clean("\n".join(f"Warning: {found.text}" for found in item.warnings))


def _was_stopped(item: Result) -> bool:
    """Whether a task failed only because somebody stopped the run."""
    return item.status in _FAILURES and item.problem is not None and item.problem.kind is Kind.STOPPED


def _told(item: Result, told: causes.Groups[str]) -> tuple[str, str]:
    """What there is to say of a failure, and the output of the program that says it, once for all of one cause."""
    problem = item.problem
    if problem is None:
        return item.summary, ""
    first = told.of(item.stage, item.stack, problem, item.summary, lambda: item.stack)
    if first != item.stack and problem.log:
        return problem.text(), f"It failed for the same cause as {first}, whose case has the output."
    left = len(problem.log) - _MOST
    if left <= 0:
        return problem.text(), problem.log
    above = f"… {plural(left, 'more character')} above, in the job's log"
    return problem.text(), f"{above}\n{problem.log[left:]}"


@lru_cache(maxsize=1024)  # most stacks of a large run say the same
def _clean(text: str) -> str:
    """The text without what XML cannot hold."""
    return _NOT_XML.sub("\ufffd", visible(text))
