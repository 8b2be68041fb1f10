"""The combinations of a matrix and the names they give to steps, on plain data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

MAX_COMBINATIONS = 1_000
"""Combinations of one matrix before any is excluded; more are not even tried."""


def count_combinations(dimensions: Mapping[str, Sequence[str]]) -> int:
    """How many combinations there are, nothing excluded."""
    return math.prod(len(dict.fromkeys(values)) for values in dimensions.values())


def combinations(
    dimensions: Mapping[str, Sequence[str]], exclude: Sequence[Mapping[str, str]] = ()
) -> list[dict[str, str]]:
    """Every combination in the order of the file, without those that contain an excluded part.

    A value that is listed twice counts once.
    """
    names = list(dimensions)
    distinct = [list(dict.fromkeys(values)) for values in dimensions.values()]
    # Parts that name the same dimensions are looked up together: thousands of them cost no more than one.
    parts: dict[tuple[int, ...], set[tuple[str, ...]]] = {}
    for part in exclude:
        if part and part.keys() <= dimensions.keys():
            where = tuple(n for n, name in enumerate(names) if name in part)
            parts.setdefault(where, set()).add(tuple(part[names[n]] for n in where))
    return [
        dict(zip(names, values, strict=True))
        for values in itertools.product(*distinct)
        if not any(tuple(values[n] for n in where) in excluded for where, excluded in parts.items())
    ]


def exclusion_matches(dimensions: Mapping[str, Sequence[str]], part: Mapping[str, str]) -> bool:
    """Whether an excluded part meets any combination."""
    return bool(part) and all(name in dimensions and value in dimensions[name] for name, value in part.items())


def expanded_step_name(name: str, values: Mapping[str, str]) -> str:
    """`test (python=3.12)`; without a matrix the name itself."""
    if not values:
        return name
    return f"{name} ({', '.join(f'{key}={value}' for key, value in values.items())})"
