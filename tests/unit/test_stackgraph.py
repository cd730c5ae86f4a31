"""The stack graph: its order, its waves, and a cycle shown as its path."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.project.stackgraph import CycleError, StackGraph

DIAMOND = {"d": ["b", "c"], "b": ["a"], "c": ["a"], "a": []}
DISJOINT = {"z": [], "y": ["x"], "x": [], "a": ["z"]}


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, list[str]]:
    """Needs that go from later to earlier names of a shuffled list."""
    names = draw(st.lists(st.text("abcxyz", min_size=1, max_size=3), unique=True, max_size=12))
    return {
        name: draw(st.lists(st.sampled_from(names[:at]), max_size=4)) if at else [] for at, name in enumerate(names)
    }


def test_upstreams_come_first_and_then_the_alphabet_decides() -> None:
    assert StackGraph.build(DIAMOND).order == ("a", "b", "c", "d")
    assert StackGraph.build(DISJOINT).order == ("x", "y", "z", "a")


def test_what_is_needed_twice_stands_once() -> None:
    assert StackGraph.build({"b": ["a", "a"], "a": []}).needs == {"a": (), "b": ("a",)}


def test_waves_need_only_earlier_waves() -> None:
    assert StackGraph.build(DIAMOND).waves() == [["a"], ["b", "c"], ["d"]]
    assert StackGraph.build(DISJOINT).waves() == [["x", "z"], ["a", "y"]]
    assert StackGraph.build({}).waves() == []


def test_upstreams_are_found_through_others() -> None:
    graph = StackGraph.build(DIAMOND)
    assert graph.upstreams("d") == {"a", "b", "c"}
    assert graph.upstreams("a") == set()


@pytest.mark.parametrize(
    ("needs", "path"),
    [
        ({"a": ["b"], "b": ["a"]}, ["a", "b", "a"]),
        ({"a": ["a"]}, ["a", "a"]),
        ({"c": ["b"], "b": ["a"], "a": ["c"]}, ["a", "c", "b", "a"]),
        ({"x": ["y"], "y": ["z"], "z": ["y"], "a": []}, ["y", "z", "y"]),
        ({"a": ["m"], "m": ["n"], "n": ["m"]}, ["m", "n", "m"]),
    ],
)
def test_a_cycle_is_shown_as_its_path_from_its_first_stack(needs: dict[str, list[str]], path: list[str]) -> None:
    with pytest.raises(CycleError) as caught:
        StackGraph.build(needs)
    assert caught.value.path == path
    assert str(caught.value) == " -> ".join(path)


def test_a_chain_of_thousands_is_no_recursion() -> None:
    graph = StackGraph.build({f"s{n:05}": [f"s{n - 1:05}"] if n else [] for n in range(5000)})
    assert graph.order == tuple(f"s{n:05}" for n in range(5000))
    assert len(graph.waves()) == 5000
    assert len(graph.upstreams("s04999")) == 4999


@given(acyclic())
def test_any_order_has_every_stack_once_after_all_it_needs(needs: dict[str, list[str]]) -> None:
    graph = StackGraph.build(needs)
    position = {name: at for at, name in enumerate(graph.order)}
    assert sorted(graph.order) == sorted(needs)
    assert all(position[upstream] < position[name] for name in needs for upstream in needs[name])
    assert StackGraph.build(dict(reversed(needs.items()))) == graph


@given(acyclic())
def test_any_graph_closed_to_a_ring_is_refused_with_a_true_cycle(needs: dict[str, list[str]]) -> None:
    names = list(needs)
    ring = {name: [*needs[name], names[(at + 1) % len(names)]] for at, name in enumerate(names)}
    if not ring:
        return
    with pytest.raises(CycleError) as caught:
        StackGraph.build(ring)
    path = caught.value.path
    assert path[0] == path[-1] == min(path)
    assert len(set(path)) == len(path) - 1
    assert all(upstream in ring[name] for name, upstream in pairwise(path))
