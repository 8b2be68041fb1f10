"""Reading a pipeline that may have any shape: what is not as it should be is passed over; the schema reports it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from controller.pipeline.graph import matrix as expansion
from controller.pipeline.values import duration

Json = dict[str, Any]
Path = tuple[str | int, ...]

MAX_STEPS = 300
_MAX_EXCLUSIONS = 1_000


def iter_steps(data: Json) -> Iterator[tuple[int, Json]]:
    """The steps with their place in the list."""
    yield from iter_mappings(data.get("steps"))


def env_scopes(data: Json) -> Iterator[tuple[Path, Json]]:
    """The pipeline itself and each of its steps: what may have `env` and `matrix`."""
    yield (), data
    for index, step in iter_steps(data):
        yield ("steps", index), step


def iter_mappings(value: Any) -> Iterator[tuple[int, Json]]:
    """The maps in a list."""
    for index, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, dict):
            yield index, item


def iter_strings(value: Any) -> Iterator[tuple[int, str]]:
    """The texts in a list."""
    for index, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, str):
            yield index, item


def walk_strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text in a value, however deep, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from walk_strings(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk_strings(item, (*path, index))


def env_variables(holder: Json) -> Iterator[tuple[Path, str]]:
    """(path below the holder, name) of every variable in `env`, in either form."""
    env = holder.get("env")
    if isinstance(env, dict):
        yield from ((("env", name), name) for name in env)
    for index, entry in iter_mappings(env):
        if isinstance(entry.get("name"), str):
            yield ("env", index, "name"), entry["name"]


def dependencies(data: Json) -> dict[str, list[str]]:
    """Who depends on whom, by name; of two steps with one name the first."""
    found: dict[str, list[str]] = {}
    for _, step in iter_steps(data):
        if isinstance(step.get("name"), str):
            found.setdefault(step["name"], [wanted for _, wanted in iter_strings(step.get("dependsOn"))])
    return found


def duration_or_none(text: Any) -> int | None:
    """A duration, if it is one."""
    try:
        return duration.parse_duration(text) if isinstance(text, str) else None
    except ValueError:
        return None


def matrix_dimensions(holder: Json) -> dict[str, list[str]]:
    """The dimensions of a holder's matrix; none if it has no matrix, or one that the schema refuses."""
    matrix = holder.get("matrix")
    found = matrix.get("dimensions") if isinstance(matrix, dict) else None
    if not isinstance(found, dict):
        return {}
    whole = all(isinstance(v, list) and v and all(isinstance(i, str) for i in v) for v in found.values())
    return found if whole else {}


def matrix_exclusions(holder: Json) -> list[tuple[int, dict[str, str]]]:
    """The parts that a matrix excludes, as many as the schema allows."""
    matrix = holder.get("matrix")
    parts = iter_mappings(matrix.get("exclude")) if isinstance(matrix, dict) else ()
    first = islice(parts, _MAX_EXCLUSIONS)
    return [(index, part) for index, part in first if all(isinstance(value, str) for value in part.values())]


def matrix_combinations(holder: Json) -> list[dict[str, str]] | None:
    """The combinations of a holder's matrix: one empty one without a matrix, None if there are too many to list."""
    found = matrix_dimensions(holder)
    if not found:
        return [{}]
    if expansion.count_combinations(found) > expansion.MAX_COMBINATIONS:
        return None
    return expansion.combinations(found, [part for _, part in matrix_exclusions(holder)])
