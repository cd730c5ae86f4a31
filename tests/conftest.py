"""The order of the tests, and which of them one worker runs: the longest first, so that no worker waits at the end."""

from __future__ import annotations

from functools import cache
from pathlib import PurePosixPath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.engine import cached

# Minutes each, and every test waits for a world of its own: whichever worker is free takes the next test.
_ALONE = ("test_pipelines_ledger",)
KUBERNETES = "kubernetes"  # the group of all tests that share its API
# Then modules that compute or wait for a minute: pipelines, browsers, builders of images, a Kubernetes API.
_FIRST = (
    "test_stateidentity", "test_snapshot", "test_dashboard", "test_kubernetes_example", "test_check_kubernetes",
    "test_verify_kubernetes", "test_drift_real", "test_planfile", "test_program", "test_pipelines", "test_githome",
    "test_forges", "test_policy", "test_providercache", "test_image_builders", "test_statelock", "test_images",
    "test_chaos", "test_ci", "test_volatile", "test_example_dashboard", "test_affected", "test_storehome",
    "test_reports", "test_backends", "test_notifications", "test_swap", "test_encryption", "test_build",
    "test_dashboard_live", "test_ledger_homes", "test_dashboard_ledger", "test_wheel", "test_page",
)  # fmt: skip


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_configure_node(node: Any) -> None:
    """Have all workers sort alike, whenever the engine is built meanwhile."""
    node.workerinput["built"] = _is_built()


@cache
def _is_built() -> bool:
    return cached().exists()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort modules; the order within one stays. What needs no engine comes first while there is none: it is built."""
    built = getattr(config, "workerinput", {"built": _is_built()})["built"]

    def place(item: pytest.Item) -> tuple[bool, int, bool]:
        order = (*_ALONE, *_FIRST)
        name, unit = item.path.stem, "unit" in item.path.parts
        return not (built or unit), order.index(name) if name in order else len(order), unit

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Have one worker run all tests of a module: it makes its fixtures once.

    The marks of pytest-xdist's own `loadgroup` mean nothing to pytest 9.2, and nobody says so: each test goes alone.
    """
    return _Modules(config, log)


class _Modules(LoadScopeScheduling):
    """Gives the tests of a group to one worker, one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def group(nodeid: str) -> str:
    """The name of what one worker runs: a module, all that share the Kubernetes API, or a test of its own."""
    path = nodeid.partition("::")[0]
    folder, name = PurePosixPath(path).parts[-2:]
    name = name.removesuffix(".py")
    if name in _ALONE:
        return nodeid
    if folder == "e2e" and ("kubernetes" in name or name == "test_drift_real"):
        return KUBERNETES  # its API is started once
    return path
