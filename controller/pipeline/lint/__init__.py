"""Lint: everything that is wrong with a pipeline file, each with its place and what would be right.

It imports no pydantic, so that checking a file takes a fraction of a second:
`source` reads the text, the committed JSON Schema says what is allowed
(`shape`), `rules` what makes sense.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from controller.pipeline import normalize
from controller.pipeline.diagnostics import Diagnostic, Severity, SourceMap, diagnostic_at
from controller.pipeline.lint import rules, schema_errors
from controller.pipeline.reader import loader
from controller.pipeline.reader.composer import MAX_DEPTH

Json = dict[str, Any]

MAX_DIAGNOSTICS = 200
"""Of each kind of check; who has that many fixes some and looks again."""


@dataclass(frozen=True)
class LintResult:
    """`problems` in the order of the file. `pipeline` is the normalised definition when there is no error:
    `env` as maps, matrices as `dimensions` and `exclude`, no version.
    """

    diagnostics: tuple[Diagnostic, ...]
    pipeline: Json | None

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(problem for problem in self.diagnostics if problem.severity == "error")


def schema() -> Json:
    """The JSON Schema of pipeline files, as editors take it."""
    return schema_errors.editor_schema()


def lint(text: str | bytes) -> LintResult:
    """Check a pipeline file. Never raises, and takes at most seconds, whatever the text."""
    read = loader.load_pipeline(text, schema_errors.strict_schema())
    if read.data is None and read.diagnostics:
        return LintResult(read.diagnostics, None)
    if not isinstance(read.data, dict):
        what = "a list" if isinstance(read.data, list) else "a single value"
        message = f"a pipeline is a map with version, name and steps; this is {what}"
        hint = "if these are the steps, put `steps:` above them" if isinstance(read.data, list) else ""
        return LintResult((read.source_map.diagnostic((), "not-a-map", message, hint),), None)
    pipeline, found = _check(read.data, read.source_map)
    ordered = sorted(dict.fromkeys([*read.diagnostics, *found]), key=lambda p: (p.line, p.column, p.code, p.message))
    good = not any(problem.severity == "error" for problem in ordered)
    return LintResult(_limit_diagnostics(ordered), pipeline if good else None)


def check_definition(definition: Json) -> tuple[Diagnostic, ...]:
    """The errors of a definition that came as JSON; positions mean nothing there, paths do."""
    if _depth(definition) > MAX_DEPTH:
        return (diagnostic_at((1, 1), "too-deep", f"nested more than {MAX_DEPTH} levels deep"),)
    _, found = _check({"version": "v1alpha1", **definition}, SourceMap({}, {}))
    return _limit_diagnostics([problem for problem in dict.fromkeys(found) if problem.severity == "error"])


def _check(data: Json, places: SourceMap) -> tuple[Json | None, list[Diagnostic]]:
    """(the normalised pipeline if its shape is right, all problems)."""
    found = list(islice(schema_errors.validate_schema(data, places), MAX_DIAGNOSTICS))
    pipeline = normalize.normalize_pipeline(data) if not found else None
    # The rules look at what has the right shape; they speak also when other places are wrong.
    found += rules.check(normalize.normalize_matrices(data), places, MAX_DIAGNOSTICS)
    found += legacy_matrix_hints(data, places)
    return pipeline, found


def legacy_matrix_hints(data: Json, places: SourceMap) -> Iterable[Diagnostic]:
    """A hint for every matrix in the older words."""
    steps = data.get("steps")
    holders: list[tuple[tuple[str | int, ...], Any]] = [((), data)]
    holders += [(("steps", index), step) for index, step in enumerate(steps if isinstance(steps, list) else [])]
    for path, holder in holders:
        matrix = holder.get("matrix") if isinstance(holder, dict) else None
        for older, newer in (("strategy", "dimensions"), ("exclusions", "exclude")):
            if isinstance(matrix, dict) and older in matrix:
                at, message = (*path, "matrix", older), f"`{older}` is an older word for `{newer}`"
                example = "write `dimensions: {name: [values]}`" if older == "strategy" else "write `exclude:`"
                yield places.diagnostic(at, "matrix-older-form", message, example, severity="hint", at_key=True)


def _limit_diagnostics(problems: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """At most so many, errors before the rest, in their order."""
    if len(problems) <= MAX_DIAGNOSTICS:
        return tuple(problems)
    errors = [problem for problem in problems if problem.severity == "error"]
    kept = set((errors + [problem for problem in problems if problem.severity != "error"])[: MAX_DIAGNOSTICS - 1])
    shown = [problem for problem in problems if problem in kept]
    last = shown[-1]
    message = f"and {len(problems) - len(shown)} problems or more that are not shown"
    severity: Severity = "error" if errors else "hint"
    return (*shown, Diagnostic(last.line, last.column, "", severity, "too-many-problems", message, "fix these first"))


def _depth(value: Any) -> int:
    """How deep a value is nested, found without recursion; stops looking once it is too much."""
    deepest, left = 0, [(value, 1)]
    while left and deepest <= MAX_DEPTH:
        here, depth = left.pop()
        deepest = max(deepest, depth)
        inside = here.values() if isinstance(here, dict) else here if isinstance(here, list) else ()
        left += [(item, depth + 1) for item in inside if isinstance(item, dict | list)]
    return deepest
