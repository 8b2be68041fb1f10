"""Access to a pipeline of any shape: values of the wrong type are skipped, because the schema reports them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from controller.pipeline.graph import matrix
from controller.pipeline.values import duration

Json = dict[str, Any]
Path = tuple[str | int, ...]

MAX_STEPS = 300
_MAX_EXCLUSIONS = 1_000


def iter_steps(data: Json) -> Iterator[tuple[int, Json]]:
    """The steps with their index."""
    yield from iter_mappings(data.get("steps"))


def env_scopes(data: Json) -> Iterator[tuple[Path, Json]]:
    """The pipeline and each of its steps, which may have `env` and `matrix`, with their path."""
    yield (), data
    for index, step in iter_steps(data):
        yield ("steps", index), step


def iter_mappings(value: Any) -> Iterator[tuple[int, Json]]:
    """The mappings in a list with their index."""
    for index, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, dict):
            yield index, item


def iter_strings(value: Any) -> Iterator[tuple[int, str]]:
    """The strings in a list with their index."""
    for index, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, str):
            yield index, item


def walk_strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """All strings in a value, at any depth, with their path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from walk_strings(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk_strings(item, (*path, index))


def step_commands(index: int, step: Json) -> Iterator[tuple[Path, str]]:
    """The commands of a step and of its services, with their path."""
    yield from ((("steps", index, "commands", n), command) for n, command in iter_strings(step.get("commands")))
    for s, service in iter_mappings(step.get("services")):
        path = ("steps", index, "services", s, "commands")
        yield from (((*path, n), command) for n, command in iter_strings(service.get("commands")))


def artifact_globs(step: Json) -> Iterator[tuple[Path, str]]:
    """The path below the step and the glob of each artifact, in either form."""
    artifacts = step.get("artifacts")
    yield from ((("artifacts", n), glob) for n, glob in iter_strings(artifacts))
    for n, entry in iter_mappings(artifacts):
        if isinstance(entry.get("path"), str):
            yield ("artifacts", n, "path"), entry["path"]
    yield from ((("optionalArtifacts", n), glob) for n, glob in iter_strings(step.get("optionalArtifacts")))


def env_variables(scope: Json) -> Iterator[tuple[Path, str]]:
    """The path below the scope and the name of each variable in `env`, in either form."""
    env = scope.get("env")
    if isinstance(env, dict):
        yield from ((("env", name), name) for name in env)
    for index, entry in iter_mappings(env):
        if isinstance(entry.get("name"), str):
            yield ("env", index, "name"), entry["name"]


def dependencies(data: Json) -> dict[str, list[str]]:
    """The dependencies of each step by name; of steps with the same name those of the first."""
    found: dict[str, list[str]] = {}
    for _, step in iter_steps(data):
        if isinstance(step.get("name"), str):
            found.setdefault(step["name"], [dependency for _, dependency in iter_strings(step.get("dependsOn"))])
    return found


def duration_or_none(text: Any) -> int | None:
    """The seconds of a duration, or None if it is not valid."""
    try:
        return duration.parse_duration(text) if isinstance(text, str) else None
    except ValueError:
        return None


def matrix_dimensions(scope: Json) -> dict[str, list[str]]:
    """The dimensions of the matrix of a scope; empty without a matrix or with an invalid one."""
    definition = scope.get("matrix")
    found = definition.get("dimensions") if isinstance(definition, dict) else None
    if not isinstance(found, dict):
        return {}
    valid = all(isinstance(v, list) and v and all(isinstance(i, str) for i in v) for v in found.values())
    return found if valid else {}


def matrix_exclusions(scope: Json) -> list[tuple[int, dict[str, str]]]:
    """The exclusions of a matrix with their index, at most as many as the schema allows."""
    definition = scope.get("matrix")
    parts = iter_mappings(definition.get("exclude")) if isinstance(definition, dict) else ()
    first = islice(parts, _MAX_EXCLUSIONS)
    return [(index, part) for index, part in first if all(isinstance(value, str) for value in part.values())]


def matrix_combinations(scope: Json) -> list[dict[str, str]] | None:
    """The combinations of the matrix of a scope: an empty one without a matrix, None if there are too many."""
    found = matrix_dimensions(scope)
    if not found:
        return [{}]
    if matrix.count_combinations(found) > matrix.MAX_COMBINATIONS:
        return None
    return matrix.combinations(found, [part for _, part in matrix_exclusions(scope)])
