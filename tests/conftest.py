"""The order of the tests, and which of them one worker runs: the longest first, so that no worker waits at the end."""

from __future__ import annotations

import pytest

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


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort modules, and have one worker run all tests of a module: it makes its fixtures once."""

    def place(item: pytest.Item) -> tuple[int, bool]:
        order = (*_ALONE, *_FIRST)
        name = item.path.stem
        return order.index(name) if name in order else len(order), "unit" in item.path.parts

    items.sort(key=place)
    for number, item in enumerate(items):
        item.add_marker(pytest.mark.xdist_group(_group(item, number)))


def _group(item: pytest.Item, number: int) -> str:
    """The name of what one worker runs, one after the other."""
    folder, name = item.path.parts[-2], item.path.stem
    if name in _ALONE:
        return f"{name}-{number}"
    if folder == "e2e" and ("kubernetes" in name or name == "test_drift_real"):
        return KUBERNETES  # its API is started once
    return f"{folder}-{name}"
