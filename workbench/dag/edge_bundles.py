"""Bundles the lines of one gap between two layers into combs that can be read in one way only.

A comb is a vertical line with teeth: sources on its left, targets on its right,
and every source leads to every target. Sources with the same targets share one.
Two combs that touch the same source or the same target share a piece of its row;
that is only readable when the one drawn further out says nothing the other does
not, so combs are split until this holds for every pair.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property


@dataclass(frozen=True, eq=False)
class EdgeBundle:
    """`sources` and `targets` are the items at its teeth, `left` and `right` the rows of these.

    A comb may be drawn in two pieces that meet in a row of their own: the first
    then has no targets and the second no sources, and both carry the same edges.
    """

    sources: frozenset[int]
    targets: frozenset[int]
    left: frozenset[float]
    right: frozenset[float]
    edges: frozenset[tuple[int, int]] = field(repr=False)

    @cached_property
    def straight(self) -> bool:
        """One line along one row, which needs no vertical."""
        return len(self.left) == 1 and self.left == self.right

    @cached_property
    def span(self) -> tuple[float, float]:
        rows = self.left | self.right
        return min(rows), max(rows)

    def split_at(self, row: float) -> tuple[EdgeBundle, EdgeBundle]:
        """The same lines with a detour through `row`."""
        detour = frozenset({row})
        return (
            replace(self, targets=frozenset(), right=detour),
            replace(self, sources=frozenset(), left=detour),
        )


_Make = Callable[[Collection[int], Collection[int]], EdgeBundle]


def bundle_edges(leads: Mapping[int, Sequence[int]], rows: Sequence[float]) -> list[EdgeBundle]:
    """The combs of a gap, where `leads` says for each source which targets it has."""

    def comb(sources: Collection[int], targets: Collection[int]) -> EdgeBundle:
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
    waiting = [comb(sources, targets) for targets, sources in reversed(alike.items())]
    touching: dict[int, list[EdgeBundle]] = {}
    settled: dict[EdgeBundle, None] = {}
    while waiting:
        new = waiting.pop()
        near = {other: None for item in (*new.sources, *new.targets) for other in touching.get(item, ())}
        split = next((found for other in near if (found := _split(new, other, comb))), None)
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
    """Whether the vertical of `one` has to be left of that of `other`. Both have one."""
    if one.edges is other.edges:
        return bool(one.sources)
    if not one.left.isdisjoint(other.right):
        # A row that ends at `one` and begins at `other`: the other way round they would overlap and look joined.
        return True
    if not one.sources.isdisjoint(other.sources):
        return one.sources < other.sources
    return other.targets < one.targets and not one.targets.isdisjoint(other.targets)


def _split(new: EdgeBundle, other: EdgeBundle, comb: _Make) -> tuple[EdgeBundle, list[EdgeBundle]] | None:
    """Which of the two must be split, and into what; None when the pair can be read."""
    broken = other if new.straight else new
    if shared := new.sources & other.sources:
        if _readable(new, other, new.sources, other.sources):
            return None
        return broken, [comb(shared, broken.targets), comb(broken.sources - shared, broken.targets)]
    if common := new.targets & other.targets:
        if _readable(new, other, new.targets, other.targets):
            return None
        return broken, [comb(broken.sources, common), comb(broken.sources, broken.targets - common)]
    return None


def _readable(new: EdgeBundle, other: EdgeBundle, news: frozenset[int], others: frozenset[int]) -> bool:
    """Whether one side holds nothing but what the other holds too; a straight line has to be the wider one."""
    return (others <= news and not other.straight) or (news <= others and not new.straight) or news == others
