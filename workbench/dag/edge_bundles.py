"""Bundles the edges between two layers so that they can be read unambiguously.

A bundle is a vertical line with sources on its left and targets on its right; every
source leads to every target. Sources with the same targets share a bundle. Two bundles
with a common source or target share a part of its row, which is unambiguous only if one
adds no edges to the other there, so bundles are split until this holds for every pair.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property


@dataclass(frozen=True, eq=False)
class EdgeBundle:
    """A bundle. `left` and `right` are the rows of `sources` and `targets`.

    A bundle may be drawn in two parts that meet in a separate row: then the first part
    has no targets, the second no sources, and both have the same edges.
    """

    sources: frozenset[int]
    targets: frozenset[int]
    left: frozenset[float]
    right: frozenset[float]
    edges: frozenset[tuple[int, int]] = field(repr=False)

    @cached_property
    def straight(self) -> bool:
        """Whether it is one line along one row, without a vertical line."""
        return len(self.left) == 1 and self.left == self.right

    @cached_property
    def span(self) -> tuple[float, float]:
        rows = self.left | self.right
        return min(rows), max(rows)

    def split_at(self, row: float) -> tuple[EdgeBundle, EdgeBundle]:
        """The bundle in two parts that meet in `row`."""
        detour = frozenset({row})
        return (
            replace(self, targets=frozenset(), right=detour),
            replace(self, sources=frozenset(), left=detour),
        )


_Make = Callable[[Collection[int], Collection[int]], EdgeBundle]


def bundle_edges(leads: Mapping[int, Sequence[int]], rows: Sequence[float]) -> list[EdgeBundle]:
    """The bundles between two layers. `leads` holds the targets of each source."""

    def bundle(sources: Collection[int], targets: Collection[int]) -> EdgeBundle:
        return EdgeBundle(
            frozenset(sources),
            frozenset(targets),
            frozenset(rows[item] for item in sources),
            frozenset(rows[item] for item in targets),
            frozenset((source, target) for source in sources for target in targets),
        )

    alike: dict[frozenset[int], list[int]] = {}
    for source, targets in leads.items():
        if targets:
            alike.setdefault(frozenset(targets), []).append(source)
    waiting = [bundle(sources, targets) for targets, sources in reversed(alike.items())]
    touching: dict[int, list[EdgeBundle]] = {}
    settled: dict[EdgeBundle, None] = {}
    while waiting:
        new = waiting.pop()
        near = {other: None for item in (*new.sources, *new.targets) for other in touching.get(item, ())}
        split = next((found for other in near if (found := _split(new, other, bundle))), None)
        if split is None:
            settled[new] = None
            for item in (*new.sources, *new.targets):
                touching.setdefault(item, []).append(new)
            continue
        broken, parts = split
        waiting += parts
        if broken is not new:
            del settled[broken]
            for item in (*broken.sources, *broken.targets):
                touching[item].remove(broken)
            waiting.append(new)
    return list(settled)


def must_precede(one: EdgeBundle, other: EdgeBundle) -> bool:
    """Whether the vertical line of `one` must be left of that of `other`."""
    if one.edges is other.edges:
        return bool(one.sources)
    if not one.left.isdisjoint(other.right):
        # A row ends at `one` and starts at `other`: in the other order, they would overlap and look connected.
        return True
    if not one.sources.isdisjoint(other.sources):
        return one.sources < other.sources
    return other.targets < one.targets and not one.targets.isdisjoint(other.targets)


def _split(new: EdgeBundle, other: EdgeBundle, bundle: _Make) -> tuple[EdgeBundle, list[EdgeBundle]] | None:
    """Which of the two must be split, and its parts; None if the pair is unambiguous."""
    broken = other if new.straight else new
    if shared := new.sources & other.sources:
        if _readable(new, other, new.sources, other.sources):
            return None
        return broken, [bundle(shared, broken.targets), bundle(broken.sources - shared, broken.targets)]
    if common := new.targets & other.targets:
        if _readable(new, other, new.targets, other.targets):
            return None
        return broken, [bundle(broken.sources, common), bundle(broken.sources, broken.targets - common)]
    return None


def _readable(new: EdgeBundle, other: EdgeBundle, news: frozenset[int], others: frozenset[int]) -> bool:
    """Whether one side is a subset of the other; a straight line must be the superset."""
    return (others <= news and not other.straight) or (news <= others and not new.straight) or news == others
