"""The steps of a run: matrices expanded, with names, slugs and dependencies."""

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
    """A step after expansion. `slug` is a DNS label, unique in the run; `depends_on` holds names of expanded steps."""

    name: str
    slug: str
    step: Step
    matrix: Mapping[str, str]
    depends_on: tuple[str, ...]


def slug_of(name: str) -> str:
    """A DNS label of at most 40 characters, different for each name."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if plain == name and len(plain) <= _SLUG_LENGTH:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{plain[: _SLUG_LENGTH - 7].strip('-') or 'step'}-{digest}"


def expand_steps(pipeline: Pipeline) -> tuple[ExpandedStep, ...]:
    """All steps in the order of the file, and the combinations of a matrix in the order of its values.

    A step that depends on a step with a matrix depends on all its combinations. With a matrix of the pipeline, a step
    depends on those of its own combination only.
    """
    outer = _combinations(pipeline.matrix)
    members: dict[str, list[tuple[str, dict[str, str], dict[str, str]]]] = {}
    for step in pipeline.steps:
        pairs = [(theirs, own) for theirs in outer for own in _combinations(step.matrix)]
        members[step.name] = [(expanded_step_name(step.name, {**a, **b}), a, b) for a, b in pairs]
    expanded = []
    for step in pipeline.steps:
        for name, mine, own in members[step.name]:
            depends_on = tuple(
                other
                for dependency in dict.fromkeys(step.depends_on)
                for other, theirs, _ in members.get(dependency, ())
                if theirs == mine
            )
            expanded.append(ExpandedStep(name, slug_of(name), step, {**mine, **own}, depends_on))
    return tuple(expanded)


def _combinations(matrix: Matrix | None) -> list[dict[str, str]]:
    return combinations(matrix.dimensions, matrix.exclude) if matrix else [{}]


def ancestors(steps: Sequence[ExpandedStep]) -> dict[str, tuple[str, ...]]:
    """The direct and indirect dependencies of each step, in the order of the file."""
    return dag.transitive_dependencies(_dependencies(steps))


def descendants(steps: Sequence[ExpandedStep]) -> dict[str, tuple[str, ...]]:
    """The steps that depend on each step, directly or not, in the order of the file."""
    reversed_edges: dict[str, list[str]] = {step.name: [] for step in steps}
    for step in steps:
        for need in step.depends_on:
            reversed_edges[need].append(step.name)
    return dag.transitive_dependencies(reversed_edges)


def topological_order(steps: Sequence[ExpandedStep]) -> tuple[ExpandedStep, ...]:
    """The steps, each after its dependencies, otherwise in the order of the file."""
    by_name = {step.name: step for step in steps}
    return tuple(by_name[name] for name in dag.topological_sort(_dependencies(steps)))


def critical_path(steps: Sequence[ExpandedStep], seconds: Mapping[str, float]) -> tuple[float, tuple[str, ...]]:
    """The chain of dependent steps with the greatest total of `seconds` (by step name), and that total."""
    return dag.longest_path(_dependencies(steps), seconds)


def _dependencies(steps: Sequence[ExpandedStep]) -> dict[str, tuple[str, ...]]:
    return {step.name: step.depends_on for step in steps}
