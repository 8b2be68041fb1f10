"""The combinations of a matrix, on plain data."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence


def combinations(
    dimensions: Mapping[str, Sequence[str]], exclude: Sequence[Mapping[str, str]] = ()
) -> list[dict[str, str]]:
    """Every combination in the order of the file, without those that contain an excluded part."""
    names = list(dimensions)
    found = (dict(zip(names, values, strict=True)) for values in itertools.product(*dimensions.values()))
    return [c for c in found if not any(part and part.items() <= c.items() for part in exclude)]


def excludes_any(dimensions: Mapping[str, Sequence[str]], part: Mapping[str, str]) -> bool:
    """Whether an excluded part meets any combination."""
    return bool(part) and all(name in dimensions and value in dimensions[name] for name, value in part.items())
