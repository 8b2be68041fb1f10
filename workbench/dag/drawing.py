"""Draws layers, rows and tracks as characters, with boxes for the names and paths to highlight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from controller.dag.graph import Graph
from controller.dag.layering import Layering, assign_layers
from controller.dag.row_assignment import assign_rows
from workbench.dag.edge_bundles import EdgeBundle
from workbench.dag.edge_routing import EdgeChannel, route_edges

NORTH, EAST, SOUTH, WEST = 1, 2, 4, 8
_BOXES = " ╵╶╰╷│╭├╴╯─┴╮┤┬┼"
_ARROW = "›"
_ASCII = str.maketrans(dict.fromkeys("╰╭├╯┴╮┤┬┼", "+") | {"│": "|", "─": "-", _ARROW: ">"})


@dataclass(frozen=True)
class Box:
    """The position of a node's sign and name: `width` cells at column `x` of line `y`."""

    name: str
    x: int
    y: int
    width: int
    layer: int


@dataclass(frozen=True)
class Drawing:
    """A drawn graph. Lines and columns count from 0."""

    graph: Graph = field(repr=False)
    """The graph as it was given."""
    shown: Graph = field(repr=False)
    """The drawn graph: without transitive edges."""
    width: int
    height: int
    boxes: Mapping[str, Box] = field(repr=False)
    lines: tuple[str, ...] = field(repr=False)
    """The drawn lines; the boxes are blank."""
    bridges: frozenset[tuple[int, int]] = field(repr=False)
    """Cells (x, y) where a vertical line crosses an unrelated horizontal line."""
    paths: Mapping[tuple[str, str], tuple[tuple[int, int], ...]] = field(repr=False)
    """The corners (x, y) of each drawn edge."""

    def text(self, signs: Mapping[str, str] | None = None, *, ascii_only: bool = False) -> list[str]:
        """The drawing with names, each after its sign (one cell wide; `●` or `*` by default)."""
        canvas = [list(line) for line in self.lines]
        for box in self.boxes.values():
            sign = (signs or {}).get(box.name, "*" if ascii_only else "●")
            canvas[box.y][box.x : box.x + box.width] = f"{sign} {box.name}"[: box.width].ljust(box.width)
        lines = ["".join(line).rstrip() for line in canvas]
        return [line.translate(_ASCII) for line in lines] if ascii_only else lines

    def cells(self, edges: Iterable[tuple[str, str]]) -> dict[tuple[int, int], str]:
        """The cells of these edges, with the characters to draw when they are highlighted."""
        lit: dict[tuple[int, int], str] = {}
        for edge in edges:
            path = self.paths.get(edge, ())
            for (x1, y1), (x2, y2) in pairwise(path):
                for x, y in _between(x1, y1, x2, y2):
                    over = (x, y) in self.bridges and y1 == y2
                    lit[x, y] = "─" if over and lit.get((x, y)) != "│" else self.lines[y][x]
        return lit

    def lineage(self, name: str) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
        """All ancestors and descendants of a node, and the drawn edges between them and it."""
        above = self.graph.ancestors(name) | {name}
        below = self.graph.descendants(name) | {name}
        edges = frozenset((a, b) for a, b in self.paths if (a in above and b in above) or {a, b} <= below)
        return (above | below) - {name}, edges

    def neighbour(self, name: str, direction: str) -> str | None:
        """The node that an arrow key selects: `left` and `right` along an edge, `up` and `down` within the layer."""
        return self._neighbours[name].get(direction)

    @cached_property
    def _neighbours(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {name: {} for name in self.boxes}
        for name, box in self.boxes.items():
            for direction, others in (("left", self.shown.before[name]), ("right", self.shown.after[name])):
                if others:
                    found[name][direction] = min(others, key=lambda other: abs(self.boxes[other].y - box.y))
        ordered = sorted(self.boxes.values(), key=lambda box: (box.layer, box.y))
        for one, other in pairwise(ordered):
            if one.layer == other.layer:
                found[one.name]["down"], found[other.name]["up"] = other.name, one.name
        for box in self.boxes.values():
            for direction, sign in (("up", -1), ("down", 1)):
                beyond = [other for other in self.boxes.values() if (other.y - box.y) * sign > 0]
                if direction not in found[box.name] and beyond:
                    nearest = min(beyond, key=lambda other: (abs(other.layer - box.layer), abs(other.y - box.y)))
                    found[box.name][direction] = nearest.name
        return found

    def node_at(self, x: int, y: int) -> str | None:
        """The node whose box covers this cell."""
        return self._covered.get((x, y))

    @cached_property
    def _covered(self) -> dict[tuple[int, int], str]:
        return {(box.x + dx, box.y): box.name for box in self.boxes.values() for dx in range(box.width)}


def layout(
    nodes: Sequence[str],
    edges: Iterable[tuple[str, str]],
    *,
    widths: Mapping[str, int] | None = None,
    gap: int = 2,
    spacing: int = 1,
) -> Drawing:
    """Draw a graph.

    Args:
        widths: cells of each node's name, by default its length. The sign and a space are added.
        gap: extra cells between two layers.
        spacing: lines from one row to the next.
    """
    graph = Graph.of(nodes, edges)
    shown = graph.reduced()
    layers = assign_layers(shown)
    rows = assign_rows(layers)
    gaps = [route_edges({item: layers.after[item] for item in layer}, rows) for layer in layers.layers[:-1]]
    sizes = [2 + (widths[name] if widths is not None else len(name)) for name in shown.nodes]
    return _Pen(graph, shown, layers, rows, gaps, sizes, gap, spacing).draw()


class _Pen:
    """Draws one graph: first all positions, then every line into a grid of directions, then the characters."""

    def __init__(
        self,
        graph: Graph,
        shown: Graph,
        layers: Layering,
        rows: Sequence[int],
        gaps: Sequence[EdgeChannel],
        sizes: Sequence[int],
        gap: int,
        spacing: int,
    ) -> None:
        self._graph, self._shown, self._layers, self._gaps, self._sizes = graph, shown, layers, gaps, sizes
        used = {float(row) for row in rows}
        used |= {row for between in gaps for bundle, _ in between.tracks for row in bundle.left | bundle.right}
        self._y = {row: at * spacing for at, row in enumerate(sorted(used))}
        self._rows = rows
        self._columns: list[int] = []
        self._track_x: list[int] = []
        x = 0
        for layer, between in zip(layers.layers, [*gaps, None], strict=True) if layers.layers else ():
            self._columns.append(x)
            x += max((sizes[item] for item in layer if layers.is_node(item)), default=1)
            self._track_x.append(x + 2)
            if between is not None:
                x += gap + (between.columns + 3 if between.columns else 2)
        self._width = x
        self._height = max(self._y.values(), default=-1) + 1
        self._directions: dict[tuple[int, int], int] = {}
        self._verticals: set[tuple[int, int]] = set()
        self._horizontals: set[tuple[int, int]] = set()
        self._links: set[tuple[int, int]] = set()  # (x, y) is joined with (x + 1, y)

    def draw(self) -> Drawing:
        nodes = self._shown.nodes
        boxes = {}
        for number, layer in enumerate(self._layers.layers):
            for item in filter(self._layers.is_node, layer):
                name = nodes[item]
                boxes[name] = Box(name, self._columns[number], self._y[self._rows[item]], self._sizes[item], number)
        paths = {
            (nodes[source], nodes[target]): self._path(route) for (source, target), route in self._layers.routes.items()
        }
        for number, between in enumerate(self._gaps):
            for bundle, column in between.tracks:
                self._vertical(bundle, self._track_x[number] + column)
        for path in paths.values():
            for (x1, y1), (x2, y2) in pairwise(path):
                if y1 == y2:
                    self._horizontals |= {(x, y1) for x in range(x1, x2 + 1)}
                    self._links |= {(x, y1) for x in range(x1, x2)}
        lines, bridges = self._characters({path[-1] for path in paths.values()})
        return Drawing(self._graph, self._shown, self._width, self._height, boxes, lines, bridges, paths)

    def _path(self, route: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """The corners of an edge: from the end of its source's name to the arrow before its target."""
        layer = self._shown.rank[self._shown.nodes[route[0]]]
        y = self._y[self._rows[route[0]]]
        corners = [(self._columns[layer] + self._sizes[route[0]] + 1, y)]
        for source, target in pairwise(route):
            for bundle, column in self._gaps[layer].tracks_between(source, target):
                x = self._track_x[layer] + column
                corners.append((x, y))
                y = self._y[self._rows[target] if bundle.targets else next(iter(bundle.right))]
                corners.append((x, y))
            layer += 1
        corners.append((self._columns[layer] - 1, y))
        return tuple(corners)

    def _vertical(self, bundle: EdgeBundle, x: int) -> None:
        low, high = (self._y[row] for row in bundle.span)
        self._verticals |= {(x, y) for y in range(low + 1, high)}
        for row in bundle.left | bundle.right:
            y = self._y[row]
            bits = (NORTH if y > low else 0) | (SOUTH if y < high else 0)
            self._directions[x, y] = self._directions.get((x, y), 0) | bits

    def _characters(self, arrows: set[tuple[int, int]]) -> tuple[tuple[str, ...], frozenset[tuple[int, int]]]:
        canvas = [[" "] * self._width for _ in range(self._height)]
        bridges = set()
        for x, y in self._horizontals:
            canvas[y][x] = "─"
        for x, y in self._verticals - self._directions.keys():
            if canvas[y][x] == "─":
                bridges.add((x, y))
            canvas[y][x] = "│"
        for (x, y), bits in self._directions.items():
            bits |= (WEST if (x - 1, y) in self._links else 0) | (EAST if (x, y) in self._links else 0)
            canvas[y][x] = _BOXES[bits]
        for x, y in arrows:
            canvas[y][x] = _ARROW
        return tuple("".join(line) for line in canvas), frozenset(bridges)


def _between(x1: int, y1: int, x2: int, y2: int) -> list[tuple[int, int]]:
    if y1 == y2:
        return [(x, y1) for x in range(min(x1, x2), max(x1, x2) + 1)]
    return [(x1, y) for y in range(min(y1, y2), max(y1, y2) + 1)]
