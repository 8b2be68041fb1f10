"""Lint: the diagnostics of a pipeline file, each with its position and how to fix it.

`reader` parses the text, `schema_errors` checks it against the committed JSON Schema and `rules` what a schema can't
express. None of them imports pydantic, so that checking a file takes a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from controller.pipeline import normalize
from controller.pipeline.diagnostics import Diagnostic, Severity, SourceMap, diagnostic_at, limited_suggestions
from controller.pipeline.lint import rules, schema_errors
from controller.pipeline.reader import loader
from controller.pipeline.reader.composer import MAX_DEPTH

Json = dict[str, Any]

MAX_DIAGNOSTICS = 200
"""Maximum number of diagnostics in a result, and of each rule."""


@dataclass(frozen=True)
class LintResult:
    """`diagnostics` in the order of the file, and the normalized definition if there is no error.

    Normalized: `env` as maps, matrices as `dimensions` and `exclude`, no version.
    """

    diagnostics: tuple[Diagnostic, ...]
    pipeline: Json | None

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(diagnostic for diagnostic in self.diagnostics if diagnostic.severity == "error")


def schema() -> Json:
    """The JSON Schema of pipeline files for editors."""
    return schema_errors.editor_schema()


def lint(text: str | bytes, files: Collection[str] | None = None) -> LintResult:
    """Check a pipeline file. Never raises, and takes at most seconds for any text.

    Args:
        files: the files of the source, to find those that `inputs` leave out by mistake; None if they are not known.
    """
    read = loader.load_pipeline(text, schema_errors.strict_schema())
    if read.data is None and read.diagnostics:
        return LintResult(read.diagnostics, None)
    if not isinstance(read.data, dict):
        what = "a list" if isinstance(read.data, list) else "a single value"
        message = f"a pipeline is a map with version, name and steps; this is {what}"
        hint = "if these are the steps, put `steps:` above them" if isinstance(read.data, list) else ""
        return LintResult((read.source_map.diagnostic((), "not-a-map", message, hint),), None)
    pipeline, found = _check(read.data, read.source_map, files)
    ordered = sorted(dict.fromkeys([*read.diagnostics, *found]), key=lambda p: (p.line, p.column, p.code, p.message))
    good = not any(diagnostic.severity == "error" for diagnostic in ordered)
    return LintResult(_limit_diagnostics(ordered), pipeline if good else None)


def check_definition(definition: Json) -> tuple[Diagnostic, ...]:
    """The errors of a definition in JSON; their paths are set, their positions are not."""
    if _depth(definition) > MAX_DEPTH:
        return (diagnostic_at((1, 1), "too-deep", f"nested more than {MAX_DEPTH} levels deep"),)
    _, found = _check({"version": "v1alpha1", **definition}, SourceMap({}, {}))
    return _limit_diagnostics([diagnostic for diagnostic in dict.fromkeys(found) if diagnostic.severity == "error"])


def _check(
    data: Json, source_map: SourceMap, files: Collection[str] | None = None
) -> tuple[Json | None, list[Diagnostic]]:
    """The normalized pipeline if it matches the schema, and all diagnostics."""
    with limited_suggestions():
        found = list(islice(schema_errors.validate_schema(data, source_map), MAX_DIAGNOSTICS))
        pipeline = normalize.normalize_pipeline(data) if not found else None
        # Rules skip what has the wrong shape, so they also run if the schema reports errors elsewhere.
        found += rules.check(normalize.normalize_matrices(data), source_map, MAX_DIAGNOSTICS, files)
    found += legacy_matrix_hints(data, source_map)
    return pipeline, found


def legacy_matrix_hints(data: Json, source_map: SourceMap) -> Iterable[Diagnostic]:
    """A hint for each matrix in the older form."""
    steps = data.get("steps")
    holders: list[tuple[tuple[str | int, ...], Any]] = [((), data)]
    holders += [(("steps", index), step) for index, step in enumerate(steps if isinstance(steps, list) else [])]
    for path, scope in holders:
        matrix = scope.get("matrix") if isinstance(scope, dict) else None
        for older, newer in (("strategy", "dimensions"), ("exclusions", "exclude")):
            if isinstance(matrix, dict) and older in matrix:
                at, message = (*path, "matrix", older), f"`{older}` is an older word for `{newer}`"
                example = "write `dimensions: {name: [values]}`" if older == "strategy" else "write `exclude:`"
                yield source_map.diagnostic(at, "matrix-older-form", message, example, severity="hint", at_key=True)


def _limit_diagnostics(problems: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """At most MAX_DIAGNOSTICS in their order, errors in preference to others."""
    if len(problems) <= MAX_DIAGNOSTICS:
        return tuple(problems)
    errors = [diagnostic for diagnostic in problems if diagnostic.severity == "error"]
    kept = set(
        (errors + [diagnostic for diagnostic in problems if diagnostic.severity != "error"])[: MAX_DIAGNOSTICS - 1]
    )
    shown = [diagnostic for diagnostic in problems if diagnostic in kept]
    last = shown[-1]
    message = f"and {len(problems) - len(shown)} problems or more that are not shown"
    severity: Severity = "error" if errors else "hint"
    return (*shown, Diagnostic(last.line, last.column, "", severity, "too-many-problems", message, "fix these first"))


def _depth(value: Any) -> int:
    """The nesting depth of a value, without recursion; any number beyond MAX_DEPTH if it is deeper."""
    deepest, left = 0, [(value, 1)]
    while left and deepest <= MAX_DEPTH:
        here, depth = left.pop()
        deepest = max(deepest, depth)
        inside = here.values() if isinstance(here, dict) else here if isinstance(here, list) else ()
        left += [(item, depth + 1) for item in inside if isinstance(item, dict | list)]
    return deepest
