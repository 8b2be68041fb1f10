"""What makes sense beyond the schema: names that exist, no cycles, no text pasted into shells, times that fit.

Each rule is a generator over plain data and takes what has the right shape,
so that a mistake in one place does not hide those in others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap
from controller.pipeline.lint.rules import (
    conditions,
    environment,
    limits,
    matrices,
    params,
    paths,
    secrets,
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
    *paths.RULES,
    *limits.RULES,
)


def check(data: Json, places: SourceMap, max_per_rule: int) -> list[Diagnostic]:
    """The problems of a pipeline that was read, at most so many of each rule; shapes that the schema refuses are
    passed over.
    """
    if isinstance(data.get("steps"), list) and len(data["steps"]) > MAX_STEPS:
        # The schema says so; comparing thousands of steps with each other would take long and help nobody.
        return []
    return [problem for rule in RULES for problem in islice(rule(data, places), max_per_rule)]
