"""Arranges a graph in layers, and orders each layer so that few edges cross.

An edge that spans several layers passes a dummy node in each of them. The edges of one
node share their dummy nodes, so that they are drawn as one line with branches.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass
from itertools import pairwise

from controller.dag.graph import Graph

_SWEEPS = 8


@dataclass(frozen=True)
class Layering:
    """The layers. Items are numbers: below `nodes`, the graph's nodes in its order; from there on, dummy nodes."""

    nodes: int
    layers: tuple[tuple[int, ...], ...]
    """The items of each layer, from top to bottom."""
    after: tuple[tuple[int, ...], ...]
    """The items of the next layer that each item leads to."""
    before: tuple[tuple[int, ...], ...]
    routes: dict[tuple[int, int], tuple[int, ...]]
    """The items of each edge, including both ends."""

    def is_node(self, item: int) -> bool:
        return item < self.nodes


def assign_layers(graph: Graph) -> Layering:
    """The ordered layers of a graph."""
    index = {name: at for at, name in enumerate(graph.nodes)}
    rank = [graph.rank[name] for name in graph.nodes]
    after: list[list[int]] = [[] for _ in graph.nodes]
    routes: dict[tuple[int, int], tuple[int, ...]] = {}
    for source in range(len(graph.nodes)):
        targets = sorted((index[name] for name in graph.after[graph.nodes[source]]), key=lambda t: rank[t])
        chain = [source]
        for target in targets:
            while rank[chain[-1]] < rank[target] - 1:
                after[chain[-1]].append(len(rank))
                chain.append(len(rank))
                rank.append(rank[chain[-2]] + 1)
                after.append([])
            via = chain[: rank[target] - rank[source]]
            after[via[-1]].append(target)
            routes[source, target] = (*via, target)
    before: list[list[int]] = [[] for _ in rank]
    for item, targets in enumerate(after):
        for target in targets:
            before[target].append(item)
    layers = _ordered(_first_order(rank, after, before), after, before)
    return Layering(
        len(graph.nodes),
        tuple(map(tuple, layers)),
        tuple(map(tuple, after)),
        tuple(map(tuple, before)),
        routes,
    )


def _first_order(rank: list[int], after: list[list[int]], before: list[list[int]]) -> list[list[int]]:
    """The layers in the order of a depth-first traversal, which keeps related items together."""
    layers: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
    seen: set[int] = set()
    stack = [item for item in reversed(range(len(rank))) if not before[item]]
    while stack:
        item = stack.pop()
        if item in seen:
            continue
        seen.add(item)
        layers[rank[item]].append(item)
        stack += sorted(after[item], reverse=True)
    return layers


def _ordered(layers: list[list[int]], after: list[list[int]], before: list[list[int]]) -> list[list[int]]:
    best, fewest = [layer[:] for layer in layers], count_crossings(layers, after)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        forward = sweep % 2 == 0
        sides = before if forward else after
        numbers = range(1, len(layers)) if forward else range(len(layers) - 2, -1, -1)
        for number in numbers:
            neighbours = layers[number - 1 if forward else number + 1]
            positions = {item: at for at, item in enumerate(neighbours)}
            layers[number] = _by_neighbours(layers[number], sides, positions)
        count = count_crossings(layers, after)
        if count < fewest:
            best, fewest = [layer[:] for layer in layers], count
    return best


def _by_neighbours(layer: list[int], sides: list[list[int]], positions: dict[int, int]) -> list[int]:
    """The layer sorted by the median position of each item's neighbours; items without neighbours stay."""
    keys: dict[int, float] = {}
    for at, item in enumerate(layer):
        neighbour_positions = sorted(positions[other] for other in sides[item])
        keys[item] = median(neighbour_positions) if neighbour_positions else at
    return sorted(layer, key=keys.__getitem__)


def median(values: list[int] | list[float]) -> float:
    """The median of sorted values; the mean of the middle two if their number is even."""
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def count_crossings(layers: list[list[int]], after: list[list[int]]) -> int:
    """The number of crossing pairs of edges between all layers."""
    total = 0
    for upper, lower in pairwise(layers):
        positions = {item: at for at, item in enumerate(lower)}
        seen: list[int] = []
        for item in upper:
            ends = sorted(positions[target] for target in after[item])
            for end in ends:
                total += len(seen) - bisect_right(seen, end)
            for end in ends:
                insort(seen, end)
    return total
