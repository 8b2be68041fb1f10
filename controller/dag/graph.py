"""A directed acyclic graph with the layer of each node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Graph:
    """Nodes in the given order, and edges without cycles.

    Invalid edges (unknown nodes, loops, duplicates, cycles) are dropped, because the
    graph is also drawn while the user types.
    """

    nodes: tuple[str, ...]
    after: Mapping[str, tuple[str, ...]] = field(repr=False)
    """The nodes that depend on this one, in the given order."""
    before: Mapping[str, tuple[str, ...]] = field(repr=False)
    """The nodes that this one depends on."""
    rank: Mapping[str, int] = field(repr=False)
    """The layer: the length of the longest path to the node."""

    @classmethod
    def of(cls, nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> Graph:
        names = tuple(dict.fromkeys(nodes))
        known = set(names)
        valid_edges = [(a, b) for a, b in dict.fromkeys(edges) if a in known and b in known and a != b]
        order, acyclic_edges = _without_cycles(names, valid_edges)
        after: dict[str, list[str]] = {name: [] for name in names}
        before: dict[str, list[str]] = {name: [] for name in names}
        for source, target in acyclic_edges:
            after[source].append(target)
            before[target].append(source)
        rank: dict[str, int] = {}
        for name in order:
            rank[name] = max((rank[parent] + 1 for parent in before[name]), default=0)
        return cls(names, _frozen(after), _frozen(before), rank)

    @property
    def edges(self) -> list[tuple[str, str]]:
        return [(source, target) for source in self.nodes for target in self.after[source]]

    @cached_property
    def _reach(self) -> dict[str, int]:
        """For each node, a bit set of its descendants."""
        bit = {name: 1 << at for at, name in enumerate(self.nodes)}
        reach: dict[str, int] = {}
        for name in sorted(self.nodes, key=lambda name: -self.rank[name]):
            bits = 0
            for target in self.after[name]:
                bits |= bit[target] | reach[target]
            reach[name] = bits
        return reach

    def descendants(self, name: str) -> frozenset[str]:
        """All nodes that depend on this one, directly or indirectly."""
        bits = self._reach[name]
        return frozenset(other for at, other in enumerate(self.nodes) if bits >> at & 1)

    def ancestors(self, name: str) -> frozenset[str]:
        """All nodes that this one depends on, directly or indirectly."""
        at = self.nodes.index(name)
        return frozenset(other for other in self.nodes if self._reach[other] >> at & 1)

    def reduced(self) -> Graph:
        """The transitive reduction: without edges that follow from others."""
        at = {name: index for index, name in enumerate(self.nodes)}
        acyclic_edges = []
        for source in self.nodes:
            beyond = 0
            for target in self.after[source]:
                beyond |= self._reach[target]
            acyclic_edges += [(source, target) for target in self.after[source] if not beyond >> at[target] & 1]
        return Graph.of(self.nodes, acyclic_edges)


def _frozen(lists: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(items) for name, items in lists.items()}


def _without_cycles(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> tuple[list[str], list[tuple[str, str]]]:
    """The names in topological order, and the edges without those that close a cycle."""
    after: dict[str, list[str]] = {name: [] for name in names}
    waits: dict[str, set[str]] = {name: set() for name in names}
    for source, target in edges:
        after[source].append(target)
        waits[target].add(source)
    order: list[str] = []
    dropped: set[tuple[str, str]] = set()
    ready = [name for name in names if not waits[name]]
    pending = dict.fromkeys(name for name in names if waits[name])
    while ready or pending:
        if not ready:
            first = next(iter(pending))
            dropped |= {(source, first) for source in waits[first]}
            waits[first].clear()
            del pending[first]
            ready.append(first)
        following: list[str] = []
        for name in ready:
            order.append(name)
            for target in after[name]:
                waits[target].discard(name)
                if target in pending and not waits[target]:
                    del pending[target]
                    following.append(target)
        ready = following
    return order, [edge for edge in edges if edge not in dropped]
