"""Grouping the steps of a matrix, and the outline."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workbench.dag.test_drawing import graphs
from workbench.dag import Graph, common_phase, draw_outline, find_groups, group_nodes

NAMES = ("build", "test (py=3.11)", "test (py=3.12)", "test (py=3.13)", "lint (a=1)", "report")
EDGES = [
    *(("build", name) for name in NAMES[1:4]),
    *((name, "report") for name in NAMES[1:4]),
    ("build", "lint (a=1)"),
]


def test_steps_of_one_matrix_form_a_group() -> None:
    groups = find_groups(NAMES)
    assert list(groups) == ["test"]
    assert groups["test"].members == NAMES[1:4]
    assert groups["test"].key == "test ×3"


def test_collapsed_group_is_one_node_with_all_edges() -> None:
    drawn = group_nodes(NAMES, EDGES, list(find_groups(NAMES).values()))
    assert drawn.nodes == ("build", "test ×3", "lint (a=1)", "report")
    assert set(drawn.edges) == {("build", "test ×3"), ("test ×3", "report"), ("build", "lint (a=1)")}
    assert drawn.node_of["test (py=3.12)"] == "test ×3"


def test_expanded_groups_leave_the_graph_unchanged() -> None:
    drawn = group_nodes(NAMES, EDGES, [])
    assert drawn.nodes == NAMES
    assert list(drawn.edges) == EDGES


def test_an_edge_inside_a_group_is_not_drawn() -> None:
    names = ("a (n=1)", "a (n=2)")
    assert group_nodes(names, [("a (n=1)", "a (n=2)")], list(find_groups(names).values())).edges == ()


def test_step_named_like_a_group_prevents_the_group() -> None:
    assert find_groups(("a (n=1)", "a (n=2)", "a ×2")) == {}


@pytest.mark.parametrize(
    ("phases", "one"),
    [
        ({"Succeeded", "Failed", "Running"}, "Failed"),
        ({"Succeeded", "Running", "Pending"}, "Running"),
        ({"Succeeded", "Pending"}, "Running"),
        ({"Skipped", "Pending"}, "Pending"),
        ({"Pending"}, "Pending"),
        ({"Succeeded", "Skipped"}, "Succeeded"),
        ({"Succeeded", "Cancelled"}, "Cancelled"),
        ({"Skipped"}, "Skipped"),
    ],
)
def test_group_has_its_most_important_phase(phases: set[str], one: str) -> None:
    assert common_phase(phases) == one


@given(st.lists(st.text("ab (=1)×2", max_size=8), unique=True))
def test_every_step_belongs_to_one_node(names: list[str]) -> None:
    groups = find_groups(names)
    drawn = group_nodes(names, [], list(groups.values()))
    assert set(drawn.node_of) == set(names)
    assert set(drawn.node_of.values()) == set(drawn.nodes)
    assert len(drawn.nodes) == len(names) - sum(len(group.members) - 1 for group in groups.values())


@given(graphs())
def test_outline_draws_each_step_on_its_own_line(
    graph: tuple[list[str], list[tuple[str, str]]],
) -> None:
    nodes, edges = graph
    drawing = draw_outline(nodes, edges)
    assert sorted(box.y for box in drawing.boxes.values()) == list(range(len(nodes)))
    assert all(drawing.boxes[a].y < drawing.boxes[b].y for a, b in Graph.of(nodes, edges).edges)
    assert all(len(line) == drawing.width for line in drawing.lines)


def test_arrow_keys_move_through_the_outline() -> None:
    drawing = draw_outline(("a", "b", "c"), [("a", "b"), ("a", "c")])
    assert drawing.neighbour("a", "down") == "b"
    assert drawing.neighbour("b", "down") == "c"
    assert drawing.neighbour("c", "left") == "a"
    assert drawing.neighbour("a", "right") == "b"
