"""Build hook of the wheel: the built-in report templates as Python, so that no run has to compile them.

They lie in a folder of the jinja2 that compiled them: another one compiles the sources.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileTemplates(BuildHookInterface[Any]):
    """Adds `reports/compiled/<version of jinja2>` to the wheel."""

    def initialize(self, version_of_build: str, build_data: dict[str, Any]) -> None:
        """Compile them into a folder that lives as long as this build."""
        del version_of_build
        sys.path.insert(0, self.root)
        from tasks.reports import environment

        self._folder = tempfile.TemporaryDirectory()
        target = Path(self._folder.name) / version("jinja2")
        environment.over([]).compile_templates(target, zip=None, ignore_errors=False)  # as `builtin/NAME` too
        build_data["force_include"][self._folder.name] = "doit_tofu/reports/compiled"
