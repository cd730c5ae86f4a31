"""The order of the tests: those that wait for large worlds come first, so that all others run beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# A Kubernetes API, builders of images, browsers, kills at random: seconds each, and builds of minutes on a new machine.
_FIRST = (
    "test_kubernetes_example", "test_drift_real", "test_check_kubernetes", "test_verify_kubernetes", "test_image_builders", "test_images",
    "test_pipelines", "test_chaos", "test_example_dashboard", "test_dashboard", "test_dashboard_live", "test_page",
    "test_wheel",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort modules: the large worlds, then everything else end to end, then what needs no process."""

    def place(item: pytest.Item) -> int:
        if item.path.stem in _FIRST:
            return _FIRST.index(item.path.stem)
        return len(_FIRST) + ("unit" in item.path.parts)

    items.sort(key=place)
