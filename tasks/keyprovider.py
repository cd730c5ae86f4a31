"""Passes the keys to an engine that is run manually, without doit.

`export TF_ENCRYPTION="$(python -m doit_tofu.keyprovider ENVIRONMENT)"`, in the repository's root and with the
variables that hold the passphrases: from then on `tofu -chdir=stacks/a state pull` and similar read what doit has
encrypted. The printed settings contain no key; they make the engine call this module with `--key VARIABLE` for each.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .base.errors import DeployError, ExitCode
from .base.problem import listed
from .engine import encryption
from .project import load
from .project.config.keyring import derive

KEY_OPTION = "--key"


def main(arguments: list[str]) -> int:
    """Print the settings, or a key; returns the exit code."""
    try:
        if arguments[:1] == [KEY_OPTION]:
            sys.stdout.write(encryption.provided(derive(arguments[1], os.environ.get(arguments[1], "").strip())))
            return ExitCode.OK
        keyring = load.load(Path.cwd(), arguments[0] if arguments else None).keyring
        if not keyring.is_set:
            raise DeployError("no key is set here", next_step=f"set {keyring.variable or '`encryption.key`'}")
    except DeployError as error:
        sys.stderr.write(listed(error.problems) + "\n")
        return ExitCode.FAILED
    found = f"PYTHONPATH={Path(__file__).parent.parent}"  # the engine runs in the stack's folder
    module = f"{__package__}.keyprovider"
    command = ["env", found, sys.executable, "-m", module, KEY_OPTION]
    sys.stdout.write(encryption.settings_text(keyring, lambda key: [*command, key.variable]) + "\n")
    return ExitCode.OK


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
