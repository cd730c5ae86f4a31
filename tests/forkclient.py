"""`doit` for the scripts that tests run: has the fork server start it, and ends as it ends; see `forkserver`.

It imports next to nothing, as a job of a pipeline starts it several times.
"""

from __future__ import annotations

import json
import os
import socket
import sys

_HEEDED = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")  # what it was forked from has the same

if __name__ == "__main__":
    address, *arguments = sys.argv[1:]
    if unheeded := [name for name in os.environ if name.startswith(("PYTHON", "LC_")) and name not in _HEEDED]:
        sys.exit(f"no doit that is forked heeds {', '.join(unheeded)}")
    environment = {"DOIT_TOFU_PROGRAM": "doit", **os.environ}  # the script has called it so
    message = {"arguments": arguments, "folder": os.getcwd(), "environment": environment}  # noqa: PTH109
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
        channel.connect(f"\0{address}")
        socket.send_fds(channel, [json.dumps(message).encode()], [0, 1, 2])
        code = int(channel.recv(20))
    sys.exit(code if code >= 0 else 128 - code)
