"""The matrix of a GitHub job: as a matrix of the step where it can be one, otherwise written out.

A matrix with `include`, or with maps as values, becomes one step for each combination.
Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrix
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.importer.draft import MAX_STEPS
from workbench.importer.source import ImportFileError, SourceMap
from workbench.importer.values import table, tables, text, texts

_OTHER_SYSTEMS = re.compile(r"(windows|macos|macOS)", re.IGNORECASE)


@dataclass(frozen=True)
class JobMatrix:
    """`native` is the step's `matrix`; `combinations` are those that become a step each. `notes` say what is lost."""

    native: dict[str, Any] | None = None
    combinations: tuple[Mapping[str, Any], ...] | None = None
    notes: tuple[str, ...] = ()
    empty: bool = False
    """All combinations are for other operating systems."""


@dataclass
class _Parts:
    dimensions: dict[str, list[Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def is_other_system(runs_on: str) -> bool:
    """Whether a runner is not a Linux machine."""
    return _OTHER_SYSTEMS.match(runs_on) is not None


def read_matrix(strategy: SourceMap, runs_on: str) -> JobMatrix:
    """The matrix of a job whose `runs-on` is given, which may name a dimension.

    Raises:
        ImportFileError: it has more combinations than a pipeline may have steps.
    """
    if not strategy.get("matrix"):
        return JobMatrix()
    if not isinstance(strategy["matrix"], SourceMap):
        return JobMatrix(notes=("the matrix is computed while the workflow runs, which has no counterpart",))
    matrix = table(strategy["matrix"])
    parts = _Parts()
    for name, values in matrix.items():
        if name in ("include", "exclude"):
            continue
        if not isinstance(values, list) or not values:
            parts.notes.append(f"the dimension {name} is computed while the workflow runs, which has no counterpart")
        else:
            parts.dimensions[name] = list(values)
    named = re.search(r"\$\{\{\s?matrix\.([\w-]+)", runs_on)
    system = named[1] if named else ""
    _drop_other_systems(parts, system)
    plain = all(not isinstance(value, dict | list) for values in parts.dimensions.values() for value in values)
    include = tables(matrix.get("include"))
    if isinstance(matrix.get("include"), str):
        parts.notes.append("`include` is computed while the workflow runs, which has no counterpart")
    if not include and plain:
        return _native(parts, matrix)
    combinations = _expand(parts.dimensions, tables(matrix.get("exclude")), include)
    kept = [each for each in combinations if not is_other_system(text(each.get(system)))]
    if len(kept) < len(combinations):
        parts.notes.append("combinations for Windows or macOS are left out")
    return JobMatrix(combinations=tuple(kept), notes=tuple(parts.notes), empty=not kept)


def _drop_other_systems(parts: _Parts, system: str) -> None:
    values = parts.dimensions.get(system)
    if values is None:
        return
    parts.dimensions[system] = [value for value in values if not is_other_system(text(value))]
    dropped = [text(value) for value in values if is_other_system(text(value))]
    if dropped:
        parts.notes.append(f"{', '.join(dropped)} left out of the matrix: steps run on Linux")


def _native(parts: _Parts, matrix: SourceMap) -> JobMatrix:
    dimensions = {name: list(dict.fromkeys(texts(values))) for name, values in parts.dimensions.items()}
    if any(not values for values in dimensions.values()):
        return JobMatrix(notes=tuple(parts.notes), empty=True)
    if not dimensions:
        return JobMatrix(notes=tuple(parts.notes))
    native: dict[str, Any] = {"dimensions": dimensions}
    exclude = []
    for each in tables(matrix.get("exclude")):
        entry = {name: text(value) for name, value in each.items()}
        if all(value in dimensions.get(name, ()) for name, value in entry.items()):
            exclude.append(entry)
    if exclude:
        native["exclude"] = exclude
    return JobMatrix(native, notes=tuple(parts.notes))


def _expand(
    dimensions: Mapping[str, list[Any]], exclude: list[SourceMap], include: list[SourceMap]
) -> list[dict[str, Any]]:
    """All combinations, by GitHub's rules for `include`."""
    size = math.prod(len(values) for values in dimensions.values())
    if size > MAX_STEPS or len(include) > MAX_STEPS:
        raise ImportFileError(f"a matrix has {max(size, len(include)):,} combinations, more than {MAX_STEPS}")
    combinations = [dict(zip(dimensions, values, strict=True)) for values in itertools.product(*dimensions.values())]
    if not dimensions:
        combinations = []
    combinations = [each for each in combinations if not any(_contains(each, out) for out in exclude)]
    original = [dict(each) for each in combinations]
    for extra in include:
        fits = [
            number
            for number, each in enumerate(original)
            if all(each[name] == value for name, value in extra.items() if name in each)
        ]
        for number in fits:
            combinations[number] |= extra
        if not fits:
            combinations.append(dict(extra))
    return combinations


def _contains(combination: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    return bool(part) and all(name in combination and combination[name] == value for name, value in part.items())


def label(combination: Mapping[str, Any]) -> str:
    """The values of a combination, for the step's name."""
    words = [text(value) for value in combination.values() if not isinstance(value, dict | list)]
    words += [text(table(value).get("name")) for value in combination.values() if isinstance(value, dict)]
    return "-".join(word for word in words if word)[:40]
