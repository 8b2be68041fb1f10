"""The steps of a run: the matrix expanded, names and slugs given, and who waits for whom."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.pipeline.graph import dag
from controller.pipeline.graph.matrix import combinations, expanded_step_name
from controller.pipeline.model import Matrix, Pipeline, Step

_SLUG_LENGTH = 40


@dataclass(frozen=True)
class ExpandedStep:
    """A step as it runs. `slug` is a DNS label, unique in the run; `depends_on` holds names after expansion."""

    name: str
    slug: str
    step: Step
    matrix: Mapping[str, str]
    depends_on: tuple[str, ...]


def slug_of(name: str) -> str:
    """A DNS label of at most 40 characters for a name; another name gets another slug."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if plain == name and len(plain) <= _SLUG_LENGTH:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{plain[: _SLUG_LENGTH - 7].strip('-') or 'step'}-{digest}"


def expand_steps(pipeline: Pipeline) -> tuple[ExpandedStep, ...]:
    """All steps in the order of the file; a matrix step's combinations in the order of its values.

    Who depends on a matrix step waits for all of it, except that a step of a pipeline-wide matrix waits for the
    steps of its own combination.
    """
    outer = _combinations(pipeline.matrix)
    members: dict[str, list[tuple[str, dict[str, str], dict[str, str]]]] = {}
    for step in pipeline.steps:
        pairs = [(theirs, own) for theirs in outer for own in _combinations(step.matrix)]
        members[step.name] = [(expanded_step_name(step.name, {**a, **b}), a, b) for a, b in pairs]
    expanded = []
    for step in pipeline.steps:
        for name, mine, own in members[step.name]:
            wanted = dict.fromkeys(step.depends_on)
            needs = tuple(o for dep in wanted for o, theirs, _ in members.get(dep, ()) if theirs == mine)
            expanded.append(ExpandedStep(name, slug_of(name), step, {**mine, **own}, needs))
    return tuple(expanded)


def _combinations(matrix: Matrix | None) -> list[dict[str, str]]:
    return combinations(matrix.dimensions, matrix.exclude) if matrix else [{}]


def ancestors(steps: Sequence[ExpandedStep]) -> dict[str, tuple[str, ...]]:
    """For each step all steps upstream of it, in the order of the file."""
    return dag.transitive_dependencies(_dependencies(steps))


def descendants(steps: Sequence[ExpandedStep]) -> dict[str, tuple[str, ...]]:
    """For each step all steps downstream of it, in the order of the file."""
    turned: dict[str, list[str]] = {step.name: [] for step in steps}
    for step in steps:
        for need in step.depends_on:
            turned[need].append(step.name)
    return dag.transitive_dependencies(turned)


def topological_order(steps: Sequence[ExpandedStep]) -> tuple[ExpandedStep, ...]:
    """Each step after those it depends on; otherwise in the order of the file."""
    by_name = {step.name: step for step in steps}
    return tuple(by_name[name] for name in dag.topological_sort(_dependencies(steps)))


def critical_path(steps: Sequence[ExpandedStep], seconds: Mapping[str, float]) -> tuple[float, tuple[str, ...]]:
    """The chain of steps that takes longest, first to last, and the seconds it takes. `seconds`: by a step's name."""
    return dag.longest_path(_dependencies(steps), seconds)


def _dependencies(steps: Sequence[ExpandedStep]) -> dict[str, tuple[str, ...]]:
    return {step.name: step.depends_on for step in steps}
