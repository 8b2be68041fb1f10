"""Assigns a column to the vertical line of each bundle, so that separate bundles do not look connected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from workbench.dag.edge_bundles import EdgeBundle, bundle_edges, must_precede


@dataclass(frozen=True)
class EdgeChannel:
    """The bundles between two layers. `columns` is the number of columns for vertical lines."""

    tracks: tuple[tuple[EdgeBundle, int], ...]
    """The bundles with a vertical line, each with its column (from 0)."""
    straight: tuple[EdgeBundle, ...]
    columns: int

    def tracks_between(self, source: int, target: int) -> tuple[tuple[EdgeBundle, int], ...]:
        """The vertical lines from a source to a target: none, one, or two with a detour between them."""
        return tuple(
            sorted((pair for pair in self.tracks if (source, target) in pair[0].edges), key=lambda pair: pair[1])
        )


def route_edges(leads: Mapping[int, Sequence[int]], rows: Sequence[float]) -> EdgeChannel:
    """Route the edges from sources to targets at these rows."""
    bundles = bundle_edges(leads, rows)
    straight = [bundle for bundle in bundles if bundle.straight]
    bent = [bundle for bundle in bundles if not bundle.straight]
    taken = {row for bundle in straight for row in bundle.left}
    while True:
        tracks = _placed(_in_order(bent, taken))
        bent = [bundle for bundle, _ in tracks]
        mistaken = next((bundle for bundle, _ in tracks if _leads_astray(bundle, tracks, straight)), None)
        if mistaken is None:
            columns = 1 + max((column for _, column in tracks), default=-1)
            return EdgeChannel(tuple(tracks), tuple(straight), columns)
        bent = _with_detour([mistaken], bent, taken) + [bundle for bundle in bent if bundle is not mistaken]


def _placed(order: Sequence[EdgeBundle]) -> list[tuple[EdgeBundle, int]]:
    """Place each bundle in the first column right of all previous ones that it would touch or must follow."""
    tracks: list[tuple[EdgeBundle, int]] = []
    for bundle in order:
        low, high = bundle.span
        column = 0
        for other, taken in tracks:
            near = other.span[0] <= high and low <= other.span[1]
            if taken >= column and (near or must_precede(other, bundle)):
                column = taken + 1
        tracks.append((bundle, column))
    return tracks


def _leads_astray(bundle: EdgeBundle, tracks: Sequence[tuple[EdgeBundle, int]], straight: Sequence[EdgeBundle]) -> bool:
    """Whether the direction of the bundle's vertical line would be ambiguous.

    It is if another line joins one of its targets from the left while one of its sources
    continues to the right.
    """
    at = next(column for other, column in tracks if other is bundle)
    joins = any(bundle.targets & other.targets for other in straight) or any(
        column < at and bundle.targets & other.targets for other, column in tracks
    )
    goes_on = any(bundle.sources & other.sources for other in straight) or any(
        column > at and bundle.sources & other.sources for other, column in tracks
    )
    return joins and goes_on


def _in_order(bundles: list[EdgeBundle], taken: set[float]) -> list[EdgeBundle]:
    """The bundles from left to right.

    If bundles form a cycle in which each must be left of the next, one of them takes a
    detour through a separate row.
    """
    placed: list[EdgeBundle] = []
    waiting = list(bundles)
    while waiting:
        order = _sorted(waiting)
        placed += order
        rest = [bundle for bundle in waiting if bundle not in order]
        if not rest:
            break
        waiting = _with_detour(rest, bundles, taken)
        if waiting == rest:
            return [*placed, *rest]
    return placed


def _sorted(bundles: list[EdgeBundle]) -> list[EdgeBundle]:
    """The bundles that can be ordered; for lines that go down, lower ones first, which avoids crossings."""
    later: dict[int, list[int]] = {at: [] for at in range(len(bundles))}
    blockers = [0] * len(bundles)
    for at, one in enumerate(bundles):
        for to, other in enumerate(bundles):
            if at != to and must_precede(one, other):
                later[at].append(to)
                blockers[to] += 1
    ready = [(_preference(bundle), at) for at, bundle in enumerate(bundles) if not blockers[at]]
    heapify(ready)
    order: list[EdgeBundle] = []
    while ready:
        _, at = heappop(ready)
        order.append(bundles[at])
        for to in later[at]:
            blockers[to] -= 1
            if not blockers[to]:
                heappush(ready, (_preference(bundles[to]), to))
    return order


def _preference(bundle: EdgeBundle) -> float:
    source = sum(bundle.left) / len(bundle.left)
    target = sum(bundle.right) / len(bundle.right)
    return -source if target > source else source - 1_000_000


def _with_detour(stuck: list[EdgeBundle], everything: list[EdgeBundle], taken: set[float]) -> list[EdgeBundle]:
    """The bundles, with the first possible one split in two parts that meet in an unused row."""
    for at, bundle in enumerate(stuck):
        if bundle.sources and bundle.targets:
            used = taken | {row for other in (*stuck, *everything) for row in other.left | other.right}
            return [*stuck[:at], *bundle.split_at(_free_row(bundle, used)), *stuck[at + 1 :]]
    return stuck


def _free_row(bundle: EdgeBundle, used: set[float]) -> float:
    low, high = (int(row) for row in bundle.span)
    whole = next((row for row in range(low + 1, high) if row not in used), None)
    if whole is not None:
        return whole
    row = low + 0.5
    while row in used:
        row = (row + low + 1) / 2
    return row
