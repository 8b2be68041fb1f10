"""Rules on matrices: number of steps, unique names, exclusions that match."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, did_you_mean, join_words, quote
from controller.pipeline.graph.matrix import count_combinations, exclusion_matches, expanded_step_name
from controller.pipeline.lint.rules.accessors import (
    MAX_STEPS,
    env_scopes,
    iter_steps,
    matrix_combinations,
    matrix_dimensions,
    matrix_exclusions,
)
from controller.pipeline.templates import env_variable_name

Json = dict[str, Any]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _form(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for path, scope in env_scopes(data):
        matrix = scope.get("matrix")
        if not isinstance(matrix, dict):
            continue
        if "dimensions" not in matrix and "strategy" not in matrix:
            message, hint = (
                "this matrix has no `dimensions`",
                'add for example `dimensions: {python: ["3.11", "3.12"]}`',
            )
            yield source_map.diagnostic((*path, "matrix"), "missing-field", message, hint)
        elif "dimensions" in matrix:
            for older, newer in (("strategy", "dimensions"), ("exclusions", "exclude")):
                if older in matrix:
                    message = f"`{older}` is the older word for `{newer}`; next to `dimensions` it is not read"
                    yield source_map.diagnostic(
                        (*path, "matrix", older), "matrix-mixed-forms", message, f"use `{newer}`", at_key=True
                    )


def _values(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for path, scope in env_scopes(data):
        for name, values in matrix_dimensions(scope).items():
            seen: set[str] = set()
            for n, value in enumerate(values):
                at = (*path, "matrix", "dimensions", name, n)
                if _CONTROL.search(value):
                    message = "a value of a matrix becomes part of a step's name, and can't have line breaks in it"
                    yield source_map.diagnostic(at, "matrix-value", message)
                if value in seen:
                    message = f"{quote(value)} is listed twice and counts once"
                    yield source_map.diagnostic(at, "matrix-duplicate", message, "keep one", severity="warning")
                seen.add(value)


def _dimension_names(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    outer = list(matrix_dimensions(data))
    for path, scope in env_scopes(data):
        taken = {env_variable_name("MATRIX", name): name for name in (outer if path else ())}
        for name in matrix_dimensions(scope):
            at, variable = (*path, "matrix", "dimensions", name), env_variable_name("MATRIX", name)
            if path and name in outer:
                message = f"the pipeline's matrix has {quote(name)} too"
                yield source_map.diagnostic(at, "matrix-duplicate", message, "give this one another name", at_key=True)
            elif variable in taken:
                message = f"{quote(name)} and {quote(taken[variable])} are both ${variable} in a step"
                yield source_map.diagnostic(at, "matrix-duplicate", message, "name them further apart", at_key=True)
            taken[variable] = name


def _excluded(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for path, scope in env_scopes(data):
        found = matrix_dimensions(scope)
        for n, part in matrix_exclusions(scope) if found else ():
            if exclusion_matches(found, part):
                continue
            hint = "it is empty" if not part else "check its names and values"
            for name, value in part.items():
                if name not in found:
                    hint = (
                        did_you_mean(name, found) or f"there is no {quote(name)}; the matrix has: {join_words(found)}"
                    )
                elif value not in found[name]:
                    hint = did_you_mean(value, found[name]) or f"{quote(name)} has: {join_words(found[name])}"
            message = "no combination of the matrix is like this one"
            at = (*path, "matrix", "exclude", n)
            yield source_map.diagnostic(at, "exclude-nothing", message, hint, severity="warning")


def _count(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    outer, total = matrix_combinations(data), 0
    if outer is None:
        yield _too_large((), data, source_map)
        return
    for index, step in iter_steps(data):
        inner = matrix_combinations(step)
        if inner is None:
            yield _too_large(("steps", index), step, source_map)
            return
        if not outer or not inner:
            path = ("steps", index, "matrix") if outer else ("matrix",)
            message = "the matrix excludes every combination: no step would be left"
            yield source_map.diagnostic(path, "matrix-empty", message, "exclude less")
            if not outer:
                return
        names = (
            Counter(expanded_step_name("", {**a, **b}) for a in outer for b in inner)
            if len(outer) * len(inner) <= MAX_STEPS
            else Counter[str]()
        )
        twice = [name for name, count in names.items() if count > 1]
        if twice and not matrix_dimensions(data).keys() & matrix_dimensions(step).keys():
            message = f"two combinations would both be named {quote(twice[0].strip())}"
            yield source_map.diagnostic(
                ("steps", index), "matrix-ambiguous", message, "use values without `, ` and `=`"
            )
        total += len(outer) * len(inner)
    if total > MAX_STEPS:
        message = f"{total:,} steps once the matrix is expanded; at most {MAX_STEPS} are allowed"
        yield source_map.diagnostic(("steps",), "too-many-steps", message, "leave values or steps out", at_key=True)


def _too_large(path: tuple[str | int, ...], scope: Json, source_map: SourceMap) -> Diagnostic:
    count = count_combinations(matrix_dimensions(scope))
    message = f"the matrix has {count:,} combinations; a pipeline may have {MAX_STEPS} steps"
    return source_map.diagnostic((*path, "matrix"), "too-many-steps", message, "leave values out", at_key=True)


RULES = (_form, _values, _dimension_names, _excluded, _count)
