"""Whether a stack may read other states: if it cannot, the engine needs no key for that.

The engine runs a program for each use of a key that is configured, which costs milliseconds per stack.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..base import plain
from ..base.files import LARGEST_RECORD, parse_json

if TYPE_CHECKING:
    from pathlib import Path

_CONFIGURATION = (".tf", ".tofu", ".tf.json", ".tofu.json")
_LOCAL = ("./", "../")
_SIGN = re.compile(rb"terraform_remote_state|\\u", re.IGNORECASE)  # a name may be written with escapes


def may_read(folder: Path, data_dir: Path) -> bool:
    """Whether a stack or one of its modules may have a `terraform_remote_state`; True if that is not certain.

    Args:
        folder: The stack's folder.
        data_dir: The engine's data folder, in which `init` lists the modules.
    """
    try:
        folders = [folder, *(folder / name for name in _modules(data_dir))]
        files = [path for each in folders for path in each.iterdir() if path.name.endswith(_CONFIGURATION)]
        return any(_SIGN.search(path.read_bytes()) for path in files)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return True


def _modules(data_dir: Path) -> list[str]:
    """The folders of the modules of a stack.

    Raises:
        ValueError: One was downloaded, or the list is not what the engine writes.
        OSError: The list cannot be read.
    """
    try:
        listed = parse_json(plain.read(data_dir / "modules/modules.json", LARGEST_RECORD))["Modules"]
    except FileNotFoundError:
        return []
    called = [module for module in listed if module["Key"]]
    if not all(module["Source"].startswith(_LOCAL) for module in called):
        raise ValueError("a module was downloaded")
    return [module["Dir"] for module in called]
