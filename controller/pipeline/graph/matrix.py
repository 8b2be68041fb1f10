"""The combinations of a matrix, and the names of the steps that they expand to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

MAX_COMBINATIONS = 1_000
"""Maximum number of combinations of one matrix, before exclusions."""


def count_combinations(dimensions: Mapping[str, Sequence[str]]) -> int:
    """The number of combinations before exclusions."""
    return math.prod(len(dict.fromkeys(values)) for values in dimensions.values())


def combinations(
    dimensions: Mapping[str, Sequence[str]], exclude: Sequence[Mapping[str, str]] = ()
) -> list[dict[str, str]]:
    """The combinations in the order of the file, without those that contain an exclusion.

    Repeated values count once.
    """
    names = list(dimensions)
    distinct = [list(dict.fromkeys(values)) for values in dimensions.values()]
    # Exclusions of the same dimensions are one set: a thousand cost no more than one.
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
    """Whether an exclusion matches any combination."""
    return bool(part) and all(name in dimensions and value in dimensions[name] for name, value in part.items())


def expanded_step_name(name: str, values: Mapping[str, str]) -> str:
    """The name of an expanded step, such as `test (python=3.12)`; without values the name itself."""
    if not values:
        return name
    return f"{name} ({', '.join(f'{key}={value}' for key, value in values.items())})"
