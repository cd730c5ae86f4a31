"""The provider `example/heavy` in a mirror of its own, and the engine's configuration that names it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.gomodule import built

VERSION = "1.0.0"
SOURCE = "example.test/example/heavy"
REQUIRED = f'terraform {{\n  required_providers {{\n    heavy = {{\n      source = "{SOURCE}"\n    }}\n  }}\n}}\n'


def installed(folder: Path) -> Path:
    """Put the provider into a mirror in a folder.

    Returns:
        The engine's configuration that takes it from there.
    """
    binary = built("heavyprovider", ".") / "heavyprovider"
    package = folder / "mirror" / SOURCE / VERSION / "linux_amd64"
    package.mkdir(parents=True)
    shutil.copy(binary, package / f"terraform-provider-heavy_v{VERSION}")
    configuration = folder / "tofurc"
    configuration.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{folder / "mirror"}"\n  }}\n}}\n'
    )
    return configuration
