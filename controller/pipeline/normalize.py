"""Normalization of alternative forms: `env` as a list, a matrix as `strategy` and `exclusions`.

Code after lint sees one form only. Values of any other shape are returned unchanged, for the schema to reject.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

EXTENSION_PREFIX = "x-"
"""Fields with this prefix are ignored: they are a place for YAML anchors."""


def drop_extensions(value: Any) -> Any:
    """A map of fields without those that are ignored; other values unchanged."""
    if not isinstance(value, dict) or not any(isinstance(k, str) and k.startswith(EXTENSION_PREFIX) for k in value):
        return value
    return {k: v for k, v in value.items() if not (isinstance(k, str) and k.startswith(EXTENSION_PREFIX))}


def normalize_env(env: Any) -> Any:
    """Convert `[{name, value}]`, the form of Kubernetes, to a map."""
    if not isinstance(env, list) or not all(isinstance(entry, dict) and "name" in entry for entry in env):
        return env
    return {entry["name"]: entry.get("value") or "" for entry in env}


def normalize_matrix(matrix: Any) -> Any:
    """Convert `{strategy: [{dimension, values}], exclusions}` to `{dimensions, exclude}`."""
    if not isinstance(matrix, dict) or "strategy" not in matrix or "dimensions" in matrix:
        return matrix
    strategy = matrix["strategy"]
    if not isinstance(strategy, list) or not all(
        isinstance(entry, dict) and entry.keys() == {"dimension", "values"} and isinstance(entry["dimension"], str)
        for entry in strategy
    ):
        return matrix
    normalized: Json = {"dimensions": _merge_dimensions(strategy)}
    excluded = [*_list_or_empty(matrix.get("exclude")), *_list_or_empty(matrix.get("exclusions"))]
    if excluded:
        normalized["exclude"] = excluded
    return normalized


def _merge_dimensions(strategy: list[Json]) -> Json:
    """Entries with the same dimension are merged: their distinct values in order."""
    dimensions: Json = {}
    for entry in strategy:
        earlier, values = dimensions.get(entry["dimension"]), entry["values"]
        if isinstance(earlier, list) and isinstance(values, list):
            values = earlier + [value for value in values if value not in earlier]
        dimensions[entry["dimension"]] = values
    return dimensions


def normalize_pipeline(data: Json) -> Json:
    """A pipeline without lint errors in the form of a run: without its version."""
    pipeline = {key: value for key, value in data.items() if key != "version"}
    pipeline["steps"] = [_normalize_step(step) for step in data["steps"]]
    return _normalize_scope(pipeline)


def normalize_matrices(data: Json) -> Json:
    """A copy with normalized matrices, of data of any shape."""
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


def normalize_artifacts(step: Json) -> Json:
    """Move artifacts of the form `{path, optional: true}` to `optionalArtifacts`; the others become plain texts."""
    artifacts = step.get("artifacts")
    if not isinstance(artifacts, list) or not any(isinstance(entry, dict) for entry in artifacts):
        return step
    entries = [entry if isinstance(entry, dict) else {"path": entry} for entry in artifacts]
    fresh = {key: value for key, value in step.items() if key not in ("artifacts", "optionalArtifacts")}
    optional = [entry["path"] for entry in entries if entry.get("optional")]
    required = [entry["path"] for entry in entries if not entry.get("optional")]
    lists = {"artifacts": required, "optionalArtifacts": [*step.get("optionalArtifacts", []), *optional]}
    return fresh | {name: globs for name, globs in lists.items() if globs}


def _normalize_step(step: Json) -> Json:
    fresh = normalize_artifacts(_normalize_scope(step))
    if "services" in fresh:
        fresh["services"] = [_normalize_scope(service) for service in fresh["services"]]
    return fresh


def _normalize_scope(scope: Json) -> Json:
    fresh = dict(scope)
    if "env" in fresh:
        fresh["env"] = normalize_env(fresh["env"])
    if "matrix" in fresh:
        fresh["matrix"] = normalize_matrix(fresh["matrix"])
    return fresh
