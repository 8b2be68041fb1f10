"""A drawing shows exactly the edges of its graph."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.dag.row_assignment import minimize_displacement
from workbench.dag import Drawing, Graph, layout, outline

_EAST, _NORTH, _SOUTH = (1, 0), (0, -1), (0, 1)
_OPENINGS = {
    "─": "EW", "│": "NS", "╭": "ES", "╮": "SW", "╰": "NE", "╯": "NW",
    "├": "NES", "┤": "NSW", "┬": "ESW", "┴": "NEW", "┼": "NESW",
}  # fmt: skip
_STEPS = {"E": _EAST, "N": _NORTH, "S": _SOUTH}
_OPPOSITE = {_EAST: "W", _NORTH: "S", _SOUTH: "N"}

Edges = list[tuple[str, str]]


@st.composite
def graphs(draw: st.DrawFn, most: int = 14) -> tuple[list[str], Edges]:
    count = draw(st.integers(1, most))
    nodes = [f"n{at}" for at in range(count)]
    pairs = [(a, b) for b in range(count) for a in range(b)]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=2 * count)) if pairs else []
    return nodes, [(nodes[a], nodes[b]) for a, b in chosen]


def read(drawing: Drawing, name: str) -> set[str]:
    """The nodes reached by following the lines from this one: never backwards, straight across bridges."""
    by_place = {(box.x, box.y): other for other, box in drawing.boxes.items()}
    box = drawing.boxes[name]
    start = (box.x + box.width + 1, box.y)
    reached: set[str] = set()
    seen: set[tuple[tuple[int, int], tuple[int, int]]] = set()
    walks = [(start, _EAST)]
    while walks:
        (x, y), heading = walk = walks.pop()
        if walk in seen or not (0 <= y < drawing.height and 0 <= x < drawing.width):
            continue
        seen.add(walk)
        sign = drawing.lines[y][x]
        if sign == "›":
            reached.add(by_place[x + 1, y])
        elif sign == "│" and heading == _EAST:
            walks.append(((x + 1, y), _EAST))
        elif sign in _OPENINGS:
            assert _OPPOSITE[heading] in _OPENINGS[sign], f"a line ends in nothing at {x}, {y}"
            for way in set(_OPENINGS[sign]) - {"W", _OPPOSITE[heading]}:
                dx, dy = _STEPS[way]
                walks.append(((x + dx, y + dy), _STEPS[way]))
    return reached


@given(graphs(), st.integers(1, 2), st.integers(0, 3))
@settings(max_examples=400, deadline=None)
def test_drawn_lines_lead_exactly_to_the_dependents(graph: tuple[list[str], Edges], spacing: int, gap: int) -> None:
    nodes, edges = graph
    drawing = layout(nodes, edges, spacing=spacing, gap=gap)
    for name in nodes:
        assert read(drawing, name) == set(drawing.shown.after[name]), "\n".join(drawing.text())


@given(graphs())
@settings(deadline=None)
def test_edge_paths_run_along_drawn_cells(
    graph: tuple[list[str], Edges],
) -> None:
    drawing = layout(*graph)
    for (source, target), path in drawing.paths.items():
        start, end = drawing.boxes[source], drawing.boxes[target]
        assert path[0] == (start.x + start.width + 1, start.y)
        assert path[-1] == (end.x - 1, end.y)
        for (x1, y1), (x2, y2) in pairwise(path):
            assert x1 == x2 or y1 == y2
        assert " " not in drawing.cells([(source, target)]).values()


@given(graphs())
@settings(deadline=None)
def test_boxes_do_not_overlap_anything(graph: tuple[list[str], Edges]) -> None:
    drawing = layout(*graph)
    cells = [(box.x + dx, box.y) for box in drawing.boxes.values() for dx in range(box.width)]
    assert len(cells) == len(set(cells))
    assert all(drawing.lines[y][x] == " " for x, y in cells)


@given(graphs())
@settings(deadline=None)
def test_arrow_keys_reach_every_step(graph: tuple[list[str], Edges]) -> None:
    nodes, edges = graph
    drawing = layout(nodes, edges)
    for start in nodes[:3]:
        reached, waiting = {start}, [start]
        while waiting:
            name = waiting.pop()
            for direction in ("left", "right", "up", "down"):
                other = drawing.neighbour(name, direction)
                if other is not None and other not in reached:
                    reached.add(other)
                    waiting.append(other)
        assert reached == set(nodes)


@given(graphs())
def test_transitive_reduction_keeps_the_order(graph: tuple[list[str], Edges]) -> None:
    whole = Graph.of(*graph)
    reduced = whole.reduced()
    assert all(whole.descendants(name) == reduced.descendants(name) for name in whole.nodes)


@given(graphs())
def test_outline_lists_each_step_below_its_dependencies(
    graph: tuple[list[str], Edges],
) -> None:
    whole = Graph.of(*graph)
    names = [row.name for row in outline(whole)]
    assert sorted(names) == sorted(whole.nodes)
    assert all(names.index(a) < names.index(b) for a, b in whole.edges)


@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(0.1, 10)), max_size=20))
def test_minimized_positions_keep_order_and_distance(items: list[tuple[float, float]]) -> None:
    places = minimize_displacement([wish for wish, _ in items], [weight for _, weight in items])
    assert all(b - a >= 1 - 1e-9 for a, b in pairwise(places))


def test_fork_and_join_are_drawn_as_bundles() -> None:
    nodes = ["clone", "lint", "unit", "build", "publish"]
    edges = [("clone", name) for name in nodes[1:4]] + [(name, "publish") for name in nodes[1:4]]
    assert layout(nodes, edges).text() == [
        "         ╭──›● lint ──╮",
        "● clone ─┼──›● unit ──┼──›● publish",
        "         ╰──›● build ─╯",
    ]


def test_crossing_lines_are_drawn_as_a_bridge() -> None:
    edges = [("a", "x"), ("b", "y"), ("c", "z"), ("a", "n"), ("b", "n"), ("c", "n")]
    drawing = layout(["a", "b", "c", "x", "y", "z", "n"], edges)
    assert drawing.bridges
    assert all(drawing.lines[y][x] == "│" for x, y in drawing.bridges)


def test_ascii_drawing_has_only_ascii_characters() -> None:
    drawing = layout(["a", "b", "c"], [("a", "b"), ("a", "c")])
    assert {line.isascii() for line in drawing.text(ascii_only=True)} == {True}


def test_a_fan_of_98_steps_is_drawn_in_98_lines() -> None:
    middle = [f"t{n}" for n in range(98)]
    edges = [("src", name) for name in middle] + [(name, "end") for name in middle]
    drawing = layout(["src", *middle, "end"], edges)
    assert (drawing.height, drawing.width < 40) == (98, True)


def test_lineage_holds_ancestors_and_descendants() -> None:
    drawing = layout(["a", "b", "c", "d", "x"], [("a", "b"), ("b", "c"), ("a", "d"), ("x", "c")])
    others, edges = drawing.lineage("b")
    assert others == {"a", "c"}
    assert edges == {("a", "b"), ("b", "c")}


@pytest.mark.parametrize("edges", [[("a", "b"), ("b", "a")], [("a", "a")], [("a", "nobody")], []])
def test_invalid_graph_is_still_drawn(edges: Edges) -> None:
    assert layout(["a", "b"], edges).boxes.keys() == {"a", "b"}


def test_empty_graph_has_an_empty_drawing() -> None:
    drawing = layout([], [])
    assert drawing.width == 0
    assert drawing.height == 0
    assert drawing.text() == []
    assert outline(drawing.graph) == []


def test_core_does_not_import_terminal_libraries() -> None:
    program = (
        "import sys, workbench.dag, workbench.text.sanitize, workbench.logs.log_file; "
        "sys.exit(sorted({name.split('.')[0] for name in sys.modules} & {'textual', 'rich', 'aiohttp'}).__repr__()"
        " if {'textual', 'rich', 'aiohttp'} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
