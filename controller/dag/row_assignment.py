"""Assigns a row to every item of the layers, near its neighbours, so that lines are short and straight."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

from controller.dag.layering import Layering, median

_SWEEPS = 6
_STAND_IN_WEIGHT = 4.0
"""Weight of dummy nodes: long lines should be straight, so nodes move instead."""


def assign_rows(layers: Layering) -> list[int]:
    """The row of each item, from 0; the items of one layer have different rows, in their order."""
    rows = [0.0] * len(layers.after)
    for layer in layers.layers:
        for at, item in enumerate(layer):
            rows[item] = at - len(layer) / 2
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        last = sweep == _SWEEPS - 1
        for layer in layers.layers if forward else reversed(layers.layers):
            wishes, weights = [], []
            for item in layer:
                near = layers.before[item] if forward else layers.after[item]
                if last or not near:
                    near = (*layers.before[item], *layers.after[item])
                wishes.append(median(sorted(rows[other] for other in near)) if near else rows[item])
                weights.append(1.0 if layers.is_node(item) else _STAND_IN_WEIGHT)
            for item, row in zip(layer, minimize_displacement(wishes, weights), strict=True):
                rows[item] = row
    return _without_gaps([floor(row + 0.5) for row in rows])


def minimize_displacement(wishes: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Increasing positions at least 1 apart that are closest to the wishes (least weighted squares).

    After subtracting the distances, this is isotonic regression: neighbours in the wrong
    order are pooled until none is left.
    """
    blocks: list[tuple[float, float, int]] = []
    for at, (wish, weight) in enumerate(zip(wishes, weights, strict=True)):
        value, total, count = wish - at, weight, 1
        while blocks and blocks[-1][0] >= value:
            other, mass, size = blocks.pop()
            value = (other * mass + value * total) / (mass + total)
            total, count = mass + total, size + count
        blocks.append((value, total, count))
    positions: list[float] = []
    for value, _, count in blocks:
        # Whole distances from one position prevent that rounding puts two items into one row.
        positions += [value + len(positions) + step for step in range(count)]
    return positions


def _without_gaps(rows: list[int]) -> list[int]:
    used = {row: at for at, row in enumerate(sorted(set(rows)))}
    return [used[row] for row in rows]
