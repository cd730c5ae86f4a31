"""Maintains one comment per environment, from the newest pipeline, even if several run at once.

No forge has a write that fails when somebody else has written since. So each run writes, looks again a moment later,
and goes on until it finds one comment that is as new as itself. All runs take the same steps to the same end: the
oldest comment is kept, with the newest text; all others are removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import note

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Client
    from .note import Known, Order, Push

_MOST_ROUNDS = 6
_MOMENT = 1.0


def publish(
    client: Client,
    request: int,
    environment: str,
    push: Push,
    compose: Callable[[dict[Order, Push]], str],
    *,
    wait: Callable[[float], bool],
    stage: str = "plan",
) -> str:
    """Update the environment's comment with what this run found; returns what was done, in words.

    Args:
        client: The forge.
        request: The merge request's number.
        environment: The environment.
        push: This run.
        compose: The comment's text, from all pushes that are known.
        stage: The stage that it is about.
        wait: Waits so many seconds; true when the run was told to stop.

    Raises:
        ForgeError: The forge did not do it.
    """
    done = "is up to date"
    for _ in range(_MOST_ROUNDS):
        found = note.known(client.comments(request), environment, stage)
        if not found and push.quiet:
            return "is not needed, as nothing would be deployed"
        if len(found) == 1 and found[0].order >= push.order:
            return done if found[0].order == push.order else "is from a newer pipeline and was kept"
        done = _write(client, request, found, push, compose)
        if wait(_MOMENT):
            break
    return done


def _write(
    client: Client, request: int, found: list[Known], push: Push, compose: Callable[[dict[Order, Push]], str]
) -> str:
    if not found:
        client.create(request, compose({push.order: push}))
        return "written"
    pushes = {order: entry for known in found for order, entry in known.pushes.items()}
    newest, kept = max(found, key=lambda known: known.order), found[0]
    if newest.order > push.order:
        if newest is not kept:
            client.update(request, kept.comment.id, newest.comment.body)
    elif kept.order != push.order or push.order not in kept.pushes:
        client.update(request, kept.comment.id, compose({**pushes, push.order: push}))
    for extra in found[1:]:
        client.delete(request, extra.comment.id)
    return "updated"
