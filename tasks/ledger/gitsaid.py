"""What git's messages mean when a fetch or push fails: git has a single exit code for everything.

Git runs in the C locale. The patterns come from git's source and from forges that refuse pushes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .home import DeniedError, HomeError, MovedError, UnreachableError

if TYPE_CHECKING:
    from ..base.process import Ended

_NO_REF = re.compile(r"couldn't find remote ref ")
_NO_OPTIONS = re.compile(r"receiving end does not support push options")
_EXCLUDED = re.compile(r"'(refs/[^']+)' exists; cannot create|directory/file conflict|file/directory conflict")
# `git push --porcelain` puts the reason in brackets after the ref.
_REASON = re.compile(r"^!\t[^\t]*\t\[(?:remote )?(?:rejected|failure)\] ?\(?([^\n]*?)\)?$", re.MULTILINE)
_MOVED = re.compile(
    r"stale info|fetch first|non-fast-forward|failed to update ref|cannot lock ref|incorrect old value|"
    r"reference already exists|remote ref updated since checkout"
)
_UNKNOWN = re.compile(
    r"failed to report status|unpacker error|unable to migrate objects|internal server error", re.IGNORECASE
)
_UNAUTHORIZED = re.compile(r"Authentication failed for|returned error: 401|HTTP 401")
_NO_LOGIN = re.compile(r"could not read (?:Username|Password) for '([^']*)'")
_FORBIDDEN = re.compile(
    r"returned error: 403|HTTP 403|[Pp]ermission denied|Permission to \S+ denied|not allowed to|read.only|"
    r"[Ii]nsufficient permission|[Aa]ccess denied"
)
_ABSENT = re.compile(
    r"[Rr]epository (?:'[^']*' )?not found|does not appear to be a git repository|returned error: 404|"
    r"could not be found"
)
_PREFIX = re.compile(r"^(?:(?:remote|fatal|error|ERROR): *)+")
_NOISE = re.compile(
    r"^(To |hint:|failed to push some refs|Everything up-to-date|Processing changes|the remote end hung up)"
)


def has_no_ref(ended: Ended) -> bool:
    """Whether a fetch failed because the remote has no such ref."""
    return bool(_NO_REF.search(ended.errors))


def takes_no_options(ended: Ended) -> bool:
    """Whether a push failed because the remote does not support push options: nothing was sent."""
    return bool(_NO_OPTIONS.search(ended.errors))


def knows_no_settings(ended: Ended, remote: str) -> bool:
    """Whether git mistook the remote's name for a path: before 2.31 it reads no settings from its environment."""
    return f"'{remote}' does not appear to be a git repository" in ended.errors


def failure(what: str, ended: Ended, said: str, *, trusted: bool, given: bool) -> HomeError:
    """The error for a failed fetch or push.

    Args:
        what: The operation, in words: "cannot push to ... of origin".
        ended: How git ended.
        said: Its standard error, without secrets.
        trusted: Whether the same credentials were accepted before.
        given: Whether git was given a login; if it is not accepted, git asks for another one.
    """
    if ended.code is None:
        return UnreachableError(f"{what}: it did not respond in time")
    if found := _EXCLUDED.search(said):
        other = found[1] or "another branch"
        return HomeError(f"{what}: {other} exists, and a branch cannot be below the name of another branch")
    reason = _REASON.search(ended.output)
    asked = _NO_LOGIN.search(said)
    if asked:
        said = f"{asked[1]} " + ("does not accept this token" if given else "asks for a login, but none is set here")
    shown = f"{what}: {_shown(said, reason[1] if reason else '', ended)}"
    if reason:
        if _MOVED.search(reason[1]):
            return MovedError(shown)
        return (UnreachableError if _UNKNOWN.search(reason[1]) else DeniedError)(shown)
    if asked or _UNAUTHORIZED.search(said):
        if trusted and (given or not asked):
            return UnreachableError(f"{shown}; the same credentials were accepted before, so they may have expired")
        return DeniedError(shown)
    return (DeniedError if _FORBIDDEN.search(said) or _ABSENT.search(said) else UnreachableError)(shown)


def _shown(said: str, reason: str, ended: Ended) -> str:
    """The few meaningful lines of git and the forge, on one line."""
    lines = [_PREFIX.sub("", line.strip()) for line in said.splitlines()]
    lines = [line for line in lines if re.search(r"\w", line) and not _NOISE.search(line)]
    return "; ".join(dict.fromkeys([*([reason] if reason else []), *lines[:4]])) or f"git ended with {ended.code}"
