"""Rules beyond the schema: existing names, no cycles, no templates in commands, timeouts that fit.

Each rule is a generator over parsed data and skips what has the wrong shape, so that one error does not hide others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap
from controller.pipeline.lint.rules import (
    conditions,
    environment,
    inputs,
    limits,
    matrices,
    params,
    paths,
    secrets,
    shell,
    steps,
    templates,
)
from controller.pipeline.lint.rules.accessors import MAX_STEPS

Json = dict[str, Any]
Rule = Callable[[Json, SourceMap], Iterable[Diagnostic]]

RULES: tuple[Rule, ...] = (
    *steps.RULES,
    *conditions.RULES,
    *matrices.RULES,
    *params.RULES,
    *templates.RULES,
    *environment.RULES,
    *secrets.RULES,
    *shell.RULES,
    *paths.RULES,
    *inputs.RULES,
    *limits.RULES,
)


def check(
    data: Json, source_map: SourceMap, max_per_rule: int, files: Collection[str] | None = None
) -> list[Diagnostic]:
    """The diagnostics of a parsed pipeline, at most `max_per_rule` of each rule.

    Args:
        files: the files of the source, to compare the pipeline with; None if they are not known.
    """
    if isinstance(data.get("steps"), list) and len(data["steps"]) > MAX_STEPS:
        # The schema reports it; comparing thousands of steps with each other would take too long.
        return []
    found = [diagnostic for rule in RULES for diagnostic in islice(rule(data, source_map), max_per_rule)]
    if files is not None:
        found += islice(inputs.unlisted_files(data, source_map, files), max_per_rule)
    return found
