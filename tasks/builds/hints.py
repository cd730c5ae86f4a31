"""Suggests a next step for a builder's failure, as its message names only the symptom."""

from __future__ import annotations

import re

OTHERWISE = "fix the cause, then run the same command again"
_OTHER_PLATFORM = re.compile(r"exec format error", re.IGNORECASE)
_NO_IDS = re.compile(r"no sub[ug]id ranges|setting supplemental groups|newuidmap|potentially insufficient UIDs")
# The codes and statuses of https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
_DENIED = re.compile(
    r"\b(denied|unauthorized|insufficient_scope|authentication required)\b|\b40[13] (Forbidden|Unauthorized)\b",
    re.IGNORECASE,
)
_BUSY = re.compile(r"toomanyrequests|too many requests|service unavailable|bad gateway|status:? 5\d\d", re.IGNORECASE)


def next_step(output: str, login: str | None) -> str:
    """What to do next.

    Args:
        output: The builder's output.
        login: Where the registry's login comes from; None if there is no login.
    """
    if _OTHER_PLATFORM.search(output):
        return (
            "the Containerfile runs a program for another platform: install emulation (Debian: apt-get install"
            " qemu-user-static), or list only this machine's platform in `platforms`"
        )
    if _NO_IDS.search(output):
        return (
            "a rootless builder needs newuidmap (Debian: apt-get install uidmap) and ranges for this user in"
            " /etc/subuid and /etc/subgid: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER"
        )
    if _DENIED.search(output):
        who = f"the user of {login}" if login else "an anonymous user"
        return (
            f"check that {who} may write to the image's repository and read its base images,"
            " then run the same command again"
        )
    if _BUSY.search(output):
        return "the registry is busy or down; run the same command again later"
    return OTHERWISE
