"""Gives each comb of a gap a column for its vertical line, so that no two combs look joined that are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from workbench.dag.edge_bundles import EdgeBundle, bundle_edges, must_precede


@dataclass(frozen=True)
class EdgeChannel:
    """The lines between two layers. `columns` is how many verticals stand side by side."""

    tracks: tuple[tuple[EdgeBundle, int], ...]
    """The combs that have a vertical, each with its column, from 0."""
    straight: tuple[EdgeBundle, ...]
    columns: int

    def tracks_between(self, source: int, target: int) -> tuple[tuple[EdgeBundle, int], ...]:
        """The verticals on the way from a source to a target: none, one, or two with a detour between them."""
        return tuple(
            sorted((pair for pair in self.tracks if (source, target) in pair[0].edges), key=lambda pair: pair[1])
        )


def route_edges(leads: Mapping[int, Sequence[int]], rows: Sequence[float]) -> EdgeChannel:
    """The gap whose sources lead to these targets, all at these rows."""
    combs = bundle_edges(leads, rows)
    straight = [comb for comb in combs if comb.straight]
    bent = [comb for comb in combs if not comb.straight]
    taken = {row for comb in straight for row in comb.left}
    while True:
        tracks = _placed(_in_order(bent, taken))
        bent = [comb for comb, _ in tracks]
        mistaken = next((comb for comb, _ in tracks if _leads_astray(comb, tracks, straight)), None)
        if mistaken is None:
            columns = 1 + max((column for _, column in tracks), default=-1)
            return EdgeChannel(tuple(tracks), tuple(straight), columns)
        bent = _with_detour([mistaken], bent, taken) + [comb for comb in bent if comb is not mistaken]


def _placed(order: Sequence[EdgeBundle]) -> list[tuple[EdgeBundle, int]]:
    """Each comb in the first column right of all before it that it would touch or has to follow."""
    tracks: list[tuple[EdgeBundle, int]] = []
    for comb in order:
        low, high = comb.span
        column = 0
        for other, taken in tracks:
            near = other.span[0] <= high and low <= other.span[1]
            if taken >= column and (near or must_precede(other, comb)):
                column = taken + 1
        tracks.append((comb, column))
    return tracks


def _leads_astray(comb: EdgeBundle, tracks: Sequence[tuple[EdgeBundle, int]], straight: Sequence[EdgeBundle]) -> bool:
    """Whether a line that ends at a target of this comb could be followed backwards through it.

    That is so when a line joins from the left at one of its targets while one of
    its sources goes on to the right: nothing would tell in which direction its
    vertical is meant.
    """
    at = next(column for other, column in tracks if other is comb)
    joins = any(comb.targets & other.targets for other in straight) or any(
        column < at and comb.targets & other.targets for other, column in tracks
    )
    goes_on = any(comb.sources & other.sources for other in straight) or any(
        column > at and comb.sources & other.sources for other, column in tracks
    )
    return joins and goes_on


def _in_order(combs: list[EdgeBundle], taken: set[float]) -> list[EdgeBundle]:
    """The combs from left to right.

    Where a circle of combs each would have to be left of the next, one of them
    takes a detour through a row of its own: it goes there first of all, and from
    there to its targets last of all.
    """
    placed: list[EdgeBundle] = []
    waiting = list(combs)
    while waiting:
        order = _sorted(waiting)
        placed += order
        rest = [comb for comb in waiting if comb not in order]
        if not rest:
            break
        waiting = _with_detour(rest, combs, taken)
        if waiting == rest:
            return [*placed, *rest]
    return placed


def _sorted(combs: list[EdgeBundle]) -> list[EdgeBundle]:
    """As many as can be put in an order; those below first where lines go down, which makes fewer crossings."""
    later: dict[int, list[int]] = {at: [] for at in range(len(combs))}
    blockers = [0] * len(combs)
    for at, one in enumerate(combs):
        for to, other in enumerate(combs):
            if at != to and must_precede(one, other):
                later[at].append(to)
                blockers[to] += 1
    ready = [(_preference(comb), at) for at, comb in enumerate(combs) if not blockers[at]]
    heapify(ready)
    order: list[EdgeBundle] = []
    while ready:
        _, at = heappop(ready)
        order.append(combs[at])
        for to in later[at]:
            blockers[to] -= 1
            if not blockers[to]:
                heappush(ready, (_preference(combs[to]), to))
    return order


def _preference(comb: EdgeBundle) -> float:
    source = sum(comb.left) / len(comb.left)
    target = sum(comb.right) / len(comb.right)
    return -source if target > source else source - 1_000_000


def _with_detour(stuck: list[EdgeBundle], everything: list[EdgeBundle], taken: set[float]) -> list[EdgeBundle]:
    """The combs with the first that can in two pieces, joined by a row that nothing else uses in this gap."""
    for at, comb in enumerate(stuck):
        if comb.sources and comb.targets:
            used = taken | {row for other in (*stuck, *everything) for row in other.left | other.right}
            return [*stuck[:at], *comb.split_at(_free_row(comb, used)), *stuck[at + 1 :]]
    return stuck


def _free_row(comb: EdgeBundle, used: set[float]) -> float:
    low, high = (int(row) for row in comb.span)
    whole = next((row for row in range(low + 1, high) if row not in used), None)
    if whole is not None:
        return whole
    row = low + 0.5
    while row in used:
        row = (row + low + 1) / 2
    return row
