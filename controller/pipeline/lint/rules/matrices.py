"""Rules on matrices: not too many steps, no two of one name, nothing excluded that isn't there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, did_you_mean, join_words, quote
from controller.pipeline.graph import matrix as expansion
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


def _form(data: Json, places: SourceMap) -> Iterator[Diagnostic]:
    for path, holder in env_scopes(data):
        matrix = holder.get("matrix")
        if not isinstance(matrix, dict):
            continue
        if "dimensions" not in matrix and "strategy" not in matrix:
            message, hint = (
                "this matrix has no `dimensions`",
                'add for example `dimensions: {python: ["3.11", "3.12"]}`',
            )
            yield places.diagnostic((*path, "matrix"), "missing-field", message, hint)
        elif "dimensions" in matrix:
            for older, newer in (("strategy", "dimensions"), ("exclusions", "exclude")):
                if older in matrix:
                    message = f"`{older}` is the older word for `{newer}`; next to `dimensions` it is not read"
                    yield places.diagnostic(
                        (*path, "matrix", older), "matrix-mixed-forms", message, f"use `{newer}`", at_key=True
                    )


def _values(data: Json, places: SourceMap) -> Iterator[Diagnostic]:
    for path, holder in env_scopes(data):
        for name, values in matrix_dimensions(holder).items():
            seen: set[str] = set()
            for n, value in enumerate(values):
                at = (*path, "matrix", "dimensions", name, n)
                if _CONTROL.search(value):
                    message = "a value of a matrix becomes part of a step's name, and can't have line breaks in it"
                    yield places.diagnostic(at, "matrix-value", message)
                if value in seen:
                    message = f"{quote(value)} is listed twice and counts once"
                    yield places.diagnostic(at, "matrix-duplicate", message, "keep one", severity="warning")
                seen.add(value)


def _dimension_names(data: Json, places: SourceMap) -> Iterator[Diagnostic]:
    outer = list(matrix_dimensions(data))
    for path, holder in env_scopes(data):
        taken = {env_variable_name("MATRIX", name): name for name in (outer if path else ())}
        for name in matrix_dimensions(holder):
            at, variable = (*path, "matrix", "dimensions", name), env_variable_name("MATRIX", name)
            if path and name in outer:
                message = f"the pipeline's matrix has {quote(name)} too"
                yield places.diagnostic(at, "matrix-duplicate", message, "give this one another name", at_key=True)
            elif variable in taken:
                message = f"{quote(name)} and {quote(taken[variable])} are both ${variable} in a step"
                yield places.diagnostic(at, "matrix-duplicate", message, "name them further apart", at_key=True)
            taken[variable] = name


def _excluded(data: Json, places: SourceMap) -> Iterator[Diagnostic]:
    for path, holder in env_scopes(data):
        found = matrix_dimensions(holder)
        for n, part in matrix_exclusions(holder) if found else ():
            if expansion.exclusion_matches(found, part):
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
            yield places.diagnostic(at, "exclude-nothing", message, hint, severity="warning")


def _count(data: Json, places: SourceMap) -> Iterator[Diagnostic]:
    outer, total = matrix_combinations(data), 0
    if outer is None:
        yield _too_large((), data, places)
        return
    for index, step in iter_steps(data):
        inner = matrix_combinations(step)
        if inner is None:
            yield _too_large(("steps", index), step, places)
            return
        if not outer or not inner:
            path = ("steps", index, "matrix") if outer else ("matrix",)
            message = "the matrix excludes every combination: no step would be left"
            yield places.diagnostic(path, "matrix-empty", message, "exclude less")
            if not outer:
                return
        names = (
            Counter(expansion.expanded_step_name("", {**a, **b}) for a in outer for b in inner)
            if len(outer) * len(inner) <= MAX_STEPS
            else Counter[str]()
        )
        twice = [name for name, count in names.items() if count > 1]
        if twice and not matrix_dimensions(data).keys() & matrix_dimensions(step).keys():
            message = f"two combinations would both be named {quote(twice[0].strip())}"
            yield places.diagnostic(("steps", index), "matrix-ambiguous", message, "use values without `, ` and `=`")
        total += len(outer) * len(inner)
    if total > MAX_STEPS:
        message = f"{total:,} steps once the matrix is expanded; at most {MAX_STEPS} are allowed"
        yield places.diagnostic(("steps",), "too-many-steps", message, "leave values or steps out", at_key=True)


def _too_large(path: tuple[str | int, ...], holder: Json, places: SourceMap) -> Diagnostic:
    count = expansion.count_combinations(matrix_dimensions(holder))
    message = f"the matrix has {count:,} combinations; a pipeline may have {MAX_STEPS} steps"
    return places.diagnostic((*path, "matrix"), "too-many-steps", message, "leave values out", at_key=True)


RULES = (_form, _values, _dimension_names, _excluded, _count)
