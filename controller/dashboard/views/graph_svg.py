"""The graph of a run's steps as SVG, in the layers and rows in which the workbench draws it.

Each node is a piece of its own, so that a live page replaces what has changed. All text is escaped; the colours are the
stylesheet's, by class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from urllib.parse import quote

from markupsafe import Markup, escape

from controller.dag import Graph, assign_layers, assign_rows, common_phase, find_groups, group_nodes
from controller.dashboard.rendering import phase_sign, plain
from controller.dashboard.views.run_view import RunView, StepView

_HEIGHT, _ROW, _GAP, _MARGIN = 28, 40, 44, 4
_CHAR, _PADDING = 7.3, 30
_MAX_LABEL = 26
MIN_CLOSED_MEMBERS = 4
"""Matrices of so many steps are one node, as in the workbench."""


@dataclass(frozen=True)
class Placement:
    """Where the nodes are, and the lines between them as the data of one path. Lengths are pixels."""

    boxes: Mapping[str, tuple[int, int, int]]
    path: str
    width: int
    height: int


@dataclass(frozen=True)
class GraphView:
    """The drawing: the nodes by their id, in order, on lines that never change during a run."""

    placement: Placement
    nodes: Mapping[str, Markup]


@dataclass(frozen=True)
class _Node:
    id: str
    label: str
    title: str
    phase: str
    link: str


def draw_graph(run: RunView) -> GraphView:
    """The graph of the run. Links are relative to the run's page."""
    names = [step.name for step in run.steps]
    groups = [group for group in find_groups(names).values() if len(group.members) >= MIN_CLOSED_MEMBERS]
    grouped = group_nodes(names, edges_of(run.steps), groups)
    by_name = {step.name: step for step in run.steps}
    nodes: dict[str, _Node] = {name: _step_node(run, step) for name, step in by_name.items()}
    for group in groups:
        nodes[group.key] = _group_node(group.key, [by_name[name] for name in group.members])
    labels = tuple((key, _label(nodes[key].label)) for key in grouped.nodes)
    placement = place(labels, grouped.edges)
    return GraphView(
        placement, {nodes[key].id: _draw_node(nodes[key], label, placement.boxes[key]) for key, label in labels}
    )


def edges_of(steps: Sequence[StepView]) -> list[tuple[str, str]]:
    """The dependencies as pairs of names; one on a matrix is one on each of its steps."""
    members: dict[str, list[str]] = {}
    for step in steps:
        members.setdefault(step.name, []).append(step.name)
        if step.matrix_of is not None and step.matrix_of != step.name:
            members.setdefault(step.matrix_of, []).append(step.name)
    return [(found, step.name) for step in steps for needed in step.depends_on for found in members.get(needed, ())]


@lru_cache(maxsize=128)
def place(labels: tuple[tuple[str, str], ...], edges: tuple[tuple[str, str], ...]) -> Placement:
    """The layout. It depends on names only, so that a run's graph is laid out once."""
    graph = Graph.of([key for key, _ in labels], edges).reduced()
    layering = assign_layers(graph)
    rows = assign_rows(layering)
    text = dict(labels)
    widths = [
        max((_width(text[graph.nodes[item]]) for item in layer if layering.is_node(item)), default=40)
        for layer in layering.layers
    ]
    left, x = [], _MARGIN
    for width in widths:
        left.append(x)
        x += width + _GAP
    column = {item: number for number, layer in enumerate(layering.layers) for item in layer}
    middle = [_MARGIN + row * _ROW + _HEIGHT // 2 for row in rows]
    boxes = {
        name: (left[column[at]], middle[at] - _HEIGHT // 2, widths[column[at]]) for at, name in enumerate(graph.nodes)
    }
    drawn: dict[str, None] = {}
    for route in layering.routes.values():
        for source, target in pairwise(route):
            begin, end = left[column[source]] + widths[column[source]], left[column[target]]
            half = (begin + end) // 2
            drawn[
                f"M{begin} {middle[source]}C{half} {middle[source]} {half} {middle[target]} {end} {middle[target]}"
            ] = None
            if not layering.is_node(target):
                drawn[f"M{end} {middle[target]}h{widths[column[target]]}"] = None
    height = _MARGIN * 2 + (max(rows, default=0)) * _ROW + _HEIGHT
    return Placement(boxes, "".join(drawn), max(x - _GAP + _MARGIN, 1), height)


def _step_node(run: RunView, step: StepView) -> _Node:
    title = f"{step.name}: {step.phase}" + (f", {step.why}" if step.why else "")
    return _Node(f"n{step.index}", step.name, title, step.shown, f"{run.row.name}/steps/{quote(step.slug, safe='')}")


def _group_node(key: str, members: Sequence[StepView]) -> _Node:
    phase = common_phase({step.phase for step in members})
    counts = Counter(step.phase for step in members)
    title = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return _Node(f"n{members[0].index}", key, f"{key}: {title}", phase, f"#s{members[0].index}")


@lru_cache(maxsize=2048)
def _draw_node(node: _Node, label: str, box: tuple[int, int, int]) -> Markup:
    x, y, width = box
    return Markup(
        '<a id="{}" class="n {}" href="{}"><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="6"/>'
        '<text x="{}" y="{}">{} {}</text></a>'
    ).format(
        node.id, node.phase, node.link, plain(node.title), x, y, width, _HEIGHT, x + 9, y + 19, phase_sign(node.phase),
        escape(label),
    )  # fmt: skip


def _label(name: str) -> str:
    text = plain(name)
    return text if len(text) <= _MAX_LABEL else text[: _MAX_LABEL - 1] + "…"


def _width(label: str) -> int:
    # A wide character takes two columns; those of ASCII one.
    columns = sum(1 if char < "\u1100" else 2 for char in label)
    return round(columns * _CHAR) + _PADDING
