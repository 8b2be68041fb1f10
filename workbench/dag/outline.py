"""The graph as an indented list with one line a node, for narrow terminals.

Each node is below the last of its dependencies, so that the list is in topological
order; its other dependencies are named beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from controller.dag.graph import Graph
from workbench.dag.drawing import Box, Drawing
from workbench.text.width import cell_width

_GAP = 2


@dataclass(frozen=True)
class OutlineRow:
    """A line of the list: rails, the node, and its other dependencies."""

    name: str
    rails: str
    also_after: tuple[str, ...]


def outline(graph: Graph, *, indent: int = 40) -> list[OutlineRow]:
    """The rows from top to bottom. Rails wider than `indent` cells are truncated at the left."""
    left = {name: len(graph.before[name]) for name in graph.nodes}
    parent: dict[str, str] = {}
    children: dict[str, list[str]] = {name: [] for name in graph.nodes}
    order: list[str] = []
    stack = [name for name in reversed(graph.nodes) if not left[name]]
    while stack:
        name = stack.pop()
        order.append(name)
        for target in graph.after[name]:
            left[target] -= 1
            if not left[target]:
                children[name].append(target)
                parent[target] = name
        stack += reversed(children[name])
    return [
        OutlineRow(name, _rails(name, parent, children, indent), _others(graph.before[name], parent.get(name)))
        for name in order
    ]


def _others(before: tuple[str, ...], parent: str | None) -> tuple[str, ...]:
    return tuple(name for name in before if name != parent)


def _rails(name: str, parent: dict[str, str], children: dict[str, list[str]], indent: int) -> str:
    rails = ""
    node: str | None = name
    while node is not None and (above := parent.get(node)) is not None:
        last = children[above][-1] == node
        tooth, rail = ("╰─", "  ") if last else ("├─", "│ ")
        rails = tooth if node == name else rail + rails
        if len(rails) > indent:
            return "…" + rails[-(indent - 1) :]
        node = above
    return rails


def draw_outline(
    nodes: Sequence[str],
    edges: Iterable[tuple[str, str]],
    *,
    widths: Mapping[str, int] | None = None,
    titles: Mapping[str, str] | None = None,
    indent: int = 24,
) -> Drawing:
    """Draw a graph as a list, in the form of a drawing, so that one widget with the same keys shows both.

    Args:
        widths: cells of each node's name, by default its length. The sign and a space are added.
        titles: the names of nodes in lists of dependencies, by default their own.
        indent: maximum number of cells for the rails.
    """
    graph = Graph.of(nodes, edges)
    shown = graph.reduced()
    boxes: dict[str, Box] = {}
    lines: list[str] = []
    for y, row in enumerate(outline(shown, indent=indent)):
        size = 2 + (widths[row.name] if widths is not None else cell_width(row.name))
        x = cell_width(row.rails)
        boxes[row.name] = Box(row.name, x, y, size, 0)
        also = ", ".join((titles or {}).get(name, name) for name in row.also_after)
        lines.append(row.rails + " " * size + (" " * _GAP + f"⇠ {also}" if also else ""))
    width = max(map(cell_width, lines), default=0)
    padded = tuple(line + " " * (width - cell_width(line)) for line in lines)
    return Drawing(graph, shown, width, len(lines), boxes, padded, frozenset(), {})
