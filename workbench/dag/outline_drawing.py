"""The indented list of `outline` in the form of a drawing, so that one widget shows both and its keys mean the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from workbench.dag.drawing import Box, Drawing
from workbench.dag.graph import Graph
from workbench.dag.outline import outline
from workbench.text.width import cell_width

_GAP = 2


def draw_outline(
    nodes: Sequence[str],
    edges: Iterable[tuple[str, str]],
    *,
    widths: Mapping[str, int] | None = None,
    titles: Mapping[str, str] | None = None,
    indent: int = 24,
) -> Drawing:
    """Draw a graph as a list.

    Args:
        widths: cells for each node's name; its length without. The sign and a blank come on top.
        titles: how nodes are called beside those that also wait for them; their names without.
        indent: cells for the rails at most.
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
