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
    """A step after expansion. `slug` is a DNS label, unique in the run; `depends_on` holds names of expanded steps.

    `group` is the name that all combinations of a step's own matrix share: its name if it has none. `depends_on_groups`
    says the same as `depends_on` in fewer words, since a step depends on all combinations of another one's matrix.
    """

    name: str
    slug: str
    step: Step
    matrix: Mapping[str, str]
    depends_on: tuple[str, ...]
    group: str
    depends_on_groups: tuple[str, ...]


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
    members: dict[str, list[list[tuple[str, dict[str, str]]]]] = {}
    """For each combination of the pipeline's matrix, those of the step's own."""
    for step in pipeline.steps:
        own = _combinations(step.matrix)
        members[step.name] = [
            [(expanded_step_name(step.name, {**mine, **each}), each) for each in own] for mine in outer
        ]
    expanded = []
    for step in pipeline.steps:
        for at, mine in enumerate(outer):
            needed = [name for name in dict.fromkeys(step.depends_on) if members.get(name) and members[name][at]]
            depends_on = tuple(other for name in needed for other, _ in members[name][at])
            groups = tuple(expanded_step_name(name, mine) for name in needed)
            group = expanded_step_name(step.name, mine)
            for name, each in members[step.name][at]:
                matrix = {**mine, **each}
                expanded.append(ExpandedStep(name, slug_of(name), step, matrix, depends_on, group, groups))
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
