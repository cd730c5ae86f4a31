"""Who is deploying a stack is looked up, not searched for: a command asks it of each of its stacks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tasks.ledger.record import Begun, Head, Lease
from tasks.run.deployers import Deployers

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterator

STACKS = [f"s{number}" for number in range(2000)]


class Searched(dict[str, Begun]):
    """Announced stacks that count how often all of them were gone through."""

    times = 0

    def items(self) -> ItemsView[str, Begun]:
        self.times += 1
        return super().items()

    def __iter__(self) -> Iterator[str]:
        self.times += 1
        return super().__iter__()


def announced(*, live: bool = True, lease: bool = True) -> tuple[Deployers, Searched]:
    begun = Searched({name: Begun(holder="p7", run="r", since="") for name in STACKS})
    begun["dead"] = Begun(holder="p6", run="q", since="")
    found = Lease(holder="p7", run="r", label="pipeline 7", since="") if lease else None
    head = Head(ledger="l", project="p", environment="e", lease=found).model_copy(update={"begun": begun})
    session: Any = SimpleNamespace(head=head)
    holders: Any = SimpleNamespace(is_live=lambda _: live)
    return Deployers(session, holders), begun


def test_the_announced_stacks_are_not_gone_through_for_each_stack() -> None:
    found, begun = announced()
    assert {found.of(name) for name in STACKS} == {"pipeline 7"}
    assert begun.times == 0
    assert list(found.table()) == STACKS


@pytest.mark.parametrize(("live", "lease"), [(False, True), (True, False)])
def test_without_a_live_lease_nobody_deploys(*, live: bool, lease: bool) -> None:
    found, _ = announced(live=live, lease=lease)
    assert found.lease is None
    assert found.of("s7") is None
    assert found.table() == {}


def test_a_stack_of_a_run_that_died_is_nobodys() -> None:
    found, _ = announced()
    assert found.of("dead") is None
    assert found.of("unknown") is None
    assert "dead" not in found.table()


def test_before_the_ledger_is_read_nobody_is_known_to_deploy() -> None:
    session: Any = SimpleNamespace(head=None)
    holders: Any = SimpleNamespace()
    assert Deployers(session, holders).of("a") is None
    assert Deployers(session, holders).table() == {}
