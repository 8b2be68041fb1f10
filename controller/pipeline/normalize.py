"""The other forms in which a file may say the same: `env` as a list, a matrix as `strategy` and `exclusions`.

Everything behind lint sees one form only. On plain data; what has another
shape than these two is left as it is.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def normalize_env(env: Any) -> Any:
    """`[{name, value}]`, as Kubernetes has it, as a map."""
    if not isinstance(env, list) or not all(isinstance(entry, dict) and "name" in entry for entry in env):
        return env
    return {entry["name"]: entry.get("value") or "" for entry in env}


def normalize_matrix(matrix: Any) -> Any:
    """`{strategy: [{dimension, values}], exclusions}` as `{dimensions, exclude}`."""
    if not isinstance(matrix, dict) or "strategy" not in matrix or "dimensions" in matrix:
        return matrix
    strategy = matrix["strategy"]
    if not isinstance(strategy, list) or not all(
        isinstance(entry, dict) and entry.keys() == {"dimension", "values"} and isinstance(entry["dimension"], str)
        for entry in strategy
    ):
        return matrix
    plain: Json = {"dimensions": _merge_dimensions(strategy)}
    excluded = [*_list_or_empty(matrix.get("exclude")), *_list_or_empty(matrix.get("exclusions"))]
    if excluded:
        plain["exclude"] = excluded
    return plain


def _merge_dimensions(strategy: list[Json]) -> Json:
    """Entries that name one dimension are one dimension with the values of all: none is lost, none is there twice."""
    dimensions: Json = {}
    for entry in strategy:
        earlier, values = dimensions.get(entry["dimension"]), entry["values"]
        if isinstance(earlier, list) and isinstance(values, list):
            values = earlier + [value for value in values if value not in earlier]
        dimensions[entry["dimension"]] = values
    return dimensions


def normalize_pipeline(data: Json) -> Json:
    """A pipeline that lint found good, in the form that a run carries: without its version."""
    pipeline = {key: value for key, value in data.items() if key != "version"}
    pipeline["steps"] = [_normalize_step(step) for step in data["steps"]]
    return _normalize_scope(pipeline)


def normalize_matrices(data: Json) -> Json:
    """Anything that was read, with its matrices in the one form."""
    fresh = {**data, "matrix": normalize_matrix(data["matrix"])} if "matrix" in data else dict(data)
    if isinstance(data.get("steps"), list):
        fresh["steps"] = [
            {**step, "matrix": normalize_matrix(step["matrix"])}
            if isinstance(step, dict) and "matrix" in step
            else step
            for step in data["steps"]
        ]
    return fresh


def _list_or_empty(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _normalize_step(step: Json) -> Json:
    fresh = _normalize_scope(step)
    if "services" in fresh:
        fresh["services"] = [_normalize_scope(service) for service in fresh["services"]]
    return fresh


def _normalize_scope(holder: Json) -> Json:
    fresh = dict(holder)
    if "env" in fresh:
        fresh["env"] = normalize_env(fresh["env"])
    if "matrix" in fresh:
        fresh["matrix"] = normalize_matrix(fresh["matrix"])
    return fresh
