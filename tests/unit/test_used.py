"""What a stack gets of builds: outputs that are not those that a plan was made with are named."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tasks.builds import made, used

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.project.project import Project


def test_outputs_that_changed_since_the_plan_are_named_though_size_and_time_are_the_same(
    load: Callable[..., Project],
) -> None:
    project = load(
        "builds:\n  app: {kind: command, path: app, command: [make], outputs: [out]}\n",
        "app/source:",
        "app/out/file:good",
    )
    assert project.catalog is not None
    outputs = project.catalog.outputs("app")
    digest = made.outputs_digest(project.root, project.index, outputs)
    assert digest is not None
    planned = {"app": digest}
    assert used.changed(project, planned) == []

    path = project.root / "app/out/file"
    before = path.stat()
    path.write_text("evil")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert used.changed(project, planned) == ["outputs of build app"]
    path.unlink()
    assert used.changed(project, planned) == ["outputs of build app"]
    assert used.changed(project, {"gone": digest}) == ["outputs of build gone"]
    assert used.changed(project, {}) == []
